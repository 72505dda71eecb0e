"""A pipeline of another tool as far as it was read: columns, questions to models, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from instructlab_like.flows import LeafKind
from instructlab_like.interop.answers import Tags
from instructlab_like.interop.columns import Column, Source
from instructlab_like.interop.pipelines import Block
from instructlab_like.interop.sheet import Entry
from instructlab_like.interop.told import LeftError


@dataclass(frozen=True)
class Words:
    """A field must be one of these words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Bounds:
    """A field must be a number within these."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Keep:
    field: int
    wanted: Words | Bounds
    after: int  # the number of the step behind which it is judged
    entry: Entry


@dataclass(frozen=True)
class Prompted:
    """The prompt of a step: one, or several of which a column chooses by its value."""

    sources: tuple[tuple[str, Source], ...]  # by the value
    by: Column | None
    path: str
    columns: Mapping[str, Column]  # as they are when it is asked

    @property
    def fields(self) -> frozenset[int]:
        shown = [
            self.columns[name].fields
            for _, source in self.sources
            for _, name in source.names()
            if name in self.columns
        ]
        return frozenset().union(*shown, self.by.fields if self.by else ())


@dataclass(frozen=True)
class Step:
    block: Block
    prompt: Prompted
    made: tuple[tuple[str, int], ...]  # column and field, in the order of the answer
    tags: Tags
    sampling: Mapping[str, float | int | list[str]]
    fan_out: bool
    draws: int
    several: int  # groups that its prompt asks for; 0 where it says no number


@dataclass(frozen=True)
class Branch:
    """A pipeline as far as it was read, for rows that all went the same way."""

    kind: LeafKind
    label: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    keeps: tuple[Keep, ...] = ()
    count: int = 0  # of fields

    def column(self, name: str, entry: Entry) -> Column:
        """The column; raises LeftError where nothing made it."""
        found = self.columns.get(name)
        if found is None:
            raise LeftError(entry, f"there is no column {name!r} here", "see which block should make it")
        if found.missing:
            raise LeftError(entry, f"the column {name!r} is not there: {found.missing}", "see what became of that")
        return found

    def having(self, columns: Mapping[str, Column]) -> Branch:
        return replace(self, columns={**self.columns, **columns})

    def without(self, names: Sequence[str]) -> Branch:
        return replace(self, columns={name: one for name, one in self.columns.items() if name not in names})
