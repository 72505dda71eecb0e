"""Where each leaf comes from: the commit that last touched it, its author, and whether it has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instructlab_like.records import Leaf, LeafOrigin
from instructlab_like.taxonomy.repository import Repository, Touch, enclosing
from instructlab_like.taxonomy.tree import QNA


def head(root: Path) -> str | None:
    """The commit that is checked out around `root`; None outside Git and before the first commit."""
    with enclosing(root) as repository:
        return repository.commit("HEAD") if repository else None


def origins(root: Path, leaves: Sequence[Leaf]) -> list[LeafOrigin]:
    """One origin per leaf, in the order given.

    A leaf that was never committed has no commit and is dirty; outside Git there is no commit, and nothing is dirty.
    """
    with enclosing(root) as repository:
        if repository is None:
            return [
                LeafOrigin(path=leaf.path, blob=leaf.blob, commit=None, author=None, dirty=False) for leaf in leaves
            ]
        folder = below(repository, root)
        touches, committed = _history(repository, folder)
    found = []
    for leaf in leaves:
        name = f"{leaf.path}/{QNA}"
        touch = touches.get(f"{folder}/{name}" if folder else name)
        found.append(
            LeafOrigin(
                path=leaf.path,
                blob=leaf.blob,
                commit=touch.commit if touch else None,
                author=touch.author if touch else None,
                dirty=committed.get(name) != leaf.blob,
            )
        )
    return found


def below(repository: Repository, root: Path) -> str:
    """The name of `root` from the top of its repository, empty for the top itself."""
    name = root.resolve().relative_to(repository.top).as_posix()
    return "" if name == "." else name


def _history(repository: Repository, folder: str) -> tuple[dict[str, Touch], dict[str, str]]:
    """The last touch of every leaf, and the blobs of the last commit by path below `folder`."""
    newest = repository.commit("HEAD")
    if newest is None:
        return {}, {}
    committed = {entry.path: entry.blob for entry in repository.entries(newest, folder)}
    return repository.last_touches(QNA), committed
