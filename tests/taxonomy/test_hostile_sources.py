"""Document sources that someone wrote to reach further than a document: each is refused before anything is asked.

A canary listens on this machine and counts who knocks, a canary file lies outside every clone, and a marker would show
that a command ran. None of them ever sees anything.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
from leaf_files import commit_all, git, knowledge, open_descriptors, write_leaf

from instructlab_like.errors import DocumentError, InputError, RecipeError
from instructlab_like.recipe import GenerateRecipe, load
from instructlab_like.records import DocumentSource, Knowledge
from instructlab_like.taxonomy import documents, repository
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.taxonomy.read import read_leaf
from instructlab_like.taxonomy.repository import growing

URL = "https://github.com/ann/tides"
COMMIT = "a" * 40
SECRET = "the canary's text"


@dataclass
class Canary:
    """A server on this machine that answers everything, and a file that nothing should read."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)


@contextmanager
def listening(
    status: int = 200, answer: Mapping[str, str] = MappingProxyType({}), *, context: ssl.SSLContext | None = None
) -> Iterator[Canary]:
    canary = Canary()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            canary.asked.append(self.path)
            canary.headers.append(str(self.headers))
            self.send_response(status)
            for name, value in answer.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_CONNECT = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def verify_request(self, request: object, client_address: object) -> bool:
            if context is None:  # whoever connects has asked, even if it says nothing that HTTP knows
                canary.asked.append("connection")
            return True

    with Server(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        canary.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield canary
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with listening() as found:
        yield found


@pytest.fixture
def leaf(tmp_path: Path) -> Knowledge:
    write_leaf(tmp_path / "tree", "knowledge/tides", knowledge())
    found = read_leaf(tmp_path / "tree", Path("knowledge/tides"))
    assert isinstance(found, Knowledge)
    return found


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def named(leaf: Knowledge, **told: object) -> Knowledge:
    source = DocumentSource.model_validate({"repo": URL, "commit": COMMIT, "patterns": ("*.md",), **told})
    return leaf.model_copy(update={"source": source})


# --- what is never asked ----------------------------------------------------------------------------------------

NO_HTTPS = "is no https:// URL"
NUMERIC = "names a host by its address"
OWN = "names a host of this machine or network"
ODD = "holds blanks, control characters or characters outside ASCII"
USER = "holds a user name or password"
QUERY = "holds a query or fragment"
OPTION = "would be read as an option"
OFF_LIST = "which is not listed"
PATH = "has a path that no public repository has"
OUTSIDE = "points outside the documents"
NO_COMMIT = "is not the id of a commit"

# PORT, SECRET and MARKER stand for the canary's port, its file, and the file that a command would make.
REPOSITORIES = [
    ("http://127.0.0.1:PORT/x", NO_HTTPS),
    ("http://github.com/ann/tides", NO_HTTPS),
    ("git://127.0.0.1:PORT/x", NO_HTTPS),
    ("ssh://git@127.0.0.1:PORT/x", NO_HTTPS),
    ("ssh://-oProxyCommand=touch%20MARKER/x", NO_HTTPS),
    ("git+ssh://git@github.com/ann/tides", NO_HTTPS),
    ("git@github.com:ann/tides", NO_HTTPS),
    ("127.0.0.1:x", NO_HTTPS),
    ("github.com/ann/tides", NO_HTTPS),
    ("//127.0.0.1:PORT/x", NO_HTTPS),
    ("ftp://127.0.0.1:PORT/x", NO_HTTPS),
    ("file:///etc", NO_HTTPS),
    ("file://SECRET", NO_HTTPS),
    ("SECRET", NO_HTTPS),
    ("/etc", NO_HTTPS),
    ("../../etc", NO_HTTPS),
    ("~/.ssh", NO_HTTPS),
    ("./tides", NO_HTTPS),
    ("C:/tides", NO_HTTPS),
    ("ext::sh -c touch% MARKER", ODD),
    ("ext::touch${IFS}MARKER", NO_HTTPS),
    ("fd::0", NO_HTTPS),
    ("https::https://127.0.0.1:PORT/x", NO_HTTPS),
    ("javascript:alert(1)", NO_HTTPS),
    ("-uMARKER", OPTION),
    ("--upload-pack=touch${IFS}MARKER", OPTION),
    ("--upload-pack=touch MARKER", ODD),
    ("--config=core.sshCommand=MARKER", OPTION),
    ("", "is empty"),
    (" https://github.com/ann/tides", ODD),
    ("https://github.com/ann/ti des", ODD),
    ("https://github.com/ann/tides\n", ODD),
    ("https://github.com/ann/tides\r\nHost: 127.0.0.1", ODD),
    ("https://github.com/ann/tides\0", ODD),
    ("https://github.com/ann/\x1b[2Jtides", ODD),
    ("https://gıthub.com/ann/tides", ODD),
    ("https://github．com/ann/tides", ODD),
    ("https://127。0。0。1:PORT/x", ODD),
    ("https://①②⑦.0.0.1/x", ODD),
    ("https://xn--gthub-2ya.com/ann/tides", "in Punycode"),
    ("https://github.com.evil.example/ann/tides", OFF_LIST),
    ("https://githud.com/ann/tides", OFF_LIST),
    ("https://raw.github.com/ann/tides", OFF_LIST),
    ("https://github.com%2e127.0.0.1/x", "percent-encoded"),
    ("https://%31%32%37.0.0.1:PORT/x", "percent-encoded"),
    ("https://github.com/ann/%2e%2e/tides", "percent-encoded"),
    ("https://github.com./ann/tides", "a dot at its end"),
    ("https://localhost.:PORT/x", "a dot at its end"),
    ("https://github.com\\@127.0.0.1:PORT/x", "holds a backslash"),
    ("https:\\\\127.0.0.1:PORT/x", NO_HTTPS),
    ("https://github.com@127.0.0.1:PORT/x", USER),
    ("https://ann:secret@github.com/ann/tides", USER),
    ("https://:@127.0.0.1:PORT/x", USER),
    ("https://github.com/ann/tides?token=secret", QUERY),
    ("https://127.0.0.1:PORT?@github.com/x", QUERY),
    ("https://127.0.0.1:PORT#@github.com/x", QUERY),
    ("https://github.com/ann/tides#readme", QUERY),
    ("https://127.0.0.1:PORT/x", NUMERIC),
    ("https://127.1:PORT/x", NUMERIC),
    ("https://2130706433:PORT/x", NUMERIC),
    ("https://0x7f.1:PORT/x", NUMERIC),
    ("https://0x7f000001:PORT/x", NUMERIC),
    ("https://0177.0.0.01:PORT/x", NUMERIC),
    ("https://0:PORT/x", NUMERIC),
    ("https://10.0.0.1/x", NUMERIC),
    ("https://100.64.0.1/x", NUMERIC),
    ("https://169.254.169.254/latest/meta-data", NUMERIC),
    ("https://192.168.1.1/x", NUMERIC),
    ("https://224.0.0.1/x", NUMERIC),
    ("https://140.82.121.3/ann/tides", NUMERIC),
    ("https://[::1]:PORT/x", NUMERIC),
    ("https://[::ffff:127.0.0.1]:PORT/x", NUMERIC),
    ("https://[64:ff9b::7f00:1]/x", NUMERIC),
    ("https://[2002:7f00:1::]/x", NUMERIC),
    ("https://[fe80::1%25lo]:PORT/x", "percent-encoded"),
    ("https://[::1", "is not a URL"),
    ("https://localhost:PORT/x", OWN),
    ("https://LOCALHOST/x", OWN),
    ("https://a.localhost:PORT/x", OWN),
    ("https://printer.local/x", OWN),
    ("https://metadata.google.internal/x", OWN),
    ("https://intranet/x", OWN),
    ("https://1.0.0.127.in-addr.arpa/x", OWN),
    ("https://github.com:8443/ann/tides", "names a port"),
    ("https://github.com:22/ann/tides", "names a port"),
    ("https://github.com:/ann/tides", "names a port"),
    ("https://github.com:PORTx/ann/tides", "is not a URL"),
    ("https://github.com:99999/ann/tides", "is not a URL"),
    ("https://", "names no host"),
    ("https:///etc", "names no host"),
    ("https://-x.com/ann/tides", "no host that could exist"),
    ("https://under_score.com/x", "no host that could exist"),
    ("https://" + "a" * 64 + ".com/x", "no host that could exist"),
    ("https://github.com", "names no repository"),
    ("https://github.com/", "names no repository"),
    ("https://github.com/ann/../../etc", PATH),
    ("https://github.com/ann//tides", PATH),
    ("https://github.com/ann/tides/.git/config", PATH),
    ("https://github.com/ann/$(touch MARKER)", ODD),
    ("https://github.com/ann/`id`", PATH),
    ("https://github.com/" + "x" * 500, "is longer than 500 characters"),
]
COMMITS = [
    ("HEAD", NO_COMMIT),
    ("main", NO_COMMIT),
    ("refs/heads/main", NO_COMMIT),
    ("v1.0", NO_COMMIT),
    ("abcdef", NO_COMMIT),
    ("g" * 40, NO_COMMIT),
    (COMMIT + "\n", NO_COMMIT),
    (COMMIT + "^{/x}", NO_COMMIT),
    (COMMIT + ":x.md", NO_COMMIT),
    ("--orphan=x", NO_COMMIT),
    ("--upload-pack=touch MARKER", NO_COMMIT),
    ("-uMARKER", NO_COMMIT),
    ("@{upstream}", NO_COMMIT),
    ("+refs/*:refs/*", NO_COMMIT),
    ("a" * 64, NO_COMMIT),
    ("٠" * 40, NO_COMMIT),
    ("", NO_COMMIT),
]
PATTERNS = [
    ("SECRET", OUTSIDE),
    ("/etc/passwd", OUTSIDE),
    ("../*.md", OUTSIDE),
    ("docs/../../*.md", OUTSIDE),
    ("**/..", OUTSIDE),
    ("~/.ssh/*", OUTSIDE),
    ("~root/*", OUTSIDE),
    ("C:/Windows/*", OUTSIDE),
    ("..\\*.md", "holds a backslash"),
    ("\\\\server\\share\\*.md", "holds a backslash"),
    (".git/config", "points into Git's own files"),
    ("a/.GIT/hooks/*", "points into Git's own files"),
    ("x.md\0.pdf", "holds a control character"),
    ("x\n::error::y.md", "holds a control character"),
    ("\u202edm.x", "holds a control character"),
    ("", "means no file"),
    (" ", "means no file"),
    ("*" * 201, "is longer than 200 characters"),
    ("*/" * 40 + "*.md", "goes through more than 30 folders"),
]
HOSTILE = [
    *(pytest.param({"repo": repo}, reason, id=f"repo-{number}") for number, (repo, reason) in enumerate(REPOSITORIES)),
    *(pytest.param({"commit": name}, reason, id=f"commit-{number}") for number, (name, reason) in enumerate(COMMITS)),
    *(
        pytest.param({"patterns": (pattern,)}, reason, id=f"pattern-{number}")
        for number, (pattern, reason) in enumerate(PATTERNS)
    ),
    pytest.param({"patterns": ("*.md",) * 21}, "at most 20 are read", id="too-many-patterns"),
]


@pytest.mark.parametrize(("told", "reason"), HOSTILE)
def test_a_hostile_source_is_refused_before_anything_is_asked(
    tmp_path: Path, canary: Canary, leaf: Knowledge, told: dict[str, object], reason: str
) -> None:
    secret, marker = tmp_path / "secret.md", tmp_path / "marker"
    secret.write_text(SECRET)
    read_at = secret.stat().st_atime_ns

    def filled(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(filled, value))
        text = str(value).replace("PORT", str(canary.port)).replace("MARKER", str(marker))
        return text.replace("SECRET", str(secret)[:190])

    hostile = named(leaf, **{name: filled(value) for name, value in told.items()})
    before = len(canary.asked)
    with pytest.raises(DocumentError) as caught:
        fetch(hostile, tmp_path / "tree", mirrors={}, cache=tmp_path / "cache")
    assert reason in caught.value.what
    assert caught.value.fix
    assert caught.value.where.startswith(f"{tmp_path}/tree/knowledge/tides/qna.yaml: document.{next(iter(told))}")
    assert str(caught.value).isprintable() or "\n" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(canary.asked) == before
    assert not marker.exists()
    assert not (tmp_path / "cache").exists()
    assert secret.stat().st_atime_ns == read_at


def test_the_command_tells_of_hostile_sources_and_asks_nobody(tmp_path: Path, canary: Canary) -> None:
    hostile = {
        "http": (f"http://127.0.0.1:{canary.port}/x", NO_HTTPS),
        "numeric": (f"https://2130706433:{canary.port}/x", NUMERIC),
        "command": (f"ext::touch {tmp_path}/marker", ODD),
    }
    for name, (repo, _) in hostile.items():
        write_leaf(tmp_path / "tree", f"knowledge/{name}", knowledge(repo=repo))
    before = len(canary.asked)
    command = [sys.executable, "-m", "instructlab_like", "generate", "--taxonomy", "tree"]
    environment = os.environ | {"ILK_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    for name, (_, reason) in hostile.items():
        assert f"knowledge/{name}/qna.yaml: document.repo: " in printed
        assert reason in printed
    assert len(canary.asked) == before
    assert not (tmp_path / "marker").exists()


def test_the_canary_notices_whoever_asks(canary: Canary) -> None:
    before = len(canary.asked)
    url = f"http://127.0.0.1:{canary.port}/x"
    subprocess.run(["git", "ls-remote", url], capture_output=True, check=False, env=os.environ | {"LC_ALL": "C"})
    assert len(canary.asked) > before


def test_a_mirror_lifts_the_need_to_ask_and_nothing_else(tmp_path: Path, canary: Canary, leaf: Knowledge) -> None:
    upstream = made(tmp_path / "upstream", {"a.md": "# A\n"})
    before = len(canary.asked)
    url = f"http://ann:secret@127.0.0.1:{canary.port}/x"
    hostile = named(leaf, repo=url, commit=git(upstream, "rev-parse", "HEAD"))
    found = fetch(hostile, tmp_path / "tree", mirrors={url: str(upstream)}, cache=tmp_path / "cache")
    assert [document.path for document in found] == ["a.md"]
    with pytest.raises(DocumentError, match=OUTSIDE):
        fetch(
            named(hostile, repo=url, patterns=("../*.md",)),
            tmp_path,
            mirrors={url: str(upstream)},
            cache=tmp_path / "c",
        )
    assert len(canary.asked) == before


# --- hostile repositories ---------------------------------------------------------------------------------------


def made(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    for name, text in files.items():
        (folder / name).write_text(text)
    commit_all(folder)
    return folder


def object_id(folder: Path, kind: str, data: bytes) -> str:
    """Write an object as it is, however wrong."""
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=True).stdout.decode().strip()


def tree(folder: Path, *entries: tuple[str, bytes, str]) -> str:
    data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(blob) for mode, name, blob in entries)
    return object_id(folder, "tree", data)


def committed(folder: Path, top: str) -> str:
    commit = git(folder, "commit-tree", "-m", "x", top)
    git(folder, "update-ref", "refs/heads/hostile", commit)
    return commit


def read(leaf: Knowledge, folder: Path, commit: str, *patterns: str) -> list[str]:
    root = folder.parent
    source = named(leaf, commit=commit, patterns=patterns)
    found = fetch(source, root / "tree", mirrors={URL: str(folder)}, cache=root / "cache")
    assert all(SECRET not in document.data.decode() for document in found)
    return [document.path for document in found]


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    (tmp_path / "secret.md").write_text(SECRET)
    return made(tmp_path / "upstream", {"good.md": "# Good\n"})


@pytest.mark.parametrize("mode", ["120000", "160000"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../secret.md", "../../../secret.md", ".git/config"])
def test_links_and_submodules_lead_nowhere(leaf: Knowledge, upstream: Path, mode: str, target: str) -> None:
    good = object_id(upstream, "blob", b"# Good\n")
    link = object_id(upstream, "blob", target.encode()) if mode == "120000" else git(upstream, "rev-parse", "HEAD")
    commit = committed(upstream, tree(upstream, ("100644", b"good.md", good), (mode, b"link.md", link)))
    assert read(leaf, upstream, commit, "*.md") == ["good.md"]
    with pytest.raises(DocumentError, match=r"matches no file; there are: good\.md\n"):
        read(leaf, upstream, commit, "link.md")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (b"../secret.md", "?./*.md"),
        (b"../secret.md", ".?/*.md"),
        (b"../../../secret.md", ".?/.?/.?/*.md"),
        (b"/etc/secret.md", "**/secret.md"),
        (b"a//secret.md", "**/*.md"),
        (b".GIT/secret.md", ".G*/*.md"),
        (b".git/secret.md", ".[g]it/*.md"),
        (b"a\nsecret.md", "*.md"),
        (b"a\x1b[2Jsecret.md", "*.md"),
        (b"secret\xff.md", "*.md"),
        ("secret\u202e.md".encode(), "*.md"),
    ],
)
def test_a_name_that_no_checkout_has_is_not_read(leaf: Knowledge, upstream: Path, name: bytes, pattern: str) -> None:
    blob = object_id(upstream, "blob", b"# Bad\n")
    commit = committed(upstream, tree(upstream, ("100644", name, blob)))
    with pytest.raises(DocumentError, match=r"no file should have such a name|matches no file") as caught:
        read(leaf, upstream, commit, pattern)
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert len(str(caught.value).splitlines()) == 2


def test_folders_called_dot_dot_or_git_are_not_read(leaf: Knowledge, upstream: Path) -> None:
    inner = tree(upstream, ("100644", b"secret.md", object_id(upstream, "blob", b"# Bad\n")))
    commit = committed(upstream, tree(upstream, ("40000", b"..", inner), ("40000", b".git", inner)))
    for pattern in (".?/*.md", ".*/*.md", ".*/secret.md", ".[.]/*.md"):
        with pytest.raises(DocumentError, match="no file should have such a name"):
            read(leaf, upstream, commit, pattern)
    with pytest.raises(DocumentError, match="matches no file"):
        read(leaf, upstream, commit, "**/*.md")


def test_a_pointer_to_large_file_storage_is_no_text(leaf: Knowledge, upstream: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    blob = object_id(upstream, "blob", pointer)
    commit = committed(upstream, tree(upstream, ("100644", b"tides.md", blob)))
    with pytest.raises(DocumentError, match=r"tides\.md is a Git LFS pointer"):
        read(leaf, upstream, commit, "*.md")


def test_a_small_pack_may_hold_a_large_blob(leaf: Knowledge, upstream: Path) -> None:
    blob = object_id(upstream, "blob", bytes(50_000_000))
    commit = committed(upstream, tree(upstream, ("100644", b"tides.md", blob)))
    with pytest.raises(DocumentError, match=r"tides\.md is larger than 10,000,000 bytes"):
        read(leaf, upstream, commit, "*.md")


def test_all_documents_of_a_leaf_together_have_a_limit(
    leaf: Knowledge, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LARGEST_WHOLE", 1_000)
    blobs = [object_id(upstream, "blob", letter.encode() * 400) for letter in "abc"]
    names = [f"{number}.md".encode() for number in range(3)]
    commit = committed(
        upstream, tree(upstream, *[("100644", name, blob) for name, blob in zip(names, blobs, strict=True)])
    )
    assert read(leaf, upstream, commit, "0.md", "1.md") == ["0.md", "1.md"]
    with pytest.raises(DocumentError, match="more than 1,000 bytes in all"):
        read(leaf, upstream, commit, "*.md")


def test_a_commit_with_too_many_files_is_refused(
    leaf: Knowledge, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_FILES", 1_000)
    inner = tree(upstream, *[("100644", b"%04d" % number, EMPTY) for number in range(1000)])
    object_id(upstream, "blob", b"")
    commit = committed(upstream, tree(upstream, ("40000", b"a", inner), ("40000", b"b", inner)))
    with pytest.raises(DocumentError, match="it holds more than 1,000 files"):
        read(leaf, upstream, commit, "**/*.md")


EMPTY = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # the empty blob


@pytest.mark.parametrize("files", [True, False])
def test_a_few_objects_that_mean_a_tree_without_end_are_refused(
    leaf: Knowledge, upstream: Path, monkeypatch: pytest.MonkeyPatch, files: bool
) -> None:
    """Forty levels of two folders each: a million million files, or folders with nothing in them."""
    monkeypatch.setattr(repository, "LONGEST_LISTING", 0.5)
    object_id(upstream, "blob", b"")
    level = tree(upstream, ("100644", b"x.md", EMPTY)) if files else tree(upstream)
    for _ in range(40):
        level = tree(upstream, ("40000", b"a", level), ("40000", b"b", level))
    commit = committed(upstream, level)
    with pytest.raises(DocumentError, match=r"it takes longer than|it holds more than 200,000 files|names in it"):
        read(leaf, upstream, commit, "**/*.md")
    assert children() == set()


def test_an_abbreviated_id_means_the_one_commit_that_it_begins(leaf: Knowledge, upstream: Path, tmp_path: Path) -> None:
    full = git(upstream, "rev-parse", "HEAD")
    git(upstream, "branch", full[:8])  # a branch of that name means nothing
    source = named(leaf, commit=full[:8].upper())
    found = fetch(source, tmp_path / "tree", mirrors={URL: str(upstream)}, cache=tmp_path / "cache")
    assert [document.commit for document in found] == [full]
    again = fetch(source, tmp_path / "tree", mirrors={}, cache=tmp_path / "cache")
    assert again == found


def test_an_abbreviated_id_of_two_commits_is_refused(leaf: Knowledge, upstream: Path) -> None:
    """Two commits whose ids begin alike, found by trying dates."""
    top, seen = git(upstream, "rev-parse", "HEAD^{tree}"), {}
    for number in range(100_000):
        data = f"tree {top}\nauthor a <a@b> {number} +0000\ncommitter a <a@b> {number} +0000\n\nx\n".encode()
        key = hashlib.sha1(b"commit %d\0" % len(data) + data).hexdigest()
        if key[:7] in seen:
            break
        seen[key[:7]] = data
    pair = [object_id(upstream, "commit", found) for found in (seen[key[:7]], data)]
    for number, name in enumerate(pair):
        git(upstream, "update-ref", f"refs/heads/twin{number}", name)
    with pytest.raises(DocumentError, match=rf"2 commits of .* begin with {key[:7]}"):
        read(leaf, upstream, key[:7], "*.md")


def test_an_id_that_is_none_of_a_commit_is_refused(leaf: Knowledge, upstream: Path) -> None:
    for name in ("HEAD^{tree}", "HEAD:good.md"):
        found = git(upstream, "rev-parse", name)
        for beginning in (found, found[:9]):
            with pytest.raises(DocumentError, match=f"does not hold the commit {beginning}"):
                read(leaf, upstream, beginning, "*.md")


# --- hostile mirrors and surroundings ---------------------------------------------------------------------------


def test_fetching_from_a_hostile_mirror_runs_nothing_of_it(leaf: Knowledge, upstream: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    command.chmod(0o755)
    for name in (
        "uploadpack.packObjectsHook",
        "core.fsmonitor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "core.pager",
        "credential.helper",
        "diff.external",
        "gpg.program",
        "remote.origin.uploadpack",
    ):
        git(upstream, "config", name, str(command))
    git(upstream, "config", "remote.origin.url", f"ext::{command}")
    git(upstream, "config", "remote.origin.promisor", "true")
    git(upstream, "config", "core.hooksPath", str(upstream / "hooks"))
    for folder in (upstream / "hooks", upstream / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in ("post-checkout", "post-update", "pre-auto-gc", "reference-transaction", "post-upload-pack"):
            (folder / hook).write_bytes(command.read_bytes())
            (folder / hook).chmod(0o755)
    assert read(leaf, upstream, git(upstream, "rev-parse", "HEAD"), "*.md") == ["good.md"]
    assert not marker.exists()


def test_settings_around_a_fetch_decide_nothing(
    leaf: Knowledge, upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: Canary
) -> None:
    """As they are in a git hook, in an alias, or in the home of whoever runs the command."""
    home, other = tmp_path / "home", made(tmp_path / "other", {"good.md": "# Wrong\n"})
    home.mkdir()
    instead = f"url.http://127.0.0.1:{canary.port}/.insteadOf"
    (home / ".gitconfig").write_text(f'[url "http://127.0.0.1:{canary.port}/"]\n\tinsteadOf = {upstream}\n')
    told = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": instead,
        "GIT_CONFIG_VALUE_0": str(upstream),
        "GIT_CONFIG_PARAMETERS": f"'{instead}'='{upstream}'",
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(other / ".git" / "objects"),
        "GIT_NAMESPACE": "x",
        "GIT_SHALLOW_FILE": str(other / "shallow"),
        "GIT_TEMPLATE_DIR": str(other),
        "GIT_ALLOW_PROTOCOL": "ext:http:file",
    }
    commit = git(upstream, "rev-parse", "HEAD")
    before, files = len(canary.asked), sorted(other.rglob("*"))
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # fetched, and out of the cache
        assert read(leaf, upstream, commit, "*.md") == ["good.md"]
    assert len(canary.asked) == before
    assert sorted(other.rglob("*")) == files


def told_to_git(
    leaf: Knowledge,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    repo: str = "HTTPS://GitHub.com:443/ann/tides.git",
    hosts: tuple[str, ...] = (),
) -> dict[str, object]:
    """What a fetch from a public host is told, instead of asking it."""
    heard: dict[str, object] = {}

    def asked(_: object, location: str, *__: object, **told: object) -> None:
        heard.update(told, location=location)
        raise InputError("stop here")

    public = [(2, 1, 6, "", ("140.82.121.3", 443)), (10, 1, 6, "", ("2606:50c0:8000::153", 443, 0, 0))]
    monkeypatch.setattr(documents.socket, "getaddrinfo", lambda *_, **__: public)
    monkeypatch.setattr(documents.Repository, "fetch", asked)
    with pytest.raises(DocumentError, match="stop here"):
        fetch(named(leaf, repo=repo), cache, mirrors={}, cache=cache, hosts=hosts)
    return heard


def test_git_is_held_to_the_addresses_that_were_looked_at(
    leaf: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.org, .github.com")
    heard = told_to_git(leaf, tmp_path, monkeypatch)
    assert heard["location"] == "https://github.com/ann/tides.git"
    assert heard["protocol"] == "https"
    assert heard["options"] == ("http.curloptResolve=github.com:443:140.82.121.3,[2606:50c0:8000::153]",)
    assert heard["largest"] == 500_000_000
    environment = heard["environment"]
    assert isinstance(environment, dict)
    assert set(environment) >= {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}
    assert not any(environment.values())


def test_a_host_that_the_user_names_is_asked(leaf: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://git.example.org/ann/tides"
    with pytest.raises(DocumentError, match=r"git\.example\.org, which is not listed\n.*--document-host"):
        fetch(named(leaf, repo=url), tmp_path, mirrors={}, cache=tmp_path, hosts=("example.org",))
    heard = told_to_git(leaf, tmp_path, monkeypatch, repo=url, hosts=("Git.Example.org",))
    assert heard["location"] == url


@pytest.mark.parametrize("host", ["https://git.example.org", "git.example.org:8443", "localhost", "127.0.0.1", "*", ""])
def test_the_user_names_hosts_by_their_names(host: str) -> None:
    assert load(GenerateRecipe, None, {"document_hosts": ("git.example.org",)}).document_hosts == ("git.example.org",)
    with pytest.raises(RecipeError, match=r"document_hosts\.0"):
        load(GenerateRecipe, None, {"document_hosts": (host,)})


def test_a_proxy_of_the_environment_is_the_only_way_out(
    leaf: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "hub.com,notgithub.com")
    heard = told_to_git(leaf, tmp_path, monkeypatch)
    assert heard["options"] == ()
    environment = heard["environment"]
    assert isinstance(environment, dict)
    assert {name: value for name, value in environment.items() if value} == {"https_proxy": "http://127.0.0.1:1"}


def test_an_old_git_that_could_be_led_astray_is_not_used(
    leaf: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents.Repository, "git_version", (2, 34, 1))
    with pytest.raises(DocumentError, match=r"git 2\.34 cannot be held .*\n  → install git 2\.37 or newer"):
        fetch(named(leaf), tmp_path, mirrors={}, cache=tmp_path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for github.com and localhost in one file, trusted by nobody else."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=DNS:github.com,DNS:localhost"]
    made_of = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    try:
        subprocess.run([*command.split(), *names, *made_of], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("the program openssl makes the certificate, and is not here")
    whole = folder / "both.pem"
    whole.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return whole


@pytest.fixture
def secured(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server of that name needs; around the command, a password for it and no will to look at certificates."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine github.com login ann password hunter2\n")
    (home / ".gitconfig").write_text('[credential]\n\thelper = "!echo username=ann; echo password=hunter2; #"\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def asked_of(server: Canary, place: Path, certificate: Path | None) -> str:
    """What a fetch complains of, from a server that the name is pinned to, whatever name servers say."""
    trusted = {"GIT_SSL_CAINFO": str(certificate)} if certificate else {}
    with growing(place) as clone, pytest.raises(InputError) as caught:
        clone.fetch(
            f"https://github.com:{server.port}/ann/tides",
            ["HEAD"],
            protocol="https",
            options=(f"http.curloptResolve=github.com:{server.port}:127.0.0.1",),
            environment=trusted,
        )
    return caught.value.what


FIRST = "/ann/tides/info/refs?service=git-upload-pack"


@pytest.mark.parametrize("moved_to", ["http://127.0.0.1:PORT/x", "file:///etc", "ext::sh"])
def test_no_redirect_is_followed(
    tmp_path: Path, canary: Canary, certificate: Path, secured: ssl.SSLContext, moved_to: str
) -> None:
    before = len(canary.asked)
    answer = {"Location": moved_to.replace("PORT", str(canary.port))}
    with listening(302, answer, context=secured) as server:
        assert "returned error: 302" in asked_of(server, tmp_path / "clone.git", certificate)
    assert server.asked == [FIRST]
    assert len(canary.asked) == before


def test_no_password_of_the_user_is_sent(tmp_path: Path, certificate: Path, secured: ssl.SSLContext) -> None:
    with listening(401, {"WWW-Authenticate": 'Basic realm="x"'}, context=secured) as server:
        assert "Authentication failed" in asked_of(server, tmp_path / "clone.git", certificate)
    assert server.asked[0] == FIRST
    assert all("hunter2" not in decoded(line) for sent in server.headers for line in sent.splitlines())


def decoded(header: str) -> str:
    """A header, with the name and password that it may hold."""
    kind, _, value = header.partition(": ")
    return base64.b64decode(value.split()[-1]).decode() if kind == "Authorization" else header


def test_a_server_without_a_certificate_is_not_asked(tmp_path: Path, secured: ssl.SSLContext) -> None:
    with listening(context=secured) as server:
        assert "certificate" in asked_of(server, tmp_path / "clone.git", None)
    assert server.asked == []


# --- limits, and nothing left behind ----------------------------------------------------------------------------


def children() -> set[int]:
    """The processes that this one started and that still are, ended ones that nobody waited for among them."""
    found = set()
    for task in Path("/proc/self/task").iterdir() if Path("/proc/self/task").exists() else ():
        listed = task / "children"
        found |= set(map(int, listed.read_text().split())) if listed.exists() else set()
    return found


def test_a_fetch_has_a_limit_in_bytes(upstream: Path, tmp_path: Path) -> None:
    (upstream / "large.md").write_bytes(os.urandom(2_000_000))
    commit_all(upstream)
    with pytest.raises(DocumentError, match="larger than 1,000,000 bytes"), growing(tmp_path / "c" / "x.git") as clone:
        clone.fetch(str(upstream), ["HEAD"], protocol="file", largest=1_000_000)
    assert list((tmp_path / "c").iterdir()) == []
    with growing(tmp_path / "c" / "x.git") as clone:
        clone.fetch(str(upstream), ["HEAD"], protocol="file", largest=10_000_000)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["x.git"]


def test_a_fetch_has_a_limit_in_seconds(tmp_path: Path) -> None:
    """A server that accepts, and then says nothing for ever."""
    descriptors = open_descriptors()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = f"https://127.0.0.1:{silent.getsockname()[1]}/x"
        with (
            pytest.raises(DocumentError, match=r"it takes longer than 0\.3 seconds"),
            growing(tmp_path / "clones" / "x.git") as clone,
        ):
            clone.fetch(location, ["HEAD"], protocol="https", seconds=0.3)
    assert list((tmp_path / "clones").iterdir()) == []
    assert children() == set()
    assert open_descriptors() == descriptors


def test_a_server_cannot_talk_to_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaf: Knowledge) -> None:
    """What git repeats of a server's words is one line of plain text."""
    false = tmp_path / "\x1b[2J::error::x\nfatal: \x1b]0;y"
    false.write_bytes(b"no bundle")
    with pytest.raises(DocumentError) as caught:
        fetch(named(leaf), tmp_path, mirrors={URL: str(false)}, cache=tmp_path / "cache")
    assert "\x1b" not in caught.value.what
    assert "\n" not in caught.value.what


def test_what_a_killed_fetch_left_is_swept_once_it_is_old(leaf: Knowledge, upstream: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "documents"
    old, young, link = (cache / f".x.git.{name}" for name in ("old", "young", "link"))
    for folder in (old, young):
        (folder / "objects").mkdir(parents=True)
        (folder / "objects" / "pack").write_text("half")
    kept = cache / "other.git"
    kept.mkdir()
    link.symlink_to(kept)
    past = time.time() - 10 * repository.LONGEST_FETCH
    for folder in (old, kept):
        os.utime(folder, (past, past))
    read(leaf, upstream, git(upstream, "rev-parse", "HEAD"), "*.md")
    assert not old.exists()
    assert young.exists()
    assert kept.exists()


def test_a_fetch_that_is_killed_leaves_a_folder_that_the_next_one_does_not_take_for_whole(
    leaf: Knowledge, upstream: Path, tmp_path: Path
) -> None:
    """The process dies without mercy in the middle of a fetch."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom instructlab_like.taxonomy.repository import growing\n"
        "with growing(Path(sys.argv[1])) as clone:\n    os.kill(os.getpid(), 9)\n"
    )
    commit = git(upstream, "rev-parse", "HEAD")
    place = tmp_path / "cache" / "documents" / documents._name(URL, commit)
    done = subprocess.run([sys.executable, "-c", script, str(place)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[: len(place.name) + 1] for path in place.parent.iterdir()] == [f".{place.name}"]
    assert read(leaf, upstream, commit, "*.md") == ["good.md"]


def test_five_hundred_repositories_leave_no_descriptor_and_no_process(
    leaf: Knowledge, upstream: Path, tmp_path: Path
) -> None:
    """Ten clones, each opened fifty times; `benchmarks/repositories.py` makes five hundred."""
    commits = []
    for number in range(10):
        (upstream / "good.md").write_text(f"# Good {number}\n")
        commits.append(commit_all(upstream))
    read(leaf, upstream, commits[0], "*.md")
    descriptors, processes = open_descriptors(), children()
    for _ in range(50):
        for commit in commits:
            assert read(leaf, upstream, commit, "*.md") == ["good.md"]
    assert open_descriptors() == descriptors
    assert children() == processes == set()
    assert len(list((tmp_path / "cache" / "documents").iterdir())) == 10
