"""A judge's number is read strictly: what is not on the scale has no score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters import Reply
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.parts.replies import Scale, graded

FIVE = Scale(1, 5)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4", 4), (" 4 ", 4), ("**4**", 4), ("4/5", 4), ("4 / 5", 4), ("4 out of 5", 4), ("4.", 4), ("Score: 4", 4),
        ("4.0", 4), ("4.5", 4.5), ("(3)", 3), ("`2`", 2), ("Accurate = 5", 5),
    ],
)  # fmt: skip
def test_a_number_on_the_scale_is_its_score(text: str, score: float) -> None:
    assert FIVE.read(text) == score


@pytest.mark.parametrize(
    "text",
    [
        "11/10", "11", "0", "6", "-4", "−4", "4/10", "8/10", "40 %", "80%", "", "   ", "good", "four", "4 or 5", "3-4",
        "4, 5", "1 2 3 4 5", "I give it a 4 because it is right", "NaN", "inf", "1e1", "٤", "5" * 30, "4" + "!" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_number_or_not_on_the_scale_has_no_score_and_is_quoted(text: str) -> None:
    told = FIVE.read(text)
    assert isinstance(told, str)
    assert (text.strip()[:10] or "''") in told


@given(st.text(max_size=40))
def test_whatever_a_judge_says_a_score_lies_on_the_scale(text: str) -> None:
    told = FIVE.read(text)
    assert isinstance(told, str) or 1 <= told <= 5


def test_the_first_field_without_a_score_is_named() -> None:
    told = graded(Reply(fields={"one": "3", "two": "eleven"}), (("one", FIVE), ("two", FIVE)))
    assert isinstance(told, Judgement)
    assert (told.keep, told.rule, told.score) == (False, "no-judgement", None)
    assert (
        told.reason
        == "the judge gave no judgement: two: the judge said 'eleven', where a number from 1 to 5 was asked for"
    )
    left = graded(Reply(fields={"one": "3"}), (("one", FIVE), ("two", FIVE)))
    assert isinstance(left, Judgement)
    assert "two was left out" in left.reason


def test_an_unreadable_reply_is_told_as_such() -> None:
    told = graded(Reply(failure="the answer is empty"), (("one", FIVE),))
    assert isinstance(told, Judgement)
    assert (told.rule, told.reason) == ("no-judgement", "the judge gave no judgement: the answer is empty")
