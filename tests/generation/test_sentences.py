"""Markdown to sentences: what is shown, where it stands in the source, and where a sentence ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.generation.sentences import Text, blocks, render, split


def sentences(markdown: str) -> list[str]:
    return [sentence.plain for block in blocks(markdown) for sentence in block.sentences]


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("**Dolly** was a *sheep*.", "Dolly was a sheep."),
        ('the [Roslin\nInstitute](Roslin_(place) "wikilink") in', "the Roslin Institute in"),
        ("a [label][ref] and ![a picture](x.png) here", "a label and here"),
        ("It works.[^1] Really[2].", "It works. Really."),
        ("snake_case and _stress_ and 3 * 4", "snake_case and stress and 3 * 4"),
        ("R&amp;D \\*not\\* <b>bold</b> <!-- gone -->`code`", "R&D *not* bold code"),
    ],
)
def test_inline_markup_falls_away(markdown: str, plain: str) -> None:
    assert render(markdown).plain == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Quill came. She left.", ["Dr. Quill came.", "She left."]),
        ("It weighs 3.5 kg. It is red.", ["It weighs 3.5 kg.", "It is red."]),
        ("J. R. Holt wrote it. See No. 5 too.", ["J. R. Holt wrote it.", "See No. 5 too."]),
        ("It opens at 9 a.m. on Monday. Come in!", ["It opens at 9 a.m. on Monday.", "Come in!"]),
        ("It opens at 9 a.m. The gate is red.", ["It opens at 9 a.m.", "The gate is red."]),
        ("Plums, e.g. blue ones, fall. Why? They do.", ["Plums, e.g. blue ones, fall.", "Why?", "They do."]),
        ("It has vitamin C. The rest is water.", ["It has vitamin C.", "The rest is water."]),
    ],
)
def test_a_full_stop_ends_a_sentence_only_where_one_ends(text: str, expected: list[str]) -> None:
    assert [sentence.plain for sentence in split(render(text))] == expected


def test_only_prose_is_read() -> None:
    markdown = "# Title\n\nOne.\n\n```\ncode. here.\n```\n\n> Quoted.\n\n| a | b |\n|---|---|\n| c. | d |\n\n"
    markdown += "- item one.\n- item two."
    assert sentences(markdown) == ["Title", "One.", "item one.", "item two."]
    assert [block.kind for block in blocks(markdown)] == ["heading", "paragraph", "item", "item"]


def test_every_character_knows_its_place_in_the_source() -> None:
    markdown = '- The [old\n  mill](Mill "x") was **built** in 1811.'
    (block,) = blocks(markdown)
    start = block.text.plain.index("1811")
    low, high = block.text[start : start + 4].source
    assert markdown[low:high] == "1811"
    start = block.text.plain.index("old mill")
    low, high = block.text[start : start + 8].source
    assert markdown[low:high] == "old\n  mill"


@given(st.text(alphabet="ab A.!?*_[]()`\\&#;<>|-\n1\r", max_size=120))
def test_any_text_is_read_and_its_spans_are_in_order(markdown: str) -> None:
    for block in blocks(markdown):
        text = block.text
        assert len(text.plain) == len(text.spans)
        ends = [bound for span in text.spans for bound in span]
        assert all(0 <= bound <= len(markdown) for bound in ends)
        starts = [start for start, _ in text.spans]
        assert starts == sorted(starts)


@given(st.text(alphabet="ab AB.!? 1", max_size=80))
def test_no_word_is_lost_between_sentences(plain: str) -> None:
    text = Text(plain, tuple((i, i + 1) for i in range(len(plain))))
    joined = "".join(sentence.plain for sentence in split(text))
    assert "".join(joined.split()) == "".join(plain.split())
