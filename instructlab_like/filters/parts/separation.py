"""How well a judge's scores tell good samples from bad ones: the area under the ROC curve, with its interval."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from instructlab_like.records import Record

Z = 1.959963984540054  # 95 % of a normal distribution lies within so many deviations of its middle
MOST_PER_PAIR = 2.0  # comparisons that a pair is worth at most: the limit of Hanley and McNeil (1982) near 1


class Scored(NamedTuple):
    """What a judge said of a good sample and of a bad one made from it."""

    good: float
    bad: float


class Separation(Record):
    """`area`: the chance that a good sample is scored above a bad one, where a tie counts one half."""

    area: float
    low: float  # 95 %
    high: float
    pairs: int


def separation(pairs: Sequence[Scored]) -> Separation | None:
    """Over all good and bad samples of the pairs; None for fewer than two.

    The variance is DeLong's (1988), over pairs as Obuchowski (1997) has it for clusters, since a bad sample is like the
    good one that it was made from: V = sum((g_i + b_i - 2A)²) / (n (n-1)), where g_i is the share of bad samples
    below the good one of pair i, and b_i the share of good samples above its bad one. The interval is Wilson's for as
    many comparisons as have that variance, at most two a pair: no judge is perfect because it made no mistake in forty.
    """
    count = len(pairs)
    if count < 2:
        return None
    good, bad = sorted(pair.good for pair in pairs), sorted(pair.bad for pair in pairs)
    over = [(bisect_left(bad, pair.good) + bisect_right(bad, pair.good)) / (2 * count) for pair in pairs]
    under = [1 - (bisect_left(good, pair.bad) + bisect_right(good, pair.bad)) / (2 * count) for pair in pairs]
    area = fmean(over)
    variance = sum((g + b - 2 * area) ** 2 for g, b in zip(over, under, strict=True)) / (count * (count - 1))
    most = MOST_PER_PAIR * count
    worth = min(most, area * (1 - area) / variance) if variance > 0 else most
    low, high = wilson(area, worth)
    return Separation(area=area, low=low, high=high, pairs=count)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's (1927) interval of a share that was found in so many trials."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)
