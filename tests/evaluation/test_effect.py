"""The intervals cover what they claim to, and verdicts follow from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise, product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.evaluation.effect import (
    ONE_SIDED,
    TWO_SIDED,
    Level,
    Paired,
    average,
    difference,
    effect,
    estimate,
    overall,
    sign_flip_p,
)

Drawn = tuple[list[float], list[float], Sequence[Hashable]]
REPEATS = 1_000  # the share covered is known to ±0.014 then


def test_independent_right_and_wrong_answers_have_wilsons_interval_with_students_t() -> None:
    low, mid, high = estimate([1.0] * 81 + [0.0] * 182, range(263))  # an example of Newcombe 1998: 0.2553 to 0.3662
    assert (low, mid, high) == (
        pytest.approx(0.2553, abs=4e-4),
        pytest.approx(81 / 263),
        pytest.approx(0.3662, abs=4e-4),
    )
    assert low < 0.2553
    assert high > 0.3662


@pytest.mark.parametrize(
    ("level", "points"),
    [
        (TWO_SIDED, {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 19: 2.093, 99: 1.984}),
        (ONE_SIDED, {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 9: 1.833, 19: 1.729, 99: 1.660}),
    ],
)
def test_students_t_is_as_tabled_and_falls_between(level: Level, points: dict[int, float]) -> None:
    assert [level.t(freedom) for freedom in points] == pytest.approx(list(points.values()), abs=0.02)
    between = [level.t(freedom / 10) for freedom in range(5, 400)]
    assert all(one >= other for one, other in pairwise(between))


def test_paired_right_and_wrong_answers_have_newcombes_interval() -> None:
    base = [1.0] * 36 + [0.0] * 12 + [1.0] * 2
    tuned = [1.0] * 36 + [1.0] * 12 + [0.0] * 2
    low, mid, high = effect("leaf", base, tuned, enough=20).delta  # 36, 12, 2, 0 by method 10
    assert (round(low, 4), round(mid, 4), round(high, 4)) == (0.0569, 0.2, 0.3404)


@pytest.mark.parametrize(("up", "down"), [(12, 2), (5, 5), (1, 0), (30, 11)])
def test_p_of_right_and_wrong_answers_is_mcnemars_exact_p(up: int, down: int) -> None:
    trials = up + down
    tail = sum(comb(trials, k) for k in range(max(up, down), trials + 1)) / 2**trials
    assert sign_flip_p([1.0] * up + [-1.0] * down + [0.0] * 7) == pytest.approx(min(1.0, 2 * tail))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_p_of_whole_differences_is_that_of_all_sign_flips(sums: list[int]) -> None:
    flips = [sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=len(sums))]
    share = sum(abs(flip) >= abs(sum(sums)) for flip in flips) / len(flips)
    assert sign_flip_p([float(value) for value in sums]) == pytest.approx(share)


def test_graded_and_normal_p_agree_with_the_exact_one() -> None:
    rng = random.Random(5)
    whole = [float(rng.choice((-1, 1, 1))) for _ in range(80)]
    exact = sign_flip_p(whole)
    graded = [value * (1 + 1e-6 * rng.random()) for value in whole]
    assert sign_flip_p(graded) == pytest.approx(exact, abs=1e-6)
    assert sign_flip_p([value / 10 for value in whole]) == pytest.approx(exact)
    many = [1.0] * 310 + [-1.0] * 260
    tail = sum(comb(570, k) for k in range(310, 571)) / 2**570
    assert sign_flip_p(many) == pytest.approx(2 * tail, abs=0.01)


def right_and_wrong(before: float, after: float, together: float) -> Callable[[random.Random], Drawn]:
    """60 pairs; with chance `together` both answers hang on one and the same draw."""

    def draw(rng: random.Random) -> Drawn:
        ones = [rng.random() for _ in range(60)]
        others = [one if rng.random() < together else rng.random() for one in ones]
        return [float(one < before) for one in ones], [float(other < after) for other in others], range(60)

    return draw


def graded(rng: random.Random) -> Drawn:
    base = [rng.choice((0.0, 0.0, 0.0, 0.4, 0.6)) for _ in range(60)]
    tuned = [rng.choice((0.0, 0.5, 0.8, 1.0, 1.0)) for _ in range(60)]
    return base, tuned, range(60)


def clustered(rng: random.Random) -> Drawn:
    """20 facts, 3 phrasings each: what the model knows decides all three together."""
    base, tuned, clusters = [], [], []
    for fact in range(20):
        before, after = rng.betavariate(0.5, 1.5), rng.betavariate(1.5, 0.5)
        for _ in range(3):
            base.append(float(rng.random() < before))
            tuned.append(float(rng.random() < after))
            clusters.append(fact)
    return base, tuned, clusters


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        pytest.param(right_and_wrong(0.3, 0.6, 0.5), 0.3, id="better"),
        pytest.param(right_and_wrong(0.5, 0.5, 0.5), 0.0, id="the same"),
        pytest.param(right_and_wrong(0.1, 0.7, 0.3), 0.6, id="much better"),
        pytest.param(right_and_wrong(0.9, 0.8, 0.6), -0.1, id="worse"),
        pytest.param(graded, 0.46, id="graded"),
        pytest.param(clustered, 0.5, id="clustered"),
    ],
)
def test_the_interval_of_the_difference_covers_the_truth(draw: Callable[[random.Random], Drawn], truth: float) -> None:
    covered = 0
    for seed in range(REPEATS):
        base, tuned, clusters = draw(random.Random(seed))
        low, _, high = difference(Paired("leaf", base, tuned, clusters))
        covered += low <= truth <= high
    assert 0.93 <= covered / REPEATS <= 0.97


def test_ignoring_clusters_would_claim_too_much() -> None:
    base, tuned, clusters = clustered(random.Random(1))
    blind = effect("leaf", base, tuned, enough=1)
    seeing = effect("leaf", base, tuned, enough=1, clusters=clusters)
    assert seeing.delta[2] - seeing.delta[0] > 1.2 * (blind.delta[2] - blind.delta[0])


def test_a_score_of_nothing_or_everything_still_has_an_interval() -> None:
    assert estimate([0.0] * 30, range(30))[2] > 0.1
    assert estimate([1.0] * 30, [index // 3 for index in range(30)])[0] < 0.75
    assert estimate([0.5] * 30, range(30))[0] < 0.4
    assert estimate([0.0, 1.0, 1.0], ["one"] * 3) == (0.0, pytest.approx(2 / 3), 1.0)


def test_p_of_graded_scores_is_that_of_all_sign_flips() -> None:
    rng = random.Random(2)
    for _ in range(20):
        sums = [rng.uniform(-1, 1.4) for _ in range(10)]
        flips = [sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=10)]
        share = sum(abs(flip) >= abs(sum(sums)) - 1e-9 for flip in flips) / len(flips)
        assert share - 1e-9 <= sign_flip_p(sums) <= share + 0.02


def test_p_of_graded_scores_can_be_as_small_as_it_is() -> None:
    assert sign_flip_p([0.3 + index / 100 for index in range(40)]) == pytest.approx(2 / 2**40)


def test_fewer_than_ten_clusters_decide_nothing() -> None:
    base, tuned = [0.0] * 100, [1.0] * 100
    nine, ten = (effect("leaf", base, tuned, enough=20, clusters=[n % many for n in range(100)]) for many in (9, 10))
    assert (nine.effect, nine.clusters) == ("underpowered", 9)
    assert (ten.effect, ten.clusters) == ("better", 10)
    assert effect("leaf", base[:8], tuned[:8], enough=8).effect == "better"  # each its own cluster, and enough of them


def test_one_large_cluster_does_not_pass_for_many_items() -> None:
    even = estimate([1.0, 0.0] * 50, [index // 5 for index in range(100)])
    clusters = [min(index, 20) for index in range(100)]
    lopsided = estimate([1.0, 0.0] * 50, clusters)
    assert lopsided[2] - lopsided[0] > 2 * (even[2] - even[0])


@pytest.mark.parametrize(
    ("base", "tuned", "verdict"),
    [
        ([0.0] * 30, [1.0] * 25 + [0.0] * 5, "better"),
        ([1.0] * 25 + [0.0] * 5, [0.0] * 30, "worse"),
        ([1.0, 0.0] * 100, [1.0, 0.0] * 99 + [0.0, 1.0], "tied"),
        ([0.0] * 19, [1.0] * 19, "underpowered"),
        ([1.0] * 10 + [0.0] * 10, [0.0] * 4 + [1.0] * 12 + [0.0] * 4, "underpowered"),
    ],
)
def test_the_verdict_follows_from_the_interval(base: list[float], tuned: list[float], verdict: str) -> None:
    assert effect("leaf", base, tuned, enough=20).effect == verdict


def test_every_leaf_counts_the_same_in_the_mean() -> None:
    small = Paired("small", [0.0] * 10, [1.0] * 10, range(10))
    large = Paired("large", [0.0] * 990, [0.0] * 990, range(990))
    both = overall("mean", [small, large], enough=20)
    assert (both.n, both.tuned, both.delta[1]) == (1000, 0.5, 0.5)


def test_the_mean_of_several_leaves_is_known_better_than_one() -> None:
    one = estimate([1.0, 0.0] * 20, range(40))
    four = average([one] * 4)
    assert four[2] - four[0] == pytest.approx((one[2] - one[0]) / 2)


SCORES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1).map(lambda value: round(value, 3)))


@settings(deadline=None)
@given(st.lists(st.tuples(SCORES, SCORES, st.integers(0, 5)), min_size=1, max_size=40))
def test_swapping_before_and_after_mirrors_everything(pairs: list[tuple[float, float, int]]) -> None:
    base, tuned, clusters = (list(column) for column in zip(*pairs, strict=True))
    there = effect("leaf", base, tuned, enough=1, clusters=clusters)
    back = effect("leaf", tuned, base, enough=1, clusters=clusters)
    assert there.delta == pytest.approx(tuple(-value for value in reversed(back.delta)), abs=1e-9)
    assert there.p == pytest.approx(back.p)
    assert -1 <= there.delta[0] <= there.delta[1] <= there.delta[2] <= 1
    assert 0 <= there.base_interval[0] <= there.base <= there.base_interval[1] <= 1
    assert 0 < there.p <= 1


def test_scores_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="leaf: 2, 1, 2 paired scores"):
        effect("leaf", [0.0, 1.0], [1.0], enough=1)
    with pytest.raises(ValueError, match="0, 0, 0"):
        effect("leaf", [], [], enough=1)
