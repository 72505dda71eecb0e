"""What a leaf may name as its documents: which repositories, commits and patterns, and which paths a pattern means.

All of it was written by whoever opened the pull request. Nothing here asks the network or the file system.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import translate
from urllib.parse import urlsplit

from instructlab_like.printable import is_plain
from instructlab_like.records import DocumentSource

HERE = "."  # the repository that stands for files of this very tree
HEAD = "HEAD"  # the commit that goes with it
READABLE = (".md", ".markdown", ".txt")
# Public forges that anyone can read without an account. What lies there is public anyway, and the names cannot be
# taken over by whoever writes a leaf; another host is one that the user named.
HOSTS = ("bitbucket.org", "codeberg.org", "github.com", "gitlab.com", "huggingface.co")

LONGEST_URL = 500  # characters
LONGEST_PATTERN = 200  # characters
MOST_PARTS = 30  # of a pattern, between its slashes
MOST_PATTERNS = 20
_COMMIT = re.compile(r"[0-9a-fA-F]{7,40}")
_FULL = 40  # hex digits
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~+@-][A-Za-z0-9._~+@-]*|/\.[A-Za-z0-9_~+@-][A-Za-z0-9._~+@-]*)+/?")
_OWN = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion")


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


def shown(url: str) -> str:
    """A URL as messages quote it: no longer than a line, and without the secrets that people leave in URLs."""
    bare = re.sub(r"(?<=//)[^/]*@", "…@", url)
    bare = re.sub(r"[?#].*", "?…", bare, flags=re.DOTALL)
    return repr(bare if len(bare) <= _SHOWN else f"{bare[:_SHOWN]}…")


_SHOWN = 100  # characters


# --- what is never fetched --------------------------------------------------------------------------------------


def problems(source: DocumentSource) -> list[tuple[str, str, str]]:
    """Field, what is wrong and what to do about it, for each commit and pattern that is never looked up."""
    found = []
    if source.repo == HERE:
        if source.commit != HEAD:
            what = f"{_cut(source.commit)} cannot be had of the files of this tree"
            found.append(("commit", what, "write `commit: HEAD`; the files are read as they stand"))
    elif not _COMMIT.fullmatch(source.commit):
        fix = "write the 40 hex digits that `git log` shows: a branch or tag may move"
        found.append(("commit", f"{_cut(source.commit)} is not the id of a commit", fix))
    if len(source.patterns) > MOST_PATTERNS:
        what = f"{len(source.patterns)} patterns; at most {MOST_PATTERNS} are read"
        found.append(("patterns", what, "write fewer and wider ones: `docs/**/*.md` means all Markdown below docs"))
    for number, pattern in enumerate(source.patterns[:MOST_PATTERNS], start=1):
        problem = _pattern_problem(pattern)
        if problem:
            fix = "write a pattern below the repository's top, such as docs/*.md"
            found.append((f"patterns[{number}]", f"{_cut(pattern)} {problem}", fix))
    return found


def is_full(commit: str) -> bool:
    """Whether these hex digits name one commit by themselves; fewer of them have to be looked up."""
    return len(commit) == _FULL


def remote_problem(url: str) -> str | None:
    """Why this URL is never fetched from, None if it may be from a host that is listed; a mirror may stand for it."""
    if len(url) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        return "holds blanks, control characters or characters outside ASCII" if url else "is empty"
    if url.startswith("-"):
        return "would be read as an option"
    if not url.lower().startswith("https://"):
        return "is no https:// URL"
    if "\\" in url:
        return "holds a backslash"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    if "?" in url or "#" in url:
        return "holds a query or fragment"
    if "%" in url:
        return "holds percent-encoded characters"
    return _host_problem(host) or _place_problem(port, parts.netloc, parts.path)


def off_list(url: str, hosts: Collection[str]) -> str | None:
    """Why this URL, otherwise sound, is not fetched from: its host is neither well known nor among `hosts`."""
    host = urlsplit(url).hostname or ""
    listed = {*HOSTS, *(name.lower() for name in hosts)}
    return None if host in listed else f"names the host {host}, which is not listed"


def is_public(address: str) -> bool:
    """Whether an address, as a name server gives it, is one of the public Internet; what is no address is not."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            found = found.ipv4_mapped
        elif found in _NAT64:  # a network without IPv4 reaches every IPv4 address by this prefix
            found = ipaddress.IPv4Address(found.packed[-4:])
        elif found not in _UNICAST or any(found in tunnel for tunnel in _TUNNELS):
            return False
    return found.is_global and not found.is_multicast and found not in _RELAYS


_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))  # 6to4, Teredo: IPv4 inside
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")  # of 6to4, given up by RFC 7526


def _host_problem(host: str) -> str | None:
    if not host:
        return "names no host"
    if host.endswith("."):
        return "names a host with a dot at its end"
    if _is_numeric(host):
        return "names a host by its address"
    if "." not in host or host.rpartition(".")[2] in _OWN:
        return "names a host of this machine or network"
    if any(label.startswith("xn--") for label in host.split(".")):
        return "names a host in Punycode, which may look like another"
    if len(host) > 253 or not _HOST.fullmatch(host):
        return "names no host that could exist"
    return None


def _place_problem(port: int | None, netloc: str, path: str) -> str | None:
    if port not in (None, 443) or netloc.endswith(":"):
        return "names a port"
    if not path.strip("/"):
        return "names no repository"
    if not _PATH.fullmatch(path) or any(part.lower() == ".git" for part in path.split("/")):
        return "has a path that no public repository has"
    return None


def _is_numeric(host: str) -> bool:
    """Whether resolvers read this as an address: 127.0.0.1, 127.1, 2130706433, 0x7f.1, 0177.0.0.1, ::1."""
    last = host.rpartition(".")[2]
    return ":" in host or bool(re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last))


def _pattern_problem(pattern: str) -> str | None:
    if not pattern.strip():
        return "means no file"
    if len(pattern) > LONGEST_PATTERN:
        return f"is longer than {LONGEST_PATTERN} characters"
    if not is_plain(pattern):
        return "holds a control character or one that cannot be seen"
    if "\\" in pattern:
        return "holds a backslash"
    parts = pattern.split("/")
    if pattern.startswith(("/", "~")) or re.match(r"[A-Za-z]:", pattern) or ".." in parts:
        return "points outside the documents"
    if any(part.lower() == ".git" for part in parts):
        return "points into Git's own files"
    if len(parts) > MOST_PARTS:
        return f"goes through more than {MOST_PARTS} folders"
    return None


def _cut(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


# --- which paths a pattern means --------------------------------------------------------------------------------


def matching(paths: Sequence[str], pattern: str) -> list[str]:
    """The paths that a glob means: `*` and `?` stay within a folder, `**` spans folders, as in the shell.

    The time is at most a product of their lengths, whatever the pattern.
    """
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    if wanted and wanted[-1] == "**":
        wanted.append("*")  # a last `**` means every file below: `*/**` names no file beside the folders
    wanted = [part for place, part in enumerate(wanted) if part != "**" or wanted[place - 1 : place] != ["**"]]
    if not wanted:
        return []
    glob = _Glob(wanted)
    return [path for path in paths if glob.matches(path)]


def is_readable(path: str) -> bool:
    return path.lower().endswith(READABLE)


def is_ordinary(path: str) -> bool:
    """Whether a file may have this path in every checkout: Git's own trees can hold more than that."""
    return is_plain(path) and not any(part.lower() in ("", ".", "..", ".git") for part in path.split("/"))


class _Glob:
    """A pattern's parts. Every way to read it is followed at once: bit n is set where n parts may have been used up."""

    def __init__(self, parts: Sequence[str]) -> None:
        # Regular expressions made by `translate` never go back over a `*`: no pattern makes them slow.
        self._parts = [None if part == "**" else re.compile(translate(part)).match for part in parts]
        self._hidden = [part.startswith(".") for part in parts]
        self._spans = sum(1 << place for place, part in enumerate(parts) if part == "**")
        self._end = 1 << len(parts)
        self._known: dict[str, int] = {}

    def matches(self, path: str) -> bool:
        *folders, name = path.split("/")
        if not self._fitting(name) & self._end >> 1:
            return False
        reached = self._onward(1)
        for folder in folders:
            staying = 0 if folder.startswith(".") else reached & self._spans
            reached = self._onward((reached & self._fitting(folder)) << 1 | staying)
            if not reached:
                return False
        return bool((reached & self._fitting(name)) << 1 & self._end)

    def _fitting(self, name: str) -> int:
        """The parts that `name` fits, one bit each; `*` does not mean what is hidden."""
        known = self._known.get(name)
        if known is None:
            shown = not name.startswith(".")
            known = 0
            for place, (fits, hidden) in enumerate(zip(self._parts, self._hidden, strict=True)):
                if fits and (shown or hidden) and fits(name):
                    known |= 1 << place
            self._known[name] = known
        return known

    def _onward(self, reached: int) -> int:
        """`**` may also stand for no folder at all; no two of them are neighbours."""
        return reached | (reached & self._spans) << 1
