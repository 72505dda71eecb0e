"""The vote: several draws, of which more than half must say what the sample says."""

from __future__ import annotations

from typing import Any

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.filters import Reply, build
from instructlab_like.filters.truth.vote import Vote
from instructlab_like.recipe import FilterChoice


def drawn(*answers: str | None) -> list[list[Reply]]:
    return [[Reply(failure="the answer is empty") if one is None else Reply(fields={"answer": one}) for one in answers]]


@pytest.mark.parametrize(
    ("answers", "rule", "score"),
    [
        (("12", "12", "12", "12", "12"), "", 1.0),
        (("12", "x = 12", "12.0", "7", "8"), "", 0.6),
        (("12", "12", "7", "8", "9"), "no-majority", 0.4),
        (("7", "7", "7", "12", "12"), "outvoted", 0.0),
        (("12", "12", None, None, None), "no-majority", 0.4),
        (("12", "12", "12", None, None), "", 0.6),
        ((None, None, None, None, None), "no-judgement", None),
    ],
)
def test_more_than_half_of_all_draws_must_say_it(
    sample: Any, answers: tuple[str | None, ...], rule: str, score: float | None
) -> None:
    told = Vote().judge(sample("What is 7 + 5?", "12"), drawn(*answers))
    assert (told.keep, told.rule, told.score) == (not rule, rule, score)


def test_draws_are_counted_in_the_reason(sample: Any) -> None:
    assert Vote().judge(sample("Q", "12"), drawn("7", "7", "7", "12", "12")).reason == (
        "3 of 5 draws say '7': 12 and 7 are two numbers"
    )


def test_as_many_draws_are_asked_for_as_the_option_says(sample: Any) -> None:
    assert [ask.draws for ask in Vote(draws=7).asks(sample("Q", "12"))] == [7]
    assert Vote().asks(sample("Q", "word " * 60)) == ()


def test_an_even_number_of_draws_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        build(FilterChoice(name="vote", options={"draws": 4}))
    assert "is even, so that a vote may be tied" in str(caught.value)
