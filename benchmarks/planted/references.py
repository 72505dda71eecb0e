"""Planted pointers at missing texts in ten languages, and questions that bring theirs along or name it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.said import spoken_cases

FLOORS = Floors(recall=0.95, precision=0.95)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    return spoken_cases("references", rng, count)
