"""The area under the ROC curve and its interval, against definitions that count one by one."""

from __future__ import annotations

import math
import random
from itertools import product
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.separation import MOST_PER_PAIR, Scored, Separation, Z, separation

PAIRS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30)


def found(pairs: list[tuple[int, int]]) -> Separation:
    made = separation([Scored(good, bad) for good, bad in pairs])
    assert made is not None
    return made


def better(good: float, bad: float) -> float:
    return (good > bad) + (good == bad) / 2


@given(PAIRS)
def test_the_area_is_the_share_of_comparisons_that_the_good_sample_wins(pairs: list[tuple[int, int]]) -> None:
    wins = [better(good, bad) for (good, _), (_, bad) in product(pairs, pairs)]
    assert found(pairs).area == pytest.approx(fmean(wins))


@given(PAIRS)
def test_the_interval_is_wilsons_with_the_variance_counted_pair_by_pair(pairs: list[tuple[int, int]]) -> None:
    count = len(pairs)
    area = fmean(better(good, bad) for (good, _), (_, bad) in product(pairs, pairs))
    deviations = []
    for good, bad in pairs:
        above = fmean(better(good, other) for _, other in pairs)
        below = fmean(better(other, bad) for other, _ in pairs)
        deviations.append(above + below - 2 * area)
    variance = sum(one**2 for one in deviations) / (count * (count - 1))
    trials = MOST_PER_PAIR * count
    if variance > 1e-15:
        trials = min(trials, area * (1 - area) / variance)
    for limit in (found(pairs).low, found(pairs).high):
        if 0 < limit < 1:  # where Wilson's test of this share would just be rejected
            assert abs(area - limit) == pytest.approx(Z * math.sqrt(limit * (1 - limit) / trials), abs=1e-6)


def test_by_hand() -> None:
    """Good 3 and 5, bad 2 and 4: wins 1, 0, 1, 1; shares over 1/2 and 1, under 1 and 1/2; both deviations are 0."""
    made = found([(3, 2), (5, 4)])
    assert made.area == 0.75
    # No variance: two comparisons a pair, so Wilson for 0.75 in 4 trials.
    middle, half = (0.75 + Z**2 / 8) / (1 + Z**2 / 4), Z * math.sqrt(0.1875 / 4 + Z**2 / 64) / (1 + Z**2 / 4)
    assert (made.low, made.high) == (pytest.approx(middle - half), pytest.approx(middle + half))


def test_a_judge_without_a_mistake_is_not_taken_to_be_perfect_and_more_pairs_say_more() -> None:
    few, many = found([(5, 1)] * 10), found([(5, 1)] * 100)
    assert few.area == few.high == many.high == 1.0
    assert 0.80 < few.low < 0.90 < many.low < 1.0


def test_a_judge_that_says_the_same_of_all_is_worth_nothing() -> None:
    same = found([(3, 3)] * 40)
    assert same.area == 0.5
    assert same.low < 0.45 < 0.55 < same.high


def test_a_judge_that_takes_bad_for_good_is_found_out() -> None:
    assert found([(1, 5)] * 40).high < 0.1


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(5)
    good, bad = (1, 2, 3, 4, 4, 5, 5, 5), (1, 1, 2, 2, 3, 3, 4, 5)
    truth = fmean(better(one, other) for one, other in product(good, bad))
    held = sum(
        made.low <= truth <= made.high
        for made in (found([(rng.choice(good), rng.choice(bad)) for _ in range(40)]) for _ in range(1000))
    )
    assert 935 <= held <= 975


def test_one_pair_or_none_says_nothing() -> None:
    assert separation([]) is None
    assert separation([Scored(5, 1)]) is None
