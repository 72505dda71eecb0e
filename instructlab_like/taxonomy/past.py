"""The tree of leaves as it was where the working tree left another branch: names and bytes, never checked out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from instructlab_like.errors import FileError, InputError
from instructlab_like.records import Record
from instructlab_like.taxonomy.origins import below
from instructlab_like.taxonomy.repository import Repository, TreeEntry, enclosing
from instructlab_like.taxonomy.sizes import LARGEST_FILE
from instructlab_like.taxonomy.tree import OWN_FILES, QNA, LeafFiles

# What is compared with when no ref is named, the first that there is; where there is none, the last commit.
_USUAL = (
    "refs/remotes/origin/HEAD",
    "refs/heads/main",
    "refs/heads/master",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
)


class Base(Record):
    """What the working tree is compared with."""

    ref: str  # as it was named, or the branch that stands for it: "origin/main"
    named: bool  # by the user, rather than found
    commit: str  # the newest that both `ref` and HEAD descend from

    def __str__(self) -> str:
        return f"{self.ref} ({'' if self.named else 'found by itself, '}merge base {self.commit[:12]})"


class Past:
    """The leaves of a commit: for each the mark of every file in its folder, nested leaves apart.

    A mark is a file's blob id; of what is no regular file, its mode and id. Companions are regular files only, as in
    the working tree.
    """

    def __init__(self, repository: Repository, base: Base, folder: str) -> None:
        self.base = base
        self._repository = repository
        self.leaves: dict[str, dict[str, str]] = {}
        entries = [(readable(entry.path), entry) for entry in repository.entries(base.commit, folder)]
        for path, _ in entries:
            parent, _, name = path.rpartition("/")
            if name == QNA and not _hidden(parent):
                self.leaves[parent or "."] = {}
        for path, entry in entries:
            leaf = self._leaf_of(path)
            name = path.removeprefix(f"{leaf}/")  # that of the root, ".", is in no path
            if leaf in self.leaves and not _hidden(name) and (entry.is_file or name in OWN_FILES):
                self.leaves[leaf][name] = _mark(entry)

    def data(self, leaf: str, name: str, *, largest: int = LARGEST_FILE) -> bytes | None:
        """The bytes of a leaf's file, None if it had none; InputError for a link, and for more than `largest` bytes."""
        mark = self.leaves.get(leaf, {}).get(name)
        if mark is None:
            return None
        if " " in mark:
            raise InputError("is not a regular file", fix="put a text file there")
        return self._repository.blob(mark, largest=largest)

    def files(self, leaf: str) -> LeafFiles:
        """The leaf's own files, to be examined like those of the working tree."""
        own: dict[str, bytes] = {}
        refused: dict[str, FileError] = {}
        for name in OWN_FILES:
            try:
                data = self.data(leaf, name)
            except InputError as error:
                refused[name] = FileError(error.what, fix=error.fix)
                continue
            if data is not None:
                own[name] = data
        return LeafFiles(own, refused)

    def _leaf_of(self, path: str) -> str:
        """The nearest folder above that is a leaf; the root, leaf or not, if there is none."""
        folder = path.rpartition("/")[0]
        while folder and folder not in self.leaves:
            folder = folder.rpartition("/")[0]
        return folder or "."


@contextmanager
def past(root: Path, ref: str | None) -> Iterator[Past]:
    """The tree below `root` as it was where the working tree left `ref`, or the usual branch if none is named.

    However long the history and however many leaves, a constant number of git processes is started. Raises InputError
    without such a folder, outside Git, for a ref that is no commit, and for histories without a common one.
    """
    if not root.is_dir():
        raise InputError("there is no such taxonomy folder", where=str(root), fix="name it with --taxonomy DIR")
    with enclosing(root) as repository:
        if repository is None:
            raise InputError("is not in a Git repository", where=str(root), fix="run `git init`, or clone the taxonomy")
        yield Past(repository, _base(repository, ref), below(repository, root))


def readable(path: str) -> str:
    """A path as records hold it: bytes that are no UTF-8, which Git and the file system allow, are shown as U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _base(repository: Repository, ref: str | None) -> Base:
    there = repository.refs(*_USUAL)
    name = next(iter(there.values()), "HEAD") if ref is None else ref
    head, other = repository.commit("HEAD"), repository.commit(name)
    if head is None:
        raise InputError("holds no commit yet", where=str(repository.top), fix="commit the tree first")
    if other is None:
        raise InputError(
            f"{name!r} is no commit of this repository", where=str(repository.top), fix=_fix(repository, name, there)
        )
    start = repository.merge_base(other, head)
    if start is None:
        what = f"{name!r} and HEAD have no commit in common"
        if repository.is_shallow:
            what = f"{what} here: this clone is shallow, its history is cut off"
        raise InputError(what, where=str(repository.top), fix=_DEEPEN if repository.is_shallow else _RELATED)
    shown = name.removeprefix("refs/heads/").removeprefix("refs/remotes/") if ref is None else ref
    return Base(ref=shown, named=ref is not None, commit=start)


_DEEPEN = "fetch the whole history: `git fetch --unshallow`, or fetch-depth: 0 where a workflow checks out"
_RELATED = "name a ref of the same history with --base"


def _fix(repository: Repository, name: str, there: Mapping[str, str]) -> str:
    if name and repository.commit(f"origin/{name}"):
        return f"did you mean --base origin/{name}?"
    if repository.is_shallow:
        return _DEEPEN
    usual = sorted({ref.removeprefix("refs/heads/").removeprefix("refs/remotes/") for ref in there.values()})
    return f"name a branch, tag or commit that `git log` knows{f', such as {usual[0]}' if usual else ''}"


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _mark(entry: TreeEntry) -> str:
    return entry.blob if entry.is_file else f"{entry.mode} {entry.blob}"
