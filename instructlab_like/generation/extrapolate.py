"""From a few walks that were seen to their end to what all will take: totals with 95 % intervals. Pure.

Each walk is a vector of amounts. The walks seen are drawn by chance within their stratum, without replacement; what was
seen is known, so the interval is of the rest alone, and shrinks to nothing as the rest does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)
Amounts = Sequence[float]


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stratum:
    """`least` and `most` are the amounts of a walk of which nothing more, and of which everything, might have come."""

    left: int  # walks that were not seen
    seen: Sequence[Amounts]
    least: Amounts | None = None
    most: Amounts | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    mean: float
    shift: float  # of the interval's middle
    of_mean: float  # variance of the mean
    of_one: float  # variance of one more walk


def estimate(strata: Sequence[Stratum], weights: Amounts) -> Estimate:
    """The sum over all walks that were not seen of one amount, or of several, each times its weight.

    What a few walks did not show may still happen: a walk of which nothing came and one of which all came that could
    are counted in with those seen, as far as they widen the interval. The upper end is reckoned on a scale of ratios:
    amounts of tokens are skewed to the right.
    """
    value = middle = variance = 0.0
    freedom = 0
    for stratum in strata:
        if not stratum.left:
            continue
        found = moments(stratum, weights)
        value += stratum.left * found.mean
        middle += stratum.left * (found.mean + found.shift)
        variance += stratum.left**2 * found.of_mean + stratum.left * found.of_one
        freedom += len(stratum.seen) - 1
    half = quantile(max(1, freedom)) * sqrt(variance)
    high = middle * exp(half / middle) if 0 < half < middle else max(middle + half, half * exp(1))
    return Estimate(value, min(value, middle - half), max(value, high))


def moments(stratum: Stratum, weights: Amounts) -> Moments:
    """Raises ValueError for a stratum without a walk that was seen."""
    if not stratum.seen:
        raise ValueError("nothing was seen of this stratum")
    amounts = [weighted(seen, weights) for seen in stratum.seen]
    count = len(amounts)
    mean = sum(amounts) / count
    of_one = sum((amount - mean) ** 2 for amount in amounts) / max(1, count - 1)
    if stratum.least is None or stratum.most is None:
        return Moments(mean, 0.0, of_one / count, of_one)
    low, high = weighted(stratum.least, weights) - mean, weighted(stratum.most, weights) - mean
    unseen = (low**2 + high**2) / (count + 1)
    return Moments(mean, (low + high) / (count + 2), of_one / count + unseen / (count + 2), of_one + unseen)


def weighted(amounts: Amounts, weights: Amounts) -> float:
    return sum(amount * weight for amount, weight in zip(amounts, weights, strict=True) if weight)


def quantile(freedom: int) -> float:
    """Of Student's t at 0.975; within 0.5 % from 3 degrees of freedom on (Abramowitz and Stegun, 26.7.5)."""
    if freedom < 3:
        return (12.706, 4.303)[freedom - 1]
    cubic = (Z**3 + Z) / 4
    fifth = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    seventh = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + cubic / freedom + fifth / freedom**2 + seventh / freedom**3
