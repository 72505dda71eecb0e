"""What a contributor runs around a leaf: diff and new, printed for people or for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from instructlab_like.console import say
from instructlab_like.taxonomy.diff import LeafChange, changed
from instructlab_like.taxonomy.scaffold import new_leaf
from instructlab_like.workspace import find


def diff(taxonomy: str, base: str) -> None:
    """Print the leaves and seed examples that differ from the point where the working tree left `base`."""
    changes = changed(find(taxonomy), base)
    for change in changes:
        say(described(change))
    say(f"{len(changes)} leaves differ from {base}")


def described(change: LeafChange) -> str:
    parts = [
        f"seeds {word} {', '.join(map(str, seeds))}"
        for word, seeds in (
            ("added", change.seeds_added),
            ("changed", change.seeds_changed),
            ("removed", change.seeds_removed),
        )
        if seeds
    ]
    return f"{change.change:<8} {change.path}  ({'; '.join([', '.join(change.files), *parts])})"


def new(taxonomy: str, path: str, *, grounded: bool) -> None:
    """Make the files of a leaf and name them."""
    kind: Literal["knowledge", "freeform", "grounded"] = "grounded" if grounded else "freeform"
    for made in new_leaf(Path(taxonomy), path, "knowledge" if path.startswith("knowledge/") else kind):
        say(f"made {made}")
    say(f"fill them in; then: ilk check {Path(taxonomy) / path}")
