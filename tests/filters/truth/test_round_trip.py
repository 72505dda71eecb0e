"""The round trip: asked again, the question gets the same answer."""

from __future__ import annotations

from typing import Any

import pytest

from instructlab_like.filters import Reply
from instructlab_like.filters.truth.round_trip import RoundTrip


def replied(answer: str) -> list[list[Reply]]:
    return [[Reply(fields={"answer": answer})]]


@pytest.mark.parametrize(
    ("answer", "again", "keep"),
    [
        ("42", "42", True),
        ("42", "43", False),
        ("1,200", "1200", True),
        ("Built in 1874.", "1874", True),
        ("Built in 1874.", "1931", False),
        ("Mara Vell built it.", "The builder was Benno Hart.", False),
        ("Granite", "It is made of granite.", True),
        ("Granite", "not stated", False),
    ],
)
def test_another_answer_rejects_and_is_quoted(sample: Any, answer: str, again: str, keep: bool) -> None:
    told = RoundTrip().judge(sample("Q", answer), replied(again))
    assert told.keep == keep
    assert repr(again) in told.reason
    assert told.threshold == 0.5
    assert keep or (told.rule == "other-answer" and told.score is not None and told.score < 0.5)


def test_a_reply_without_an_answer_is_no_judgement(sample: Any) -> None:
    told = RoundTrip().judge(sample("Q", "42"), [[Reply(failure="the answer is empty")]])
    assert (told.keep, told.rule) == (False, "no-judgement")


def test_long_answers_and_empty_ones_are_not_asked_again(sample: Any) -> None:
    assert RoundTrip().asks(sample("Q", "word " * 41)) == ()
    assert RoundTrip().asks(sample("Q", " ")) == ()
    assert len(RoundTrip(longest=50).asks(sample("Q", "word " * 41))) == 1


def test_the_answer_itself_is_not_shown(sample: Any) -> None:
    ask = RoundTrip().asks(sample("How high?", "41 metres", kind="knowledge", context="It is high."))[0]
    assert dict(ask.variables) == {"passage": "It is high.", "question": "How high?"}
