"""The purse: no limit is passed, whatever answers turn out to be, and most of it can be spent."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Spent
from instructlab_like.generation.purse import Price, Purse, read_budget
from instructlab_like.recipe import Budget
from instructlab_like.records import Lineage, Message, Prompt, Sampling

PRICES: dict[str, Price] = {"dear": (10.0, 30.0), "cheap": (0.1, 0.2)}


def prompt(number: int, *, model: str = "cheap", words: int = 100, max_tokens: int = 500) -> Prompt:
    return Prompt(
        messages=(Message(role="user", content=f"{number} {'word ' * words}"),),
        sampling=Sampling(max_tokens=max_tokens),
        yields=("answer",),
        lineage=Lineage(leaf="a", leaf_blob="b", method="teacher", model=model),
    )


def spend(purse: Purse, lengths: Callable[[int], int], *, slots: int = 64, most: int = 100_000) -> int:
    """Ask with so many slots, as the engine does, until the purse refuses with nothing under way; returns the calls."""
    under_way: list[Prompt] = []
    asked = 0
    rng = random.Random(0)
    while asked < most:
        following = prompt(asked, model=rng.choice(["dear", "cheap"]))
        if len(under_way) < slots and purse.refusal(following) is None:
            purse.begin(following)
            under_way.append(following)
            asked += 1
        elif under_way:
            ended = under_way.pop(rng.randrange(len(under_way)))
            price = PRICES[ended.lineage.model]
            purse.end(ended, price, 105, min(ended.sampling.max_tokens, lengths(asked)))
        else:
            return asked
    raise AssertionError("never refused")


LENGTHS: list[Callable[[int], int]] = [
    lambda _: 40,
    lambda number: random.Random(number).randrange(1, 500),
    lambda number: 500 if random.Random(number).random() < 0.05 else 20,
    lambda number: 5 if number < 200 else 500,  # a step that says little, then one that says much
    lambda number: int(random.Random(number).lognormvariate(4, 1)),
]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("limit", [5_000, 60_000, 300_000])
def test_a_limit_of_tokens_is_never_passed_and_nearly_used(lengths: Callable[[int], int], limit: int) -> None:
    purse = Purse(Budget(tokens=limit), {}, PRICES)
    spend(purse, lengths)
    assert purse.tokens <= limit
    assert purse.tokens >= limit - 1_000
    assert purse.under_way == 0


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("limit", [0.05, 1.0])
def test_a_limit_of_money_is_never_passed_and_nearly_used(lengths: Callable[[int], int], limit: float) -> None:
    purse = Purse(Budget(money=limit), {}, PRICES)
    spend(purse, lengths)
    assert limit - 0.025 <= purse.money <= limit


@given(st.integers(0, 300), st.integers(1, 64))
def test_a_limit_of_calls_is_met_to_the_call(limit: int, slots: int) -> None:
    purse = Purse(Budget(calls=limit), {}, {})
    assert spend(purse, lambda _: 10, slots=slots) == limit


def test_what_was_spent_before_counts() -> None:
    before = {"cheap": Spent(calls=40, tokens_in=9_000, tokens_out=500), "dear": Spent(calls=2, tokens_in=100)}
    purse = Purse(Budget(calls=43), before, PRICES)
    assert (purse.calls, purse.tokens) == (42, 9_600)
    assert purse.money == pytest.approx((9_000 * 0.1 + 500 * 0.2 + 100 * 10) / 1e6)
    assert spend(purse, lambda _: 10) == 1
    assert spend(Purse(Budget(tokens=9_500), before, PRICES), lambda _: 10) == 0


def test_a_teacher_without_a_price_counts_at_the_dearest_known() -> None:
    purse = Purse(Budget(money=1.0), {"gone": Spent(calls=1, tokens_in=1_000, tokens_out=1_000)}, PRICES)
    assert purse.money == pytest.approx(0.04)


def test_prices_are_those_of_each_teacher() -> None:
    limit = Budget(money=0.02)
    assert Purse(limit, {}, PRICES).refusal(prompt(1, model="dear", words=20, max_tokens=1000)) is not None
    assert Purse(limit, {}, PRICES).refusal(prompt(1, model="cheap", words=20, max_tokens=1000)) is None


def test_a_call_that_was_in_the_ledger_is_given_back() -> None:
    purse = Purse(Budget(calls=1), {}, {})
    purse.begin(prompt(1))
    assert purse.refusal(prompt(2)) is not None
    purse.unused(prompt(1))
    assert purse.refusal(prompt(2)) is None
    assert (purse.calls, purse.under_way) == (0, 0)


def test_the_first_calls_are_taken_at_a_token_a_byte_and_later_ones_as_counted() -> None:
    purse = Purse(Budget(tokens=10**9), {}, {})
    first = purse.most(prompt(0, words=1000)).tokens
    assert first >= 5_000 + 500
    for number in range(10):
        purse.begin(prompt(number))
        purse.end(prompt(number), None, 110, 20)
    assert 1_000 * 1.05 + 500 < purse.most(prompt(0, words=1000)).tokens < 0.5 * first


def test_a_server_that_ignores_max_tokens_is_believed_the_next_time() -> None:
    purse = Purse(Budget(tokens=10**9), {}, {})
    before = purse.most(prompt(2)).tokens
    purse.begin(prompt(1))
    purse.end(prompt(1), None, 100, 1_500)
    assert purse.most(prompt(2)).tokens >= before + 900


def test_without_limits_nothing_is_refused_and_all_is_counted() -> None:
    purse = Purse(Budget(), {}, PRICES)
    purse.begin(prompt(1))
    purse.end(prompt(1), PRICES["cheap"], 1_000_000, 0)
    assert purse.refusal(prompt(2)) is None
    assert (purse.calls, purse.tokens, purse.money) == (1, 1_000_000, pytest.approx(0.1))


def test_a_refusal_says_what_was_spent_and_what_to_do() -> None:
    before = {"cheap": Spent(calls=4, tokens_in=900, tokens_out=100)}
    assert str(Purse(Budget(calls=4), before, PRICES).refusal(prompt(1))) == (
        "budget: the budget of 4 calls is used up: 4 calls, 1,000 tokens and 0.0001 in money over all of this run\n"
        "  → raise it, with --budget 8calls for example"
    )
    told = str(Purse(Budget(tokens=1_200), before, {}).refusal(prompt(1, words=10, max_tokens=50)))
    assert "4 calls, 1,000 tokens over all of this run; one more call may take 230" in told


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["500calls"], {"calls": 500}),
        (["200_000 tokens", "1,000calls", "5.00"], {"tokens": 200_000, "calls": 1_000, "money": 5.0}),
        (["1call"], {"calls": 1}),
        ([" .5 "], {"money": 0.5}),
        (["0"], {"money": 0.0}),
    ],
)
def test_budgets_are_read_as_people_write_them(told: list[str], found: dict[str, float]) -> None:
    assert read_budget(told) == found


@pytest.mark.parametrize("told", ["", "calls", "-5", "5 euros", "1e3", "5calls tokens", "1.5calls", "٥", "5.", "nan"])
def test_what_is_no_budget_is_refused(told: str) -> None:
    with pytest.raises(InputError, match="is no budget"):
        read_budget([told])
