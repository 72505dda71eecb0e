"""Planted leftovers of prompts, and the plain speech of assistants that looks like them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.said import spoken_cases

FLOORS = Floors(recall=0.98, precision=0.98)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    return spoken_cases("leftovers", rng, count)
