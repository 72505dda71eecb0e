"""The leaves that stand beside a leaf in its branch of the tree, whether or not a run makes anything of them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from heapq import nsmallest
from pathlib import Path, PurePosixPath

from instructlab_like.records import Leaf, digest
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import leaf_paths, place_of, read_files

MOST = 100  # leaves of one branch that are looked at


class Branches:
    """Finds them by their folders, and reads each when it is first wanted. Leaves that cannot be read are none."""

    def __init__(self, root: Path, without: Collection[str] = ()) -> None:
        self.root, self.without = root, frozenset(without)
        self.read: dict[str, Leaf | None] = {}

    @cached_property
    def paths(self) -> list[str]:
        return [path for path in leaf_paths(self.root) if path not in self.without]

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """The leaves at or below each folder; of many those with the least digests, so that a new one moves none."""
        found: dict[str, list[str]] = {}
        for path in self.paths:
            for folder in folders(path):
                found.setdefault(folder, []).append(path)
        return {
            folder: paths if len(paths) <= MOST else sorted(nsmallest(MOST, paths, key=digest_of))
            for folder, paths in found.items()
        }

    def beside(self, leaf: Leaf) -> list[Leaf]:
        """The other leaves of the smallest folder that holds any, sorted by path; none in the tree's first folders."""
        for folder in folders(leaf.path):
            others = [path for path in self.members.get(folder, ()) if path != leaf.path]
            if others:
                return [found for path in others if (found := self.leaf(path))]
        return []

    def leaf(self, path: str) -> Leaf | None:
        if path not in self.read:
            place = place_of(self.root, path)
            self.read[path] = examine(place, read_files(place)).leaf
        return self.read[path]


def folders(path: str) -> list[str]:
    """The folders around a leaf, the nearest first, without those right below the root."""
    return [folder.as_posix() for folder in PurePosixPath(path).parents if len(folder.parts) > 1]


def digest_of(path: str) -> str:
    return digest([path])
