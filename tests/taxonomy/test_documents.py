from __future__ import annotations

import socket
from pathlib import Path

import pytest
from leaf_files import commit_all, git, knowledge, open_descriptors, write_leaf

from instructlab_like.errors import DocumentError
from instructlab_like.records import Knowledge, blob_id
from instructlab_like.taxonomy import documents
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.taxonomy.read import read_leaf

URL = "https://example.org/ann/tides"


def leaf_with(root: Path, **source: object) -> Knowledge:
    write_leaf(root, "knowledge/tides", knowledge(repo=URL, **source))
    leaf = read_leaf(root, Path("knowledge/tides"))
    assert isinstance(leaf, Knowledge)
    return leaf


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with documents, and things that must never be read."""
    folder = tmp_path / "upstream"
    (folder / "docs").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "tides.md").write_text("# Tides\n\nThe sea rises.\n")
    (folder / "docs" / "moon.md").write_text("# Moon\n")
    (folder / "docs" / "waves.pdf").write_bytes(b"%PDF-1.7")
    (folder / "docs" / "secret.md").symlink_to("/etc/passwd")
    (folder / "latin.txt").write_bytes("Gezeiten für alle".encode("latin-1"))
    commit_all(folder)
    return folder


def mirrors(folder: Path) -> dict[str, str]:
    return {f"{URL}.git": str(folder)}


def test_documents_are_the_blobs_of_the_named_commit(tmp_path: Path, upstream: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    (upstream / "tides.md").write_text("changed later\n")
    commit_all(upstream)
    leaf = leaf_with(tmp_path / "tree", commit=commit, patterns=["docs/*.md", "tides.md", "**/tides.md"])
    found = fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    assert [(document.path, document.data) for document in found] == [
        ("docs/moon.md", b"# Moon\n"),
        ("tides.md", b"# Tides\n\nThe sea rises.\n"),
    ]
    assert {(document.repo, document.commit) for document in found} == {(URL, commit)}
    assert [document.blob for document in found] == [blob_id(document.data) for document in found]


def test_bundles_and_bare_repositories_are_mirrors(tmp_path: Path, upstream: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    git(upstream, "bundle", "create", str(tmp_path / "all.bundle"), "--all")
    git(upstream, "bundle", "create", str(tmp_path / "head.bundle"), "HEAD")
    git(tmp_path, "clone", "--quiet", "--bare", str(upstream), "bare.git")
    leaf = leaf_with(tmp_path / "tree", commit=commit, patterns=["tides.md"])
    for name in ("all.bundle", "head.bundle", "bare.git"):
        found = fetch(leaf, tmp_path / "tree", mirrors=mirrors(tmp_path / name), cache=tmp_path / f"cache of {name}")
        assert [document.path for document in found] == ["tides.md"]


def test_a_repository_is_fetched_once_per_commit(tmp_path: Path, upstream: Path) -> None:
    first = git(upstream, "rev-parse", "HEAD")
    second = commit_all(upstream)
    cache = tmp_path / "cache"
    for commit in (first, second, first):
        leaf = leaf_with(tmp_path / "tree", commit=commit, patterns=["tides.md"])
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=cache)
    assert len(list((cache / "documents").iterdir())) == 2
    with_suffix = leaf.model_copy(update={"source": leaf.source.model_copy(update={"repo": f"{URL}.git/"})})
    assert len(fetch(with_suffix, tmp_path / "tree", mirrors={}, cache=cache)) == 1  # the mirror is no longer needed


def test_a_fetch_that_fails_half_way_leaves_nothing_behind(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    leaf = leaf_with(tmp_path / "tree", commit=commit, patterns=["tides.md"])
    cache = tmp_path / "cache"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(documents, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=cache)
    broken = tmp_path / "broken.bundle"
    broken.write_bytes(b"# v2 git bundle\n")
    with pytest.raises(DocumentError, match="is a git bundle"):
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(broken), cache=cache)
    assert list((cache / "documents").iterdir()) == []
    assert len(fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=cache)) == 1


def test_links_and_submodules_are_not_read(tmp_path: Path, upstream: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    commit_all(inner)
    git(upstream, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "module.md")
    leaf = leaf_with(tmp_path / "tree", commit=commit_all(upstream), patterns=["**/*.md"])
    found = fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    assert [document.path for document in found] == ["docs/moon.md", "tides.md"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"patterns": ["docs/*"]}, r"docs/waves\.pdf cannot be read yet\n  → convert to Markdown"),
        ({"patterns": ["tides.md", "*.rst"]}, r"patterns\[2\]: '\*\.rst' matches no file; there are: "),
        ({"patterns": ["docs/secret.md"]}, "there are: docs/moon.md, docs/waves.pdf, latin.txt, tides.md"),
        ({"patterns": ["latin.txt"]}, r"latin\.txt is not UTF-8 text \(byte 10\)"),
        ({"patterns": ["/etc/*.md"]}, "points outside the documents"),
        ({"commit": "b" * 40}, "does not hold the commit b{40}"),
        ({"commit": "main"}, "is not the id of a commit"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_fix(
    tmp_path: Path, upstream: Path, source: dict[str, object], message: str
) -> None:
    leaf = leaf_with(tmp_path / "tree", **{"commit": git(upstream, "rev-parse", "HEAD"), **source})
    with pytest.raises(DocumentError, match=message) as caught:
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    assert caught.value.where.startswith(f"{tmp_path}/tree/knowledge/tides/qna.yaml: document")


def test_a_mirror_that_is_not_there_is_named(tmp_path: Path) -> None:
    leaf = leaf_with(tmp_path / "tree", patterns=["tides.md"])
    with pytest.raises(DocumentError, match=r"the mirror .*nowhere\.bundle does not exist"):
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(tmp_path / "nowhere.bundle"), cache=tmp_path / "cache")


def test_a_document_that_is_too_large_is_refused(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 10)
    leaf = leaf_with(tmp_path / "tree", commit=git(upstream, "rev-parse", "HEAD"), patterns=["tides.md"])
    with pytest.raises(DocumentError, match=r"tides\.md is larger than 10 bytes"):
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["140.82.121.3", "10.0.0.1"], ["::1"], ["no address"], []])
def test_a_public_name_with_a_private_address_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def resolved(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("git was started")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(documents.Repository, "fetch", asked)
    write_leaf(tmp_path, "knowledge/tides", knowledge(repo="https://github.com/ann/tides"))
    leaf = read_leaf(tmp_path, Path("knowledge/tides"))
    assert isinstance(leaf, Knowledge)
    with pytest.raises(DocumentError, match=r"the host github\.com is one of this machine or network"):
        fetch(leaf, tmp_path, mirrors={}, cache=tmp_path / "cache")


def test_a_file_url_is_not_fetched_without_a_mirror(tmp_path: Path, upstream: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    for repo in (f"file://{upstream}", str(upstream)):
        write_leaf(tmp_path, "knowledge/tides", knowledge(repo=repo, commit=commit))
        leaf = read_leaf(tmp_path, Path("knowledge/tides"))
        assert isinstance(leaf, Knowledge)
        with pytest.raises(DocumentError, match="is no https:// URL"):
            fetch(leaf, tmp_path, mirrors={}, cache=tmp_path / "cache")


def test_the_environment_of_a_git_hook_leads_nowhere_else(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "--quiet")
    before = sorted(elsewhere.rglob("*"))
    commit = git(upstream, "rev-parse", "HEAD")
    leaf = leaf_with(tmp_path / "tree", commit=commit, patterns=["tides.md"])
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    found = fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    assert [document.path for document in found] == ["tides.md"]
    assert sorted(elsewhere.rglob("*")) == before


def test_documents_beside_the_leaf_need_no_git(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, "knowledge/tides", knowledge(repo=".", commit="HEAD", patterns=["*.md", "more/*"]))
    outside = tmp_path / "outside.md"
    outside.write_text("secret\n")
    (folder / "more").mkdir()
    (folder / "tides.md").write_text("The sea rises.\n")
    (folder / "more" / "moon.txt").write_text("The moon pulls.\n")
    (folder / "link.md").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    write_leaf(tmp_path, "knowledge/tides/more_tides", knowledge())
    (folder / "more_tides" / "other.md").write_text("Another leaf's.\n")
    leaf = read_leaf(tmp_path, Path("knowledge/tides"))
    assert isinstance(leaf, Knowledge)
    found = fetch(leaf, tmp_path, mirrors={}, cache=tmp_path / "cache")
    assert [(document.repo, document.commit, document.path) for document in found] == [
        (".", "HEAD", "knowledge/tides/more/moon.txt"),
        (".", "HEAD", "knowledge/tides/tides.md"),
    ]
    assert found[1].blob == blob_id(b"The sea rises.\n")
    assert not (tmp_path / "cache").exists()


def test_a_leafs_own_files_are_no_documents(tmp_path: Path) -> None:
    write_leaf(tmp_path, "knowledge/tides", knowledge(repo=".", commit="HEAD", patterns=["*.txt"]))
    leaf = read_leaf(tmp_path, Path("knowledge/tides"))
    assert isinstance(leaf, Knowledge)
    with pytest.raises(DocumentError, match="matches no file; there are: none"):
        fetch(leaf, tmp_path, mirrors={}, cache=tmp_path / "cache")


def test_no_descriptor_stays_open(tmp_path: Path, upstream: Path) -> None:
    leaf = leaf_with(tmp_path / "tree", commit=git(upstream, "rev-parse", "HEAD"), patterns=["tides.md"])
    fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    before = open_descriptors()
    for _ in range(5):
        fetch(leaf, tmp_path / "tree", mirrors=mirrors(upstream), cache=tmp_path / "cache")
    after = open_descriptors()
    assert after == before
