"""Relevancy: whether the question is answered, be it rightly or not."""

from __future__ import annotations

from typing import Any

import pytest

from instructlab_like.filters import Reply
from instructlab_like.filters.truth.relevancy import Relevancy


def replied(relevancy: str, fit: str = "The price stays open.") -> list[list[Reply]]:
    return [[Reply(fields={"fit": fit, "relevancy": relevancy})]]


@pytest.mark.parametrize(("said", "keep"), [("2", True), ("1", False), ("0", False)])
def test_only_an_answer_to_all_of_it_is_kept(sample: Any, said: str, keep: bool) -> None:
    told = Relevancy().judge(sample("Q", "A"), replied(said))
    assert (told.keep, told.score, told.threshold) == (keep, float(said), 2)
    assert keep or (told.rule == "beside-the-point" and "because 'The price stays open.'" in told.reason)


def test_a_lower_threshold_keeps_answers_in_part(sample: Any) -> None:
    assert Relevancy(at_least=1).judge(sample("Q", "A"), replied("1")).keep


@pytest.mark.parametrize("said", ["3", "11/10", "", "very", "-1"])
def test_what_is_no_score_rejects_as_no_judgement(sample: Any, said: str) -> None:
    assert Relevancy().judge(sample("Q", "A"), replied(said)).rule == "no-judgement"


def test_a_passage_is_shown_only_where_it_is_part_of_the_question(sample: Any) -> None:
    knowledge = Relevancy().asks(sample("Q", "A", kind="knowledge", context="PASSAGE"))[0]
    grounded = Relevancy().asks(sample("Q", "A", kind="grounded", context="PASSAGE"))[0]
    assert knowledge.variables == {"question": "Q", "answer": "A"}
    assert "PASSAGE" in str(grounded.variables["question"])
