"""Axes of a flow: what a prompt is varied by, as personas, audiences or kinds of edge case; covered evenly, drawn from
nothing but the recipe's seed and the values themselves. They stand in the flow, in a file beside it, or in the leaf.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd, prod
from pathlib import Path
from typing import Literal, get_args

from instructlab_like.errors import RecipeError, position
from instructlab_like.records import Knowledge, Leaf, Seed, digest, normalise

MOST_VALUES, LONGEST = 100_000, 2_000  # of an axis, and characters of one
LARGEST = 16_000_000  # bytes of a file of values

FROM = "from"  # the key of an axis whose values come from each leaf
SHOWN = 300  # characters that a prompt sees of a value that a leaf gives

Values = Mapping[str, str]  # by the name under which it is counted: what a template is shown
Source = Literal["seeds", "branch", "answers"]


@dataclass(frozen=True)
class Axes:
    """Every combination of the values is a cell. Each is met once before any is met twice.

    All axes go on from one cell to the next, so that the first cells already show each value about equally often.
    """

    values: Mapping[str, Values]  # by axis
    seed: int

    @property
    def size(self) -> int:
        """How many cells there are; 1 without any axis."""
        return prod(len(values) for values in self.values.values())

    @cached_property
    def order(self) -> Mapping[str, Sequence[str]]:
        """The names of each axis, shuffled: by their own digests, so that a new value moves none of the others."""
        found: dict[str, Sequence[str]] = {}
        for axis, values in self.values.items():
            found[axis] = sorted(values, key={name: digest([self.seed, axis, name]) for name in values}.__getitem__)
        return found

    def cell(self, number: int) -> dict[str, str]:
        """The names that the cell has on each axis; `number` counts on from 0, past the last cell to the first."""
        found: dict[str, str] = {}
        size, place = 1, number % self.size
        for axis, names in self.order.items():
            found[axis] = names[along(place, size, len(names))]
            size *= len(names)
        return found

    def shown(self, cell: Mapping[str, str]) -> dict[str, str]:
        """What a template sees of a cell."""
        return {axis: self.values[axis][name] for axis, name in cell.items()}


@dataclass(frozen=True)
class FromLeaf:
    """An axis whose values every leaf gives for itself: its seed examples, and the leaves beside it in its branch.

    What says the same as another before it is no value of its own.
    """

    source: Source

    def values(self, leaf: Leaf, beside: Sequence[Leaf]) -> Values:
        """Seed examples by number, each as its question; with `branch` the leaves beside it by path, as they say.

        `answers` are the different answers of its seed examples, as they stand there.
        """
        if self.source == "answers":
            return {answer: answer for answer in answers(leaf)}
        found = {f"seed {seed.number}": shortened(matter(seed)) for seed in leaf.seeds}
        if self.source == "branch":
            found |= {other.path: shortened(described(other)) for other in beside}
        first = {text: name for name, text in reversed(found.items())}
        return {name: text for name, text in found.items() if text and first[text] == name}


def answers(leaf: Leaf) -> tuple[str, ...]:
    """The different answers of the leaf's seed examples, in their order: the classes of a leaf that classifies."""
    return tuple(dict.fromkeys(" ".join(pair.answer.split()) for seed in leaf.seeds for pair in seed.pairs))


def classifies(leaf: Leaf) -> bool:
    """Whether its answers are classes: there are two or more, and at least one of them is given twice."""
    return 1 < len(answers(leaf)) < sum(len(seed.pairs) for seed in leaf.seeds)


def matter(seed: Seed) -> str:
    return seed.pairs[0].question if seed.pairs else seed.context or ""


def described(leaf: Leaf) -> str:
    return f"{leaf.domain}: {leaf.outline}" if isinstance(leaf, Knowledge) else leaf.task


def shortened(text: str) -> str:
    """One line, cut behind a word where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN].rpartition(' ')[0] or line[:SHOWN]} …"


def along(place: int, others: int, size: int) -> int:
    """Where an axis of this size stands: one step on at each place, and one more whenever it and the `others` before it
    have come round together; so every pair is met once in `others` × `size` places.
    """
    place %= others * size
    return (place + place // (others * size // gcd(others, size))) % size


def check(name: str, told: Sequence[str] | Values | str, *, beside: Path, where: str) -> Values | FromLeaf:
    """An axis as a flow's file tells it: a list, names with texts, a file with a value a line, or `from` the leaf.

    Raises RecipeError for a file that cannot be read, for values that are empty, too long or there twice, and for a
    source that no leaf has.
    """
    if isinstance(told, str):
        return from_file(beside / told, where)
    if isinstance(told, Mapping) and told.keys() == {FROM}:
        return from_leaf(name, told[FROM], where)
    if isinstance(told, Mapping) and len(told) == 1 and set(told.values()) <= set(get_args(Source)):
        what = f"the axis {name!r} has {next(iter(told))!r} as its only value"
        raise RecipeError(what, where=where, fix=f"did you mean {FROM!r}?")
    values = dict(told) if isinstance(told, Mapping) else {}
    for value in () if isinstance(told, Mapping) else told:
        if value in values:
            raise RecipeError(f"the axis {name!r} has {value[:80]!r} twice", where=where, fix="keep one of them")
        values[value] = value
    return fit(name, values, where)


def from_leaf(name: str, told: str, where: str) -> FromLeaf:
    for source in get_args(Source):
        if told == source:
            return FromLeaf(source)
    near = difflib.get_close_matches(told, get_args(Source), n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(get_args(Source))}"
    raise RecipeError(f"the axis {name!r} is to come from {told[:80]!r}, which no leaf has", where=where, fix=fix)


def from_file(path: Path, where: str) -> Values:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        what = f"the file {path} cannot be read: {error.strerror}"
        raise RecipeError(what, where=where, fix="name a file beside the flow, a value a line") from error
    if len(data) > LARGEST:
        raise RecipeError(f"the file {path} holds more than {LARGEST:,} bytes", where=where, fix="keep fewer values")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise RecipeError("is not UTF-8 text", where=position(path, number), fix="save it as UTF-8") from error
    values: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if text := line.strip():
            if text in values:
                raise RecipeError(f"has {text[:80]!r} twice", where=position(path, number), fix="keep one of them")
            values[text] = text
    return fit(path.name, values, where if not values else str(path))


def fit(name: str, values: Values, where: str) -> Values:
    if not values:
        raise RecipeError(f"the axis {name!r} has no values", where=where, fix="name some, or leave it out")
    if len(values) > MOST_VALUES:
        raise RecipeError(f"the axis {name!r} has {len(values):,} values", where=where, fix=f"keep {MOST_VALUES:,}")
    for value, text in values.items():
        if not normalise(text) or not value.strip():
            raise RecipeError(f"the axis {name!r} has an empty value", where=where, fix="fill it in")
        if max(len(text), len(value)) > LONGEST:
            what = f"the axis {name!r} has a value of {max(len(text), len(value)):,} characters: {text[:60]!r} …"
            raise RecipeError(what, where=where, fix=f"say it in {LONGEST:,}")
    return values
