from __future__ import annotations

from itertools import pairwise

import pytest

from instructlab_like.preview.estimate import NOBODY, Experience, Prices, cost
from instructlab_like.preview.handful import to_ask
from instructlab_like.records import AskTask, Completion, Lineage, Message, Prompt, Sampling


def prompt(text: str, *, leaf: str = "a") -> Prompt:
    return Prompt(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(max_tokens=100),
        yields=("question", "answer"),
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="http:m"),
    )


def answer(
    asked: Prompt, *, tokens_in: int | None = 5, tokens_out: int | None = 30, text: str = "x" * 80
) -> Completion:
    return Completion(
        key=asked.key, text=text, finish_reason="stop", prompt_tokens=tokens_in, completion_tokens=tokens_out
    )


ONE, TWO, THREE = prompt("a" * 40), prompt("b" * 80), prompt("c" * 120)
PLAN = [ONE, TWO, THREE]


def known(*answers: Completion, **seconds: float) -> Experience:
    return Experience({told.key: told for told in answers}, seconds, 2)


def test_without_a_teacher_tokens_are_approximated_and_bounded_and_say_so() -> None:
    told = cost(PLAN, PLAN, NOBODY, prices=None)
    assert (told.calls.value, told.calls.bound, told.answered) == (3, "exact", 0)
    assert (told.tokens_in.value, told.tokens_in.bound) == (60, "about")
    assert told.tokens_in.basis == "240 characters of the prompts as rendered, 4 characters a token"
    assert (told.tokens_out.value, told.tokens_out.bound) == (300, "at most")
    assert "max_tokens" in told.tokens_out.basis
    assert (told.money.value, told.money.bound, told.seconds.value, told.seconds.bound) == (
        None,
        "unknown",
        None,
        "unknown",
    )


def test_a_prompt_that_stands_twice_is_asked_once() -> None:
    twice = [*PLAN, prompt("a" * 40, leaf="b")]
    assert cost(twice, twice, NOBODY, prices=None).calls.value == 3


def test_with_answers_tokens_are_what_the_teacher_counted() -> None:
    told = cost(PLAN, PLAN, known(answer(ONE, tokens_in=20, tokens_out=10), answer(TWO, tokens_in=40)), prices=None)
    assert told.answered == 2
    assert (told.tokens_in.value, told.tokens_in.bound) == (120, "about")
    assert "2.00 characters a token as the teacher counted in 2 of its answers" in told.tokens_in.basis
    assert (told.tokens_out.value, told.tokens_out.bound) == (60, "about")


def test_a_teacher_that_counts_no_tokens_leaves_an_approximation_from_its_answers() -> None:
    told = cost(PLAN, PLAN, known(answer(ONE, tokens_in=None, tokens_out=None)), prices=None)
    assert told.tokens_in.value == 60
    assert (told.tokens_out.value, told.tokens_out.bound) == (60, "about")
    assert "at 4 characters a token" in told.tokens_out.basis


def test_rates_of_one_leaf_serve_another() -> None:
    told = cost([THREE], PLAN, known(answer(ONE, tokens_in=20)), prices=None)
    assert (told.tokens_in.value, told.answered) == (60, 0)


def test_time_is_the_mean_call_over_the_calls_at_once() -> None:
    told = cost(PLAN, PLAN, known(answer(ONE), answer(TWO), **{ONE.key: 1.0, TWO.key: 3.0}), prices=None)
    assert (told.seconds.value, told.seconds.bound) == (3.0, "about")
    assert told.seconds.basis == "2.00 s a call, the mean of 2 answers, 2 calls at once"


@pytest.mark.parametrize(("experience", "bound", "value"), [(NOBODY, "at most", 0.00066), (None, "about", 0.00024)])
def test_money_is_as_sure_as_the_tokens(experience: Experience | None, bound: str, value: float) -> None:
    prices = Prices(tokens_in=1.0, tokens_out=2.0)
    told = cost(PLAN, PLAN, experience or known(answer(ONE, tokens_in=10)), prices=prices)
    assert (told.money.value, told.money.bound) == (pytest.approx(value), bound)
    assert "1 and 2 for a million tokens" in told.money.basis


def test_a_larger_preview_asks_what_a_smaller_one_has_asked() -> None:
    tasks = [AskTask(prompt=prompt(str(number))) for number in range(40)]
    handfuls = [{task.prompt.key for task in to_ask(tasks, samples, pairs=3)} for samples in (0, 1, 5, 9, 500)]
    assert [len(handful) for handful in handfuls] == [0, 1, 2, 3, 40]
    assert all(less <= more for less, more in pairwise(handfuls))
