"""A knowledge leaf's documents: from its repository at its commit, or from the leaf's own folder.

Each (repository, commit) is kept once, as a bare clone below the cache folder: deleting it only costs a fetch.
What a leaf names is looked at before anything is asked of the network; docs/threat-model.md says for which reasons.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from instructlab_like.errors import DocumentError, InputError
from instructlab_like.printable import escaped
from instructlab_like.records import DocumentSource, Knowledge, Record, blob_id, digest
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.repository import (
    LARGEST_FETCH,
    LONGEST_FETCH,
    NEWEST_NEEDED,
    Repository,
    TreeEntry,
    bare,
    growing,
)
from instructlab_like.taxonomy.tree import LARGEST_DOCUMENT, QNA, companions, content

LARGEST_WHOLE = 100_000_000  # bytes, of all documents of a leaf
MOST_FILES = 200_000  # in a commit
_SHOWN = 8  # names listed in a message
_LONGEST = 100  # characters of one of them


class Document(Record):
    repo: str  # as the leaf names it: a URL, or "."
    commit: str  # 40 hex digits, or "HEAD"
    path: str  # inside the repository; with "." below the taxonomy's root
    blob: str
    data: bytes  # UTF-8


def fetch(
    leaf: Knowledge, root: Path, *, mirrors: Mapping[str, str], cache: Path, hosts: Collection[str] = ()
) -> list[Document]:
    """The documents that the leaf's patterns mean, sorted by path.

    `mirrors` maps a repository's URL to a local git bundle or repository that is read instead; `hosts` may be fetched
    from besides the well-known ones. Raises DocumentError.
    """
    source = leaf.source
    where = f"{escaped(str(root / leaf.path / QNA))}: document"
    for name, what, fix in sources.problems(source):
        raise DocumentError(what, where=f"{where}.{name}", fix=fix)
    if source.repo == sources.HERE:
        return _here(leaf, root, where)
    clone = _clone(source, mirrors, cache, hosts, where)
    with _opened(clone, where) as repository:
        commit = _only(repository, source.commit.lower(), source.repo, where)
        entries = {entry.path: entry.blob for entry in _files(repository, commit, clone, where)}
        picked = _picked(sorted(entries), source.patterns, where)
        read = ((path, entries[path], _blob(repository, entries[path], path, where)) for path in picked)
        return _sound(read, source.repo, commit, where)


# --- files of this very tree ------------------------------------------------------------------------------------


def _here(leaf: Knowledge, root: Path, where: str) -> list[Document]:
    picked = _picked(companions(root / leaf.path), leaf.source.patterns, where)
    named = ((f"{leaf.path}/{path}", _bytes(root, f"{leaf.path}/{path}", where)) for path in picked)
    read = ((path, blob_id(data), data) for path, data in named)
    return _sound(read, sources.HERE, sources.HEAD, where)


def _bytes(root: Path, path: str, where: str) -> bytes:
    try:
        data = content(root, path, largest=LARGEST_DOCUMENT)
    except InputError as error:
        fix = "split it into smaller files" if "larger" in error.what else error.fix
        raise DocumentError(f"{path} {error.what}", where=where, fix=fix) from error
    if data is None:
        raise DocumentError(f"{path} is gone", where=where, fix="run again when nothing changes the tree")
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
    environment: Mapping[str, str] = field(default_factory=dict)
    largest: int | None = None  # bytes; of what the user put there, no limit


_ALL = _Attempt(("+refs/*:refs/fetched/*",))
_BRANCHES = _Attempt(("+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*"))
_HEAD = _Attempt(("HEAD",))  # a bundle may hold no other name


def _clone(source: DocumentSource, mirrors: Mapping[str, str], cache: Path, hosts: Collection[str], where: str) -> Path:
    """The bare clone that holds the commit, fetched if the cache does not have it."""
    url, commit = source.repo, source.commit.lower()
    place = cache / "documents" / _name(url, commit)
    if place.is_dir():
        return place
    mirror = sources.mirror_of(url, mirrors)
    if mirror is None:
        _refuse(url, hosts, where)
    try:
        with growing(place) as repository:
            if mirror is None:
                _fetch_remote(repository, url, commit)
            else:
                _fetch_mirror(repository, mirror, commit)
    except DocumentError as error:
        raise DocumentError(error.what, where=where, fix=error.fix) from error
    except InputError as error:
        what = f"{sources.shown(url)} cannot be fetched: {error.what}"
        raise DocumentError(what, where=where, fix=error.fix or _fix(mirror, error.what)) from error
    except OSError as error:
        raise DocumentError(f"the cache {cache} cannot be written: {error}", where=where, fix=_CACHE_FIX) from error
    return place


def _refuse(url: str, hosts: Collection[str], where: str) -> None:
    """Raise DocumentError for a URL that nothing is asked of."""
    problem = sources.remote_problem(url)
    if problem:
        fix = "name a public https:// repository, or give a mirror: this URL -> a local git bundle or repository"
        raise DocumentError(f"{sources.shown(url)} {problem}", where=f"{where}.repo", fix=fix)
    problem = sources.off_list(url, hosts)
    if problem:
        fix = (
            f"copy the documents to one of {', '.join(sources.HOSTS)}; where you trust the host, name it with "
            "--document-host (document_hosts in a recipe), or give a mirror"
        )
        raise DocumentError(f"{sources.shown(url)} {problem}", where=f"{where}.repo", fix=fix)


_CACHE_FIX = "free some space, or name another folder by ILK_CACHE"


def _fix(mirror: str | None, what: str) -> str:
    if mirror:
        return f"check that {mirror} is a git bundle (`git bundle verify`) or a repository"
    if "returned error: 30" in what:
        return "the server sends elsewhere, and nobody follows: name the present URL, which may end in .git"
    return "check the URL and the network, or give a mirror: this URL -> a local git bundle or repository"


def _name(url: str, commit: str) -> str:
    """A folder name in which a person recognises the repository, and which no two of them share."""
    known = sources.canonical(url)
    bare = (known.partition("://")[2] or known).rpartition("@")[2]  # a mirrored URL may hold a password
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", bare).strip("-.")[-60:]
    return f"{readable}-{digest(known)[:12]}-{commit}.git"


def _fetch_mirror(repository: Repository, mirror: str, commit: str) -> None:
    location = Path(mirror).expanduser().resolve()
    if not location.exists():
        raise DocumentError(f"the mirror {mirror} does not exist", fix="correct the path in the mirrors")
    _ask(repository, _Server(str(location), "file"), commit, (_ALL, _HEAD))


def _fetch_remote(repository: Repository, url: str, commit: str) -> None:
    """Ask for the one commit; where the server refuses that, or the id is abbreviated, for branches and tags."""
    if repository.git_version < NEWEST_NEEDED:
        older, newer = (".".join(map(str, version[:2])) for version in (repository.git_version, NEWEST_NEEDED))
        what = f"git {older} cannot be held to the addresses that were looked at"
        raise InputError(what, fix=f"install git {newer} or newer, or give a mirror")
    one = (_Attempt((commit,), shallow=True),) if sources.is_full(commit) else ()
    _ask(repository, _server(url), commit, (*one, _BRANCHES))


def _ask(repository: Repository, server: _Server, commit: str, attempts: Iterable[_Attempt]) -> None:
    failure: InputError | None = None
    end = time.monotonic() + LONGEST_FETCH
    for attempt in attempts:
        try:
            repository.fetch(
                server.location,
                attempt.wanted,
                protocol=server.protocol,
                shallow=attempt.shallow,
                options=server.options,
                environment=server.environment,
                seconds=max(0.0, end - time.monotonic()),
                largest=server.largest,
            )
        except DocumentError as error:  # over a limit: another attempt would be, too
            raise DocumentError(f"{server.location} is not fetched: {error.what}", fix=error.fix) from error
        except InputError as error:
            failure = error
            continue
        if repository.commits(commit):
            return
        failure = None
    if failure:
        raise failure
    what = f"{server.location} does not hold the commit {commit}"
    raise DocumentError(what, fix="correct `commit`, or bring the mirror up to date")


def _server(url: str) -> _Server:
    """How a URL is reached: by the proxy that the environment names, or at addresses that were looked at.

    Which of both it is is decided here alone: git is told, and finds nothing more in the environment.
    """
    scheme, _, rest = url.partition("://")
    host = str(urlsplit(url).hostname)
    location = f"{scheme.lower()}://{host}{rest[rest.index('/') :]}"
    proxy = next((told for name in _PROXIES if (told := os.environ.get(name))), "")
    if _is_direct(host):
        proxy = ""
    environment = dict.fromkeys((*_PROXIES, *_NO_PROXY), "") | {"https_proxy": proxy}
    # A proxy resolves names itself, and decides what may be reached.
    options = () if proxy else (f"http.curloptResolve={host}:443:{','.join(_addresses(host))}",)
    return _Server(location, "https", options, environment, LARGEST_FETCH)


_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")  # in curl's order
_NO_PROXY = ("no_proxy", "NO_PROXY")


def _is_direct(host: str) -> bool:
    """Whether the environment says that no proxy is to be used for this host."""
    told = next((found for name in _NO_PROXY if (found := os.environ.get(name))), "")
    names = [name.lstrip(".").lower() for name in re.split(r"[,\s]+", told)]
    return "*" in names or any(host == name or host.endswith(f".{name}") for name in names if name)


def _addresses(host: str) -> list[str]:
    """Where a host lies; raises DocumentError if any of it is this machine or network."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"the host {host} cannot be found ({error})") from error
    addresses = sorted({str(address[0]) for *_, address in found})
    if not addresses or not all(map(sources.is_public, addresses)):
        what = f"the host {host} is one of this machine or network"
        raise DocumentError(what, fix="name a public repository, or give a mirror")
    return [f"[{address}]" if ":" in address else address for address in addresses]


# --- what a pattern means ---------------------------------------------------------------------------------------


def _opened(clone: Path, where: str) -> Repository:
    try:
        return bare(clone)
    except InputError as error:
        raise DocumentError(f"the cached clone {clone} {error.what}", where=where, fix=error.fix) from error


def _only(repository: Repository, commit: str, repo: str, where: str) -> str:
    """The full id of the one commit that is meant."""
    if sources.is_full(commit):
        return commit  # otherwise it would not be in the cache
    try:
        found = repository.commits(commit)
    except InputError as error:
        raise DocumentError(f"the cached clone cannot be read: {error.what}", where=where, fix=_CLONE_FIX) from error
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} commits of {sources.shown(repo)} begin with {commit}" if found else f"{commit} is no commit"
    raise DocumentError(what, where=f"{where}.commit", fix="write all 40 hex digits")


_CLONE_FIX = "delete the folder documents in the cache (ILK_CACHE, or ~/.cache/ilk) and run again"


def _files(repository: Repository, commit: str, clone: Path, where: str) -> list[TreeEntry]:
    """The regular files of a commit: links and submodules are nothing to read."""
    try:
        return [entry for entry in repository.entries(commit, most=MOST_FILES) if entry.is_file]
    except DocumentError as error:
        raise DocumentError(f"the repository is too large: {error.what}", where=where, fix=error.fix) from error
    except InputError as error:
        fix = f"delete {clone} and run again"
        raise DocumentError(f"the cached clone cannot be read: {error.what}", where=where, fix=fix) from error


def _blob(repository: Repository, blob: str, path: str, where: str) -> bytes:
    try:
        return repository.blob(blob, largest=LARGEST_DOCUMENT)
    except InputError as error:
        raise DocumentError(f"{escaped(path)} {error.what}", where=where, fix=error.fix) from error


def _picked(paths: Sequence[str], patterns: Sequence[str], where: str) -> list[str]:
    """The paths of all patterns, each of which must mean something that can be read."""
    picked: set[str] = set()
    for number, pattern in enumerate(patterns, start=1):
        matched = sources.matching(paths, pattern)
        place = f"{where}.patterns[{number}]"
        if not matched:
            what = f"{pattern!r} matches no file; there are: {_listed(paths)}"
            raise DocumentError(what, where=place, fix=_PATTERN_FIX)
        unreadable = [path for path in matched if not sources.is_readable(path)]
        if unreadable:
            fix = f"convert to Markdown, or narrow the pattern to {', '.join(f'*{end}' for end in sources.READABLE)}"
            raise DocumentError(f"{_listed(unreadable)} cannot be read yet", where=place, fix=fix)
        odd = [path for path in matched if not sources.is_ordinary(path)]
        if odd:
            what = f"{_listed(odd)}: no file should have such a name"
            raise DocumentError(what, where=place, fix="rename it where it comes from, or narrow the pattern")
        picked.update(matched)
    return sorted(picked)


_PATTERN_FIX = "`*` stays within a folder, `**/*.md` means every Markdown file"


def _listed(paths: Sequence[str]) -> str:
    if not paths:
        return "none"
    more = len(paths) - _SHOWN
    shown = [escaped(path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…") for path in paths[:_SHOWN]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


# --- what a document holds --------------------------------------------------------------------------------------


def _sound(read: Iterable[tuple[str, str, bytes]], repo: str, commit: str, where: str) -> list[Document]:
    """Documents out of path, blob and bytes, none of which is anything but text."""
    documents = []
    left = LARGEST_WHOLE
    for path, blob, data in read:
        left -= len(data)
        if left < 0:
            what = f"the documents are more than {LARGEST_WHOLE:,} bytes in all"
            raise DocumentError(what, where=f"{where}.patterns", fix="narrow the patterns, or make several leaves")
        _check(data, path, where)
        documents.append(Document(repo=repo, commit=commit, path=path, blob=blob, data=data))
    return documents


def _check(data: bytes, path: str, where: str) -> None:
    if data.startswith(_LFS):
        what = f"{path} is a Git LFS pointer: the text itself lies elsewhere and is not fetched"
        raise DocumentError(what, where=where, fix="commit the text itself, or copy it beside the leaf")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"{path} is not UTF-8 text (byte {error.start})"
        raise DocumentError(what, where=where, fix="save it as UTF-8, in the repository that it comes from") from error


_LFS = b"version https://git-lfs.github.com/spec/"
