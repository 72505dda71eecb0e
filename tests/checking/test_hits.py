from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import dumped, skill, write_leaf

from instructlab_like.checking import hits
from instructlab_like.checking.hits import Hit, Page, found_in, masked
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy import documents
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import LeafFiles, Place, read_files
from instructlab_like.taxonomy.yaml_lines import load

SKILL = "compositional_skills/sums"


def marks(text: str) -> Iterator[Hit]:
    """Finds the word FOUND; FOUND! is a warning."""
    at = text.find("FOUND")
    while at >= 0:
        loud = text[at + 5 : at + 6] == "!"
        yield Hit(at, at + 5, "mark", "this is it", "take it", "warning" if loud else "error")
        at = text.find("FOUND", at + 1)


def page(text: str) -> Page:
    return Page("qna.yaml", text, load(text.encode()).root)


def places(text: str) -> list[tuple[int, int, str]]:
    return [(finding.line, finding.column, finding.field) for finding in found_in(page(text), marks)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: FOUND\n", [(1, 4, "a")]),
        ("# FOUND\na: 1\n", [(1, 3, "")]),
        ("a: 1 # FOUND\n", [(1, 8, "")]),
        ("a: FOUND # FOUND\n", [(1, 4, "a"), (1, 12, "")]),
        ("x:\n  FOUND: 1\n", [(2, 3, "x")]),
        ("x: |\n  one\n  FOUND two FOUND\ny: FOUND\n", [(3, 3, "x"), (3, 13, "x"), (4, 4, "y")]),
        ('a: "\\x46OUND"\n', [(1, 5, "a")]),
        ('a: "b\\n\\\n    FO\\\n  UND"\n', [(2, 5, "a")]),
        ('"\\u0046OUND": b\n', [(1, 2, "")]),
        ("a: [x, 'it''s FOUND']\n", [(1, 15, "a[2]")]),
        ("a: &b FOUND\nc: *b\n", [(1, 7, "a")]),
        ("a: {b: [1, FOUND: 2]}\n", [(1, 12, "a.b[2]")]),
        ("a: é😀 FOUND\r\nb: FOUND\r\n", [(1, 7, "a"), (2, 4, "b")]),
        ("a: [FOUND\n", [(1, 5, "")]),
        ("a: 'x\n\n  FOUND'\nb: \"FOUND \\x46OUND\"\n", [(3, 3, "a"), (4, 5, "b"), (4, 11, "b")]),
    ],
)
def test_a_match_is_told_once_where_it_stands(text: str, expected: list[tuple[int, int, str]]) -> None:
    text = text.replace("\r\n", "\n")
    assert places(text) == expected


def test_lines_are_counted_as_editors_do_whatever_yaml_takes_for_a_break() -> None:
    assert places('a: "one\u2028two"\nb: "x\\n\\x46OUND"\n') == [(2, 8, "b")]


def test_a_word_behind_an_escape_is_not_joined_with_its_letter() -> None:
    def words(text: str) -> Iterator[Hit]:
        at = text.find("nFOUND")
        if at >= 0:
            yield Hit(at, at + 6, "mark", "this is it", "take it")

    assert found_in(page('a: "one\\nFOUND"\n'), words) == []


def test_a_match_that_a_fold_takes_apart_is_found_where_it_begins() -> None:
    def pairs(text: str) -> Iterator[Hit]:
        at = text.find("1 2")
        if at >= 0:
            yield Hit(at, at + 3, "mark", "this is it", "take it")

    found = found_in(page("a: one 1\n   2\n"), pairs, folds=True)
    assert [(finding.line, finding.column, finding.field) for finding in found] == [(1, 8, "a")]


def test_of_many_matches_the_first_are_told_and_the_rest_is_counted() -> None:
    found = found_in(page("a: |\n" + "  FOUND!\n" * 30 + "b: FOUND\n"), marks)
    assert len(found) == hits.SHOWN + 1
    assert [finding.line for finding in found[:3]] == [2, 3, 4]
    assert [(finding.line, finding.severity) for finding in found[-2:]] == [(32, "error"), (21, "warning")]
    assert found[-1].message == "11 more such finds are not listed"


def test_of_very_many_matches_the_number_is_left_open() -> None:
    found = found_in(Page("notes.md", "FOUND\n" * 5_000), marks)
    assert found[-1].message == "more than 1,980 more such finds are not listed"


def test_a_field_that_holds_a_match_is_not_repeated() -> None:
    assert places("FOUND: the FOUND\n") == [(1, 1, ""), (1, 12, "")]


def subject(root: Path, folder: Path) -> Subject:
    place = Place(root, folder.relative_to(root).as_posix(), str(folder))
    files = read_files(place)
    return Subject(place, files, examine(place, files))


def test_all_that_a_leaf_brings_as_text_is_a_page(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL, skill(), heldout="questions: [", simulation="a: 1\n")
    (folder / "notes.md").write_bytes(b"\xef\xbb\xbfone\r\ntwo\xff\r")
    (folder / "more").mkdir()
    (folder / "more" / "deep.txt").write_text("deep")
    (folder / "picture.png").write_text("no text")
    (folder / "link.md").symlink_to(folder / "notes.md")
    leaf = subject(tmp_path, folder)
    assert [Path(page.path).name for page in hits.sheets(leaf)] == ["qna.yaml", "heldout.yaml", "simulation.yaml"]
    others = {Path(page.path).relative_to(folder).as_posix(): page.text for page in hits.others(leaf)}
    assert others == {
        "attribution.txt": (folder / "attribution.txt").read_text(),
        "more/deep.txt": "deep",
        "notes.md": "one\ntwo\udcff\n",
    }


def test_a_document_too_large_to_be_read_is_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits, "LARGEST_DOCUMENT", 3)
    folder = write_leaf(tmp_path, SKILL, skill())
    (folder / "notes.md").write_text("four")
    assert [Path(page.path).name for page in hits.others(subject(tmp_path, folder))] == ["attribution.txt"]


def test_the_largest_document_is_the_largest_that_is_fetched() -> None:
    assert documents.LARGEST_DOCUMENT == hits.LARGEST_DOCUMENT


def test_a_masked_text_tells_its_length() -> None:
    assert masked("abcdefgh") == "abcd… (8 characters)"
    assert masked("abc") == "a… (3 characters)"
    assert masked("\u202eabcdef") == "… (7 characters)"


WORDS = st.lists(st.text("ab'\"\\:#-é😀\u200b\u2028\xa0 \n", max_size=6), min_size=1, max_size=6).map(" ".join)


@given(
    before=WORDS,
    after=WORDS,
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    width=st.sampled_from([10, 1000]),
    unicode=st.booleans(),
)
def test_a_match_in_any_text_in_any_style_is_found_exactly(
    before: str, after: str, style: str | None, width: int, unicode: bool
) -> None:
    value = f"{before}Ω{after}"

    def look(text: str) -> Iterator[Hit]:
        yield from (Hit(at, at + 1, "mark", "", "") for at, sign in enumerate(text) if sign == "Ω")

    file = yaml.safe_dump({"x": {"a": value}}, default_style=style, width=width, allow_unicode=unicode)
    (found,) = found_in(page(file), look)
    assert found.field == "x.a"
    line = file.split("\n")[found.line - 1]
    assert line[found.column - 1 :].startswith(("Ω", "\\u03A9"))


@given(data=st.binary() | st.text().map(str.encode) | WORDS.map(lambda text: dumped({"a": text, text: 1}).encode()))
def test_no_bytes_are_too_odd_to_be_looked_at(data: bytes) -> None:
    def everything(text: str) -> Iterator[Hit]:
        yield from (Hit(at, at + 1, "mark", "", "") for at, sign in enumerate(text) if not sign.isspace())

    files = LeafFiles({"qna.yaml": data}, {})
    place = Place(Path("/nowhere"), SKILL, SKILL)
    for sheet in hits.sheets(Subject(place, files, examine(place, files))):
        lines = sheet.text.split("\n")
        for finding in found_in(sheet, everything):
            assert 1 <= finding.line <= len(lines)
            assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
