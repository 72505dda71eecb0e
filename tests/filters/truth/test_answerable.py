"""Answerable: from the passage alone, and understood without it."""

from __future__ import annotations

from typing import Any

import pytest

from instructlab_like.filters import Reply
from instructlab_like.filters.truth.answerable import Answerable


def replied(answerable: str = "1", standalone: str = "1") -> list[list[Reply]]:
    return [
        [Reply(fields={"finding": "The date is not there.", "answerable": answerable})],
        [Reply(fields={"reading": "Which tower?", "standalone": standalone})],
    ]


@pytest.fixture
def knowledge(sample: Any) -> Any:
    return sample("How high is it?", "41 metres", kind="knowledge", context="It is 41 metres high.")


def test_a_question_that_is_both_is_kept(knowledge: Any) -> None:
    told = Answerable().judge(knowledge, replied())
    assert (told.keep, told.reason) == (True, "the passage answers it, and it can be understood by itself")


@pytest.mark.parametrize(
    ("replies", "rule", "why"),
    [
        (replied(answerable="0"), "not-answerable", "because 'The date is not there.'"),
        (replied(standalone="0"), "not-self-contained", "because 'Which tower?'"),
        (replied(answerable="0", standalone="0"), "not-answerable", "the passage alone does not answer it"),
        (replied(answerable="2"), "no-judgement", "outside of the scale"),
        (replied(standalone="perhaps"), "no-judgement", "'perhaps'"),
    ],
)
def test_the_first_that_fails_rejects_with_the_judges_reason(
    knowledge: Any, replies: list[list[Reply]], rule: str, why: str
) -> None:
    told = Answerable().judge(knowledge, replies)
    assert (told.keep, told.rule) == (False, rule)
    assert why in told.reason


def test_the_second_question_does_not_show_the_passage(knowledge: Any) -> None:
    first, second = Answerable().asks(knowledge)
    assert "passage" in first.variables
    assert second.variables == {"question": "How high is it?"}


def test_each_kind_is_asked_what_makes_sense_of_it(sample: Any) -> None:
    free, shown = sample("Q", "A"), sample("Q", "A", kind="grounded", context="P")
    assert [ask.template for ask in Answerable().asks(free)] == ["judge/self-contained.j2"]
    assert [ask.template for ask in Answerable().asks(shown)] == ["judge/answerable.j2"]
    assert Answerable(self_contained=False).asks(free) == []
    assert Answerable().judge(free, [replied(standalone="0")[1]]).rule == "not-self-contained"
    assert Answerable().judge(shown, [replied()[0]]).keep
