"""Simulated leaves: intervals cover, pairing finds more, and nothing is found where there is nothing.

ILK_SIMULATIONS=2000 draws more; benchmarks/intervals.py has the whole grid.
"""

from __future__ import annotations

import os
import random
from math import comb
from statistics import fmean

import pytest

from benchmarks.intervals import FLOOR, World, covered, draw, families, kept, power
from instructlab_like.evaluation.effect import estimate, overall

REPEATS = int(os.environ.get("ILK_SIMULATIONS", "150"))

WORLDS = {
    "rare, by itself": World(0.02, 0.02, clusters=50),
    "few, by itself": World(0.1, 0.9, clusters=20, rho=0.0),
    "many, by itself": World(0.5, 0.55, clusters=200, rho=0.9),
    "graded, by itself": World(0.1, 0.9, clusters=20, rho=0.0, graded=True),
    "graded and rare": World(0.98, 0.98, clusters=40, size=10, within=0.8, graded=True),
    "ten clusters": World(0.98, 0.9, clusters=10, size=4, within=0.8),
    "ten graded clusters": World(0.98, 0.9, clusters=10, size=10, within=0.8, rho=0.0, graded=True),
    "ten uneven clusters": World(0.3, 0.3, clusters=10, size=4, within=0.8, rho=0.0, uneven=True),
    "twenty uneven graded clusters": World(0.02, 0.1, clusters=20, size=5, within=0.8, graded=True, uneven=True),
    "loose clusters": World(0.5, 0.7, clusters=20, size=5, within=0.3),
}


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_cover_what_they_say(name: str) -> None:
    found = covered(WORLDS[name], REPEATS)
    assert found.difference >= FLOOR
    assert found.mean >= FLOOR


def test_the_mean_over_a_branch_is_covered_however_unlike_its_leaves() -> None:
    worlds = (
        World(0.02, 0.3, clusters=20),
        World(0.5, 0.4, clusters=12, size=4, within=0.6),
        World(0.9, 0.95, clusters=80, graded=True),
        World(0.6, 0.6, clusters=40),
    )
    truth = fmean(world.tuned - world.base for world in worlds)
    held = 0
    for seed in range(REPEATS):
        rng = random.Random(seed)
        low, _, high = overall("branch", [draw(world, rng) for world in worlds], enough=20).delta
        held += low <= truth <= high
    assert held / REPEATS >= FLOOR


@pytest.mark.parametrize("count", [20, 25, 27, 35, 50, 100, 200])
def test_the_interval_of_one_mean_covers_exactly_enough_at_every_mean(count: int) -> None:
    ends = [estimate([1.0] * right + [0.0] * (count - right), range(count)) for right in range(count + 1)]
    for mean in (share / 100 for share in range(2, 99)):
        chances = [comb(count, right) * mean**right * (1 - mean) ** (count - right) for right in range(count + 1)]
        held = sum(chance for chance, (low, _, high) in zip(chances, ends, strict=True) if low <= mean <= high)
        assert held >= FLOOR, mean


@pytest.mark.parametrize(
    "world",
    [
        World(0.4, 0.55, rho=0.9, clusters=100),
        World(0.4, 0.6, rho=0.8, clusters=50),
        World(0.4, 0.55, rho=0.9, clusters=60, graded=True),
    ],
)
def test_pairing_finds_more_than_not_pairing(world: World) -> None:
    paired, unpaired = power(world, REPEATS)
    assert paired > unpaired + 0.1


@pytest.mark.parametrize(
    "world",
    [
        World(0.5, 0.5, clusters=40),
        World(0.4, 0.4, clusters=30, graded=True),
        World(0.5, 0.5, clusters=12, size=4, within=0.6),
    ],
)
def test_where_nothing_changed_hardly_a_leaf_is_called(world: World) -> None:
    found = list(families([world] * 10, max(20, REPEATS // 5)))
    assert fmean(one.effect == "better" for alone, _ in found for one in alone) <= 0.05
    assert fmean(any(one.effect == "better" for one in judged) for _, judged in found) <= 0.05


def test_a_leaf_that_changed_is_found_among_others_and_few_others_with_it() -> None:
    worlds = [World(0.4, 0.8, clusters=40)] * 4 + [World(0.4, 0.4, clusters=40)] * 16
    right, wrong = [], []
    for _, judged in families(worlds, max(20, REPEATS // 5)):
        called = [one.effect in ("better", "worse") for one in judged]
        right.append(sum(called[:4]) / 4)
        wrong.append(sum(called[4:]) / max(1, sum(called)))
    assert fmean(right) > 0.7
    assert fmean(wrong) <= 0.05


def test_what_was_lost_by_the_margin_is_not_called_kept() -> None:
    at_margin, _ = kept(World(0.8, 0.75, rho=0.9, clusters=200), 2 * REPEATS)
    assert at_margin <= 0.05
    unchanged, falsely_lost = kept(World(0.8, 0.8, rho=0.9, clusters=400), REPEATS)
    assert unchanged > 0.6
    assert falsely_lost <= 0.01
    _, lost = kept(World(0.8, 0.6, rho=0.9, clusters=100), REPEATS)
    assert lost > 0.8
