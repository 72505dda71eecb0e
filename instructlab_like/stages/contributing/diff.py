"""`ilk diff`: the leaves and seed examples that a branch changes, printed for people or for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from instructlab_like.checking.forms.plain import json_text, line
from instructlab_like.console import say
from instructlab_like.taxonomy.diff import LeafChange, difference


def diff(taxonomy: str, base: str | None, *, form: Literal["text", "json"]) -> None:
    """Print the leaves and seed examples that differ from the point where the working tree left `base`."""
    found = difference(Path(taxonomy), base)
    if form == "json":
        leaves = [change.model_dump(mode="json") for change in found.leaves]
        told = {"base": found.base.commit, "ref": found.base.ref, "leaves": leaves}
        say(json_text(told))
        return
    say(f"compared with {line(str(found.base))}")
    for change in found.leaves:
        say(described(change))
    say(f"{len(found.leaves)} {'leaf differs' if len(found.leaves) == 1 else 'leaves differ'}")


def described(change: LeafChange) -> str:
    """One line on a leaf that changed, safe to print whatever its files are called."""
    parts = [", ".join(change.files)] if change.files else []
    parts += [
        f"seeds {word} {', '.join(map(str, seeds))}"
        for word, seeds in (
            ("added", change.seeds_added),
            ("changed", change.seeds_changed),
            ("removed", change.seeds_removed),
        )
        if seeds
    ]
    parts += [f"seeds unknown, unreadable {unread.side}: {unread.why}" for unread in change.unread]
    origin = f" from {change.moved_from}" if change.moved_from else ""
    return line(f"{change.change:<8} {change.path}{origin}" + (f"  ({'; '.join(parts)})" if parts else ""))
