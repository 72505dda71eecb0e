from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.records import DocumentSource
from instructlab_like.taxonomy.sources import (
    MOST_PATTERNS,
    canonical,
    is_ordinary,
    is_public,
    matching,
    mirror_of,
    off_list,
    problems,
    remote_problem,
    shown,
)


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


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/ann/tides",
        "HTTPS://GitHub.com/ann/tides.git",
        "https://gitlab.com/group/sub-group/tides.git/",
        "https://github.com:443/ann/.github",
        "https://huggingface.co/datasets/ann/tides",
        "https://codeberg.org/ann/a..b_c~d+e",
    ],
)
def test_public_https_repositories_of_known_hosts_may_be_fetched(url: str) -> None:
    assert remote_problem(url) is None
    assert off_list(url, ()) is None


def test_another_host_is_fetched_from_when_the_user_names_it() -> None:
    url = "https://git.example.org/a/b.git"
    assert remote_problem(url) is None
    assert off_list(url, ()) == "names the host git.example.org, which is not listed"
    assert off_list(url, ("example.org", "x.git.example.org")) is not None
    assert off_list(url, ("GIT.example.org",)) is None


@pytest.mark.parametrize(
    "address",
    ["140.82.121.3", "2606:50c0:8000::153", "::ffff:140.82.121.3", "64:ff9b::8c52:7903"],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::8c52:7903",
        "2001:0:53aa:64c:0:fbff:ae51:0",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "github.com",
        "",
    ],
)
def test_no_other_address_is_public(address: str) -> None:
    assert not is_public(address)


def test_messages_quote_urls_without_their_secrets() -> None:
    quoted = shown("https://ann:hunter2@github.com/x?token=hunter2#hunter2")
    assert "hunter2" not in quoted
    assert "github.com/x" in quoted
    assert len(shown("https://github.com/" + "x" * 10_000)) < 120


def source(**told: object) -> DocumentSource:
    return DocumentSource.model_validate({"repo": "https://e.org/x", "commit": "a" * 40, "patterns": ("*.md",), **told})


@pytest.mark.parametrize(
    "commit",
    ["HEAD", "main", "a" * 6, "a" * 41, "a" * 64, "g" * 40, "--orphan=x", f"{'a' * 40}\n", "a" * 20 + "^{}", ""],
)
def test_a_commit_is_named_by_hex_digits_alone(commit: str) -> None:
    assert [field for field, _, _ in problems(source(commit=commit))] == ["commit"]


@pytest.mark.parametrize("commit", ["a" * 7, "0123456789", "A" * 39, "a" * 40])
def test_the_id_of_a_commit_may_be_abbreviated(commit: str) -> None:
    assert problems(source(commit=commit)) == []


def test_files_of_this_tree_are_read_as_they_stand() -> None:
    assert problems(source(repo=".", commit="HEAD")) == []
    assert [field for field, _, _ in problems(source(repo="."))] == ["commit"]


@pytest.mark.parametrize(
    "pattern",
    [
        "/etc/passwd",
        "../x.md",
        "docs/../../x.md",
        "docs/..",
        "~/x.md",
        "~root/x.md",
        "C:/x.md",
        "..\\x.md",
        "x\0.md",
        "x\n.md",
        "\u202ex.md",
        ".git/config",
        "docs/.GIT/config",
        "",
        "  ",
        "a" * 201,
        "*/" * 30 + "*.md",
    ],
)
def test_patterns_stay_inside_the_documents(pattern: str) -> None:
    assert [field for field, _, _ in problems(source(patterns=("*.md", pattern)))] == ["patterns[2]"]
    assert problems(source(patterns=("a..b.md", "docs/**/*.md", ".github/*.md", "Über/日本 語.md"))) == []


def test_there_are_only_so_many_patterns() -> None:
    assert problems(source(patterns=("*.md",) * MOST_PATTERNS)) == []
    assert [field for field, _, _ in problems(source(patterns=("*.md",) * (MOST_PATTERNS + 1)))] == ["patterns"]


@pytest.mark.parametrize(
    "path", ["../x.md", "a/../x.md", "./x.md", "/x.md", "a//x.md", ".git/x.md", "a/.Git/x.md", "x\n.md"]
)
def test_paths_that_no_checkout_has_are_known(path: str) -> None:
    assert not is_ordinary(path)


@pytest.mark.parametrize("path", ["x.md", "docs/..x.md", ".github/x.md", "a/.gitignore/x..md", "日本/ü ö.md"])
def test_odd_paths_that_checkouts_do_have_are_ordinary(path: str) -> None:
    assert is_ordinary(path)


@pytest.mark.parametrize(
    "pattern", ["*a" * 99 + "b", "*" * 199 + "b", "?*" * 99 + "b", "**/" * 29 + "b", "**/a/" * 14 + "b", "[" * 200]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """Each means work without end to a matcher that goes back: a hang is the failure."""
    deep = "/".join("a" * 1000)
    assert matching(["a" * 5000, deep, f"{deep}.md"] * 100, pattern) == []


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
