"""Whether intervals and verdicts of `ilk evaluate` hold what they say: coverage, power and false alarms, simulated."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import erf, sqrt
from statistics import NormalDist, fmean

from instructlab_like.evaluation.discovery import controlled
from instructlab_like.evaluation.effect import Paired, difference, estimate, overall
from instructlab_like.evaluation.inferiority import kept_rows
from instructlab_like.records import Effect

NORMAL = NormalDist()
REPEATS = int(os.environ.get("ILK_SIMULATIONS", "1000"))  # draws of a cell; a share of 0.95 is known to ±0.014 then
FLOOR = 0.93  # what an interval of 95 % has to cover in every cell
ENOUGH = 20
MARGIN = 0.05
FAMILY = 20  # leaves of a checkpoint


@dataclass(frozen=True)
class World:
    """How one leaf's scores come about: the true means, and how items hang together."""

    base: float
    tuned: float
    rho: float = 0.5  # of one item's latent ease before and after
    clusters: int = 60
    size: int = 1  # items a cluster, in the mean
    within: float = 0.0  # share of an item's latent ease that its whole cluster has in common
    graded: bool = False  # scores between 0 and 1, as F1 gives; else 0/1
    uneven: bool = False  # clusters of 1 up to twice the mean size less 1, in turns

    def sizes(self) -> list[int]:
        if not self.uneven:
            return [self.size] * self.clusters
        return [1 + (2 * self.size - 2) * (number % 2) for number in range(self.clusters)]


@dataclass(frozen=True)
class Covered:
    """The shares of draws whose intervals hold the true difference, and the true mean of the tuned."""

    world: World
    difference: float
    mean: float
    width: float  # of the difference's interval


MEANS = (
    *((0.02, 0.02), (0.02, 0.1), (0.02, 0.5), (0.1, 0.9), (0.3, 0.3)),
    *((0.5, 0.5), (0.5, 0.7), (0.9, 0.9), (0.98, 0.9), (0.98, 0.98)),
)
SHAPES = (
    *(World(0, 0, clusters=n) for n in (20, 50, 100, 400)),
    *(World(0, 0, clusters=10, size=size) for size in (2, 4, 10)),
    World(0, 0, clusters=20, size=5),
    World(0, 0, clusters=40, size=10),
    World(0, 0, clusters=10, size=4, uneven=True),
    World(0, 0, clusters=20, size=5, uneven=True),
)


def main() -> None:
    for part in (coverage_table, false_alarm_table, power_table, kept_table):
        for line in part():
            print(f"  {line}", flush=True)
        print(flush=True)


# --- worlds -----------------------------------------------------------------------------------------------------


def draw(world: World, rng: random.Random, leaf: str = "leaf") -> Paired:
    """Scores before and after of one leaf's items."""
    gauss, rho, rest = rng.gauss, world.rho, sqrt(1 - world.rho**2)
    common, own = sqrt(world.within), sqrt(1 - world.within)
    base, tuned, labels = [], [], []
    for number, size in enumerate(world.sizes()):
        before = gauss(0, 1)
        after = rho * before + rest * gauss(0, 1)
        for _ in range(size):
            ease = gauss(0, 1)
            later = rho * ease + rest * gauss(0, 1)
            base.append(common * before + own * ease)
            tuned.append(common * after + own * later)
            labels.append(number)
    scored = graded if world.graded else right_or_wrong
    return Paired(leaf, scored(base, world.base), scored(tuned, world.tuned), labels)


def right_or_wrong(ease: Sequence[float], mean: float) -> list[float]:
    bar = NORMAL.inv_cdf(mean)
    return [float(value < bar) for value in ease]


def graded(ease: Sequence[float], mean: float) -> list[float]:
    """Some all right, some all wrong, and a share evenly between, in tenths; of this mean."""
    between = min(mean, 1 - mean)
    right = mean - between / 2
    found = []
    for value in ease:
        rank = (1 + erf(value / sqrt(2))) / 2  # small: an easy item
        if rank < right:
            found.append(1.0)
        elif rank < right + between:
            found.append(0.9 - 0.1 * int(9 * (rank - right) / between))
        else:
            found.append(0.0)
    return found


# --- what is measured -------------------------------------------------------------------------------------------


def covered(world: World, repeats: int) -> Covered:
    """Coverage in one cell; where chance may have brought it below the floor, ten times as many draws decide."""
    found = _covered(world, range(repeats))
    if min(found.difference, found.mean) < FLOOR:
        return _covered(world, range(repeats, 11 * repeats))
    return found


def _covered(world: World, seeds: Sequence[int]) -> Covered:
    truth = world.tuned - world.base
    inside = held = 0
    width = 0.0
    for seed in seeds:
        pair = draw(world, random.Random(seed))
        low, _, high = difference(pair)
        inside += low <= truth <= high
        width += high - low
        low, _, high = estimate(pair.tuned, pair.clusters)
        held += low <= world.tuned <= high
    return Covered(world, inside / len(seeds), held / len(seeds), width / len(seeds))


def unpaired_better(pair: Paired) -> bool:
    """The verdict of a z test that does not know the items to be the same, with standard errors by cluster."""
    base, tuned = fmean(pair.base), fmean(pair.tuned)
    variance = _variance(pair.base, pair) + _variance(pair.tuned, pair)
    return tuned - base > 1.96 * sqrt(variance) > 0


def _variance(scores: Sequence[float], pair: Paired) -> float:
    mean = fmean(scores)
    sums: dict[object, float] = {}
    for value, cluster in zip(scores, pair.clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    return len(sums) / (len(sums) - 1) * sum(value * value for value in sums.values()) / len(scores) ** 2


def power(world: World, repeats: int) -> tuple[float, float]:
    """The shares of draws that the paired and the unpaired test call better."""
    drawn = [draw(world, random.Random(seed)) for seed in range(repeats)]
    paired = sum(overall(one.leaf, [one], enough=ENOUGH).effect == "better" for one in drawn)
    return paired / repeats, sum(map(unpaired_better, drawn)) / repeats


def families(worlds: Sequence[World], repeats: int) -> Iterator[tuple[list[Effect], tuple[Effect, ...]]]:
    """The leaves of as many checkpoints, each judged alone and then among the others."""
    for seed in range(repeats):
        rng = random.Random(seed)
        pairs = [draw(world, rng, f"leaf {number}") for number, world in enumerate(worlds)]
        alone = [overall(pair.leaf, [pair], enough=ENOUGH) for pair in pairs]
        yield alone, controlled(alone, enough=ENOUGH)


# --- tables -----------------------------------------------------------------------------------------------------


def coverage_table() -> Iterator[str]:
    yield f"coverage of 95 % intervals, {REPEATS} draws a cell (tenfold where below {FLOOR}); least of the cells, mean"
    yield f"{'items':<34} {'cells':>5} {'difference':>16} {'one mean':>16} {'width':>6}"
    for shape in SHAPES:
        found = [covered(world, REPEATS) for world in cells(shape)]
        items = sum(shape.sizes())
        name = f"{items}, each by itself" if shape.size == 1 else f"{items} in {shape.clusters} clusters"
        name += ", uneven" if shape.uneven else ""
        yield (
            f"{name:<34} {len(found):>5} {least([one.difference for one in found]):>16} "
            f"{least([one.mean for one in found]):>16} {fmean(one.width for one in found):>6.2f}"
        )


def cells(shape: World) -> Iterator[World]:
    together = (0.0,) if shape.size == 1 else (0.3, 0.8)
    for (base, tuned), rho, within, fine in product(MEANS, (0.0, 0.5, 0.9), together, (False, True)):
        yield replace(shape, base=base, tuned=tuned, rho=rho, within=within, graded=fine)


def least(shares: Sequence[float]) -> str:
    return f"{min(shares):.3f} ({fmean(shares):.3f})"


def false_alarm_table() -> Iterator[str]:
    repeats = max(20, REPEATS // 2)
    yield f"no true effect: {FAMILY} leaves, {repeats} times; leaves called better; families with any leaf called"
    yield f"{'leaves':<34} {'better alone':>13} {'better by q':>12} {'any alone':>10} {'any by q':>9}"
    for name, world in nothing_happened():
        found = list(families([world] * FAMILY, repeats))
        shares = [
            fmean(one.effect == "better" for alone, _ in found for one in alone),
            fmean(one.effect == "better" for _, judged in found for one in judged),
            fmean(any(one.effect in ("better", "worse") for one in alone) for alone, _ in found),
            fmean(any(one.effect in ("better", "worse") for one in judged) for _, judged in found),
        ]
        yield f"{name:<34} {shares[0]:>13.4f} {shares[1]:>12.4f} {shares[2]:>10.3f} {shares[3]:>9.3f}"


def nothing_happened() -> Iterator[tuple[str, World]]:
    yield "40 right or wrong, 0.5", World(0.5, 0.5, rho=0.5, clusters=40)
    yield "100 right or wrong, 0.9", World(0.9, 0.9, rho=0.5, clusters=100)
    yield "40 graded, 0.3", World(0.3, 0.3, rho=0.5, clusters=40, graded=True)
    yield "50 in 10 clusters, 0.5", World(0.5, 0.5, rho=0.3, clusters=10, size=5, within=0.6)
    yield "60 graded in 20 clusters, 0.4", World(0.4, 0.4, rho=0.3, clusters=20, size=3, within=0.6, graded=True)


def power_table() -> Iterator[str]:
    repeats = max(100, REPEATS // 2)
    yield f"power: share of leaves called better, paired | unpaired, {repeats} draws; base 0.4, 0/1 scores"
    changes = (0.05, 0.1, 0.2, 0.3)
    yield f"{'items':<10} {'rho':>4}" + "".join(f"{change:>+16.2f}" for change in changes)
    for clusters, rho in product((20, 50, 100, 200, 400), (0.5, 0.9)):
        found = [power(World(0.4, 0.4 + change, rho=rho, clusters=clusters), repeats) for change in changes]
        yield f"{clusters:<10} {rho:>4.1f}" + "".join(f"{paired:>9.2f} | {other:.2f}" for paired, other in found)


def kept_table() -> Iterator[str]:
    repeats = max(100, REPEATS // 2)
    yield f"what had to be kept, margin {MARGIN}: shares kept | lost of {repeats} draws; base 0.8, 0/1 scores, rho 0.9"
    drops = (0.0, 0.025, 0.05, 0.1, 0.2)
    yield f"{'items':<10}" + "".join(f"{-drop:>+15.3f}" for drop in drops)
    for clusters in (50, 100, 200, 400):
        shares = [kept(World(0.8, 0.8 - drop, rho=0.9, clusters=clusters), repeats) for drop in drops]
        yield f"{clusters:<10}" + "".join(f"{safe:>8.2f} | {lost:.2f}" for safe, lost in shares)


def kept(world: World, repeats: int) -> tuple[float, float]:
    """The shares of draws that are called kept and lost."""
    rows = [
        kept_rows([("leaf", [draw(world, random.Random(seed))])], margin=MARGIN, enough=ENOUGH)[0]
        for seed in range(repeats)
    ]
    return fmean(row.verdict == "kept" for row in rows), fmean(row.verdict == "lost" for row in rows)


if __name__ == "__main__":
    main()
