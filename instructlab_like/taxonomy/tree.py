"""The tree of folders: which of them are leaves, and how a leaf's file is read without leaving the tree."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.yaml_lines import LARGEST_FILE

QNA = "qna.yaml"
ATTRIBUTION = "attribution.txt"
HELD_OUT = "heldout.yaml"
SIMULATION = "simulation.yaml"
OWN_FILES = frozenset({QNA, ATTRIBUTION, HELD_OUT, SIMULATION})


def leaf_paths(root: Path) -> list[str]:
    """The folders below `root` that hold a `qna.yaml`, as sorted "a/b/c"; raises InputError without any."""
    if not root.is_dir():
        raise InputError("there is no such folder", where=str(root), fix="name the folder that holds the taxonomy")
    found = sorted(str(folder) for folder, names in _folders(root) if QNA in names)
    if not found:
        raise InputError(
            f"no folder below holds a {QNA}", where=str(root), fix="name the folder that holds the taxonomy"
        )
    return found


def misnamed(root: Path) -> list[str]:
    """Files that were meant as `qna.yaml` but are called otherwise, and so are never read."""
    wrong = ("qna.yml", "Qna.yaml", "QNA.yaml", "qna.yaml.txt")
    return sorted(str(folder / name) for folder, names in _folders(root) for name in names if name in wrong)


def chosen(root: Path, wanted: Sequence[str | Path]) -> list[str]:
    """The leaves at or below each wanted path (below `root`, or as the shell names it); nothing wanted: all.

    Raises InputError for a path that holds no leaf.
    """
    every = leaf_paths(root)
    if not wanted:
        return every
    picked = {leaf for given in wanted for leaf in _below(root, given, every)}
    return sorted(picked)


def content(root: Path, name: str) -> bytes | None:
    """The bytes of a file below `root`, None if there is none.

    Raises InputError for what is no regular file inside the tree, or is too large.
    """
    path = root / name
    if not os.path.lexists(path):
        return None
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError("is a link to something outside the tree", fix="put the file itself here")
    if not path.is_file():
        raise InputError("is not a regular file", fix="put a text file here")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", fix="check the file's permissions") from error
    if len(data) > LARGEST_FILE:
        raise InputError(f"is larger than {LARGEST_FILE:,} bytes", fix="split the leaf, or move texts into documents")
    return data


def companions(folder: Path) -> list[str]:
    """The regular files below a leaf's folder that are not the leaf's own, relative to it and sorted.

    Links and what is hidden are left out, and so are folders that are leaves themselves.
    """
    found = []
    for place, subfolders, files in os.walk(folder):
        subfolders[:] = [name for name in subfolders if name[0] != "." and not (Path(place) / name / QNA).exists()]
        for name in files:
            path = Path(place) / name
            if name not in OWN_FILES and name[0] != "." and path.is_file() and not path.is_symlink():
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def _folders(root: Path) -> Iterator[tuple[PurePosixPath, list[str]]]:
    """Every folder with the names in it; hidden folders and links to folders are not entered."""
    for folder, subfolders, files in os.walk(root):
        names = [*subfolders, *files]
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield PurePosixPath(Path(folder).relative_to(root).as_posix()), names


def _below(root: Path, given: str | Path, every: Iterable[str]) -> list[str]:
    every = list(every)
    for name in _names(root, given):
        hits = [leaf for leaf in every if name == "." or leaf == name or leaf.startswith(f"{name}/")]
        if hits:
            return hits
    near = difflib.get_close_matches(str(given), every, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else f"leaves are folders with a {QNA} below {root}"
    raise InputError("holds no leaf", where=str(given), fix=fix)


def _names(root: Path, given: str | Path) -> Iterator[str]:
    """What `given` may be called below `root`."""
    path = Path(given)
    if path.name == QNA:
        path = path.parent
    if not path.is_absolute():
        yield path.as_posix()
    if path.exists() and path.resolve().is_relative_to(root.resolve()):
        yield path.resolve().relative_to(root.resolve()).as_posix()
