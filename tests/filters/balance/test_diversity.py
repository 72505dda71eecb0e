from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from instructlab_like.filters import Surroundings
from instructlab_like.filters.balance import diversity
from instructlab_like.filters.balance.diversity import Diversity, covered, divided, select
from instructlab_like.filters.parts import vectors
from instructlab_like.filters.pool import Held

SUBJECTS = {
    "tides": "tide moon harbour water height ebb flood spring neap gauge pier chart hours coast current",
    "bread": "flour yeast dough oven crust knead salt loaf baker sour rise crumb proof tin warm",
    "chess": "king queen rook bishop pawn board castle mate clock opening gambit square capture check draw",
    "stars": "star dwarf giant nova orbit planet telescope light year cluster galaxy dust spectrum red blue",
}


def about(sample, subject, number, *, leaf="knowledge/mixed"):
    rng = random.Random(f"{subject}{number}")
    words = SUBJECTS[subject].split()
    asked = " ".join(rng.choices(words, k=6))
    return sample(f"What of the {asked}, number {number}?", " ".join(rng.choices(words, k=14)), leaf=leaf)


@pytest.fixture
def uneven(sample):
    """Many samples on one subject, few on the three others."""
    sizes = {"tides": 90, "bread": 4, "chess": 3, "stars": 3}
    return [about(sample, subject, number) for subject, size in sizes.items() for number in range(size)]


def run(samples, *, seed=0, **options):
    samples = sorted(samples, key=lambda one: one.id)
    chosen = Diversity(**options)
    pool = Held(samples, [chosen.sketch(one) for one in samples])
    around = Surroundings(seed=seed)
    found = list(chosen.judge(pool, around))
    assert [place for place, _ in found] == sorted(place for place, _ in found)
    return pool, dict(found), chosen.report(pool, dict(found), around)


def subject_of(one):
    words = one.answer.split()
    return max(SUBJECTS, key=lambda subject: sum(word in SUBJECTS[subject].split() for word in words))


def test_without_a_budget_all_are_kept(uneven):
    assert run(uneven)[1:] == ({}, None)
    assert run(uneven, budget=100)[1] == {}
    assert run([], budget=3)[1] == {}


@pytest.mark.parametrize("options", [{"budget": 10}, {"share": 0.1}])
def test_the_budget_is_kept_to_and_every_subject_is_stood_for(uneven, options):
    pool, told, _ = run(uneven, **options)
    kept = [pool.sample(place) for place in range(len(pool)) if place not in told]
    assert len(kept) == 10
    assert {subject_of(one) for one in kept} == SUBJECTS.keys()


def test_the_choice_stands_better_for_all_than_random_ones_of_its_size(uneven):
    _, told, compared = run(uneven, budget=10)
    assert (compared.chosen, compared.of, compared.draws) == (10, 100, 20)
    assert len(told) == 90
    assert compared.selected > compared.random + 3 * compared.deviation > 0


def test_the_comparison_can_be_worse_than_chance(uneven):
    """The comparison is no constant: leave out the subjects that are rare, and chance does better."""
    pool, _, _ = run(uneven)
    kept = [place for place in range(len(pool)) if subject_of(pool.sample(place)) == "tides"][:10]
    left_out = [place for place in range(len(pool)) if place not in kept]
    compared = Diversity(budget=10).report(pool, left_out, Surroundings())
    assert compared.selected < compared.random


def test_a_rejection_names_the_nearest_chosen_sample(uneven):
    pool, told, _ = run(uneven, budget=10)
    samples = {pool.sample(place).id: (place, pool.sample(place)) for place in range(len(pool))}
    for place, one in told.items():
        partner, other = samples[one.partner]
        assert partner not in told
        assert one.rule == "left-out"
        if one.score > 0.3:
            assert subject_of(other) == subject_of(pool.sample(place))


def test_each_leaf_gives_its_share_of_the_budget(sample):
    samples = [about(sample, "tides", number, leaf="knowledge/a") for number in range(30)]
    samples += [about(sample, "bread", number, leaf="knowledge/b") for number in range(10)]
    pool, told, _ = run(samples, budget=8)
    kept = [pool.sample(place).lineage.leaf for place in range(len(pool)) if place not in told]
    assert sorted(kept) == ["knowledge/a"] * 6 + ["knowledge/b"] * 2
    pool, told, _ = run(samples, budget=8, within_leaf=False)
    assert len(told) == 32


def test_the_choice_does_not_depend_on_order(uneven):
    _, told, _ = run(uneven, budget=10)
    mixed = uneven[:]
    random.Random(5).shuffle(mixed)
    assert run(mixed, budget=10)[1] == told


def test_a_large_leaf_is_cut_into_parts_by_lot(sample, monkeypatch):
    monkeypatch.setattr(diversity, "TOGETHER", 40)
    samples = [about(sample, subject, number) for subject in SUBJECTS for number in range(30)]
    pool, told, compared = run(samples, budget=12)
    assert len(pool) - len(told) == 12
    assert compared.selected > compared.random
    others = run(samples, budget=12, seed=9)[1]
    assert others.keys() != told.keys()


def test_the_remark_says_both_figures(uneven):
    pool, told, compared = run(uneven, budget=10)
    (remark,) = Diversity(budget=10).remarks(pool, told, Surroundings())
    assert "10 of 100 chosen" in remark
    assert f"{compared.selected:.4f}" in remark
    assert f"{compared.random:.4f} ± {compared.deviation:.4f}" in remark
    assert Diversity().remarks(pool, [], Surroundings()) == ()


def test_the_lazy_choice_is_the_greedy_one():
    rng = np.random.default_rng(1)
    for size, count in itertools.product((1, 5, 12), (0, 1, 4)):
        half = rng.integers(0, 200, (size, size)).astype(np.uint8)
        alike = np.maximum(half, half.T)
        np.fill_diagonal(alike, 255)
        chosen: list[int] = []
        for _ in range(min(count, size)):
            rest = [number for number in range(size) if number not in chosen]
            chosen.append(max(rest, key=lambda number: (covered(alike, [*chosen, number]), -number)))
        assert select(alike, min(count, size)) == sorted(chosen)


def test_similarities_are_the_same_in_any_order(uneven):
    sketches = [vectors.sketch(one) for one in uneven]
    order = list(range(len(sketches)))
    random.Random(2).shuffle(order)
    alike = vectors.similarities(sketches)
    assert (vectors.similarities([sketches[place] for place in order]) == alike[np.ix_(order, order)]).all()


def test_what_is_divided_adds_up():
    assert divided(10, [30, 10]) == [8, 2]
    assert divided(7, [1, 1, 1]) == [3, 2, 2]
    assert divided(0, [5]) == [0]
    assert sum(divided(11, [3, 50, 1, 8])) == 11
