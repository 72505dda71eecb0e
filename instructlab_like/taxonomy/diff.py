"""What changed in the leaves since a Git ref, down to the seed example; the ref is read as blobs, never checked out."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructlab_like.errors import InputError
from instructlab_like.records import Record, blob_id
from instructlab_like.taxonomy import yaml_lines
from instructlab_like.taxonomy.past import Base, Past, past, readable
from instructlab_like.taxonomy.tree import LARGEST_DOCUMENT, OWN_FILES, QNA, companions, content, leaf_paths
from instructlab_like.taxonomy.yaml_lines import Items, Node, Scalar, identity


class Unread(Record):
    """A side of the comparison whose `qna.yaml` could not be read, so that its seeds are unknown."""

    side: Literal["before", "now"]
    why: str


class LeafChange(Record):
    """One leaf that is not as it was; seeds by their number, removed ones by the number they had.

    A moved leaf is one whose very `qna.yaml` lay in another folder, where there is none now; its `files` are those
    that are not as they were there. Where a side is unread, no seeds are told.
    """

    path: str
    change: Literal["added", "changed", "moved", "removed"]
    moved_from: str | None = None
    files: tuple[str, ...]  # of the leaf's folder, that were added, changed or removed
    seeds_added: tuple[int, ...] = ()
    seeds_changed: tuple[int, ...] = ()
    seeds_removed: tuple[int, ...] = ()
    unread: tuple[Unread, ...] = ()


class Difference(Record):
    base: Base
    leaves: tuple[LeafChange, ...]  # sorted by path


def difference(root: Path, ref: str | None) -> Difference:
    """The leaves of the working tree, uncommitted ones too, that differ from where it left `ref`.

    Raises InputError as `past` does.
    """
    with past(root, ref) as before:
        return Difference(base=before.base, leaves=tuple(changes(root, before)))


def changed(root: Path, ref: str | None) -> list[LeafChange]:
    """The leaves of the working tree that differ from where it left `ref`, sorted by path; raises as `past` does."""
    return list(difference(root, ref).leaves)


def changes(root: Path, before: Past) -> list[LeafChange]:
    """The leaves below `root` that are not as they were, sorted by path."""
    folders = {readable(path): root / path for path in _present(root)}
    now = {path: _marks(folder) for path, folder in folders.items()}
    came = {path: files for path, files in now.items() if path not in before.leaves}
    gone = {path: files for path, files in before.leaves.items() if path not in now}
    moves = _moves(gone, came)
    found = []
    for path in sorted({*before.leaves, *now} - set(moves.values())):
        former = moves.get(path, path)
        change = _change(path, former, before.leaves.get(former, {}), now.get(path, {}))
        if change is not None:
            then = _read_past(before, former)
            found.append(change.model_copy(update=_compared(then, _read(folders.get(path)))))
    return found


# --- files ------------------------------------------------------------------------------------------------------


def _present(root: Path) -> list[str]:
    try:
        return [path for path in leaf_paths(root) if not (root / path / QNA).is_dir()]
    except InputError:  # no leaf is left
        return []


def _marks(folder: Path) -> dict[str, str]:
    """The files of a leaf's folder as they stand in the working tree, marked as `Past` marks them."""
    names = [name for name in OWN_FILES if os.path.lexists(folder / name)]
    return {readable(name): _mark(folder / name) for name in (*names, *companions(folder))}


def _mark(path: Path) -> str:
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            return f"120000 {blob_id(os.fsencode(path.readlink()))}"
        if not stat.S_ISREG(facts.st_mode):
            return "special"
        if facts.st_size > LARGEST_DOCUMENT:
            return f"too large: {facts.st_size}"
        with path.open("rb") as file:
            digest = hashlib.sha1(b"blob %d\0" % facts.st_size, usedforsecurity=False)
            while data := file.read(2**20):
                digest.update(data)
            return digest.hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _moves(gone: Mapping[str, Mapping[str, str]], came: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Where each leaf that came with the `qna.yaml` of one that went was before; each one is taken once."""
    lost = {path: files[QNA] for path, files in sorted(gone.items()) if QNA in files}
    moves: dict[str, str] = {}
    for path, files in sorted(came.items()):
        former = next((old for old, mark in lost.items() if mark == files.get(QNA)), None)
        if former is not None:
            del lost[former]
            moves[path] = former
    return moves


def _change(path: str, former: str, before: Mapping[str, str], now: Mapping[str, str]) -> LeafChange | None:
    files = tuple(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))
    if path != former:
        return LeafChange(path=path, change="moved", moved_from=former, files=files)
    if not files:
        return None
    if not before:
        return LeafChange(path=path, change="added", files=files)
    return LeafChange(path=path, change="changed" if now else "removed", files=files)


# --- seeds ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seed:
    number: int
    whole: Hashable
    about: frozenset[Hashable]  # two seeds that share one of these are the same seed, edited


@dataclass(frozen=True, slots=True)
class _Seeds:
    listed: tuple[_Seed, ...]
    problem: str = ""  # why the file could not be read


def _read_past(before: Past, path: str) -> _Seeds:
    try:
        data = before.data(path, QNA)
    except InputError as error:
        return _Seeds((), f"{QNA} {error.what}")
    return _seeds(data)


def _read(folder: Path | None) -> _Seeds:
    if folder is None:
        return _Seeds(())
    try:
        return _seeds(content(folder, QNA))
    except InputError as error:
        return _Seeds((), f"{QNA} {error.what}")


def _seeds(data: bytes | None) -> _Seeds:
    """The seed examples as far as they can be told apart: a leaf need not be valid to be compared."""
    if data is None:
        return _Seeds(())
    sheet = yaml_lines.load(data)
    if sheet.root is None and sheet.problems:
        problem = sheet.problems[0]
        return _Seeds((), f"{QNA}:{problem.line}:{problem.column}: {problem.message}")
    listed = sheet.root.get("seed_examples") if isinstance(sheet.root, yaml_lines.Mapping) else None
    nodes = listed.items if isinstance(listed, Items) else ()
    return _Seeds(tuple(_Seed(number, identity(node), _about(node)) for number, node in enumerate(nodes, start=1)))


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


def _compared(before: _Seeds, now: _Seeds) -> dict[str, tuple[int, ...] | tuple[Unread, ...]]:
    """Seeds equal in whole are the same; of the others, those about the same thing were changed."""
    unread = [Unread(side="before", why=before.problem)] if before.problem else []
    unread += [Unread(side="now", why=now.problem)] if now.problem else []
    if unread:
        return {"unread": tuple(unread)}
    gone = _without(before.listed, now.listed)
    added, edited = [], []
    for seed in _without(now.listed, before.listed):
        former = _nearest(seed, gone)
        if former is None:
            added.append(seed.number)
        else:
            gone.remove(former)
            edited.append(seed.number)
    removed = tuple(seed.number for seed in gone)
    return {"seeds_added": tuple(added), "seeds_changed": tuple(edited), "seeds_removed": removed}


def _without(seeds: Sequence[_Seed], others: Sequence[_Seed]) -> list[_Seed]:
    """The seeds that have no equal among the others; each of those is the equal of one."""
    equals = Counter(seed.whole for seed in others)
    left = []
    for seed in seeds:
        if equals[seed.whole]:
            equals[seed.whole] -= 1
        else:
            left.append(seed)
    return left


def _nearest(seed: _Seed, others: Sequence[_Seed]) -> _Seed | None:
    """The one that shares most with `seed`, None if none shares anything."""
    shared = [len(seed.about & other.about) for other in others]
    most = max(shared, default=0)
    return others[shared.index(most)] if most else None
