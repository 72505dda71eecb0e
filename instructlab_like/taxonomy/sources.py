"""What a leaf may name as its documents: which repositories, commits and patterns, and which paths a pattern means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from instructlab_like.records import DocumentSource

HERE = "."  # the repository that stands for files of this very tree
HEAD = "HEAD"  # the commit that goes with it
READABLE = (".md", ".markdown", ".txt")

_COMMIT = re.compile(r"[0-9a-fA-F]{40}")


def canonical(url: str) -> str:
    """The URL by which a repository is compared: no trailing "/" or ".git", scheme and host in lower case."""
    bare = url.strip().rstrip("/").removesuffix(".git").rstrip("/")
    scheme, separator, rest = bare.partition("://")
    if not separator:
        return bare
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def mirror_of(url: str, mirrors: Mapping[str, str]) -> str | None:
    """The local bundle or repository that stands for `url`."""
    return {canonical(known): place for known, place in mirrors.items()}.get(canonical(url))


def problems(source: DocumentSource) -> list[tuple[str, str, str]]:
    """Field, what is wrong and what to do about it, for everything in `source` that is never fetched."""
    found = []
    if source.repo == HERE:
        if source.commit != HEAD:
            what = f"{source.commit!r} cannot be had of the files of this tree"
            found.append(("commit", what, "write `commit: HEAD`; the files are read as they stand"))
    elif not _COMMIT.fullmatch(source.commit):
        fix = "write the 40 hex digits that `git log` shows: a branch or tag may move"
        found.append(("commit", f"{source.commit!r} is not the full id of a commit", fix))
    for number, pattern in enumerate(source.patterns, start=1):
        if pattern.startswith("/") or ".." in pattern.split("/"):
            fix = "write a pattern below the repository's top, such as docs/*.md"
            found.append((f"patterns[{number}]", f"{pattern!r} points outside the documents", fix))
    return found


def remote_problem(url: str) -> str | None:
    """Why this URL is not fetched from, None if it may be; the addresses of its host are checked when it is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme != "https" or not host:
        return "is no https:// URL"
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        return "holds blanks or characters outside ASCII"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    if parts.query or parts.fragment:
        return "holds a query or fragment"
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or is_private([host]):
        return "names a host of this machine or network"
    return None


def is_private(hosts: Iterable[str]) -> bool:
    """Whether any of these is an address that is not of the public Internet; names are passed over."""
    return any(not address.is_global or address.is_multicast for address in map(_address, hosts) if address)


def matching(paths: Sequence[str], pattern: str) -> list[str]:
    """The paths that a glob means: `*` and `?` stay within a folder, `**` spans folders, as in the shell."""
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    if wanted and wanted[-1] == "**":
        wanted.append("*")  # a last `**` means every file below: `*/**` names no file beside the folders
    return [path for path in paths if _matches(path.split("/"), wanted)]


def is_readable(path: str) -> bool:
    return path.lower().endswith(READABLE)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Follow every way to read `wanted` at once: `reached` holds how much of it may have been used up."""
    reached = _past_spans({0}, wanted)
    for part in parts:
        after = set()
        for place in reached:
            if place == len(wanted):
                continue
            if wanted[place] == "**":
                if not part.startswith("."):
                    after.add(place)
            elif fnmatchcase(part, wanted[place]) and (wanted[place].startswith(".") or not part.startswith(".")):
                after.add(place + 1)
        reached = _past_spans(after, wanted)
    return len(wanted) in reached


def _past_spans(places: set[int], wanted: Sequence[str]) -> set[int]:
    """`**` may also stand for no folder at all."""
    reached = set(places)
    for place in sorted(places):
        following = place
        while following < len(wanted) and wanted[following] == "**":
            following += 1
            reached.add(following)
    return reached
