"""The tree of folders: which of them are leaves, what messages call them, and how their files are read.

Only regular files are read, never a link and never what lies outside: a tree is other people's work.
"""

from __future__ import annotations

import difflib
import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from instructlab_like.errors import FileError, InputError
from instructlab_like.printable import escaped, is_plain
from instructlab_like.taxonomy.sizes import LARGEST_DOCUMENT as LARGEST_DOCUMENT
from instructlab_like.taxonomy.sizes import LARGEST_FILE

QNA = "qna.yaml"
ATTRIBUTION = "attribution.txt"
HELD_OUT = "heldout.yaml"
SIMULATION = "simulation.yaml"
PRIVATE = "private.txt"
OWN_FILES = (QNA, ATTRIBUTION, HELD_OUT, SIMULATION, PRIVATE)
BRANCHES = ("knowledge", "compositional_skills", "foundational_skills")
DEEPEST = 40  # folders below the one that is searched


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf's folder: where it lies, and what messages call it."""

    root: Path  # of the tree
    path: str  # below the root, with "/": "knowledge/science/tides"
    shown: str  # as the user named it, or the folder that it lies in; always plain text

    @property
    def folder(self) -> Path:
        return self.root / self.path

    def naming(self, file: str) -> str:
        """What messages call a file of this leaf."""
        return escaped(file if self.shown == "." else f"{self.shown}/{file}")


@dataclass(frozen=True, slots=True)
class LeafFiles:
    """A leaf's own files by name: the bytes, or why they cannot be had."""

    own: Mapping[str, bytes]
    refused: Mapping[str, FileError]


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that a user named, or that lies in the tree, and that no leaf comes of."""

    shown: str
    code: str
    message: str
    fix: str


def place_of(root: Path, path: str) -> Place:
    return Place(root, path, escaped(str(root / path)))


def leaf_paths(root: Path) -> list[str]:
    """The folders below `root` that hold a `qna.yaml`, as sorted "a/b/c"; raises InputError without any."""
    return _leaves(root, _searched(root))


def chosen(root: Path, wanted: Sequence[str | Path]) -> list[str]:
    """The leaves at or below each wanted path (below `root`, or as the shell names it); nothing wanted: all.

    Raises InputError for a path that holds no leaf, and for a folder there that cannot be looked into.
    """
    folders = list(_searched(root))
    every = _leaves(root, folders)
    picked = [leaf for given in wanted for leaf in _below(root, given, every)] if wanted else every
    names = [name for given in wanted for name in _names(root, given)] or ["."]
    for folder in folders:
        stray = _problem(folder, str(root / folder.path))
        if stray and any(_is_below(folder.path, name) for name in names):
            raise InputError(stray.message, where=stray.shown, fix=stray.fix)
    return sorted(set(picked))


def located(given: Sequence[Path]) -> tuple[list[Place], list[Stray]]:
    """The leaves at, around or below each path as the shell names it, and what is no leaf though it may look so."""
    places: dict[tuple[str, str], Place] = {}
    strays: dict[str, Stray] = {}
    for path in given:
        found, odd = _at(path)
        for place in found:
            places.setdefault((str(place.root), place.path), place)
        strays |= {stray.shown: stray for stray in odd}
    return [places[known] for known in sorted(places)], list(strays.values())


def tree_root(folder: Path) -> Path:
    """The root of the tree that an absolute folder belongs to: it, or what stands before the nearest branch."""
    if any(_is_folder(folder / branch) for branch in BRANCHES):
        return folder
    branch = next((place for place in (folder, *folder.parents) if place.name in BRANCHES), None)
    if branch:
        return branch.parent
    return folder.parent if _exists(folder / QNA) else folder


def read_files(place: Place) -> LeafFiles:
    own: dict[str, bytes] = {}
    refused: dict[str, FileError] = {}
    try:
        with _opened(place.root, place.path.split("/")) as folder:
            for name in OWN_FILES:
                try:
                    data = _content(folder, name, LARGEST_FILE)
                except FileError as error:
                    refused[name] = error
                    continue
                if data is not None:
                    own[name] = data
    except FileError as error:  # of the folder
        refused[QNA] = error
    except FileNotFoundError:
        pass
    return LeafFiles(own, refused)


def content(root: Path, name: str, *, largest: int = LARGEST_FILE) -> bytes | None:
    """The bytes of a regular file below `root`, None if there is none; never waits, as opening a pipe would.

    Raises InputError for a link, be it the file or a folder that leads to it, for anything else that is no regular
    file, and for more than `largest` bytes. `root` itself may be a link.
    """
    *folders, file = name.split("/")
    try:
        with _opened(root, folders) as folder:
            return _content(folder, file, largest)
    except FileNotFoundError:
        return None


def companions(folder: Path) -> list[str]:
    """The regular files below a leaf's folder that are not the leaf's own, relative to it and sorted.

    Links and what is hidden are left out, and so are folders that are leaves themselves.
    """
    found = []
    for inner in _folders(folder, but_leaves=True):
        above = f"{inner.path}/" if inner.path else ""
        found += [above + name for name in inner.files if name not in OWN_FILES and name[0] != "."]
    return sorted(found)


# --- opening ----------------------------------------------------------------------------------------------------


_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def _opened(root: Path, folders: Sequence[str]) -> Iterator[int]:
    """A folder's descriptor. Each step is opened from the one before, so that nothing can be put in its way."""
    descriptor = _step(str(root), None)
    try:
        for folder in folders:
            inner = _step(folder, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _step(folder: str, above: int | None) -> int:
    if folder == "..":
        raise FileError("lies outside", fix="name a file of the tree")
    try:
        return os.open(folder, _FOLDER if above is None else _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError as error:
        if above is not None and stat.S_ISLNK(os.stat(folder, dir_fd=above, follow_symlinks=False).st_mode):
            raise FileError(
                f"lies behind a link: {escaped(folder)}", fix="put the folder itself there", finding="link"
            ) from error
        raise FileError(f"cannot be read: {error.strerror}", fix=_PERMISSIONS) from error


def _content(folder: int, name: str, largest: int) -> bytes | None:
    try:
        _regular(os.stat(name, dir_fd=folder, follow_symlinks=False), largest)
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            _regular(facts, largest)  # it may have been exchanged meanwhile
            data = file.read(facts.st_size + 1)  # room is made for as many bytes at once
            if len(data) > facts.st_size:  # it grows
                data += file.read(largest + 1 - len(data))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise FileError("is a link", fix="put the file itself here", finding="link") from error
        raise FileError(f"cannot be read: {error.strerror}", fix=_PERMISSIONS) from error
    if len(data) > largest:
        raise _too_large(largest)
    return data


_PERMISSIONS = "check the permissions"


def _regular(facts: os.stat_result, largest: int) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise FileError("is a link", fix="put the file itself here", finding="link")
    if not stat.S_ISREG(facts.st_mode):
        raise FileError("is not a regular file", fix="put a text file here")
    if facts.st_size > largest:
        raise _too_large(largest)


def _too_large(largest: int) -> FileError:
    own = largest == LARGEST_FILE
    fix = "split the leaf, or move texts into documents" if own else "split it into smaller files"
    return FileError(f"is larger than {largest:,} bytes", fix=fix, finding="too-large")


# --- what a user named ------------------------------------------------------------------------------------------


def _at(given: Path) -> tuple[list[Place], list[Stray]]:
    shown = escaped(str(given))
    if not os.path.lexists(given):
        return [], [Stray(shown, "no-such-file", "there is no such file or folder", "name leaves, or their tree")]
    if given.is_symlink() and not _exists(given):
        return [], [_link(shown)]
    inside = _is_folder(given) and given.name != QNA
    folder = Path(os.path.abspath(given))  # noqa: PTH100 - a link in the path stays as it was named
    folder = folder if inside else folder.parent
    root = tree_root(folder)
    stray = _on_the_way(root, folder, shown)
    if stray:
        return [], [stray]
    return _inside(given, folder, root) if inside else _around(given, folder, root)


def _on_the_way(root: Path, folder: Path, shown: str) -> Stray | None:
    """What keeps a folder from being looked at: a link below the root, or a name that is not plain text."""
    path = folder.relative_to(root)
    if not is_plain(str(path)) or not _is_utf8(str(root)):
        return _odd(shown)
    steps = [root.joinpath(*path.parts[: end + 1]) for end in range(len(path.parts))]
    return _link(shown) if any(step.is_symlink() for step in steps) else None


def _inside(given: Path, start: Path, root: Path) -> tuple[list[Place], list[Stray]]:
    """The leaves in a folder."""
    places, strays = [], []
    # Texts rather than paths: a tree may have thousands of folders.
    above, named = start.relative_to(root).as_posix(), str(given)
    for folder in _folders(start):
        shown = _joined(named, folder.path)
        stray = _problem(folder, shown)
        if stray:
            strays += [stray] if is_plain(folder.path.rpartition("/")[0]) else []  # said of the folder above
            continue
        if QNA in folder.names:
            places.append(Place(root, _joined(above, folder.path), escaped(shown)))
        strays += _strays(folder, shown)
    if not places and not strays:
        what = f"no folder below holds a {QNA}"
        strays.append(Stray(escaped(str(given)), "no-leaf", what, "name leaves, or their tree"))
    return places, strays


def _joined(folder: str, path: str) -> str:
    """A path below a folder, in which neither part is said that says nothing."""
    if not path:
        return folder
    return path if folder == "." else f"{folder.rstrip('/')}/{path}"


def _strays(folder: _Folder, shown: str) -> Iterator[Stray]:
    """What lies in a folder and will not be read, though someone may think so."""
    for name in folder.names:
        if _is_misnamed(name):
            yield _misnamed(escaped(_joined(shown, name)))
        elif name[0] != "." and not _is_utf8(name) and name not in folder.subfolders:
            yield _odd(escaped(_joined(shown, name)))
    for name in folder.links:
        known = name in OWN_FILES or _is_misnamed(name)  # those are told of as files
        if not known and name[0] != "." and _is_folder(Path(folder.start, folder.path, name)):
            yield _link(escaped(_joined(shown, name)))
    first: dict[str, str] = {}
    for name in sorted(folder.subfolders):
        twin = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if twin != name:
            yield _twin(escaped(_joined(shown, name)), escaped(twin))


def _around(given: Path, folder: Path, root: Path) -> tuple[list[Place], list[Stray]]:
    """The leaf that a file belongs to."""
    if _is_misnamed(given.name):
        return [], [_misnamed(escaped(str(given)))]
    for up, home in enumerate((folder, *folder.parents)):
        if os.path.lexists(home / QNA):
            above = given.parent.joinpath(*[".."] * up) if up else given.parent
            return [Place(root, home.relative_to(root).as_posix(), escaped(os.path.normpath(above)))], []
        if home == root:
            break
    return [], [_misnamed(escaped(str(given)))]


def _is_misnamed(name: str) -> bool:
    """Whether a file was meant as `qna.yaml` but is called otherwise, and so is never read."""
    return name != QNA and name.lower() in ("qna.yaml", "qna.yml", "qna.yaml.txt", "qna.json")


def _misnamed(shown: str) -> Stray:
    return Stray(shown, "wrong-name", f"only a file called {QNA} is read", f"rename it to {QNA}")


def _link(shown: str) -> Stray:
    return Stray(shown, "link", "links are not followed", "put the folder or file itself here")


def _odd(shown: str) -> Stray:
    what = "the name holds a control character, one that hides or turns text, or is no UTF-8"
    return Stray(shown, "odd-name", what, "rename it, best with a-z, 0-9 and _ alone")


def _twin(shown: str, twin: str) -> Stray:
    what = f"the folder {twin} beside it differs in case alone, and is the same one on many systems"
    return Stray(shown, "case-collision", what, "rename one of them")


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


# --- walking ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Folder:
    start: str  # where the walk began
    path: str  # below that, with "/"; empty for itself
    names: frozenset[str]  # of all that lies in it
    subfolders: tuple[str, ...]  # those that are not hidden
    files: tuple[str, ...]  # regular ones
    links: tuple[str, ...]
    refused: str = ""  # why it was not looked into


def _folders(start: Path, *, but_leaves: bool = False) -> Iterator[_Folder]:
    """A folder and all below it; hidden ones and links are not entered, and leaves below the first if so wanted."""
    waiting = [""]
    while waiting:
        path = waiting.pop()
        folder = _listed(str(start), path)
        if but_leaves and path and QNA in folder.names:
            continue
        yield folder
        if not folder.refused:
            waiting += [f"{path}/{name}" if path else name for name in folder.subfolders]


def _listed(start: str, path: str) -> _Folder:
    if path.count("/") >= DEEPEST:
        return _Folder(start, path, frozenset(), (), (), (), f"it lies deeper than {DEEPEST} folders")
    try:
        with os.scandir(f"{start}/{path}") as entries:
            found = list(entries)
    except OSError as error:
        return _Folder(start, path, frozenset(), (), (), (), f"it cannot be read: {error.strerror}")
    return _Folder(
        start,
        path,
        frozenset(entry.name for entry in found),
        tuple(entry.name for entry in found if entry.name[0] != "." and entry.is_dir(follow_symlinks=False)),
        tuple(entry.name for entry in found if entry.is_file(follow_symlinks=False)),
        tuple(entry.name for entry in found if entry.is_symlink()),
    )


def _leaves(root: Path, folders: Iterable[_Folder]) -> list[str]:
    found = sorted(folder.path or "." for folder in folders if QNA in folder.names)
    if not found:
        raise InputError(
            f"no folder below holds a {QNA}", where=str(root), fix="name the folder that holds the taxonomy"
        )
    return found


def _searched(root: Path) -> Iterator[_Folder]:
    if not _is_folder(root):
        raise InputError("there is no such folder", where=str(root), fix="name the folder that holds the taxonomy")
    return _folders(root)


def _problem(folder: _Folder, shown: str) -> Stray | None:
    """Why a folder that the walk came to is not looked at."""
    if folder.refused:
        return Stray(escaped(shown), "unreadable", folder.refused, "check the permissions, or move it further up")
    return None if is_plain(folder.path) else _odd(escaped(shown))


def _is_folder(path: Path) -> bool:
    """Unlike pathlib's, no error for names that are too long or folders that may not be entered."""
    return os.path.isdir(path)  # noqa: PTH112


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - as above


def _is_below(path: str, name: str) -> bool:
    return name == "." or path == name or path.startswith(f"{name}/")


def _below(root: Path, given: str | Path, every: Iterable[str]) -> list[str]:
    every = list(every)
    for name in _names(root, given):
        hits = [leaf for leaf in every if _is_below(leaf, name)]
        if hits:
            return hits
    near = difflib.get_close_matches(str(given), every, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else f"leaves are folders with a {QNA} below {root}"
    raise InputError("holds no leaf", where=escaped(str(given)), fix=fix)


def _names(root: Path, given: str | Path) -> Iterator[str]:
    """What `given` may be called below `root`."""
    path = Path(given)
    if path.name == QNA:
        path = path.parent
    if not path.is_absolute():
        yield path.as_posix()
    if _exists(path) and path.resolve().is_relative_to(root.resolve()):
        yield path.resolve().relative_to(root.resolve()).as_posix()
