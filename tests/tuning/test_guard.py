from __future__ import annotations

import math
import random

import pytest

from instructlab_like.tuning.guard import Guard


@pytest.mark.parametrize(
    ("loss", "norm", "words"),
    [
        (math.nan, 1.0, "the loss left the finite numbers"),
        (math.inf, 1.0, "the loss left the finite numbers"),
        (1.0, math.nan, "the gradient left the finite numbers"),
        (1.0, math.inf, "the gradient left the finite numbers"),
    ],
)
def test_what_is_no_number_is_trouble_at_once(loss: float, norm: float, words: str) -> None:
    assert Guard().trouble(loss, norm) == words


def test_three_high_steps_in_a_row_are_trouble_and_one_or_two_are_not() -> None:
    guard = Guard()
    for _ in range(60):
        assert guard.trouble(2.0, 1.0) is None
    for loss in (9.0, 9.0, 2.0, 2.0, 9.5, 9.5):
        assert guard.trouble(loss, 1.0) is None
    told = guard.trouble(9.5, 1.0)
    assert told
    assert "9.50, 9.50, 9.50" in told


def test_nothing_is_a_spike_before_there_is_anything_to_go_by() -> None:
    guard = Guard()
    assert not any(guard.trouble(loss, 1.0) for loss in (1.0, 1.0, 50.0, 60.0, 70.0))


def test_a_low_loss_may_triple() -> None:
    guard = Guard()
    assert not any(guard.trouble(loss, 1.0) for loss in [0.01] * 40 + [0.03, 0.5, 0.9] * 5)


def test_rows_of_easy_and_hard_leaves_in_turn_are_no_trouble() -> None:
    rng = random.Random(0)
    guard = Guard()
    for _ in range(2_000):
        assert guard.trouble(rng.choice([rng.uniform(0.01, 0.1), rng.uniform(1.4, 3.0)]), 1.0) is None


def test_a_guard_that_goes_on_from_what_it_remembered_decides_the_same() -> None:
    rng = random.Random(1)
    losses = [rng.uniform(1.0, 2.0) for _ in range(80)] + [8.0, 8.0, 8.0]
    whole = Guard()
    expected = [whole.trouble(loss, 1.0) for loss in losses]
    first = Guard()
    found = [first.trouble(loss, 1.0) for loss in losses[:81]]
    second = Guard(tuple(first.recent))
    found += [second.trouble(loss, 1.0) for loss in losses[81:]]
    assert found == expected
    assert found[-1]
