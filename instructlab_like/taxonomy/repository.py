"""Git, read-only and in one place: nothing else calls GitPython, and its exceptions do not leave this module.

Commits, tree entries and blobs are read by id; nothing is ever checked out, so no hook, filter or link can act.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self, cast

# GitPython would otherwise refuse to be imported on a machine without git.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git import Git, Repo
from git.exc import GitCommandError, GitCommandNotFound, InvalidGitRepositoryError, NoSuchPathError

from instructlab_like.errors import DocumentError, InputError
from instructlab_like.printable import escaped

LONGEST_FETCH = 600.0  # seconds
LARGEST_FETCH = 500_000_000  # bytes on disk
LONGEST_LISTING = 60.0  # seconds: a tree of trees can mean more files than there are atoms
LARGEST_LISTING = 64_000_000  # bytes
NEWEST_NEEDED = (2, 37)  # older git ignores the addresses that it is held to

# What a strange repository, and the environment of a git hook, must not decide.
_APART = {
    "GIT_ALLOC_LIMIT": "512m",  # of one object in memory: a delta of a few bytes may claim any size
    "GIT_ALLOW_PROTOCOL": "",  # none, unless a fetch names its own
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_ASKPASS": "true",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NAMESPACE": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_UNSET = ("GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_SHALLOW_FILE", "GIT_SSL_NO_VERIFY", "GIT_WORK_TREE")
_WITHOUT = ("env", *(part for name in _UNSET for part in ("-u", name)))  # git takes an empty one for one that is set
_FETCH_OPTIONS = (
    "http.followRedirects=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "core.bigFileThreshold=64m",  # larger ones are not held in memory
    "core.symlinks=false",
    f"core.hooksPath={os.devnull}",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "fetch.uriProtocols=",
    "transfer.bundleURI=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
_LOOK = 0.1  # seconds between two looks at how much a fetch has written
_STALE = 6 * LONGEST_FETCH  # seconds after which an unfinished clone is one that was killed
_TAIL = 4_000  # bytes kept of what git complains, which a server may write without end


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

    def __init__(self, repo: Repo, *, environment: Mapping[str, str] | None = None) -> None:
        self._repo = repo
        self._prefix = _WITHOUT if environment else ()
        # Explicit, so that neither a hook's GIT_DIR nor the working directory decides which repository answers.
        repo.git.update_environment(**(environment or {"GIT_DIR": str(repo.git_dir)}))

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

    def commits(self, beginning: str) -> list[str]:
        """The full ids of all commits that begin with these hex digits; names of branches and tags mean nothing."""
        listed = self._text("rev-parse", f"--disambiguate={beginning}").split()
        try:
            return [name for name in listed if self._repo.odb.info(bytes.fromhex(name)).type == b"commit"]
        except (GitCommandError, ValueError) as error:
            raise InputError("an object in it cannot be read", fix="run `git fsck` there") from error

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut off when the repository was cloned."""
        return (Path(self._repo.common_dir) / "shallow").is_file()

    def refs(self, *names: str) -> dict[str, str]:
        """Those of the full ref names that exist, each with the ref that it stands for: itself unless symbolic."""
        listing = self._text("for-each-ref", "--format=%(refname) %(symref)", "--", *names)
        found = dict(line.partition(" ")[::2] for line in listing.splitlines())
        return {name: found[name] or name for name in names if name in found}

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both descend from; both are full ids."""
        try:
            return self._text("merge-base", one, other).strip() or None
        except InputError:
            return None

    def entries(self, commit: str, folder: str = "", *, most: int | None = None) -> list[TreeEntry]:
        """Everything below `folder` in the tree of a commit given by its full id, sorted by path.

        With `most`, as for a strange repository, DocumentError for more entries, or a listing without end.
        """
        prefix = f"{folder}/" if folder else ""
        command = ["ls-tree", "-r", "-z", "--full-tree", commit, *(["--", prefix] if prefix else [])]
        lines = self._run(*command).split(b"\0") if most is None else self._limited(command, most)
        found = []
        for line in filter(None, lines):
            facts, _, path = line.decode("utf-8", "replace").partition("\t")
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
        environment: Mapping[str, str] | None = None,
        seconds: float = LONGEST_FETCH,
        largest: int | None = None,
    ) -> None:
        """Fetch `wanted` (commit ids or refspecs) from a URL or path that has been found safe.

        Raises InputError; where it takes longer or writes more bytes than allowed, DocumentError.
        """
        settings = [part for option in (*_FETCH_OPTIONS, *options) for part in ("-c", option)]
        flags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        depth = ["--depth=1"] if shallow else []
        command = [*settings, "fetch", *flags, *depth, "--", location, *wanted]
        told = {**(environment or {}), "GIT_ALLOW_PROTOCOL": protocol}
        folder = Path(self._repo.git_dir)
        with _Child(self._repo.git, [*self._prefix, *_named(command)], told, seconds) as child:
            while not child.ended(within=_LOOK):
                _limit(folder, largest)
            _limit(folder, largest)
            child.check()

    @property
    def git_version(self) -> tuple[int, ...]:
        return self._repo.git.version_info

    def _limited(self, command: Sequence[str], most: int) -> Iterator[bytes]:
        """The lines of a listing, as long as there are not too many."""
        rest, lines, size = b"", 0, 0
        with _Child(self._repo.git, [*self._prefix, *_named(command)], {}, LONGEST_LISTING) as child:
            for data in child.output():
                size += len(data)
                *whole, rest = (rest + data).split(b"\0")
                lines += len(whole)
                if lines > most:
                    raise DocumentError(f"it holds more than {most:,} files", fix=_SMALLER)
                if size > LARGEST_LISTING:
                    raise DocumentError(f"the names in it are more than {LARGEST_LISTING:,} bytes", fix=_SMALLER)
                yield from whole
            child.check()

    def _text(self, *arguments: str) -> str:
        return self._run(*arguments).decode("utf-8", "replace")

    def _run(self, *arguments: str) -> bytes:
        return _git(self._repo.git, [*self._prefix, *_named(arguments)])


_SMALLER = 'name a smaller repository, or copy the documents beside the leaf (`repo: "."`)'


def _limit(folder: Path, largest: int | None) -> None:
    if largest is not None and _size(folder) > largest:
        fix = f"{_SMALLER}; a mirror has no such limit"
        raise DocumentError(f"it is larger than {largest:,} bytes", fix=fix)


def _size(folder: Path) -> int:
    """Bytes of all files below; what vanishes meanwhile counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total


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
    """Open a bare repository with other people's work in it; InputError if it is none."""
    try:
        return Repository(Repo(folder, expand_vars=False), environment=_apart(folder))
    except (InvalidGitRepositoryError, NoSuchPathError) as error:
        raise InputError("is not a Git repository", where=str(folder), fix="delete it and run again") from error


@contextmanager
def growing(folder: Path) -> Iterator[Repository]:
    """A new bare repository that becomes `folder` when the block ends well, and leaves nothing behind otherwise.

    Whoever reads `folder` therefore finds it whole or not at all; of two that grow it, the first one stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _git(Git(scratch), [*_WITHOUT, *_named(["init", "--quiet", "--bare", "--template="])], _apart(scratch))
        with bare(scratch) as repository:
            yield repository
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _apart(folder: Path) -> dict[str, str]:
    """The environment in which git sees nothing but this repository: no user's settings, tokens or `.netrc`."""
    place = folder.resolve()
    return {
        **_APART,
        "GIT_DIR": str(place),
        "GIT_OBJECT_DIRECTORY": str(place / "objects"),
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
    }


def _sweep(folder: Path) -> None:
    """Remove what fetches left that were killed without mercy; one that still runs is younger."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and ".git." in entry.name and entry.is_dir(follow_symlinks=False):
                try:
                    old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE
                except OSError:
                    continue
                if old:
                    shutil.rmtree(entry.path, ignore_errors=True)


# --- processes --------------------------------------------------------------------------------------------------


class _Child:
    """A git process with all it starts, gone when the `with` block ends, or after `seconds`."""

    def __init__(self, git: Git, command: Sequence[str], environment: Mapping[str, str], seconds: float) -> None:
        try:
            self._started = git.execute(list(command), as_process=True, env=environment, start_new_session=True)
        except GitCommandNotFound as error:
            raise InputError("git is not installed", fix=_INSTALL) from error
        self._process = cast("subprocess.Popen[bytes]", self._started.proc)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        self._stderr = cast("IO[bytes]", self._process.stderr)
        self._said = b""
        self._seconds = seconds
        self._late = False
        self._alarm = threading.Timer(seconds, self._stop)
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._alarm.start()
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        self._kill()
        self._process.wait()
        self._listener.join()
        self._stdout.close()
        self._stderr.close()

    def ended(self, *, within: float) -> bool:
        try:
            self._process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def output(self) -> Iterator[bytes]:
        while data := os.read(self._stdout.fileno(), 2**16):
            yield data

    def check(self) -> None:
        """Raise InputError unless it ended well, DocumentError if it took too long."""
        status = self._process.wait()
        self._listener.join()
        if self._late:
            raise DocumentError(f"it takes longer than {self._seconds:g} seconds", fix=_SMALLER)
        if status:
            raise InputError(_complaint(self._said.decode("utf-8", "replace"), status))

    def _listen(self) -> None:
        while data := os.read(self._stderr.fileno(), 2**16):
            self._said = (self._said + data)[-_TAIL:]

    def _stop(self) -> None:
        self._late = True
        self._kill()

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it is gone; macOS says so by a refusal


_INSTALL = f"install git {'.'.join(map(str, NEWEST_NEEDED))} or newer"


def _named(arguments: Sequence[str]) -> list[str]:
    return [Git.GIT_PYTHON_GIT_EXECUTABLE or "git", *arguments]


def _git(git: Git, command: Sequence[str], environment: Mapping[str, str] | None = None) -> bytes:
    try:
        output = git.execute(list(command), env=environment, stdout_as_string=False, strip_newline_in_stdout=False)
    except GitCommandNotFound as error:
        raise InputError("git is not installed", fix=_INSTALL) from error
    except GitCommandError as error:
        said = str(error.stderr).strip().removeprefix("stderr:").strip().strip("'")
        raise InputError(_complaint(said, error.status), fix="see what git says above") from error
    return output if isinstance(output, bytes) else str(output).encode()


def _complaint(said: str, status: object) -> str:
    """What git itself said, as one line that no server can make into more."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return f"git: {escaped(own[-1][:_LONGEST_COMPLAINT])}" if own else f"git ended with status {status}"


_LONGEST_COMPLAINT = 300  # characters
