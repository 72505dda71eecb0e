"""A wanted mix: which of its values each sample counts for, and how many of which samples come nearest to it. Pure.

Samples that count for the same values are one cell. Whoever chooses deals with numbers of samples in cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instructlab_like.filters.parts.difficulty import PROXY, difficulty
from instructlab_like.filters.parts.languages import EAST, main_language, named
from instructlab_like.recipe import TargetRecipe, words_of
from instructlab_like.records import Sample, Seed

MILLION = 1_000_000  # shares are counted in millionths: sums of them are exact
NEAR = 20_000  # millionths by which a share may be missed: two points
OVER = 1_000.0  # how much worse it is to be farther off than that
SMALL = MILLION // NEAR  # samples below which two points are less than one sample, and rounding decides
LIKELY = 24  # cells among which a move is looked for first
NEVER = 1e12  # how bad a sample too many is where there may be none
REST = ""  # what no stated value stands for

Cell = tuple[int, ...]  # the place among the values of each stated dimension
Whole = NDArray[np.int64]
Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Marks:
    """What of a sample a mix may be about."""

    leaf: str
    words: int
    difficulty: str
    language: str  # "": it cannot be told


@dataclass(frozen=True)
class Dimension:
    """`values` as they are stated, and the rest at the end, with `shares` in millionths that come to a million."""

    name: str
    values: tuple[str, ...]
    shares: tuple[int, ...]

    @classmethod
    def of(cls, name: str, shares: Mapping[str, float]) -> Dimension:
        told = [round(share * MILLION) for share in shares.values()]
        return cls(name, (*shares, REST), (*told, max(0, MILLION - sum(told))))

    def place(self, marks: Marks) -> int:
        """Of the value that a sample counts for."""
        found = PLACES[self.name](self.values[:-1], marks)
        return len(self.values) - 1 if found is None else found

    def numbers(self, size: int) -> tuple[int, ...]:
        """Samples of each value among so many in all: whole ones, by largest remainders."""
        exact = [share * size for share in self.shares]
        numbers = [one // MILLION for one in exact]
        order = sorted(range(len(exact)), key=lambda place: (-(exact[place] % MILLION), place))
        for place in order[: size - sum(numbers)]:
            numbers[place] += 1
        return tuple(numbers)

    def least(self, size: int) -> tuple[int, ...]:
        """The fewest samples of each value within two points, or a sample, of its share of so many."""
        return tuple(-(-max(0, share * size - near(size)) // MILLION) for share in self.shares)

    def most(self, size: int) -> tuple[int, ...]:
        return tuple((share * size + near(size)) // MILLION for share in self.shares)


def near(size: int) -> int:
    """By how much, in millionths of a sample, a number may be off: two points, or less than one sample."""
    return max(NEAR * size, MILLION - 1)


def of_leaf(values: Sequence[str], marks: Marks) -> int | None:
    for place, value in enumerate(values):
        if marks.leaf == value or marks.leaf.startswith(f"{value}/"):
            return place
    return None


def of_difficulty(values: Sequence[str], marks: Marks) -> int | None:
    """By its own name; else a proxy stands for what it is a proxy of."""
    for told in (marks.difficulty, marks.difficulty.removeprefix(PROXY)):
        if told in values:
            return values.index(told)
    return None


def of_length(values: Sequence[str], marks: Marks) -> int | None:
    for place, value in enumerate(values):
        low, high = words_of(value)
        if low <= marks.words <= high:
            return place
    return None


def of_language(values: Sequence[str], marks: Marks) -> int | None:
    for told in (marks.language, *EAST.get(marks.language, ())):
        if told in values:
            return values.index(told)
    return None


PLACES: Mapping[str, Callable[[Sequence[str], Marks], int | None]] = {
    "leaf": of_leaf,
    "difficulty": of_difficulty,
    "length": of_length,
    "language": of_language,
}


@dataclass(frozen=True)
class Wanted:
    """A target as numbers: the stated dimensions, and how many samples."""

    target: TargetRecipe

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        told = ((name, getattr(self.target, name)) for name in PLACES)
        return tuple(Dimension.of(name, shares) for name, shares in told if shares)

    @property
    def samples(self) -> int:
        return self.target.samples

    def cell(self, marks: Marks) -> Cell:
        return tuple(dimension.place(marks) for dimension in self.dimensions)

    def totals(self, cells: Mapping[Cell, int]) -> tuple[tuple[int, ...], ...]:
        """Samples of each value, dimension by dimension."""
        found = [[0] * len(dimension.values) for dimension in self.dimensions]
        for cell, count in cells.items():
            for place, value in enumerate(cell):
                found[place][value] += count
        return tuple(map(tuple, found))


# --- what of a sample counts ------------------------------------------------------------------------------------


def marks_of(sample: Sample) -> Marks:
    words = len(sample.question.split()) + len(sample.answer.split())
    return Marks(sample.lineage.leaf, words, difficulty(sample), language(sample))


def language(sample: Sample) -> str:
    """Of question and answer together, else of either, else of an axis `language`; "": it cannot be told."""
    for texts in ([sample.question, sample.answer], [sample.answer], [sample.question]):
        if found := main_language(texts):
            return found
    return named(str((sample.lineage.params or {}).get("language", "")))


class Reading:
    """Where samples count; a text too short to tell its language is taken to be in that of its leaf's seed examples."""

    def __init__(self, wanted: Wanted, seeds: Mapping[str, Sequence[Seed]]) -> None:
        self.wanted, self.seeds = wanted, seeds
        self.languages: dict[str, str] = {}  # by leaf

    def cell(self, marks: Marks) -> Cell:
        return self.wanted.cell(marks if marks.language else replace(marks, language=self.language(marks.leaf)))

    def language(self, leaf: str) -> str:
        """Of the leaf's seed examples together."""
        if leaf not in self.languages:
            pairs = [pair for seed in self.seeds.get(leaf, ()) for pair in seed.pairs]
            self.languages[leaf] = main_language([text for pair in pairs for text in (pair.question, pair.answer)])
        return self.languages[leaf]


# --- the choice -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """How many samples of each cell are taken; `mixed`: each share is within two points, or a sample."""

    cells: Mapping[Cell, int]
    mixed: bool

    @property
    def size(self) -> int:
        return sum(self.cells.values())


def chosen(wanted: Wanted, there: Mapping[Cell, int]) -> Choice:
    """The most samples that have the mix, up to the number wanted, as near to it as can be.

    Where that is fewer than wanted, or none, it may be all up to the number that each value has, as the target says.
    """
    table = Table(wanted, there)
    found = table.mixed()
    if found and (found.size == wanted.samples or wanted.target.when_short == "mix"):
        return found
    capped = table.capped()
    if found and wanted.target.when_short == "either" and 2 * found.size >= capped.size:
        return found
    return capped


def lacking(wanted: Wanted, there: Mapping[Cell, int]) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """How many samples are missing at least, and of which value how many, when the best is made of those there are.

    Nothing is missing once the mix can be had.
    """
    table = Table(wanted, there)
    whole = table.of_size(wanted.samples)
    if whole is not None and whole.mixed:
        return 0, tuple(tuple(0 for _ in dimension.values) for dimension in wanted.dimensions)
    best = table.capped()
    totals = wanted.totals(best.cells)
    numbers = (dimension.numbers(wanted.samples) for dimension in wanted.dimensions)
    needs = tuple(
        tuple(max(0, number - count) for number, count in zip(numbers_of, counts, strict=True))
        for numbers_of, counts in zip(numbers, totals, strict=True)
    )
    return wanted.samples - best.size, needs


class Table:
    """The samples there are, by cell, as arrays; a choice is looked for by moving samples from cell to cell.

    Being off is bad by its square, so that what is off in one dimension spreads over the others and goes away. All in
    whole numbers and single operations on reals: the same on every machine.
    """

    def __init__(self, wanted: Wanted, there: Mapping[Cell, int]) -> None:
        self.wanted = wanted
        self.cells = sorted(cell for cell, count in there.items() if count > 0)
        self.have: Whole = np.array([there[cell] for cell in self.cells], np.int64)
        self.total = int(self.have.sum())
        self.groups: list[Whole] = [
            np.array([cell[place] for cell in self.cells], np.int64) for place in range(len(wanted.dimensions))
        ]

    def mixed(self) -> Choice | None:
        """The largest choice up to the wanted size that has the mix; None if there is none with some of each value."""
        high = min(self.wanted.samples, self.total)
        low = min(high, SMALL)
        found: Choice | None = None
        middle = high  # nearly always the one; a part of a choice that has the mix has it, too, but for rounding
        while low < high:
            if told := self.mixed_of(middle):
                found, low = told, middle
            else:
                high = middle - 1
            middle = (low + high + 1) // 2
        return found or next(filter(None, map(self.mixed_of, range(low, 0, -1))), None)

    def mixed_of(self, size: int) -> Choice | None:
        told = self.of_size(size) if self.possible(size) else None
        return told if told and told.mixed else None

    def possible(self, size: int) -> bool:
        """Whether each value by itself has samples enough; where not all can be had, of each at least one."""
        for dimension, group in zip(self.wanted.dimensions, self.groups, strict=True):
            there = sums(group, self.have, len(dimension.values))
            reach = np.minimum(there, np.array(dimension.most(size), np.int64))
            if (there < np.array(dimension.least(size), np.int64)).any() or int(reach.sum()) < size:
                return False
            whole = dimension.numbers(self.wanted.samples)
            absent = any(number and not count for number, count in zip(whole[:-1], there[:-1], strict=True))
            if absent and size < self.wanted.samples:
                return False
        return True

    def of_size(self, size: int) -> Choice | None:
        """The choice of so many that is nearest to the mix, as far as moves from cell to cell find it."""
        if size > self.total or not self.cells:
            return None
        taken = self.have * size // self.total
        left = sorted(range(len(self.cells)), key=lambda at: (-(int(self.have[at]) * size % self.total), at))
        for at in left[: size - int(taken.sum())]:
            taken[at] += 1
        sides = [Nearest(dimension, size) for dimension in self.wanted.dimensions]
        moved(taken, self.have, self.groups, sides)
        return Choice(self.named(taken), self.within(taken, size))

    def capped(self) -> Choice:
        """As many samples as there can be without more of any value than the whole mix has."""
        size = self.wanted.samples
        if not self.wanted.dimensions:
            return self.of_size(min(size, self.total)) or Choice({}, mixed=False)
        nothing = len(self.cells)  # one cell more, of samples that there are not, gives room for those that there are
        have = np.append(self.have, size)
        taken = np.append(np.zeros(nothing, np.int64), size)
        sides = [Capped(dimension, size) for dimension in self.wanted.dimensions]
        groups = [np.append(group, len(side.numbers) - 1) for group, side in zip(self.groups, sides, strict=True)]
        moved(taken, have, groups, sides)
        return Choice(self.named(taken[:nothing]), mixed=False)

    def within(self, taken: Whole, size: int) -> bool:
        for dimension, group in zip(self.wanted.dimensions, self.groups, strict=True):
            found = sums(group, taken, len(dimension.values))
            least, most = np.array(dimension.least(size)), np.array(dimension.most(size))
            if (found < least).any() or (found > most).any():
                return False
        return True

    def named(self, taken: Whole) -> Mapping[Cell, int]:
        return {cell: int(count) for cell, count in zip(self.cells, taken, strict=True) if count}


class Side(Protocol):
    """One dimension of a choice: how bad some numbers of samples of its values are."""

    @property
    def size(self) -> int: ...

    def cost(self, found: Whole, /) -> Real: ...


class Nearest:
    """Bad is what is off the shares of a number of samples, and worse what is off by more than may be."""

    def __init__(self, dimension: Dimension, size: int) -> None:
        self.goal: Real = np.array(dimension.shares, np.float64) * size / MILLION
        self.slack = near(size) / MILLION
        self.size = len(dimension.values)

    def cost(self, found: Whole) -> Real:
        off = np.abs(found - self.goal)
        worse = np.maximum(0.0, off - self.slack)
        bad: Real = off * off + OVER * (worse * worse)
        return bad


class Capped:
    """Bad is what is missing, of each value in proportion to its number, so that what there is comes near the mix.

    Nothing may be over; what counts for no value is as good as nothing.
    """

    def __init__(self, dimension: Dimension, size: int) -> None:
        self.numbers: Whole = np.array([*dimension.numbers(size), 0], np.int64)
        self.weights: Real = size / np.maximum(1, self.numbers)
        self.size = len(self.numbers)

    def cost(self, found: Whole) -> Real:
        missing = np.maximum(0, self.numbers - found).astype(np.float64)
        over = np.maximum(0, found - self.numbers).astype(np.float64)
        bad: Real = self.weights * missing * missing + NEVER * over
        bad[-1] = 0.0
        return bad


def moved(taken: Whole, have: Whole, groups: Sequence[Whole], sides: Sequence[Side]) -> None:
    """Make all moves of samples from one cell to another that make a choice better, large ones first."""
    if not groups or not len(taken):
        return
    step = 1 << max(0, int(have.max()).bit_length() - 1)
    while step:
        best = move(taken, have, groups, sides, step)
        if best is None:
            step //= 2
            continue
        taken[best[0]] -= step
        taken[best[1]] += step


def move(
    taken: Whole, have: Whole, groups: Sequence[Whole], sides: Sequence[Side], step: int
) -> tuple[int, int] | None:
    """From which cell to which so many samples are best moved; None where no move makes it better.

    Looked for among the cells that best lose and best take some, then among all.
    """
    fewer: list[Real] = []
    more: list[Real] = []
    for group, side in zip(groups, sides, strict=True):
        found = sums(group, taken, side.size)
        now = side.cost(found)
        fewer.append((side.cost(found - step) - now)[group])
        more.append((side.cost(found + step) - now)[group])
    sources, sinks = np.flatnonzero(taken >= step), np.flatnonzero(have - taken >= step)
    if not len(sources) or not len(sinks):
        return None
    likely = best_first(fewer, sources)[:LIKELY], best_first(more, sinks)[:LIKELY]
    for those, others in (likely, (sources, sinks)):
        gain = np.zeros((len(those), len(others)))
        for group, loss, gift in zip(groups, fewer, more, strict=True):
            alike = group[those][:, None] == group[others][None, :]
            gain += np.where(alike, 0.0, loss[those][:, None] + gift[others][None, :])
        source, sink = divmod(int(gain.argmin()), len(others))
        if gain[source, sink] < -1e-6:
            return int(those[source]), int(others[sink])
    return None


def best_first(costs: Sequence[Real], cells: NDArray[np.intp]) -> NDArray[np.intp]:
    total = np.zeros(len(cells))
    for cost in costs:
        total += cost[cells]
    return cells[np.argsort(total, kind="stable")]


def sums(group: Whole, counts: Whole, size: int) -> Whole:
    found = np.zeros(size, np.int64)
    np.add.at(found, group, counts)
    return found
