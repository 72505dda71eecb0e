"""Each filter finds what was planted for it, kind by kind, and leaves alone what only looks like it."""

from __future__ import annotations

import pytest

from benchmarks.planted import planted
from benchmarks.planted.measure import measured

COUNT = 1_200


@pytest.mark.parametrize("one", planted(), ids=lambda one: one.filter)
@pytest.mark.parametrize("seed", [1, 2])
def test_planted_faults_are_found_and_look_alikes_are_not(one, seed):
    found = measured(one, seed=seed, count=COUNT)
    assert sum(kind.count for kind in found.kinds) >= COUNT // 2
    assert any(kind.bad for kind in found.kinds)
    assert any(not kind.bad for kind in found.kinds), "without look-alikes precision says nothing"
    assert found.precision >= one.floors.precision, found.wrongly
    few = {kind.name: kind.share for kind in found.kinds if kind.bad and kind.share < one.floors.recall}
    assert not few, (few, found.missed)
