from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.checking.spots import Spot, spot
from instructlab_like.checking.subject import Text
from instructlab_like.taxonomy.yaml_lines import Mapping, Scalar, load


def texts_of(sheet: str) -> list[Text]:
    root = load(sheet.encode()).root
    assert isinstance(root, Mapping)
    found = []
    for entry in root.entries:
        node = entry.value
        assert isinstance(node, Scalar)
        if isinstance(node.value, str):
            found.append(Text("qna.yaml", str(entry.key), node.line, node.column, node.value))
    return found


def place_of(sheet: str, found: str) -> tuple[int, int]:
    """Where `found` in the first text of the sheet is said to stand."""
    (text, *_) = texts_of(sheet)
    start = text.value.index(found)
    place = spot(sheet, text, start, start + len(found))
    return place.line, place.column


@pytest.mark.parametrize(
    ("sheet", "place"),
    [
        ("a: find me here\n", (1, 9)),
        ("a:   well, me here\n", (1, 12)),
        ("a: 'well, me'\n", (1, 11)),
        ("a: 'it''s ''quoted'', me'\n", (1, 23)),
        ('a: "well, me"\n', (1, 11)),
        ('a: "\\t\\"\\u00e9\\x41\\U0001F600 \\\\ me"\n', (1, 33)),
        ("a: one\n  two me\n", (2, 7)),
        ("a:\n    one\n\n    two me\n", (4, 9)),
        ('a: "one \\\n    \\  two\n\n\n   me"\n', (5, 4)),
        ("a: |\n  one\n    two me\n", (3, 9)),
        ("a: |2-\n     one\n\n  me\n", (4, 3)),
        ("a: |  # a note, me\n  one\n\n  me\n", (4, 3)),
        ("a: >\n  one\n  two\n\n  three me\n", (5, 9)),
        ("a: >+1\n   one\n  two\n  me\n\n\n", (4, 3)),
        ("a: &seed |\n  one\n  me\nb: *seed\n", (3, 3)),
        ("a: &seed !!str # why\n  # me\n  one me\n", (3, 7)),
        ("a: é😀 me\n", (1, 7)),
        ("b: 1\n# é\na: one\u2028  two me\nc: me\n", (3, 14)),
        ('{"x": 1, "a": "one\n  two me"}\n', (2, 7)),
        ("- a: me\n", (1, 6)),
        ("b: [me]\n", (1, 5)),
    ],
)
def test_a_word_is_found_where_it_stands_however_the_value_is_written(sheet: str, place: tuple[int, int]) -> None:
    root = load(sheet.encode()).root
    assert root is not None
    node = root
    while not isinstance(node, Scalar):
        children = [entry.value for entry in node.entries] if isinstance(node, Mapping) else list(node.items)
        node = next(child for child in children if not isinstance(child, Scalar) or isinstance(child.value, str))
    assert isinstance(node.value, str)
    start = node.value.index("me")
    found = spot(sheet, Text("qna.yaml", "a", node.line, node.column, node.value), start, start + 2)
    assert (found.line, found.column) == place


def test_a_find_that_begins_with_blanks_is_where_its_first_visible_character_is() -> None:
    assert place_of("a: one\n  two\n", " two") == (2, 3)
    assert place_of("a: |\n  one\n\n  two\n", "\n\ntwo") == (4, 3)


def test_no_run_of_blanks_takes_long() -> None:
    blanks = " " * 400_000
    assert place_of(f"a: &seed{blanks}\n{blanks}one\n", "one") == (2, 400_001)


def test_blanks_alone_are_found_behind_what_stands_before_them() -> None:
    sheet = "a: |\n  one \t two\nb: 1\n"
    assert place_of(sheet, "\t") == (2, 7)
    assert place_of("a: one\n  two\n", " ") == (1, 7)
    assert place_of('a: "one\\ttwo"\n', "\t") == (1, 8)


def test_blanks_that_open_a_value_are_found_where_the_value_begins() -> None:
    assert place_of("b: 1\na: '  one'\n", "  ") == (2, 4)


def test_a_text_that_is_not_what_the_file_says_is_found_where_its_value_begins() -> None:
    other = Text("qna.yaml", "a", 2, 4, "something else")
    assert spot("b: 1\na: one\n", other, 3, 5) == Spot(2, 4)


WORDS = st.lists(st.text("ab'\"\\:#-é😀\u200b\u2028\x07\xa0 \t\n", max_size=6), min_size=1, max_size=8).map(" ".join)
STYLES = st.sampled_from([None, "'", '"', "|", ">"])


@given(before=WORDS, after=WORDS, style=STYLES, width=st.sampled_from([10, 1000]), escaped=st.booleans())
def test_a_mark_in_any_text_in_any_style_is_found_exactly(
    before: str, after: str, style: str | None, width: int, escaped: bool
) -> None:
    value = f"{before}Ω{after}"
    sheet = yaml.safe_dump(
        {"x": {"a": value}}, default_style=style, width=width, allow_unicode=True, indent=3 if escaped else 2
    )
    root = load(sheet.encode()).root
    assert isinstance(root, Mapping)
    inner = root.entries[0].value
    assert isinstance(inner, Mapping)
    node = inner.entries[0].value
    assert isinstance(node, Scalar)
    assert node.value == value
    place = spot(sheet, Text("qna.yaml", "x.a", node.line, node.column, value), len(before), len(before) + 1)
    line = sheet.split("\n")[place.line - 1]
    assert line[place.column - 1] == "Ω"
