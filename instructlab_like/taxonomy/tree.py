"""The tree of folders: which of them are leaves, what messages call them, and how their files are read.

Only regular files are read, never a link and never what lies outside: a tree is other people's work.
"""

from __future__ import annotations

import difflib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.yaml_lines import LARGEST_FILE

QNA = "qna.yaml"
ATTRIBUTION = "attribution.txt"
HELD_OUT = "heldout.yaml"
SIMULATION = "simulation.yaml"
OWN_FILES = (QNA, ATTRIBUTION, HELD_OUT, SIMULATION)
BRANCHES = ("knowledge", "compositional_skills", "foundational_skills")


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf's folder: where it lies, and what messages call it."""

    root: Path  # of the tree
    path: str  # below the root, with "/": "knowledge/science/tides"
    shown: str  # as the user named it, or the folder that it lies in

    @property
    def folder(self) -> Path:
        return self.root / self.path

    def naming(self, file: str) -> str:
        """What messages call a file of this leaf."""
        return file if self.shown == "." else f"{self.shown}/{file}"


@dataclass(frozen=True, slots=True)
class LeafFiles:
    """A leaf's own files by name: the bytes, or why they cannot be had."""

    own: Mapping[str, bytes]
    refused: Mapping[str, InputError]


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that a user named, or that lies in the tree, and that no leaf comes of."""

    shown: str
    code: str
    message: str
    fix: str


def place_of(root: Path, path: str) -> Place:
    return Place(root, path, str(root / path))


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


def chosen(root: Path, wanted: Sequence[str | Path]) -> list[str]:
    """The leaves at or below each wanted path (below `root`, or as the shell names it); nothing wanted: all.

    Raises InputError for a path that holds no leaf.
    """
    every = leaf_paths(root)
    if not wanted:
        return every
    picked = {leaf for given in wanted for leaf in _below(root, given, every)}
    return sorted(picked)


def located(given: Sequence[Path]) -> tuple[list[Place], list[Stray]]:
    """The leaves at, around or below each path as the shell names it, and what is no leaf though it may look so."""
    places: dict[Path, Place] = {}
    strays: dict[str, Stray] = {}
    for path in given:
        found, odd = _at(path)
        places |= {place.folder: place for place in found if place.folder not in places}
        strays |= {stray.shown: stray for stray in odd}
    return [places[folder] for folder in sorted(places)], list(strays.values())


def tree_root(folder: Path) -> Path:
    """The root of the tree that an absolute folder belongs to: it, or what stands before the nearest branch."""
    if any((folder / branch).is_dir() for branch in BRANCHES):
        return folder
    branch = next((place for place in (folder, *folder.parents) if place.name in BRANCHES), None)
    if branch:
        return branch.parent
    return folder.parent if (folder / QNA).exists() else folder


def read_files(place: Place) -> LeafFiles:
    own: dict[str, bytes] = {}
    refused: dict[str, InputError] = {}
    for name in OWN_FILES:
        try:
            data = content(place.root, f"{place.path}/{name}")
        except InputError as error:
            refused[name] = error
            continue
        if data is not None:
            own[name] = data
    return LeafFiles(own, refused)


def content(root: Path, name: str, *, largest: int = LARGEST_FILE) -> bytes | None:
    """The bytes of a regular file below `root`, None if there is none; never waits, as opening a pipe would.

    Raises InputError for a link, for anything else that is no regular file, and for more than `largest` bytes.
    """
    try:
        descriptor = os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise InputError("is a link", fix="put the file itself here") from error
        if error.errno == errno.ENXIO:
            raise InputError("is not a regular file", fix="put a text file here") from error
        raise InputError(f"cannot be read: {error.strerror}", fix="check the file's permissions") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError("is not a regular file", fix="put a text file here")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", fix="check the disk") from error
    finally:
        os.close(descriptor)
    if len(data) > largest:
        raise InputError(f"is larger than {largest:,} bytes", fix="split the leaf, or move texts into documents")
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


# --- what a user named ------------------------------------------------------------------------------------------


def _at(given: Path) -> tuple[list[Place], list[Stray]]:
    if not os.path.lexists(given):
        return [], [Stray(str(given), "no-such-file", "there is no such file or folder", "name leaves, or their tree")]
    if given.is_symlink() and not given.exists():
        return [], [_link(str(given))]
    if given.is_dir() and given.name != QNA:
        return _inside(given)
    return _around(given)


def _inside(given: Path) -> tuple[list[Place], list[Stray]]:
    """The leaves in a folder."""
    folder = Path(os.path.abspath(given))  # noqa: PTH100 - a link in the path stays as it was named
    root = tree_root(folder)
    places, strays = [], []
    for inner, names in _folders(folder):
        shown = given / inner
        if QNA in names:
            path = (folder / inner).relative_to(root).as_posix()
            places.append(Place(root, path, str(shown)))
        for name in names:
            if _is_misnamed(name):
                strays.append(_misnamed(str(shown / name)))
            elif name[0] != "." and (folder / inner / name).is_symlink() and (folder / inner / name).is_dir():
                strays.append(_link(str(shown / name)))
    if not places and not strays:
        strays.append(Stray(str(given), "no-leaf", f"no folder below holds a {QNA}", "name leaves, or their tree"))
    return places, strays


def _around(given: Path) -> tuple[list[Place], list[Stray]]:
    """The leaf that a file belongs to."""
    if _is_misnamed(given.name):
        return [], [_misnamed(str(given))]
    folder = Path(os.path.abspath(given)).parent  # noqa: PTH100 - as above
    root = tree_root(folder)
    for up, home in enumerate((folder, *folder.parents)):
        if os.path.lexists(home / QNA):
            shown = given.parent.joinpath(*[".."] * up) if up else given.parent
            return [Place(root, home.relative_to(root).as_posix(), os.path.normpath(shown))], []
        if home == root:
            break
    return [], [_misnamed(str(given))]


def _is_misnamed(name: str) -> bool:
    """Whether a file was meant as `qna.yaml` but is called otherwise, and so is never read."""
    return name != QNA and name.lower() in ("qna.yaml", "qna.yml", "qna.yaml.txt", "qna.json")


def _misnamed(shown: str) -> Stray:
    return Stray(shown, "wrong-name", f"only a file called {QNA} is read", f"rename it to {QNA}")


def _link(shown: str) -> Stray:
    return Stray(shown, "link", "links are not followed", "put the folder or file itself here")


# --- walking ----------------------------------------------------------------------------------------------------


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
