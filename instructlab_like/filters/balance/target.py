"""Takes out what is over the mix that the recipe's `target` wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import ClassVar

import orjson

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts.mixture import MILLION, Cell, Choice, Marks, Reading, Wanted, chosen, marks_of
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

KEY = 8  # bytes of the lot that a sample draws


class Target(SetFilter):
    """Rejects what is over the wanted mix of leaves, difficulties, lengths and languages, the last of all filters.

    The mix is the recipe's `target`, which also puts this filter at the end of the chain. Kept are as many samples as
    have the mix, up to the number wanted, each share within two points (or one sample, where that is more). Who of
    samples that count for the same values goes is drawn by lot of the seed and the sample's id.

    Length is that of question and answer in words. Difficulty is what the lineage says, else that of the filter
    `quota`'s proxy. Language is told as by the filter `language`; a text too short to tell is in that of its leaf's
    seed examples. What it cannot know: which of two samples is the better one.

    Nothing is rejected without a target. Score: the share that the value has; threshold: the one that it may have.
    """

    version: ClassVar[int] = 1

    def idle(self, around: Surroundings, /) -> bool:
        return around.target is None

    def sketch(self, sample: Sample) -> bytes:
        marks = marks_of(sample)
        return orjson.dumps([sample.id, marks.leaf, marks.words, marks.difficulty, marks.language])

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        if around.target is None:
            return
        reading = Reading(Wanted(around.target), {path: leaf.seeds for path, leaf in around.leaves.items()})
        cells: dict[Cell, list[tuple[bytes, int]]] = {}
        salt = around.seed.to_bytes(16, "big", signed=True)
        for place in range(len(pool)):
            id, leaf, words, difficulty, language = orjson.loads(pool.sketch(place))
            lot = blake2b(id.encode(), key=salt, digest_size=KEY).digest()
            cells.setdefault(reading.cell(Marks(leaf, words, difficulty, language)), []).append((lot, place))
        there = {cell: len(drawn) for cell, drawn in cells.items()}
        taken = chosen(reading.wanted, there)
        reasons = Reasons(reading.wanted, there, taken)
        told: list[tuple[int, Judgement]] = []
        for cell, drawn in cells.items():
            over = sorted(drawn)[taken.cells.get(cell, 0) :]
            told += [(place, reasons.of(cell)) for _, place in over]
        yield from sorted(told, key=lambda one: one[0])


class Reasons:
    """Why samples of a cell are over: the value of theirs that has most more than it may have."""

    def __init__(self, wanted: Wanted, there: Mapping[Cell, int], taken: Choice) -> None:
        self.wanted, self.there, self.taken = wanted, sum(there.values()), taken
        self.before, self.after = wanted.totals(there), wanted.totals(taken.cells)
        self.known: dict[Cell, Judgement] = {}

    def of(self, cell: Cell) -> Judgement:
        if cell not in self.known:
            self.known[cell] = self.found(cell)
        return self.known[cell]

    def found(self, cell: Cell) -> Judgement:
        over: list[tuple[float, int]] = []
        for place, value in enumerate(cell):
            share = self.wanted.dimensions[place].shares[value] / MILLION
            over.append((self.before[place][value] / self.there - share, -place))
        most, at = max(over, default=(0.0, 0))
        if most <= 0:
            what = f"over the target: there are {self.there:,} samples, and {self.taken.size:,} {self.why()}"
            return rejected("over-samples", what, score=self.there, threshold=self.taken.size)
        dimension, value = self.wanted.dimensions[-at], cell[-at]
        may = dimension.shares[value] / MILLION
        has = may + most
        named = repr(dimension.values[value]) if dimension.values[value] else "beside those that are named"
        what = f"over the target: {dimension.name} {named} has {percent(has)}, and may have {percent(may)}"
        return rejected(f"over-{dimension.name}", what, score=round(has, 4), threshold=round(may, 4))

    def why(self) -> str:
        if self.taken.size >= self.wanted.samples:
            return "are wanted"
        return f"have the mix: {self.scarce()}"

    def scarce(self) -> str:
        """The value of which most is missing for more samples."""
        found: list[tuple[float, str]] = []
        for dimension, counts in zip(self.wanted.dimensions, self.before, strict=True):
            for value, share, count in zip(dimension.values[:-1], dimension.shares[:-1], counts[:-1], strict=True):
                told = f"{dimension.name} {value!r} has {count:,} samples only"
                found.append((count / self.there - share / MILLION, told))
        return min(found, default=(0.0, "no more of them"))[1]


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
