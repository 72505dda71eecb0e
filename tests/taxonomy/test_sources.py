from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.records import DocumentSource
from instructlab_like.taxonomy.sources import canonical, is_private, matching, mirror_of, problems, remote_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/ann/tides",
        "https://github.com/ann/tides.git",
        "https://github.com/ann/tides/",
        "https://github.com/ann/tides.git/",
        "HTTPS://GitHub.com/ann/tides",
    ],
)
def test_spellings_of_one_repository_share_a_mirror(url: str) -> None:
    assert canonical(url) == "https://github.com/ann/tides"
    assert mirror_of(url, {"https://github.com/ann/tides.git": "tides.bundle"}) == "tides.bundle"


def test_another_repository_has_no_mirror() -> None:
    assert mirror_of("https://github.com/ann/Tides", {"https://github.com/ann/tides": "x"}) is None


@given(st.text(max_size=40))
def test_a_canonical_url_is_its_own(url: str) -> None:
    assert canonical(canonical(url)) == canonical(url) or url.count(".git") > 1


@pytest.mark.parametrize("url", ["https://github.com/ann/tides", "https://git.example.org:8443/a/b.git"])
def test_public_https_repositories_may_be_fetched(url: str) -> None:
    assert remote_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/ann/tides",
        "git://github.com/ann/tides",
        "ssh://git@github.com/ann/tides",
        "git@github.com:ann/tides",
        "file:///etc",
        "/etc/tides",
        "../tides",
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch x",
        "-u",
        "https://",
        "https:///tides",
        "https://ann@github.com/tides",
        "https://ann:secret@github.com/tides",
        "https://github.com/tides?x=1",
        "https://github.com/tides#x",
        "https://github.com/ti des",
        "https://github.com/tides\n",
        "https://gıthub.com/tides",
        "https://github.com:port/tides",
        "https://[::1",
        "https://localhost/tides",
        "https://a.localhost/tides",
        "https://printer.local/tides",
        "https://metadata.internal/tides",
        "https://127.0.0.1/tides",
        "https://10.1.2.3/tides",
        "https://192.168.1.1/tides",
        "https://169.254.169.254/latest",
        "https://0.0.0.0/tides",
        "https://[::1]/tides",
        "https://[::ffff:127.0.0.1]/tides",
        "https://[fe80::1]/tides",
        "https://224.0.0.1/tides",
        "",
    ],
)
def test_nothing_else_is_fetched(url: str) -> None:
    assert remote_problem(url) is not None


def test_one_private_address_among_many_is_enough() -> None:
    assert is_private(["140.82.121.3", "10.0.0.1"])
    assert is_private(["fe80::1%eth0"])
    assert not is_private(["140.82.121.3", "2606:50c0:8000::153"])


def source(**told: object) -> DocumentSource:
    return DocumentSource.model_validate({"repo": "https://e.org/x", "commit": "a" * 40, "patterns": ("*.md",), **told})


@pytest.mark.parametrize("commit", ["HEAD", "main", "a" * 39, "a" * 41, "g" * 40, "--orphan=x", f"{'a' * 40}\n"])
def test_a_commit_is_named_by_its_full_id(commit: str) -> None:
    assert [field for field, _, _ in problems(source(commit=commit))] == ["commit"]


def test_files_of_this_tree_are_read_as_they_stand() -> None:
    assert problems(source(repo=".", commit="HEAD")) == []
    assert [field for field, _, _ in problems(source(repo="."))] == ["commit"]


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x.md", "docs/../../x.md", "docs/.."])
def test_patterns_stay_inside_the_documents(pattern: str) -> None:
    assert [field for field, _, _ in problems(source(patterns=("*.md", pattern)))] == ["patterns[2]"]
    assert problems(source(patterns=("a..b.md", "docs/**/*.md"))) == []


TREE = ["a.md", "b.txt", "docs/a.md", "docs/deep/er/c.md", "docs/.hidden/d.md", ".github/e.md", ".f.md"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.md", ["a.md"]),
        ("./*.md", ["a.md"]),
        ("docs/*", ["docs/a.md"]),
        ("**/*.md", ["a.md", "docs/a.md", "docs/deep/er/c.md"]),
        ("**", ["a.md", "b.txt", "docs/a.md", "docs/deep/er/c.md"]),
        ("docs/**/c.md", ["docs/deep/er/c.md"]),
        ("docs/**/**/a.md", ["docs/a.md"]),
        ("?.[mt]*", ["a.md", "b.txt"]),
        (".github/*.md", [".github/e.md"]),
        ("*.MD", []),
        ("docs", []),
        ("*/**", ["docs/a.md", "docs/deep/er/c.md"]),
        ("a.md/**", []),
    ],
)
def test_patterns_mean_what_the_shell_means(pattern: str, expected: list[str]) -> None:
    assert matching(TREE, pattern) == expected


names = st.sampled_from(["a", "b", "a.md", ".c", "ab.md"])
segments = st.sampled_from(["*", "**", "a", "?", "*.md", "[ab]*", ".*", ".c", "a*"])


@given(
    st.lists(st.lists(names, min_size=1, max_size=4), min_size=1, max_size=5),
    st.lists(segments, min_size=1, max_size=4),
)
def test_patterns_agree_with_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], wanted: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for parts in paths:
        file = root.joinpath(*parts[:-1], f"{parts[-1]}x")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    pattern = "/".join(wanted)
    found = {Path(path).as_posix() for path in glob.glob(pattern, root_dir=root, recursive=True)}  # noqa: PTH207 - pathlib's differs
    assert matching(files, pattern) == [path for path in files if path in found]
