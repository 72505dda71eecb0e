"""What training changed, and how sure that is. Pure statistics over paired scores; all intervals are 95 %.

One method serves every kind of score. A mean has Wilson's interval (1927) at its effective number of items: the
number itself for independent 0/1 scores, fewer where items come in clusters, more where scores are graded. Differences
and means over leaves are put together from such intervals and their correlation (MOVER: Zou & Donner 2008), which for
independent 0/1 pairs is Newcombe's method 10 for paired proportions (1998). So a base that answers nothing right still
has an honest interval, where a bootstrap over its zeros would have none. p comes from flipping the signs of clusters;
for 0/1 pairs that is McNemar's exact test. benchmarks/intervals.py measures what all this covers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, erfc, sqrt
from statistics import fmean
from typing import Literal

from instructlab_like.records import Effect

ALPHA = 0.05
FEWEST_CLUSTERS = 10  # below this the intervals of clustered scores cover too little, or say nothing
TIE = 0.15  # a tie is claimed only where the whole interval of the difference is smaller than this
GRID = 2_000
RARE = {1: 0.0513, 2: 0.3554, 3: 0.8177}  # 5 % points of a Poisson's mean of which so many were seen
MANY = 500  # above this many clusters the sum of flips is normal for all purposes

Triple = tuple[float, float, float]  # low, mid, high
Verdict = Literal["better", "worse", "tied", "underpowered"]


@dataclass(frozen=True)
class Level:
    """How sure an interval is: the upper point of the normal, and of Student's t at 1 to 4 degrees of freedom."""

    z: float
    few: tuple[float, float, float, float]

    def t(self, freedom: float) -> float:
        """Student's t: between its few by 1/freedom, above them by its expansion in z, good to 0.02."""
        if freedom < len(self.few):
            below = max(1, int(freedom))
            share = (1 / below - 1 / max(1.0, freedom)) * below * (below + 1)
            return self.few[below - 1] + share * (self.few[below] - self.few[below - 1])
        z = self.z
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + first / freedom + second / freedom**2 + third / freedom**3


TWO_SIDED = Level(1.959964, (12.7062, 4.3027, 3.1824, 2.7764))  # 95 % between both ends
ONE_SIDED = Level(1.644854, (6.3138, 2.9200, 2.3534, 2.1318))  # 95 % above the lower end, and 95 % below the upper


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

    @property
    def count(self) -> int:
        """Of different clusters."""
        return len(set(self.clusters))


def effect(
    leaf: str, base: Sequence[float], tuned: Sequence[float], *, enough: int, clusters: Sequence[Hashable] | None = None
) -> Effect:
    """Compare the same items before and after; without `clusters` every item stands for itself.

    better, worse: the interval of the difference excludes 0 and p < 0.05; of a family of leaves q < 0.05 besides, see
    discovery. tied: undecided, and the interval lies within ±0.15. underpowered: fewer items than `enough`, fewer
    than ten clusters of several items, or undecided and the difference may well be larger than that.
    """
    return overall(leaf, [Paired(leaf, base, tuned, clusters or range(len(base)))], enough=enough)


def overall(name: str, groups: Sequence[Paired], *, enough: int) -> Effect:
    """The effect on the mean over leaves, each leaf counting the same however many items it has."""
    base = average([estimate(group.base, group.clusters) for group in groups])
    tuned = average([estimate(group.tuned, group.clusters) for group in groups])
    delta = average([difference(group) for group in groups])
    found = Effect(
        leaf=name,
        n=sum(len(group.base) for group in groups),
        clusters=sum(group.count for group in groups),
        base=base[1],
        base_interval=(base[0], base[2]),
        tuned=tuned[1],
        tuned_interval=(tuned[0], tuned[2]),
        delta=delta,
        p=paired_p(groups),
        effect="underpowered",
    )
    if not powered(found.n, found.clusters, enough):
        return found
    return found.model_copy(update={"effect": verdict(found, sure=found.p < ALPHA)})


def powered(items: int, clusters: int, enough: int) -> bool:
    """Whether there is enough to call anything: `enough` items, and ten clusters unless every item is its own."""
    return items >= enough and (clusters >= FEWEST_CLUSTERS or clusters == items)


def verdict(effect: Effect, *, sure: bool) -> Verdict:
    """The word for an effect on enough items; `sure`: its p, or q among others, says that there is a difference."""
    low, _, high = effect.delta
    if sure and low > 0:
        return "better"
    if sure and high < 0:
        return "worse"
    return "tied" if low >= -TIE and high <= TIE else "underpowered"


def estimate(scores: Sequence[float], clusters: Sequence[Hashable]) -> Triple:
    """The mean of scores in 0..1 with its interval.

    Wilson's own covers as little as 0.90 at a few sizes and means of independent 0/1 scores. With Student's t, and with
    the Poisson's ends up to three away from all or nothing (Brown, Cai & DasGupta 2001), it covers 0.93 at all of them.
    """
    low, mean, high = _interval(scores, clusters, TWO_SIDED)
    count = len(scores)
    if len(set(clusters)) == count > 1 and all(value in (0.0, 1.0) for value in scores):
        right = round(mean * count)
        low, _, high = _wilson(mean, count, TWO_SIDED.t(count - 1))
        low = min(low, RARE.get(right, count) / count)
        high = max(high, 1 - RARE.get(count - right, count) / count)
    return low, mean, high


def difference(group: Paired, level: Level = TWO_SIDED) -> Triple:
    """tuned - base with its interval, from both means' intervals and how far the two rise and fall together."""
    base_low, base, base_high = _interval(group.base, group.clusters, level)
    tuned_low, tuned, tuned_high = _interval(group.tuned, group.clusters, level)
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

    Exact for whole numbers. Graded scores are rounded to 2,000 steps of their sum, and what may be off by that counts
    as reached. Above 500 clusters the normal limit.
    """
    moved = [abs(value) for value in sums if abs(value) > 1e-12]
    total = abs(sum(sums))
    if not moved:
        return 1.0
    if len(moved) > MANY:
        return erfc(total / sqrt(2 * sum(value * value for value in moved)))
    whole = all(value.is_integer() for value in moved)
    step = 1.0 if whole else sum(moved) / GRID
    steps = [round(value / step) for value in moved]
    chances = [1.0]  # of the sum of those that keep their sign
    for size in steps:
        rest = [0.0] * size
        chances = [(lost + kept) / 2 for lost, kept in zip(chances + rest, rest + chances, strict=True)]
    reached = total / step - (0 if whole else sqrt(len(moved)))
    return min(1.0, 2 * sum(chances[max(0, ceil((sum(steps) + reached) / 2 - 1e-9)) :]))


def paired_p(groups: Sequence[Paired]) -> float:
    """Two-sided p of no difference in the mean over leaves, by flipping the signs of clusters."""
    even = len({len(group.base) for group in groups}) == 1  # then whole differences may stay whole numbers
    sums: dict[Hashable, float] = {}
    for number, group in enumerate(groups):
        for base, tuned, cluster in zip(group.base, group.tuned, group.clusters, strict=True):
            moved = (tuned - base) / (1 if even else len(group.base))
            sums[number, cluster] = sums.get((number, cluster), 0.0) + moved
    return sign_flip_p(list(sums.values()))


def _residuals(scores: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Each cluster's summed distance from the mean; over clusters they add up to 0."""
    mean = fmean(scores)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(scores, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    return list(sums.values())


def _interval(scores: Sequence[float], clusters: Sequence[Hashable], level: Level) -> Triple:
    count, mean = len(scores), fmean(scores)
    binary = all(value in (0.0, 1.0) for value in scores)
    sums = _residuals(scores, clusters)
    if binary and len(sums) == count:
        return _wilson(mean, count, level.z)
    if len(sums) == 1:
        return 0.0, mean, 1.0  # one cluster shows nothing of how clusters differ
    alike = count**2 / sum(size * size for size in Counter(clusters).values())  # clusters, fewer where sizes differ
    widest = _wilson(mean, alike, level.t(alike - 1))  # as if each cluster were one right or wrong answer
    squares = sum(value * value for value in sums)
    if squares < 1e-12:
        return widest
    seen = squares / count**2
    # As with one more cluster of the worst kind: few clusters, of which perhaps three differ, prove no small spread.
    variance = max(seen * alike / (alike - 1), seen + mean * (1 - mean) / alike**2)
    # A graded score counts at most threefold, as a uniform one would.
    size = min(mean * (1 - mean) / variance, count if binary else 3 * count)
    low, _, high = _wilson(mean, size, level.t(_freedom(sums, alike)))
    return max(low, widest[0]), mean, min(high, widest[2])


def _freedom(sums: Sequence[float], alike: float) -> float:
    """How many clusters tell of the spread, less one: few where a few residuals make up all of it (Satterthwaite)."""
    squares = sum(value * value for value in sums)
    peaked = len(sums) * sum(value**4 for value in sums) / squares**2  # 1 where all residuals are of one size
    return min(alike - 1, 2 * len(sums) / (peaked - 1)) if peaked > 1 else alike - 1


def _wilson(mean: float, size: float, z: float) -> Triple:
    centre = (mean + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * sqrt(mean * (1 - mean) / size + z * z / (4 * size * size))
    return max(0.0, min(mean, centre - half)), mean, min(1.0, max(mean, centre + half))


def _correlation(group: Paired, base: float, tuned: float) -> float:
    """Of the clusters' residuals, drawn towards 0 by Newcombe's continuity correction when it is positive."""
    before, after = _residuals(group.base, group.clusters), _residuals(group.tuned, group.clusters)
    spread = sqrt(sum(value * value for value in before) * sum(value * value for value in after))
    if spread < 1e-12:
        return 0.0
    rho = sum(one * other for one, other in zip(before, after, strict=True)) / spread
    correction = 1 / (2 * len(before) * sqrt(base * (1 - base) * tuned * (1 - tuned)))
    return max(0.0, rho - correction) if rho > 0 else max(-1.0, rho)
