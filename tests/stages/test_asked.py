"""What is said of the calls of a run: their number, and their price as far as it is known."""

from __future__ import annotations

import pytest

from instructlab_like.generation.ledger import Spent
from instructlab_like.generation.purse import Price
from instructlab_like.stages.generating.asking import Asked

SPENT = {"http:small": Spent(calls=3, tokens_in=1_000_000, tokens_out=500_000), "http:usual": Spent(calls=2)}


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ({}, "500,000 out"),
        ({"http:small": (1.0, 2.0), "http:usual": (1.0, 2.0)}, "500,000 out, 2.0000 in money"),
        (
            {"http:small": (1.0, 2.0)},
            "500,000 out, 2.0000 in money beside what http:usual cost, whose price is not known",
        ),
    ],
)
def test_a_teacher_without_a_price_is_named_beside_the_money_of_the_others(prices: dict[str, Price], told: str) -> None:
    assert list(Asked(spent=SPENT, prices=prices).told())[-1].endswith(told)
