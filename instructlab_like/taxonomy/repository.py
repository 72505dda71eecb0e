"""Git, read-only and in one place: nothing else calls GitPython, and its exceptions do not leave this module.

Commits, tree entries and blobs are read by id; nothing is ever checked out, so no hook, filter or link can act.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

# GitPython would otherwise refuse to be imported on a machine without git.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git import Git, Repo
from git.exc import GitCommandError, GitCommandNotFound, InvalidGitRepositoryError, NoSuchPathError

from instructlab_like.errors import InputError

LONGEST_FETCH = 900.0  # seconds
_HARDENED = {
    "GIT_ASKPASS": "true",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_FETCH_OPTIONS = (
    "http.followRedirects=false",
    "core.symlinks=false",
    f"core.hooksPath={os.devnull}",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    path: str  # below the folder that was asked for
    mode: str  # "100644" and "100755" are files, "120000" is a link, "160000" a submodule
    blob: str

    @property
    def is_file(self) -> bool:
        return self.mode in ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Touch:
    commit: str
    author: str


class Repository:
    """A Git repository to read from. Each open one holds processes and descriptors: use it in `with`."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        # Explicit, so that neither a hook's GIT_DIR nor the working directory decides which repository answers.
        repo.git.update_environment(GIT_DIR=str(repo.git_dir))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._repo.close()

    @property
    def top(self) -> Path:
        """The working tree's topmost folder; of a bare repository, its own."""
        return Path(self._repo.working_tree_dir or self._repo.git_dir).resolve()

    def commit(self, name: str) -> str | None:
        """The full id of the commit that `name` means, None if it means none."""
        if name.startswith("-"):
            return None
        try:
            return self._text("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip() or None
        except InputError:
            return None

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both descend from; both are full ids."""
        try:
            return self._text("merge-base", one, other).strip() or None
        except InputError:
            return None

    def entries(self, commit: str, folder: str = "") -> list[TreeEntry]:
        """Everything below `folder` in the tree of a commit given by its full id, sorted by path."""
        prefix = f"{folder}/" if folder else ""
        where = ["--", prefix] if prefix else []
        listing = self._run("ls-tree", "-r", "-z", "--full-tree", commit, *where).decode("utf-8", "replace")
        found = []
        for line in filter(None, listing.split("\0")):
            facts, _, path = line.partition("\t")
            mode, _, blob = facts.split(" ")
            found.append(TreeEntry(path.removeprefix(prefix), mode, blob))
        return sorted(found, key=lambda entry: entry.path)

    def blob(self, blob: str, *, largest: int) -> bytes:
        """The bytes of a blob; InputError if there are more than `largest`."""
        try:
            name = bytes.fromhex(blob)
            if self._repo.odb.info(name).size > largest:
                raise InputError(f"is larger than {largest:,} bytes", fix="split it into smaller files")
            data: bytes = self._repo.odb.stream(name).read()
        except (GitCommandError, ValueError) as error:
            raise InputError(f"blob {blob} is not in the repository", fix="run `git fsck` there") from error
        return data

    def last_touches(self, file_name: str) -> dict[str, Touch]:
        """The last commit that touched each file of that name, by path from the top: one pass over the history."""
        layout = "--format=%x1e%H%x1f%aN"
        log = self._run("-c", "log.showSignature=false", "log", layout, "--name-only", "-z", "--", f"*{file_name}")
        found: dict[str, Touch] = {}
        for record in log.decode("utf-8", "replace").split("\x1e")[1:]:
            head, *names = record.split("\0")
            commit, _, author = head.partition("\x1f")
            for name in filter(None, (name.strip("\n") for name in names)):
                found.setdefault(name, Touch(commit, author))
        return found

    def fetch(
        self,
        location: str,
        wanted: Sequence[str],
        *,
        protocol: Literal["https", "file"],
        shallow: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        """Fetch `wanted` (commit ids or refspecs) from a URL or path that has been found safe; raises InputError."""
        settings = [part for option in (*_FETCH_OPTIONS, *options) for part in ("-c", option)]
        flags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        depth = ["--depth=1"] if shallow else []
        environment = {**_HARDENED, "GIT_ALLOW_PROTOCOL": protocol}
        command = [*settings, "fetch", *flags, *depth, "--", location, *wanted]
        self._run(*command, environment=environment, limit=LONGEST_FETCH)

    def _text(self, *arguments: str) -> str:
        return self._run(*arguments).decode("utf-8", "replace")

    def _run(self, *arguments: str, environment: Mapping[str, str] | None = None, limit: float | None = None) -> bytes:
        return _git(self._repo.git, *arguments, environment=environment, limit=limit)


@contextmanager
def enclosing(folder: Path) -> Iterator[Repository | None]:
    """The repository whose working tree `folder` lies in, None outside Git."""
    try:
        repo = Repo(folder.resolve(), search_parent_directories=True, expand_vars=False)
    except (InvalidGitRepositoryError, NoSuchPathError):
        repo = None
    if repo is None:
        yield None
        return
    with Repository(repo) as repository:
        yield repository


def bare(folder: Path) -> Repository:
    """Open a bare repository; InputError if it is none."""
    try:
        return Repository(Repo(folder, expand_vars=False))
    except (InvalidGitRepositoryError, NoSuchPathError) as error:
        raise InputError("is not a Git repository", where=str(folder), fix="delete it and run again") from error


@contextmanager
def growing(folder: Path) -> Iterator[Repository]:
    """A new bare repository that becomes `folder` when the block ends well, and leaves nothing behind otherwise.

    Whoever reads `folder` therefore finds it whole or not at all; of two that grow it, the first one stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        environment = {**_HARDENED, "GIT_DIR": str(scratch)}
        _git(Git(scratch), "init", "--quiet", "--bare", "--template=", environment=environment)
        with bare(scratch) as repository:
            yield repository
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _git(git: Git, *arguments: str, environment: Mapping[str, str] | None = None, limit: float | None = None) -> bytes:
    try:
        output = git.execute(
            [git.GIT_PYTHON_GIT_EXECUTABLE or "git", *arguments],
            env=environment,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=limit,
        )
    except GitCommandNotFound as error:
        raise InputError("git is not installed", fix="install git 2.31 or newer") from error
    except GitCommandError as error:
        raise InputError(_complaint(error), fix="see what git says above") from error
    return output if isinstance(output, bytes) else str(output).encode()


def _complaint(error: GitCommandError) -> str:
    """What git itself said, without GitPython's frame around it."""
    said = str(error.stderr).strip().removeprefix("stderr:").strip().strip("'").strip()
    return f"git: {said.splitlines()[-1]}" if said else f"git ended with status {error.status}"
