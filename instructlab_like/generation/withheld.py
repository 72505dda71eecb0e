"""Which chunks of a knowledge leaf no prompt and no training sees, so that the model can be asked about unread text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from instructlab_like.records import Chunk, Seed, digest, ngrams, normalise


def withheld(chunks: Sequence[Chunk], seeds: Iterable[Seed], *, share: float, seed: int) -> frozenset[str]:
    """The ids of the chunks that are held out: `share` of them, rounded down, and never all.

    Drawn by the chunks' ids, so that a change elsewhere in the tree moves none. A chunk that a seed example quotes is
    shown to teachers and stays; chunks of the same text share their fate.
    """
    wanted = min(int(share * len(chunks) + 1e-9), len(chunks) - 1)
    if wanted < 1:
        return frozenset()
    quoted = {gram for one in seeds if one.context for gram in ngrams(one.context)}
    copies: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        copies.setdefault(normalise(chunk.text), []).append(chunk)
    free = [same for same in copies.values() if quoted.isdisjoint(ngrams(same[0].text))]
    held: set[str] = set()
    count = 0
    for same in sorted(free, key=lambda group: min(digest([seed, chunk.id]) for chunk in group)):
        if count + len(same) <= wanted:
            held |= {chunk.id for chunk in same}
            count += len(same)
    return frozenset(held)
