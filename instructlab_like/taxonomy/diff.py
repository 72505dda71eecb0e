"""What changed in the leaves since a Git ref, down to the seed example; the ref is read as blobs, never checked out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructlab_like.errors import InputError
from instructlab_like.records import Record, blob_id
from instructlab_like.taxonomy import yaml_lines
from instructlab_like.taxonomy.documents import LARGEST_DOCUMENT
from instructlab_like.taxonomy.origins import below
from instructlab_like.taxonomy.repository import Repository, enclosing
from instructlab_like.taxonomy.tree import OWN_FILES, QNA, companions, leaf_paths
from instructlab_like.taxonomy.yaml_lines import Items, Node, Scalar, identity


class LeafChange(Record):
    """One leaf that is not as it was; seeds by their number, removed ones by the number they had."""

    path: str
    change: Literal["added", "changed", "removed"]
    files: tuple[str, ...]  # of the leaf's folder, that were added, changed or removed
    seeds_added: tuple[int, ...] = ()
    seeds_changed: tuple[int, ...] = ()
    seeds_removed: tuple[int, ...] = ()


def changed(root: Path, base: str) -> list[LeafChange]:
    """The leaves of the working tree that differ from the point where it left `base`, sorted by path.

    Raises InputError outside Git and for a ref that is no commit.
    """
    with enclosing(root) as repository:
        if repository is None:
            raise InputError("is not in a Git repository", where=str(root), fix="run `git init`, or clone the taxonomy")
        before = _Before(repository, _start(repository, base), below(repository, root))
        after = {path: _files(root / path) for path in leaf_paths(root)}
        found = []
        for path in sorted({*before.leaves, *after}):
            change = _change(path, before.leaves.get(path, {}), after.get(path, {}))
            if change:
                now = _seeds((root / path / QNA).read_bytes()) if QNA in after.get(path, {}) else ()
                found.append(change.model_copy(update=_compared(before.seeds(path), now)))
        return found


@dataclass(frozen=True, slots=True)
class _Seed:
    number: int
    whole: Hashable
    about: frozenset[Hashable]  # two seeds that share one of these are the same seed, edited


class _Before:
    """The tree as it was: the files of each leaf by their path below the leaf's folder."""

    def __init__(self, repository: Repository, commit: str, folder: str) -> None:
        self.repository = repository
        self.leaves: dict[str, dict[str, str]] = {}
        entries = [entry for entry in repository.entries(commit, folder) if entry.is_file]
        for entry in entries:
            parent, _, name = entry.path.rpartition("/")
            if name == QNA:
                self.leaves[parent] = {}
        for entry in entries:
            leaf = self.leaf_of(entry.path)
            name = entry.path.removeprefix(f"{leaf}/")
            if leaf and not any(part.startswith(".") for part in name.split("/")):
                self.leaves[leaf][name] = entry.blob

    def leaf_of(self, path: str) -> str:
        """The nearest folder above that is a leaf; empty if none is."""
        folder = path.rpartition("/")[0]
        while folder and folder not in self.leaves:
            folder = folder.rpartition("/")[0]
        return folder

    def seeds(self, path: str) -> tuple[_Seed, ...]:
        blob = self.leaves.get(path, {}).get(QNA)
        return _seeds(self.repository.blob(blob, largest=LARGEST_DOCUMENT)) if blob else ()


def _start(repository: Repository, base: str) -> str:
    other, head = repository.commit(base), repository.commit("HEAD")
    if other is None or head is None:
        fix = "name a branch, tag or commit that `git log` knows; a shallow clone may need `git fetch --unshallow`"
        raise InputError(f"{base!r} is no commit of this repository", where=str(repository.top), fix=fix)
    start = repository.merge_base(other, head)
    if start is None:
        fix = "name a ref of the same history, or run `git fetch --unshallow`"
        raise InputError(f"{base!r} and HEAD have no commit in common", where=str(repository.top), fix=fix)
    return start


def _files(folder: Path) -> dict[str, str]:
    """Blob ids of a leaf's own files and of what lies beside them, as they stand in the working tree."""
    own = [name for name in OWN_FILES if (folder / name).is_file() and not (folder / name).is_symlink()]
    return {name: blob_id((folder / name).read_bytes()) for name in (*own, *companions(folder))}


def _change(path: str, before: Mapping[str, str], after: Mapping[str, str]) -> LeafChange | None:
    files = tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
    if not files:
        return None
    if not before:
        return LeafChange(path=path, change="added", files=files)
    return LeafChange(path=path, change="changed" if after else "removed", files=files)


def _seeds(data: bytes) -> tuple[_Seed, ...]:
    """The seed examples as far as they can be told apart: a leaf need not be valid to be compared."""
    root = yaml_lines.load(data).root
    listed = root.get("seed_examples") if isinstance(root, yaml_lines.Mapping) else None
    nodes = listed.items if isinstance(listed, Items) else ()
    return tuple(_Seed(number, identity(node), _about(node)) for number, node in enumerate(nodes, start=1))


def _about(node: Node) -> frozenset[Hashable]:
    """What tells a seed from the others: its context or questions; a grounded one's question may be everyone's."""
    if not isinstance(node, yaml_lines.Mapping):
        return frozenset()
    context, question, answer = (_text(node, key) for key in ("context", "question", "answer"))
    pairs = node.get("questions_and_answers")
    if isinstance(pairs, Items):
        return frozenset({context, *(_text(pair, "question") for pair in pairs.items)}) - {None}
    if context is None:
        return frozenset({question}) - {None}
    return frozenset({context, (context, question), (context, answer), (question, answer)})


def _text(node: Node, key: str) -> Hashable:
    value = node.get(key) if isinstance(node, yaml_lines.Mapping) else None
    return value.value if isinstance(value, Scalar) else None


def _compared(before: tuple[_Seed, ...], after: tuple[_Seed, ...]) -> dict[str, tuple[int, ...]]:
    """Seeds equal in whole are the same; of the others, those about the same thing were changed."""
    same = {seed.whole for seed in before} & {seed.whole for seed in after}
    gone = [seed for seed in before if seed.whole not in same]
    added, edited = [], []
    for seed in (seed for seed in after if seed.whole not in same):
        former = _nearest(seed, gone)
        if former is None:
            added.append(seed.number)
        else:
            gone.remove(former)
            edited.append(seed.number)
    removed = tuple(seed.number for seed in gone)
    return {"seeds_added": tuple(added), "seeds_changed": tuple(edited), "seeds_removed": removed}


def _nearest(seed: _Seed, others: Sequence[_Seed]) -> _Seed | None:
    """The one that shares most with `seed`, None if none shares anything."""
    shared = [len(seed.about & other.about) for other in others]
    most = max(shared, default=0)
    return others[shared.index(most)] if most else None
