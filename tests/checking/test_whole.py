from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import dumped, found_in, knowledge, skill, write_leaf

from instructlab_like.checking.leaf import Options

SKILL = "compositional_skills/sums"


def said(root: Path, *paths: str) -> list[tuple[str, str, int, int]]:
    found = found_in(*[root / path for path in paths] or [root])
    return [(Path(finding.path).name, finding.code, finding.line, finding.column) for finding in found]


def test_a_good_leaf_has_no_finding(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, skill())
    write_leaf(tmp_path, "knowledge/tides", knowledge())
    assert found_in(tmp_path) == []


def test_lint_is_part_of_the_check_and_warnings_stay_warnings(tmp_path: Path) -> None:
    text = dumped(skill()).replace("created_by: ann\n", "created_by: ann  \n\n\n\n\n").rstrip("\n")
    write_leaf(tmp_path, SKILL, text)
    found = found_in(tmp_path)
    assert [(finding.code, finding.severity, finding.line) for finding in found] == [
        ("trailing-spaces", "error", 2),
        ("empty-lines", "warning", 6),
        ("new-line-at-end-of-file", "error", text.count("\n") + 1),
    ]
    assert found[0].fix == "remove the blanks at the end of the line"


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "no-attribution"), ("", "empty-attribution"), ("Title of work:\n\nRevision: \n", "empty-attribution")],
)
def test_an_attribution_must_say_something(tmp_path: Path, text: str | None, code: str) -> None:
    file = write_leaf(tmp_path, SKILL, skill()) / "attribution.txt"
    file.unlink()
    if text is not None:
        file.write_text(text)
    assert said(tmp_path) == [("attribution.txt", code, 1, 1)]


def test_upstream_wants_no_attribution_of_version_one(tmp_path: Path) -> None:
    (write_leaf(tmp_path, SKILL, skill(version=1)) / "attribution.txt").unlink()
    assert found_in(tmp_path, options=Options(profile="compatible")) == []


def test_a_source_that_will_not_be_fetched_is_an_error(tmp_path: Path) -> None:
    values = knowledge(repo="https://127.0.0.1/x", commit="main", patterns=["../*.md", "/etc/*.md"])
    write_leaf(tmp_path, "knowledge/tides", values)
    found = found_in(tmp_path)
    assert [(finding.field, finding.severity) for finding in found] == [
        ("document.repo", "error"),
        ("document.commit", "error"),
        ("document.patterns[1]", "error"),
        ("document.patterns[2]", "error"),
    ]


def test_a_document_of_this_tree_must_be_there(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, "knowledge/tides", knowledge(repo=".", commit="HEAD"))
    found = found_in(tmp_path)
    assert [(finding.field, finding.severity) for finding in found] == [("document.patterns[1]", "error")]
    (folder / "tides.md").write_text("# Tides\n\nThe sea rises and falls.\n")
    assert found_in(tmp_path) == []


def test_a_file_with_a_name_that_is_never_read_is_an_error(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, skill())
    other = tmp_path / "compositional_skills" / "other"
    other.mkdir()
    (other / "qna.yml").write_text(dumped(skill()))
    assert said(tmp_path) == [("qna.yml", "wrong-name", 1, 1)]


def test_only_the_named_leaves_are_checked(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, "- 1\n")
    write_leaf(tmp_path, "compositional_skills/other", "- 1\n")
    assert len(found_in(tmp_path)) == 2
    assert [finding.path for finding in found_in(tmp_path / SKILL)] == [f"{tmp_path}/{SKILL}/qna.yaml"]
    (tmp_path / "nothing").mkdir()
    assert [finding.code for finding in found_in(tmp_path / "nothing", tmp_path / "absent")] == [
        "no-such-file",
        "no-leaf",
    ]
