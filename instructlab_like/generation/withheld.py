"""Which chunks of a knowledge leaf no prompt and no training sees, so that the model can be asked about unread text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from instructlab_like.filters.parts.runs import Words, cut
from instructlab_like.records import Chunk, Seed, digest, normalise

QUOTED = 8  # words in a row that a seed example and a chunk may not share; of shorter texts all of them


def withheld(chunks: Sequence[Chunk], seeds: Iterable[Seed], *, share: float, seed: int) -> frozenset[str]:
    """The ids of the chunks that are held out: `share` of them, rounded down, and never all.

    Drawn by the chunks' ids, so that a change elsewhere in the tree moves none. A chunk that a seed example quotes is
    shown to teachers and stays; chunks of the same text share their fate.
    """
    wanted = min(int(share * len(chunks) + 1e-9), len(chunks) - 1)
    if wanted < 1:
        return frozenset()
    contexts = [cut(normalise(one.context)) for one in seeds if one.context]
    copies: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        copies.setdefault(normalise(chunk.text), []).append(chunk)
    free = [same for same in copies.values() if not quoted(same[0], contexts)]
    held: set[str] = set()
    count = 0
    for same in sorted(free, key=lambda group: min(digest([seed, chunk.id]) for chunk in group)):
        if count + len(same) <= wanted:
            held |= {chunk.id for chunk in same}
            count += len(same)
    return frozenset(held)


def quoted(chunk: Chunk, contexts: Sequence[Words]) -> bool:
    """Whether a seed's context has words in a row of the chunk; of unparted ones two characters."""
    own = cut(normalise(chunk.text))
    for other in contexts:
        size = max(1, min(QUOTED, own.length, other.length))
        if bool(np.isin(own.runs(size), other.runs(size)).any()):
            return True
    return False
