"""What counts as the same text, whichever way it is found out."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.records import MARKS, normalise

SIGNS = "+-−*/=<>^%×÷²³¹¼½¾µß’‘“”„–—…•\u00a0\u0085\x1c\t_ .,5a"


def said(text: str) -> str:
    """The definition: words with their marks, signs of arithmetic, and hyphens before a digit, of the folded text."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(rf"\w[\w{MARKS}]*|[+*/×÷=<>^%]|[-−](?=\s?\d)", folded))


@given(st.text(st.one_of(st.sampled_from(SIGNS), st.characters(max_codepoint=255), st.characters(codec="utf-8"))))
def test_the_fast_way_says_what_the_definition_says(text):
    assert normalise(text) == said(text)


@given(st.text(st.one_of(st.sampled_from(SIGNS), st.characters(max_codepoint=255))))
def test_so_it_does_in_western_european_texts(text):
    assert normalise(text) == said(text)


@pytest.mark.parametrize("code", range(0x250))
def test_so_it_does_for_each_western_character(code):
    sign = chr(code)
    for text in (sign, f"a{sign}b", f"-{sign}5", f"5 -{sign}", f"“{sign}”"):
        assert normalise(text) == said(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It’s the moon – “our” moon…", "it's the moon, our moon"),
        ("Die Straße, die Größe", "DIE STRASSE  DIE GRÖSSE"),
        ("5 + 3", "5+3"),
    ],
)
def test_typography_and_case_do_not_count(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("5 + 3", "5 - 3"), ("-5", "5"), ("5 × 3", "5 ÷ 3"), ("x²", "x")])
def test_signs_of_arithmetic_do(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("कि", "की"), ("দিন", "দান"), ("กิน", "กัน"), ("ကို", "ကာ"), ("שֶׁלָּהּ", "שלה"), ("பல", "பால")],
    ids=["hindi", "bengali", "thai", "burmese", "hebrew", "tamil"],
)
def test_vowels_that_are_marks_do(one, other):
    assert normalise(one) != normalise(other)
    assert len(normalise(one).split()) == 1


def test_the_marks_are_all_that_those_scripts_have():
    scripts = [*range(0x300, 0x370), *range(0x900, 0xE00), *range(0xE00, 0xE80), *range(0x1000, 0x10A0)]
    missing = [
        f"{code:04x}"
        for code in (*scripts, *range(0x1780, 0x1800))
        if unicodedata.category(chr(code)) in ("Mn", "Mc") and not re.fullmatch(f"[{MARKS}]", chr(code))
    ]
    assert missing == []
