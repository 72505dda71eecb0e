from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import dumped, knowledge, write_leaf
from one_lint import KNOWLEDGE_PATH, of_code

from instructlab_like.checking.lints import documents

SHA = "9488b9b4aaf0d5d4c1d6b4b6ba5c6c1e9d0b8a7f"
REPO = "https://github.com/example/tides"


def leaf(root: Path, repo: str, commit: str, *patterns: str) -> Path:
    return write_leaf(root, KNOWLEDGE_PATH, knowledge(repo=repo, commit=commit, patterns=list(patterns) or ["*.md"]))


def said(root: Path) -> list[tuple[str, str]]:
    """Field, and what stands in the file at the place of the finding."""
    found = of_code("document", root)
    lines = (root / KNOWLEDGE_PATH / "qna.yaml").read_text(encoding="utf-8").splitlines()
    return [(each.field, lines[each.line - 1][each.column - 1 :]) for each in found if each.severity == "error"]


@pytest.mark.parametrize(
    ("repo", "reason"),
    [
        ("http://github.com/example/tides", "is no https:// URL"),
        ("git@github.com:example/tides.git", "is no https:// URL"),
        ("https://127.0.0.1/tides", "by its address"),
        ("https://ann@github.com/example/tides", "user name"),
        ("https://git.example.org/tides", "which is not listed"),
        ("../tides", "is no https:// URL"),
    ],
)
def test_a_repository_that_would_be_refused_is_an_error_at_its_url(tmp_path: Path, repo: str, reason: str) -> None:
    leaf(tmp_path, repo, SHA)
    assert said(tmp_path) == [("document.repo", repo)]
    (found,) = of_code("document", tmp_path)
    assert reason in found.message


@pytest.mark.parametrize("commit", ["main", "HEAD", "v1.0", SHA[:7], SHA[:39], f"{SHA}0", "g" * 40])
def test_a_commit_must_be_named_by_its_whole_id(tmp_path: Path, commit: str) -> None:
    leaf(tmp_path, REPO, commit)
    assert said(tmp_path) == [("document.commit", commit)]


def test_a_whole_id_of_a_listed_host_is_fine(tmp_path: Path) -> None:
    for commit in (SHA, SHA.upper()):
        leaf(tmp_path, REPO, commit, "*.md", "docs/**/*.txt")
        assert said(tmp_path) == []


def test_each_pattern_is_told_at_its_own_place(tmp_path: Path) -> None:
    leaf(tmp_path, REPO, "main", "*.md", "../*.md", "docs/*.md", "/etc/passwd")
    assert said(tmp_path) == [
        ("document.commit", "main"),
        ("document.patterns[2]", "../*.md"),
        ("document.patterns[4]", "/etc/passwd"),
    ]


def test_too_many_patterns_are_told_at_the_list(tmp_path: Path) -> None:
    leaf(tmp_path, REPO, SHA, *(f"{number}.md" for number in range(100)))
    assert said(tmp_path) == [("document.patterns", "- 0.md")]


def test_places_are_right_in_other_ways_to_write_yaml(tmp_path: Path) -> None:
    text = dumped(knowledge())
    start = text.index("document:\n")
    flow = 'document: {repo: "https://127.0.0.1/x", commit: main, patterns: [a.md, "../b.md"]}\n'
    write_leaf(tmp_path, KNOWLEDGE_PATH, text[:start] + flow + text[text.index("seed_examples:") :])
    assert [(field, at.split(",")[0]) for field, at in said(tmp_path)] == [
        ("document.repo", '"https://127.0.0.1/x"'),
        ("document.commit", "main"),
        ("document.patterns[2]", '"../b.md"]}'),
    ]


# --- documents beside the leaf ----------------------------------------------------------------------------------


def test_a_pattern_must_match_a_document_below_the_leafs_folder(tmp_path: Path) -> None:
    folder = leaf(tmp_path, ".", "HEAD", "*.md", "docs/*.txt")
    (tmp_path / "tides.md").write_text("outside")
    assert said(tmp_path) == [("document.patterns[1]", "'*.md'"), ("document.patterns[2]", "docs/*.txt")]
    (folder / "tides.md").write_text("# Tides")
    (folder / "docs").mkdir()
    (folder / "docs" / "more.txt").write_text("More.")
    assert said(tmp_path) == []


def test_a_pattern_that_means_another_kind_of_file_is_an_error_as_for_fetching(tmp_path: Path) -> None:
    folder = leaf(tmp_path, ".", "HEAD", "*.md", "*")
    (folder / "tides.md").write_text("# Tides")
    for name in "abcd":
        (folder / f"{name}.pdf").write_text("")
    (found,) = of_code("document", tmp_path)
    assert (found.field, found.message) == ("document.patterns[2]", "a.pdf, b.pdf, c.pdf and 1 more cannot be read yet")


def test_only_head_goes_with_files_of_this_tree(tmp_path: Path) -> None:
    folder = leaf(tmp_path, ".", SHA)
    (folder / "tides.md").write_text("# Tides")
    assert said(tmp_path) == [("document.commit", SHA)]


def test_a_document_that_cannot_be_read_is_an_error_at_its_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 100)
    folder = leaf(tmp_path, ".", "HEAD", "*.md", "big.txt")
    (folder / "tides.md").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    (folder / "big.txt").write_text("x" * 101)
    assert [(each.field, each.message) for each in of_code("document", tmp_path)] == [
        ("document.patterns[1]", "tides.md is a Git LFS pointer: the text itself lies elsewhere"),
        ("document.patterns[2]", "big.txt is larger than 100 bytes"),
    ]


def test_a_skill_and_a_broken_document_have_no_finding_of_sources(tmp_path: Path) -> None:
    write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge() | {"document": ["https://127.0.0.1/x"]})
    assert said(tmp_path) == []
