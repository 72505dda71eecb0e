"""The leaves of the tree as they stand, those of them that a preview is about, and what `ilk check` says of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from instructlab_like.checking.memory import Memory, key, stamp
from instructlab_like.checking.whole import check
from instructlab_like.errors import InputError
from instructlab_like.records import Leaf
from instructlab_like.taxonomy.diff import LeafChange, changes
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.past import Past, readable
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import chosen, leaf_paths, place_of, read_files


@dataclass(frozen=True)
class Survey:
    root: Path
    leaves: Mapping[str, Leaf]  # those that can be read, by path
    subjects: tuple[str, ...]  # the leaves that the preview is about
    changes: Mapping[str, LeafChange]
    findings: Mapping[str, tuple[Finding, ...]]  # of the subjects
    notes: tuple[str, ...]

    @property
    def sound(self) -> list[Leaf]:
        """The subjects that a full run could use."""
        return [self.leaves[path] for path in self.subjects if path in self.leaves and not self.fails(path)]

    def fails(self, path: str) -> bool:
        return any(finding.severity == "error" for finding in self.findings[path])


def survey(root: Path, before: Past | None, paths: Sequence[str]) -> Survey:
    """Read the tree; the subjects are the leaves at or below `paths`, or those that are not as they were `before`.

    Raises InputError for a path that holds no leaf.
    """
    every = _every(root)
    present = [path for path in every if readable(path) == path]
    known = set(present)
    leaves = _read(root, present)
    found = {change.path: change for change in changes(root, before)} if before else {}
    wanted = chosen(root, paths) if paths else list(found)
    subjects = [path for path in wanted if path in known]
    notes = [f"{path}: cannot be read, and is left out of all comparisons" for path in present if path not in leaves]
    odd = [readable(path) for path in every if path not in known]
    notes += [f"{path}: its name is no UTF-8, so it is not looked at" for path in odd]
    return Survey(root, leaves, tuple(subjects), found, _checked(root, subjects, present), tuple(notes))


def _read(root: Path, paths: Sequence[str]) -> dict[str, Leaf]:
    """The leaves that can be used; what was read before is taken from the memory of `ilk check`."""
    found: dict[str, Leaf] = {}
    with Memory() as memory:
        told = ("leaf", stamp(), root.resolve().name)
        for path in paths:
            place = place_of(root, path)
            files = read_files(place)
            known = key((*told, path, *sorted(files.refused)), files.own)
            remembered = memory.get(known)
            leaf = _LEAF.validate_json(remembered) if remembered else examine(place, files).leaf
            if leaf is not None:
                found[path] = leaf
                if remembered is None:
                    memory.put(known, _LEAF.dump_json(leaf))
    return found


_LEAF: TypeAdapter[Leaf] = TypeAdapter(Leaf)


def _every(root: Path) -> list[str]:
    """The paths of all leaves; none where a branch removes them all."""
    try:
        return leaf_paths(root)
    except InputError:
        return []


def _checked(root: Path, subjects: Sequence[str], present: Sequence[str]) -> dict[str, tuple[Finding, ...]]:
    """The findings by subject; a leaf inside another leaf's folder keeps its own."""
    found: dict[str, list[Finding]] = {path: [] for path in subjects}
    homes = {place_of(root, path).shown: path for path in present}
    for finding in check([root / path for path in subjects]).findings if subjects else ():
        home = homes.get(next((shown for shown in _upward(finding.path) if shown in homes), ""))
        if home in found:
            found[home].append(finding)
    return {path: tuple(findings) for path, findings in found.items()}


def _upward(path: str) -> Iterator[str]:
    """The path and all above it, as they are shown."""
    while path:
        yield path
        path = path.rpartition("/")[0]
