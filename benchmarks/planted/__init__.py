"""Planted truth: for each filter samples with a known fault, and others that look like it and have none.

A module is named for its filter, has FLOORS and `cases(rng, count)`; it is found by its name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from instructlab_like.filters import Surroundings
from instructlab_like.records import Sample


@dataclass(frozen=True)
class Case:
    """Samples that belong together; `bad`: the last of them must be rejected. All others must be kept."""

    kind: str  # the row of the table in which it is counted
    samples: tuple[Sample, ...]
    bad: bool


@dataclass(frozen=True)
class Floors:
    """What is promised of each kind of planted fault (recall), and of all that is rejected (precision)."""

    recall: float
    precision: float
    options: dict[str, int | float | str | bool] = field(default_factory=dict)  # of the filter, where it needs any


@dataclass(frozen=True)
class Planted:
    """A module of this folder."""

    filter: str
    floors: Floors
    cases: Callable[[random.Random, int], Iterator[Case]]
    around: Callable[[], Surroundings]
    most: int  # cases, where telling the true ones apart takes time that grows with the square


def planted() -> list[Planted]:
    """All of them, by name."""
    found = []
    for module in iter_modules(__path__):
        loaded = import_module(f"{__name__}.{module.name}")
        if hasattr(loaded, "FLOORS"):
            around, most = getattr(loaded, "around", Surroundings), getattr(loaded, "MOST", 1_000_000)
            found.append(Planted(module.name, loaded.FLOORS, loaded.cases, around, most))
    return found
