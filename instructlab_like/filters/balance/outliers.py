"""Rejects samples that have nearly nothing in common with the rest of their leaf."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts import vectors
from instructlab_like.filters.parts.vectors import FEATURES, LENGTH, Counted
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

SUSPECTS = 512  # of a leaf, the least like its middle, that are looked at closely
TYPICAL = 512  # of a leaf, drawn by lot, that say what is usual
COMPARED = 16_384  # of a larger leaf, drawn by lot, that its samples are compared with
FLOOR = 0.005  # similarities below are all nothing
ALONE = 2  # samples, itself included, that have a word which is foreign to the leaf
NARROW = 0.1  # least deviation of the logarithm of similarities: a leaf of copies has none
TO_SIGMA = 1.4826  # a median absolute deviation as a standard deviation of a normal distribution


class Outliers(SetFilter):
    """Rejects a sample whose nearest neighbours in its leaf are far from it, compared with what is usual there.

    Compared are the words of question and answer (beginnings of words, numbers by their length, pairs of characters in
    scripts without spaces), weighted by their rarity in the leaf. What counts is the mean cosine to the `neighbours`
    nearest others, times the share of words that others have too: how many median absolute deviations its logarithm is
    below the leaf's median. A small group of samples on another subject is thus no outlier, and in a leaf whose samples
    have little in common none is. Besides, of the words that the leaf's others usually
    share, an outlier must lack half.

    Leaves of fewer than `least` samples are not judged. What it cannot know: whether an outlier is a mistake or the one
    sample on its subject; so the default is cautious. Score: that likeness; threshold: the least that passes.
    """

    version: ClassVar[int] = 1

    least: Annotated[int, Field(ge=8)] = 20
    """Samples of a leaf, below which it is not judged."""
    deviations: Annotated[float, Field(gt=0)] = 4.0
    """Median absolute deviations (as standard deviations) below the leaf's median that are too many."""
    neighbours: Annotated[int, Field(ge=1, le=50)] = 5
    """Nearest others that count."""

    def sketch(self, sample: Sample) -> bytes:
        return vectors.sketch(sample)

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        told = [
            found
            for places in vectors.by_leaf(pool).values()
            if len(places) >= self.least
            for found in self.of_leaf(pool, places, around.seed)
        ]
        yield from sorted(told, key=lambda one: one[0])

    def of_leaf(self, pool: Pool, places: Sequence[int], seed: int) -> Iterator[tuple[int, Judgement]]:
        middle = Middle(pool, places)
        lot = drawn(pool, places, seed)
        near = Neighbours(middle, Counted.of(map(pool.sketch, lot[:COMPARED])), lot[:COMPARED], self.neighbours)
        usual = logs([near.likeness(place) for place in lot[:TYPICAL]])
        median = float(np.median(usual))
        deviation = max(NARROW, TO_SIGMA * float(np.median(np.abs(usual - median))))
        threshold = float(np.exp(median - self.deviations * deviation)) - FLOOR
        if threshold <= 0:
            return
        own = float(np.median([middle.foreign(place) for place in lot[:TYPICAL]]))
        for place in middle.farthest(SUSPECTS):
            likeness, foreign = near.likeness(place), middle.foreign(place)
            if likeness < threshold and foreign >= (1 + own) / 2:
                reason = (
                    f"has nearly nothing in common with the {len(places) - 1:,} others of its leaf: {foreign:.0%} of "
                    f"its words are foreign there, and it is as like its nearest as {likeness:.3f}, where "
                    f"{np.exp(median) - FLOOR:.3f} is usual"
                )
                yield place, rejected("far-off", reason, score=round(likeness, 4), threshold=round(threshold, 4))


def drawn(pool: Pool, places: Sequence[int], seed: int) -> list[int]:
    """The places in an order that is drawn by lot, of the seed and each sample alone."""
    salt = seed.to_bytes(16, "big", signed=True)
    return sorted(places, key=lambda place: blake2b(pool.key(place), key=salt, digest_size=16).digest())


def logs(similarities: Sequence[float]) -> NDArray[np.float64]:
    return np.log(np.array(similarities) + FLOOR)


class Middle:
    """What the samples of a leaf have in common, and how much of it each has."""

    def __init__(self, pool: Pool, places: Sequence[int]) -> None:
        self.pool, self.places = pool, places
        spread = np.zeros(FEATURES, np.int64)
        for counted in vectors.blocks(pool, places):
            spread += np.bincount(counted.kinds, minlength=FEATURES)
        self.rare = vectors.rarity(spread, len(places))
        self.alone = spread <= ALONE
        self.sum = np.zeros(FEATURES)
        for counted in vectors.blocks(pool, places):
            self.sum += np.bincount(counted.kinds, self.weights(counted), minlength=FEATURES)

    def weights(self, counted: Counted) -> NDArray[np.float64]:
        return vectors.weighed(counted, self.rare)

    def foreign(self, place: int) -> float:
        """The share of a sample's words that nearly no other has; the rarest count twice as much as the commonest."""
        kinds = Counted.of([self.pool.sketch(place)]).kinds
        weights = 1 + self.rare[kinds] / max(1.0, float(self.rare.max()))
        return float(weights[self.alone[kinds]].sum() / max(1.0, float(weights.sum())))

    def farthest(self, most: int) -> list[int]:
        """The places of those that have least of it, in order."""
        shares: list[NDArray[np.float64]] = []
        for counted in vectors.blocks(self.pool, self.places):
            weights = self.weights(counted)
            products = weights * (self.sum[counted.kinds] - weights)  # with all others
            shares.append(np.bincount(counted.rows, products, len(counted.begins) - 1).astype(np.float64))
        order = np.argsort(np.concatenate(shares), kind="stable")[:most]
        return sorted(self.places[number] for number in order.tolist())


class Neighbours:
    """The samples with which those of a leaf are compared one by one."""

    def __init__(self, middle: Middle, counted: Counted, places: Sequence[int], count: int) -> None:
        self.middle, self.counted, self.count = middle, counted, count
        self.numbers = {place: number for number, place in enumerate(places)}
        self.weights = middle.weights(counted)
        self.rows = counted.rows

    def likeness(self, place: int) -> float:
        """The mean cosine of a sample and the nearest others, as far as its words are not foreign."""
        own = Counted.of([self.middle.pool.sketch(place)])
        vector = np.zeros(FEATURES)
        vector[own.kinds] = self.middle.weights(own)
        products = np.bincount(
            self.rows, self.weights * vector[self.counted.kinds], minlength=len(self.counted.begins) - 1
        )
        if (number := self.numbers.get(place)) is not None:
            products[number] = -1
        nearest = np.partition(products, -self.count)[-self.count :]
        return float(np.maximum(nearest, 0).sum()) / (self.count * LENGTH**2) * (1 - self.middle.foreign(place))
