"""One process for all tests of a module that run the command: see ilk_forks.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ilk_forks import Forks


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made
