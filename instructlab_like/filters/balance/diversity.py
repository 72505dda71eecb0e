"""Chooses, at a budget, the samples that stand best for all of them, and compares the choice with chance."""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from statistics import fmean, stdev
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts import vectors
from instructlab_like.filters.parts.vectors import Similarity
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

TOGETHER = 4096  # samples among which is chosen: their similarities take 16 MB
DRAWS = 20  # random selections to compare with
FULL = 255  # the similarity of a sample to itself


@dataclass(frozen=True)
class Comparison:
    """How well a selection stands for all samples, and how well random ones of the same size do: 0 to 1."""

    chosen: int
    of: int
    selected: float  # mean over all samples of the similarity to the nearest chosen one
    random: float  # mean of the same over the draws
    deviation: float
    draws: int = DRAWS

    def __str__(self) -> str:
        return (
            f"{self.chosen:,} of {self.of:,} chosen: a sample's similarity to the nearest chosen one is "
            f"{self.selected:.4f} on average, with {self.draws} random selections of that size "
            f"{self.random:.4f} ± {self.deviation:.4f}"
        )


class Diversity(SetFilter):
    """Rejects what is left over when those samples are chosen that stand best for all, as `budget` or `share` say.

    Facility location: the sum over all samples of the similarity to the nearest chosen one is as large as choosing one
    by one can make it. Similarity is that of the words of question and answer, rare ones weighing most. Each leaf gives
    its share of the budget, unless `within_leaf` is off. Up to 4,096 samples are chosen from together; a larger leaf
    is cut into parts of that size by lot (of the seed and the ids), each of which gives its share, so time grows with
    the number of samples and memory does not.

    Nothing is rejected without `budget` or `share`. What it cannot know: whether a sample is right, hard or useful; a
    selection that stands well for bad samples is a bad one, so it comes after all other filters. The choice is compared
    with 20 random ones of the same size. Score: the similarity to the nearest chosen sample, the partner.
    """

    version: ClassVar[int] = 1

    budget: Annotated[int, Field(ge=0)] = 0
    """Samples to choose; 0: as many as `share` says."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of all samples, to choose."""
    within_leaf: bool = True
    """Choose in each leaf its part of the budget, rather than from all samples."""

    def sketch(self, sample: Sample) -> bytes:
        return vectors.sketch(sample)

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        wanted = self.wanted(len(pool))
        if wanted >= len(pool):
            return
        told: list[tuple[int, Judgement]] = []
        for places, count in self.parts(pool, around.seed, wanted):
            alike = vectors.similarities([pool.sketch(place) for place in places])
            told += left_out(pool, places, alike, select(alike, count))
        yield from sorted(told, key=lambda one: one[0])

    def wanted(self, size: int) -> int:
        return min(size, self.budget or round(self.share * size))

    def parts(self, pool: Pool, seed: int, wanted: int) -> Iterator[tuple[list[int], int]]:
        """The places among which is chosen together, in order, and how many."""
        groups = list(vectors.by_leaf(pool).values()) if self.within_leaf else [list(range(len(pool)))]
        parts = [part for group in groups for part in cut(pool, group, seed)]
        yield from zip(parts, divided(wanted, [len(part) for part in parts]), strict=True)

    def report(self, pool: Pool, left_out: Collection[int], around: Surroundings) -> Comparison | None:
        """The choice that leaves those places out, compared with random ones; None where none was left out."""
        gone = frozenset(left_out)
        if not gone:
            return None
        selected, drawn = 0, [0] * DRAWS
        for places, _ in self.parts(pool, around.seed, self.wanted(len(pool))):
            alike = vectors.similarities([pool.sketch(place) for place in places])
            chosen = [number for number, place in enumerate(places) if place not in gone]
            selected += covered(alike, chosen)
            for draw in range(DRAWS):
                lot = random.Random(f"{around.seed} {draw} {places[0]}")
                drawn[draw] += covered(alike, lot.sample(range(len(places)), len(chosen)))
        whole = FULL * len(pool)
        shares = [value / whole for value in drawn]
        return Comparison(len(pool) - len(gone), len(pool), selected / whole, fmean(shares), stdev(shares))

    def remarks(self, pool: Pool, gone: Sequence[int], around: Surroundings, /) -> tuple[str, ...]:
        """What the report of a run says of this filter's work."""
        compared = self.report(pool, gone, around)
        return () if compared is None else (f"diversity: {compared}",)


def cut(pool: Pool, places: Sequence[int], seed: int) -> list[list[int]]:
    """The places in parts of nearly one size that can be compared at once, each in order; by lot."""
    count = -(-len(places) // TOGETHER)
    if count <= 1:
        return [list(places)]
    salt = seed.to_bytes(16, "big", signed=True)
    drawn = sorted(places, key=lambda place: blake2b(pool.key(place), key=salt, digest_size=16).digest())
    return [sorted(drawn[number::count]) for number in range(count)]


def left_out(
    pool: Pool, places: Sequence[int], alike: Similarity, chosen: Sequence[int]
) -> Iterator[tuple[int, Judgement]]:
    """Those that are not chosen, each with the nearest one that is."""
    reason = f"not among the {len(chosen):,} that stand for {len(places):,}"
    names = [pool.sample(places[number]).id for number in chosen]
    for number in sorted(set(range(len(places))) - set(chosen)):
        likeness = alike[number, list(chosen)]
        nearest = int(likeness.argmax()) if names else None
        score = 0.0 if nearest is None else round(int(likeness[nearest]) / FULL, 4)
        partner = None if nearest is None else names[nearest]
        yield places[number], rejected("left-out", reason, score=score, partner=partner)


def divided(whole: int, sizes: Sequence[int]) -> list[int]:
    """A number divided in proportion to sizes; what is over goes to the largest remainders."""
    total = sum(sizes)
    parts = [whole * size // total for size in sizes]
    order = sorted(range(len(sizes)), key=lambda number: (-(whole * sizes[number] % total), number))
    for number in order[: whole - sum(parts)]:
        parts[number] += 1
    return parts


def select(alike: Similarity, count: int) -> list[int]:
    """The lazy greedy choice: each adds most, of equal ones the first; as good as looking at all each time."""
    best = np.zeros(len(alike), np.uint8)
    reached = 0
    heap = [(-int(gain), number) for number, gain in enumerate(alike.sum(axis=1, dtype=np.int64))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < count:
        _, number = heapq.heappop(heap)
        with_it = np.maximum(alike[number], best)
        gained = int(with_it.sum(dtype=np.int64)) - reached
        if heap and (-gained, number) > heap[0]:
            heapq.heappush(heap, (-gained, number))
            continue
        chosen.append(number)
        best, reached = with_it, reached + gained
    return sorted(chosen)


def covered(alike: Similarity, chosen: Sequence[int]) -> int:
    """The sum over all of the similarity to the nearest chosen one."""
    return int(alike[list(chosen)].max(axis=0).sum(dtype=np.int64)) if chosen else 0
