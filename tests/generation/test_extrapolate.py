"""From a sample to all: intervals hold what they say, also where few were seen and much is rare."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from instructlab_like.generation.extrapolate import Estimate, Stratum, estimate, quantile, weighted

Unit = tuple[float, float, float, float]  # calls and tokens of a first step, of a second
Draw = Callable[[random.Random], tuple[float, int]]  # tokens of the first answer, records that come of it
WORLDS = 200


def common(rng: random.Random) -> tuple[float, int]:
    return rng.lognormvariate(4.5, 0.5), 3 if rng.random() > 0.05 else rng.choice([0, 1, 2])


def skewed(rng: random.Random) -> tuple[float, int]:
    return rng.lognormvariate(4.5, 0.8), rng.choice([1, 2, 3])


def seldom_failing(rng: random.Random) -> tuple[float, int]:
    return rng.uniform(20, 400), 0 if rng.random() < 0.03 else 3


def seldom_succeeding(rng: random.Random) -> tuple[float, int]:
    return rng.uniform(20, 400), 3 if rng.random() < 0.08 else 0


def unit(rng: random.Random, draw: Draw) -> Unit:
    tokens, records = draw(rng)
    return 1.0, tokens, records, sum(rng.lognormvariate(3, 0.4) for _ in range(records))


def stratum(left: int, seen: list[Unit]) -> Stratum:
    means = [sum(column) / len(seen) for column in zip(*seen, strict=True)]
    each = means[3] / means[2] if means[2] else 20.0
    return Stratum(left, seen, (means[0], means[1], 0, 0), (means[0], means[1], 3, 3 * each))


@pytest.mark.parametrize("draw", [common, skewed, seldom_failing, seldom_succeeding])
@pytest.mark.parametrize("size", [30, 200, 2500])
def test_nine_of_ten_totals_lie_inside_whatever_the_answers_are_like(draw: Draw, size: int) -> None:
    inside = [0, 0, 0]
    for world in range(WORLDS):
        rng = random.Random(f"{draw.__name__} {size} {world}")
        units = [unit(rng, draw) for _ in range(size)]
        count = max(20, size // 100)
        seen, rest = units[:count], units[count:]
        for place, weights in enumerate([(0, 0, 1, 0), (0, 1, 0, 1), (1, 0, 1, 0)]):
            found = estimate([stratum(len(rest), seen)], weights)
            inside[place] += found.low <= sum(weighted(one, weights) for one in rest) <= found.high
    assert min(inside) >= 0.9 * WORLDS


def test_an_interval_is_of_the_rest_alone_and_gone_with_it() -> None:
    rng = random.Random(1)
    seen = [unit(rng, common) for _ in range(40)]
    widths = []
    for left in (4000, 400, 40, 0):
        found = estimate([stratum(left, seen)], (0, 1, 0, 1))
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0
    assert estimate([stratum(0, seen)], (0, 1, 0, 1)) == Estimate(0.0, 0.0, 0.0)


def test_what_is_the_same_everywhere_is_known() -> None:
    assert estimate([Stratum(100, [(2.0,)] * 20)], (1.0,)) == Estimate(200.0, 200.0, 200.0)


def test_what_no_walk_showed_may_still_happen() -> None:
    """Of twenty walks with three records each: that some others have fewer lies inside, and the value is not moved."""
    found = estimate([stratum(100, [(1.0, 50.0, 3.0, 60.0)] * 20)], (0, 0, 1, 0))
    assert found.value == 300
    assert 220 < found.low < 280
    assert found.high >= 300


def test_strata_add_up_and_one_that_is_known_adds_no_doubt() -> None:
    known = Stratum(50, [(3.0,)] * 10)
    other = Stratum(50, [(1.0,), (3.0,), (1.0,), (3.0,), (2.0,), (2.0,)])
    both, alone = estimate([known, other], (1.0,)), estimate([other], (1.0,))
    assert both.value == alone.value + 150
    assert alone.high - alone.low >= both.value - both.low > 0


def test_fewer_walks_mean_more_doubt() -> None:
    rng = random.Random(2)
    units = [(rng.uniform(0, 10),) for _ in range(80)]
    widths = [(found := estimate([Stratum(1000, units[:count])], (1.0,))).high - found.low for count in (5, 20, 80)]
    assert widths == sorted(widths, reverse=True)


def test_nothing_seen_is_no_ground_for_a_figure() -> None:
    with pytest.raises(ValueError, match="nothing was seen"):
        estimate([Stratum(5, [])], (1.0,))


@pytest.mark.parametrize(
    ("freedom", "table"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (19, 2.093), (120, 1.980)]
)
def test_the_quantile_is_students(freedom: int, table: float) -> None:
    assert quantile(freedom) == pytest.approx(table, rel=0.008)
