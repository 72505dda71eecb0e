"""What training changed, and how sure that is. Pure statistics over paired scores; all intervals are 95 %.

One method serves every kind of score. A mean has Wilson's interval (1927) at its effective number of items: the
number itself for independent 0/1 scores, fewer where items come in clusters, more where scores are graded. Differences
and means over leaves are put together from such intervals and their correlation (MOVER: Zou & Donner 2008), which for
independent 0/1 pairs is Newcombe's method 10 for paired proportions (1998). So a base that answers nothing right still
has an honest interval, where a bootstrap over its zeros would have none. p comes from flipping the signs of clusters;
for 0/1 pairs that is McNemar's exact test.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from statistics import fmean
from typing import Literal

from instructlab_like.records import Effect

Z = 1.959964
T_FEW = (12.7062, 4.3027, 3.1824, 2.7764)  # 97.5 % points of Student's t, 1 to 4 degrees of freedom
TIE = 0.15  # a tie is claimed only where the whole interval of the difference is smaller than this
FLIPS = 4_000
MANY = 500  # above this many clusters the sum of flips is normal for all purposes

Triple = tuple[float, float, float]  # low, mid, high


@dataclass(frozen=True)
class Paired:
    """The scores of one leaf's items, before and after, in one order; items of one cluster rise and fall together."""

    leaf: str
    base: Sequence[float]
    tuned: Sequence[float]
    clusters: Sequence[Hashable]

    def __post_init__(self) -> None:
        if not self.base or not len(self.base) == len(self.tuned) == len(self.clusters):
            raise ValueError(f"{self.leaf}: {len(self.base)}, {len(self.tuned)}, {len(self.clusters)} paired scores")


def effect(
    leaf: str, base: Sequence[float], tuned: Sequence[float], *, enough: int, clusters: Sequence[Hashable] | None = None
) -> Effect:
    """Compare the same items before and after; without `clusters` every item stands for itself.

    better, worse: the interval of the difference excludes 0 and p < 0.05. tied: undecided, and the interval lies
    within ±0.15. underpowered: fewer items than `enough`, or undecided and the difference may well be larger than that.
    """
    return overall(leaf, [Paired(leaf, base, tuned, clusters or range(len(base)))], enough=enough)


def overall(name: str, groups: Sequence[Paired], *, enough: int) -> Effect:
    """The effect on the mean over leaves, each leaf counting the same however many items it has."""
    base = average([estimate(group.base, group.clusters) for group in groups])
    tuned = average([estimate(group.tuned, group.clusters) for group in groups])
    delta = average([difference(group) for group in groups])
    size = sum(len(group.base) for group in groups)
    p = _p(groups)
    return Effect(
        leaf=name,
        n=size,
        base=base[1],
        base_interval=(base[0], base[2]),
        tuned=tuned[1],
        tuned_interval=(tuned[0], tuned[2]),
        delta=delta,
        p=p,
        effect=_verdict(size, delta, p, enough),
    )


def estimate(scores: Sequence[float], clusters: Sequence[Hashable]) -> Triple:
    """The mean of scores in 0..1 with its interval."""
    count, mean = len(scores), fmean(scores)
    binary = all(value in (0.0, 1.0) for value in scores)
    sums = _residuals(scores, clusters)
    if binary and len(sums) == count:
        return _wilson(mean, count, Z)
    if len(sums) == 1:
        return 0.0, mean, 1.0  # one cluster shows nothing of how clusters differ
    variance = len(sums) / (len(sums) - 1) * sum(value * value for value in sums) / count**2
    if variance < 1e-12:
        return _wilson(mean, len(sums), _t(len(sums) - 1))
    # A graded score counts at most threefold, as a uniform one would: few items cannot prove a smaller spread.
    size = min(mean * (1 - mean) / variance, count if binary else 3 * count)
    return _wilson(mean, size, _t(len(sums) - 1))


def difference(group: Paired) -> Triple:
    """tuned - base with its interval, from both means' intervals and how far the two rise and fall together."""
    base_low, base, base_high = estimate(group.base, group.clusters)
    tuned_low, tuned, tuned_high = estimate(group.tuned, group.clusters)
    rho = _correlation(group, base, tuned)
    below, above = tuned - tuned_low, base_high - base
    low = sqrt(max(0.0, below**2 - 2 * rho * below * above + above**2))
    below, above = tuned_high - tuned, base - base_low
    high = sqrt(max(0.0, below**2 - 2 * rho * below * above + above**2))
    mid = tuned - base
    return max(-1.0, mid - low), mid, min(1.0, mid + high)


def average(parts: Sequence[Triple]) -> Triple:
    """The mean of independent estimates with its interval."""
    mid = fmean(part[1] for part in parts)
    low = sqrt(sum((part[1] - part[0]) ** 2 for part in parts)) / len(parts)
    high = sqrt(sum((part[2] - part[1]) ** 2 for part in parts)) / len(parts)
    return mid - low, mid, mid + high


def sign_flip_p(sums: Sequence[float]) -> float:
    """Two-sided p of no difference: each cluster's summed difference might as well have had the other sign.

    Exact for whole numbers; graded scores by 4,000 drawn flips from a fixed seed; the normal limit above 500 clusters.
    """
    moved = [abs(value) for value in sums if abs(value) > 1e-12]
    total = abs(sum(sums))
    if not moved:
        return 1.0
    if len(moved) > MANY:
        return erfc(total / sqrt(2 * sum(value * value for value in moved)))
    if all(value.is_integer() for value in moved):
        chances = {0: 1.0}
        for step in map(int, moved):
            spread: dict[int, float] = {}
            for at, chance in chances.items():
                spread[at + step] = spread.get(at + step, 0.0) + chance / 2
                spread[at - step] = spread.get(at - step, 0.0) + chance / 2
            chances = spread
        return min(1.0, sum(chance for at, chance in chances.items() if abs(at) >= total))
    rng = random.Random(0)
    hits = 0
    for _ in range(FLIPS):
        signs = rng.getrandbits(len(moved))
        drawn = sum(value if signs >> bit & 1 else -value for bit, value in enumerate(moved))
        hits += abs(drawn) >= total - 1e-12
    return (1 + hits) / (1 + FLIPS)


def _residuals(scores: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Each cluster's summed distance from the mean; over clusters they add up to 0."""
    mean = fmean(scores)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(scores, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    return list(sums.values())


def _wilson(mean: float, size: float, z: float) -> Triple:
    centre = (mean + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * sqrt(mean * (1 - mean) / size + z * z / (4 * size * size))
    return max(0.0, min(mean, centre - half)), mean, min(1.0, max(mean, centre + half))


def _t(freedom: int) -> float:
    """The 97.5 % point of Student's t; above 4 degrees of freedom by its expansion in Z, good to 0.02."""
    if freedom <= len(T_FEW):
        return T_FEW[freedom - 1]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3


def _correlation(group: Paired, base: float, tuned: float) -> float:
    """Of the clusters' residuals, drawn towards 0 by Newcombe's continuity correction when it is positive."""
    before, after = _residuals(group.base, group.clusters), _residuals(group.tuned, group.clusters)
    spread = sqrt(sum(value * value for value in before) * sum(value * value for value in after))
    if spread < 1e-12:
        return 0.0
    rho = sum(one * other for one, other in zip(before, after, strict=True)) / spread
    correction = 1 / (2 * len(before) * sqrt(base * (1 - base) * tuned * (1 - tuned)))
    return max(0.0, rho - correction) if rho > 0 else max(-1.0, rho)


def _p(groups: Sequence[Paired]) -> float:
    even = len({len(group.base) for group in groups}) == 1  # then whole differences may stay whole numbers
    sums: dict[Hashable, float] = {}
    for number, group in enumerate(groups):
        for base, tuned, cluster in zip(group.base, group.tuned, group.clusters, strict=True):
            moved = (tuned - base) / (1 if even else len(group.base))
            sums[number, cluster] = sums.get((number, cluster), 0.0) + moved
    return sign_flip_p(list(sums.values()))


def _verdict(size: int, delta: Triple, p: float, enough: int) -> Literal["better", "worse", "tied", "underpowered"]:
    low, _, high = delta
    if size < enough:
        return "underpowered"
    if p < 0.05 and low > 0:
        return "better"
    if p < 0.05 and high < 0:
        return "worse"
    return "tied" if low >= -TIE and high <= TIE else "underpowered"
