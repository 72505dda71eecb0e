"""Which leaves a run is about: those that are named, and of them those that a branch changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instructlab_like.checking.forms.plain import line
from instructlab_like.console import warn
from instructlab_like.taxonomy.diff import difference
from instructlab_like.taxonomy.tree import chosen
from instructlab_like.workspace import find


def changed_leaves(taxonomy: str, base: str | None, leaves: Sequence[str]) -> tuple[str, ...]:
    """The leaves, of those named or of all, that differ from where the working tree left `base`; says if there is none.

    Raises InputError without a taxonomy folder, outside Git, and for a ref that is no commit.
    """
    root: Path = find(taxonomy)
    found = difference(root, base)
    differing = [change.path for change in found.leaves if change.change != "removed"]
    named = set(chosen(root, leaves)) if leaves else set(differing)
    picked = tuple(path for path in differing if path in named)
    if not picked:
        warn(f"no leaf{' of those named' if leaves else ''} differs from {line(str(found.base))}")
    return picked
