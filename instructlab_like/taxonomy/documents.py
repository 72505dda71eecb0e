"""A knowledge leaf's documents: from its repository at its commit, or from the leaf's own folder.

Each (repository, commit) is kept once, as a bare clone below the cache folder: deleting it only costs a fetch.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from instructlab_like.errors import DocumentError, InputError
from instructlab_like.records import Knowledge, Record, blob_id, digest
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.repository import Repository, TreeEntry, bare, growing
from instructlab_like.taxonomy.tree import QNA, companions

LARGEST_DOCUMENT = 10_000_000  # bytes
_SHOWN = 8  # names listed in a message


class Document(Record):
    repo: str  # as the leaf names it: a URL, or "."
    commit: str  # 40 hex digits, or "HEAD"
    path: str  # inside the repository; with "." below the taxonomy's root
    blob: str
    data: bytes  # UTF-8


def fetch(leaf: Knowledge, root: Path, *, mirrors: Mapping[str, str], cache: Path) -> list[Document]:
    """The documents that the leaf's patterns mean, sorted by path.

    `mirrors` maps a repository's URL to a local git bundle or repository that is read instead. Raises DocumentError.
    """
    source = leaf.source
    where = f"{root / leaf.path / QNA}: document"
    for field, what, fix in sources.problems(source):
        raise DocumentError(what, where=f"{where}.{field}", fix=fix)
    if source.repo == sources.HERE:
        return _here(leaf, root, where)
    clone = _clone(source.repo, source.commit.lower(), mirrors, cache, where)
    with _opened(clone, where) as repository:
        entries = {entry.path: entry.blob for entry in _files(repository, source.commit.lower(), clone, where)}
        picked = _picked(sorted(entries), source.patterns, where)
        return [
            Document(
                repo=source.repo,
                commit=source.commit.lower(),
                path=path,
                blob=entries[path],
                data=_checked(_blob(repository, entries[path], path, where), path, where),
            )
            for path in picked
        ]


# --- files of this very tree ------------------------------------------------------------------------------------


def _here(leaf: Knowledge, root: Path, where: str) -> list[Document]:
    folder = root / leaf.path
    found = []
    for path in _picked(companions(folder), leaf.source.patterns, where):
        data = _checked(_bytes(folder / path, where), path, where)
        name = f"{leaf.path}/{path}"
        found.append(Document(repo=sources.HERE, commit=sources.HEAD, path=name, blob=blob_id(data), data=data))
    return found


def _bytes(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_DOCUMENT + 1)
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}"
        raise DocumentError(what, where=where, fix="check the file's permissions") from error
    if len(data) > LARGEST_DOCUMENT:
        what = f"{path} is larger than {LARGEST_DOCUMENT:,} bytes"
        raise DocumentError(what, where=where, fix="split it into smaller files")
    return data


# --- clones -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One way to ask for a commit."""

    wanted: tuple[str, ...]
    shallow: bool = False


@dataclass(frozen=True, slots=True)
class _Server:
    location: str
    protocol: Literal["https", "file"]
    options: tuple[str, ...] = ()


_ALL = _Attempt(("+refs/*:refs/fetched/*",))
_HEAD = _Attempt(("HEAD",))  # a bundle may hold no other name


def _clone(url: str, commit: str, mirrors: Mapping[str, str], cache: Path, where: str) -> Path:
    """The bare clone that holds `commit`, fetched if the cache does not have it."""
    place = cache / "documents" / _name(url, commit)
    if place.is_dir():
        return place
    mirror = sources.mirror_of(url, mirrors)
    if mirror is None and (problem := sources.remote_problem(url)):
        fix = "name a public https:// repository, or give a mirror: this URL -> a local git bundle or repository"
        raise DocumentError(f"{url!r} {problem}", where=f"{where}.repo", fix=fix)
    try:
        with growing(place) as repository:
            if mirror is None:
                _fetch_remote(repository, url, commit)
            else:
                _fetch_mirror(repository, mirror, commit)
    except DocumentError as error:
        raise DocumentError(error.what, where=where, fix=error.fix) from error
    except InputError as error:
        raise DocumentError(f"{url} cannot be fetched: {error.what}", where=where, fix=_fix(mirror)) from error
    except OSError as error:
        raise DocumentError(f"the cache {cache} cannot be written: {error}", where=where, fix=_CACHE_FIX) from error
    return place


_CACHE_FIX = "free some space, or name another folder by ILK_CACHE"


def _fix(mirror: str | None) -> str:
    if mirror:
        return f"check that {mirror} is a git bundle (`git bundle verify`) or a repository"
    return "check the URL and the network, or give a mirror: this URL -> a local git bundle or repository"


def _name(url: str, commit: str) -> str:
    """A folder name in which a person recognises the repository, and which no two of them share."""
    known = sources.canonical(url)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", known.partition("://")[2] or known).strip("-.")[-60:]
    return f"{readable}-{digest(known)[:12]}-{commit}.git"


def _fetch_mirror(repository: Repository, mirror: str, commit: str) -> None:
    location = Path(mirror).expanduser().resolve()
    if not location.exists():
        raise DocumentError(f"the mirror {mirror} does not exist", fix="correct the path in the mirrors")
    _ask(repository, _Server(str(location), "file"), commit, (_ALL, _HEAD))


def _fetch_remote(repository: Repository, url: str, commit: str) -> None:
    """Ask for the one commit; where the server refuses that, for everything."""
    server = _Server(url, "https", tuple(_pinned(url)))
    _ask(repository, server, commit, (_Attempt((commit,), shallow=True), _ALL))


def _ask(repository: Repository, server: _Server, commit: str, attempts: Iterable[_Attempt]) -> None:
    failure: InputError | None = None
    for attempt in attempts:
        try:
            repository.fetch(
                server.location,
                attempt.wanted,
                protocol=server.protocol,
                shallow=attempt.shallow,
                options=server.options,
            )
        except InputError as error:
            failure = error
            continue
        if repository.commit(commit):
            return
        failure = None
    if failure:
        raise failure
    what = f"{server.location} does not hold the commit {commit}"
    raise DocumentError(what, fix="correct `commit`, or bring the mirror up to date")


def _pinned(url: str) -> list[str]:
    """Refuse a host that resolves to this machine or network, and hold git to the addresses that were looked at."""
    if getproxies().get("https"):
        return []  # the proxy resolves names, and decides what may be reached
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 443
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"the host {host} cannot be found ({error.strerror})") from error
    addresses = sorted({str(address[0]) for *_, address in found})
    if sources.is_private(addresses):
        raise DocumentError(
            f"the host {host} is one of this machine or network", fix="name a public repository, or give a mirror"
        )
    listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return [f"http.curloptResolve={host}:{port}:{listed}"]


# --- what a pattern means ---------------------------------------------------------------------------------------


def _opened(clone: Path, where: str) -> Repository:
    try:
        return bare(clone)
    except InputError as error:
        raise DocumentError(f"the cached clone {clone} {error.what}", where=where, fix=error.fix) from error


def _files(repository: Repository, commit: str, clone: Path, where: str) -> list[TreeEntry]:
    """The regular files of a commit: links and submodules are nothing to read."""
    try:
        return [entry for entry in repository.entries(commit) if entry.is_file]
    except InputError as error:
        fix = f"delete {clone} and run again"
        raise DocumentError(f"the cached clone cannot be read: {error.what}", where=where, fix=fix) from error


def _blob(repository: Repository, blob: str, path: str, where: str) -> bytes:
    try:
        return repository.blob(blob, largest=LARGEST_DOCUMENT)
    except InputError as error:
        raise DocumentError(f"{path} {error.what}", where=where, fix=error.fix) from error


def _picked(paths: Sequence[str], patterns: Sequence[str], where: str) -> list[str]:
    """The paths of all patterns, each of which must mean something that can be read."""
    picked: set[str] = set()
    for number, pattern in enumerate(patterns, start=1):
        matched = sources.matching(paths, pattern)
        field = f"{where}.patterns[{number}]"
        if not matched:
            raise DocumentError(
                f"{pattern!r} matches no file; there are: {_listed(paths)}", where=field, fix=_PATTERN_FIX
            )
        unreadable = [path for path in matched if not sources.is_readable(path)]
        if unreadable:
            fix = f"convert to Markdown, or narrow the pattern to {', '.join(f'*{end}' for end in sources.READABLE)}"
            raise DocumentError(f"{_listed(unreadable)} cannot be read yet", where=field, fix=fix)
        picked.update(matched)
    return sorted(picked)


_PATTERN_FIX = "`*` stays within a folder, `**/*.md` means every Markdown file"


def _listed(paths: Sequence[str]) -> str:
    if not paths:
        return "none"
    more = len(paths) - _SHOWN
    shown = [path if path.isprintable() else repr(path) for path in paths[:_SHOWN]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _checked(data: bytes, path: str, where: str) -> bytes:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"{path} is not UTF-8 text (byte {error.start})"
        raise DocumentError(what, where=where, fix="save it as UTF-8, in the repository that it comes from") from error
    return data
