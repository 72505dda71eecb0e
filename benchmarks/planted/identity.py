"""Planted models that name themselves, their maker or their training, and names that others have, too."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.said import spoken_cases

FLOORS = Floors(recall=0.98, precision=0.98)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    return spoken_cases("identity", rng, count)
