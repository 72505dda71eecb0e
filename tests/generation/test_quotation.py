"""Quotations: found as a teacher writes them, and only where the passage has their words in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.generation.quotation import find, reading

PASSAGE = """**Phoenix** is a minor [constellation](constellation "wikilink") in the
[southern sky](southern_sky "wikilink"). Named after the mythical
[phoenix](Phoenix_(mythology) "wikilink"), it was first shown by Johann Bayer in his 1603
*[Uranometria](Uranometria "wikilink")* – “the atlas” –, and lies below −39 degrees."""


def quoted(words: str) -> str | None:
    span = find(words, PASSAGE)
    return None if span is None else PASSAGE[span[0] : span[1]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("it was first shown by Johann Bayer", "it was first shown by Johann Bayer"),
        ("  Named after the mythical\n", "Named after the mythical"),
        (
            'a minor [constellation](constellation "wikilink") in the southern sky',
            'a minor [constellation](constellation "wikilink") in the\n[southern sky',
        ),
        ("Phoenix is a minor constellation", "Phoenix** is a minor [constellation"),
        ("the mythical phoenix, it was", 'the mythical\n[phoenix](Phoenix_(mythology) "wikilink"), it was'),
        ("IT WAS FIRST SHOWN", "it was first shown"),
        ('"Named after the mythical phoenix"', "Named after the mythical\n[phoenix"),
        ("“… first shown by Johann Bayer.”", "first shown by Johann Bayer"),
        ('Uranometria - "the atlas" -, and', 'Uranometria](Uranometria "wikilink")* – “the atlas” –, and'),
        ("below -39 degrees", "below −39 degrees"),
    ],
)
def test_a_quotation_is_found_as_it_reads(words: str, found: str) -> None:
    assert quoted(words) == found


@pytest.mark.parametrize(
    "words",
    [
        "",
        "…",
        "Phoenix was a minor constellation",
        "constellation minor",
        "first shown … in his 1603",
        "it was first shown in his 1603",
        "below 39 degrees",
        "in his 1604",
        "Nothing of this is in it.",
    ],
)
def test_other_words_or_left_out_words_are_not(words: str) -> None:
    assert quoted(words) is None


@given(st.integers(0, len(PASSAGE)), st.integers(0, len(PASSAGE)))
def test_every_run_of_a_passage_is_found_and_reads_the_same(one: int, other: int) -> None:
    cut = PASSAGE[min(one, other) : max(one, other)]
    span = find(cut, PASSAGE)
    assert (span is None) == (not cut.strip())
    if span:
        assert PASSAGE[slice(*span)] == cut.strip()


TEXTS = st.text("ab.\n *_[]()“”İß", max_size=40)


@given(TEXTS, TEXTS)
def test_what_is_found_reads_like_what_was_quoted(words: str, passage: str) -> None:
    span = find(words, passage)
    if span:
        assert 0 <= span[0] < span[1] <= len(passage)
        there = passage[slice(*span)]
        same = reading(there)[0].strip(" .\"'")
        assert same in reading(words)[0] or there == words.strip()
