"""Names of tasks and groups out of the paths of leaves and branches: safe in a shell and a file's name, each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from instructlab_like.records import digest

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST = 100  # of a name without its mark
Named = tuple[str, str]  # what it is (a kind of task, or a group), and the path of its leaf or branch


def names(wanted: Iterable[tuple[Named, str]], *, prefix: str) -> Mapping[Named, str]:
    """A name for each: the prefix and the folders joined by `_`, and what stands behind them.

    A mark of the path follows where signs were left out, where the name would be too long, and where two would agree.
    """
    joined = {}
    for (kind, path), behind in wanted:
        told = "_".join(part for part in (prefix, path.replace("/", "_"), behind) if part)
        joined[kind, path] = (told, UNSAFE.sub("-", told))
    same = Counter(safe[:LONGEST].casefold() for _, safe in joined.values())
    return {
        named: safe
        if safe == told and len(safe) <= LONGEST and same[safe.casefold()] == 1
        else f"{safe[:LONGEST]}-{digest(named)[:8]}"
        for named, (told, safe) in joined.items()
    }
