from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.taxonomy import yaml_text
from instructlab_like.taxonomy.yaml_lines import load, plain

# Everything but surrogates, which no UTF-8 file can hold; what trips writers of YAML comes up often.
TEXT = st.text(
    st.one_of(
        st.sampled_from("\n\n\n \t:#-'\"\\|>{}[]&*!%@`\x00\x07\x85\u2028\u2029\u202e\ufeff\ufffe\U000e0041é日🌊"),
        st.characters(exclude_categories=["Cs"]),
    )
)


@given(TEXT, TEXT)
def test_any_text_reads_back_character_for_character(text: str, other: str) -> None:
    written = f"a:\n  - b: {yaml_text.value(text, 6)}\n    c: {yaml_text.value(other, 6)}\n"
    sheet = load(written.encode())
    assert sheet.problems == ()
    assert sheet.root is not None
    assert plain(sheet.root) == {"a": ({"b": text, "c": other},)}


def test_ordinary_text_is_a_block_that_a_person_can_read() -> None:
    assert yaml_text.value('One: "two".\n\nThree # four', 4) == '|-\n    One: "two".\n\n    Three # four'


@pytest.mark.parametrize("text", ["ends in blanks  \nhere", "far\n\n\n\napart", "\tx", "x\n"])
def test_what_the_lint_objects_to_is_quoted(text: str) -> None:
    written = yaml_text.value(text, 4)
    assert written.startswith('"')
    assert not any(line.endswith((" ", "\t")) or not line for line in written.split("\n"))


@given(TEXT)
def test_a_comment_is_one_line_of_what_can_be_seen(text: str) -> None:
    shown = yaml_text.comment(text)
    assert shown.isprintable()
    assert len(shown) <= 100
    assert load(f"a: 1  # {shown}\nb: 2\n".encode()).root is not None


def test_comments_are_cut_where_they_grow_long(tmp_path: Path) -> None:
    assert yaml_text.comment("word " * 50, longest=12) == "word word w…"
