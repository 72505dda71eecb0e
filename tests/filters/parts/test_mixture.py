"""Numbers of samples towards a wanted mix."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.filters.parts.mixture import MILLION, Marks, Reading, Wanted, chosen, lacking, language, near
from instructlab_like.recipe import TargetRecipe
from instructlab_like.records import Pair, Seed

NAMES = {
    "leaf": ("a", "b", "c"),
    "difficulty": ("easy", "hard", "odd"),
    "length": ("1-10", "11-20", "21+"),
    "language": ("en", "de", "fr"),
}


def wanted(**told: object) -> Wanted:
    return Wanted(TargetRecipe.model_validate(told))


@st.composite
def targets(draw: st.DrawFn) -> Wanted:
    told: dict[str, object] = {"samples": draw(st.sampled_from([1, 7, 30, 60, 100, 400]))}
    for name in draw(st.sets(st.sampled_from(sorted(NAMES)), max_size=3)):
        parts = draw(st.lists(st.integers(0, 20), min_size=1, max_size=3))
        whole = max(1, sum(parts) + draw(st.sampled_from([0, 0, 10])))
        told[name] = {value: part / whole for value, part in zip(NAMES[name], parts, strict=False)}
    told["when_short"] = draw(st.sampled_from(["either", "mix", "samples"]))
    return wanted(**told)


@st.composite
def with_samples(draw: st.DrawFn) -> tuple[Wanted, dict[tuple[int, ...], int]]:
    told = draw(targets())
    cells = list(product(*(range(len(dimension.values)) for dimension in told.dimensions)))
    counts = draw(st.lists(st.sampled_from([0, 0, 1, 3, 20, 90, 300]), min_size=len(cells), max_size=len(cells)))
    return told, dict(zip(cells, counts, strict=True))


def assert_within(told: Wanted, cells: dict[tuple[int, ...], int], size: int) -> None:
    for dimension, counts in zip(told.dimensions, told.totals(cells), strict=True):
        for share, count in zip(dimension.shares, counts, strict=True):
            assert abs(count - share * size / MILLION) <= max(0.02 * size, 1), (dimension, counts, size)


@settings(max_examples=40, deadline=None)
@given(with_samples())
def test_no_more_is_taken_than_there_is_or_than_is_wanted(case):
    told, there = case
    found = chosen(told, there)
    assert all(0 < count <= there[cell] for cell, count in found.cells.items())
    assert found.size <= told.samples
    if found.mixed:
        assert_within(told, dict(found.cells), found.size)
    else:
        for dimension, counts in zip(told.dimensions, told.totals(found.cells), strict=True):
            assert all(count <= most for count, most in zip(counts, dimension.numbers(told.samples), strict=True))


@settings(max_examples=30, deadline=None)
@given(with_samples())
def test_what_is_lacking_is_nothing_exactly_when_the_whole_mix_is_taken(case):
    told, there = case
    missing, needs = lacking(told, there)
    taken = chosen(told, there)
    if not missing:
        assert taken.mixed
        assert taken.size == told.samples
        assert not any(map(any, needs))
    for dimension, of_dimension in zip(told.dimensions, needs, strict=True):
        assert len(of_dimension) == len(dimension.values)
        assert sum(of_dimension) == missing


@settings(max_examples=30, deadline=None)
@given(with_samples())
def test_samples_of_what_is_short_leave_less_lacking(case):
    told, there = case
    missing, needs = lacking(told, there)
    if not missing or not told.dimensions:
        return
    cell = tuple(max(range(len(one)), key=one.__getitem__) for one in needs)
    more = min(one[place] for one, place in zip(needs, cell, strict=True))
    after, _ = lacking(told, there | {cell: there[cell] + more})
    assert after < missing


@settings(max_examples=15, deadline=None)
@given(with_samples(), st.randoms(use_true_random=False))
def test_the_choice_depends_on_nothing_but_the_numbers(case, lot):
    told, there = case
    cells = list(there.items())
    lot.shuffle(cells)
    assert chosen(told, dict(cells)) == chosen(told, there)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=4, max_size=4), st.sampled_from([4, 10, 20]))
def test_of_two_dimensions_nothing_is_lost_that_could_be_kept(counts, size):
    """Held against all choices there are."""
    shares = {"leaf": {"a": 0.5, "b": 0.5}, "difficulty": {"easy": 0.25, "hard": 0.75}}
    told = wanted(samples=size, when_short="mix", **shares)
    there = dict(zip(((0, 0), (0, 1), (1, 0), (1, 1)), counts, strict=True))
    best = 0
    for taken in product(*(range(count + 1) for count in counts)):
        total = sum(taken)
        if not best < total <= size:
            continue
        sums = told.totals(dict(zip(there, taken, strict=True)))
        if all(
            least <= found <= most and (found or not share or total == size)
            for dimension, of_dimension in zip(told.dimensions, sums, strict=True)
            for found, least, most, share in zip(
                of_dimension, dimension.least(total), dimension.most(total), dimension.shares, strict=True
            )
        ):
            best = total
    found = chosen(told, there)
    assert (found.size if found.mixed else 0) == best


def test_numbers_of_values_come_to_the_whole_and_shares_left_free_go_to_the_rest():
    told = wanted(samples=10, leaf={"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, language={"en": 0.8})
    leaves, languages = told.dimensions
    assert leaves.numbers(10) == (4, 3, 3, 0)
    assert languages.values == ("en", "")
    assert languages.numbers(10) == (8, 2)
    assert near(10) == MILLION - 1
    assert near(500) == 10 * MILLION


def marks(**told: object) -> Marks:
    return Marks(**{"leaf": "k/a/b", "words": 15, "difficulty": "proxy-easy", "language": "en"} | told)


def test_a_sample_counts_for_a_branch_a_range_of_words_and_what_its_difficulty_is_a_proxy_of():
    told = wanted(
        samples=5, leaf={"k/a": 0.5, "k/ab": 0.5}, length={"11+": 0.5, "1-10": 0.5}, difficulty={"hard": 1, "easy": 0}
    )
    assert told.cell(marks()) == (0, 1, 0)
    assert told.cell(marks(leaf="k/ab/c", words=10, difficulty="hard")) == (1, 0, 1)
    assert told.cell(marks(leaf="k/b", words=0, difficulty="medium")) == (2, 2, 2)
    exact = wanted(samples=5, difficulty={"easy": 0.5, "proxy-easy": 0.5})
    assert exact.cell(marks()) == (1,)


def test_language_is_that_of_the_text_else_of_an_axis_else_of_the_leafs_seed_examples(sample):
    german = sample("Wo ist das Haus, und was ist es?", "Es ist nicht mehr da, aber es war auf dem Platz.")
    short = sample("3 + 4?", "7")
    told = short.lineage.model_copy(update={"params": {"language": "German"}})
    assert [language(one) for one in (german, short, short.model_copy(update={"lineage": told}))] == ["de", "", "de"]
    pairs = (Pair(question="Où est la maison et que fait elle dans la rue ?", answer="Elle est dans la ville."),)
    reading = Reading(wanted(samples=5, language={"de": 0.5, "fr": 0.5}), {"k": (Seed(number=1, line=1, pairs=pairs),)})
    assert reading.cell(marks(leaf="k", language="")) == (1,)
    assert reading.cell(marks(leaf="elsewhere", language="")) == (2,)


def test_a_value_of_which_there_is_nothing_leaves_the_others_their_number_and_no_more():
    told = wanted(samples=100, leaf={"a": 0.5, "b": 0.5})
    found = chosen(told, {(0,): 300, (1,): 0})
    assert (dict(found.cells), found.mixed) == ({(0,): 50}, False)
    assert lacking(told, {(0,): 300})[1] == ((0, 50, 0),)


MIX, ALL, FEW = {(0,): 32, (1,): 30}, {(0,): 50, (1,): 30}, {(0,): 50, (1,): 10}


@pytest.mark.parametrize(
    ("when", "there", "kept"),
    [
        ("mix", 30, MIX),
        ("samples", 30, ALL),
        ("either", 30, MIX),
        ("either", 10, FEW),
        ("mix", 10, {(0,): 11, (1,): 10}),
    ],
)
def test_where_not_all_can_be_had_the_mix_or_the_number_is_kept(when, there, kept):
    told = wanted(samples=100, leaf={"a": 0.5, "b": 0.5}, when_short=when)
    assert Counter(chosen(told, {(0,): 300, (1,): there}).cells) == kept


def test_of_what_one_dimension_leaves_the_others_have_their_shares():
    told = wanted(samples=80, difficulty={"hard": 0.75, "easy": 0.25}, length={"1-40": 0.5, "41+": 0.5})
    assert chosen(told, {(0, 0): 66, (1, 0): 60}).cells == {(0, 0): 30, (1, 0): 10}
