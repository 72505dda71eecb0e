from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.filters.balance.target import Target
from instructlab_like.filters.pool import Held
from instructlab_like.recipe import TargetRecipe
from instructlab_like.records import Lineage, Pair, Sample, Seed, digest


def rejections(crowd, /, *, seed=0, leaves=None, **target):
    """The judgement of each rejected sample, by id."""
    crowd = sorted(crowd, key=lambda one: one.id)
    chosen = Target()
    pool = Held(crowd, [chosen.sketch(one) for one in crowd])
    around = Surroundings(seed=seed, leaves=leaves or {}, target=TargetRecipe.model_validate(target))
    found = list(chosen.judge(pool, around))
    assert [place for place, _ in found] == sorted(place for place, _ in found)
    return {crowd[place].id: told for place, told in found}


def leaves(told, samples):
    return Counter(one.lineage.leaf for one in samples if one.id not in told)


@pytest.fixture
def crowd(sample):
    sizes = {"knowledge/a": 60, "knowledge/b": 25, "skills/c": 15}
    return [
        sample(f"Question {number}?", f"Answer {number}", leaf=leaf)
        for leaf, size in sizes.items()
        for number in range(size)
    ]


def test_without_a_target_all_are_kept(crowd):
    assert Target().idle(Surroundings())
    assert list(Target().judge(Held(crowd, [b""] * len(crowd)), Surroundings())) == []


def test_the_share_that_is_over_is_named_with_what_it_may_be(crowd):
    told = rejections(crowd, samples=100, leaf={"knowledge/a": 0.4, "knowledge/b": 0.4, "skills": 0.2})
    kept = leaves(told, crowd)
    assert kept.total() >= 59  # 25 are 42 % of 59
    assert abs(kept["knowledge/a"] - 0.4 * kept.total()) <= 0.02 * kept.total()
    one = next(judgement for judgement in told.values() if judgement.rule == "over-leaf")
    assert one.reason == "over the target: leaf 'knowledge/a' has 60 %, and may have 40 %"
    assert (one.score, one.threshold) == (0.6, 0.4)


def test_more_samples_than_are_wanted_go_and_their_verdicts_say_how_many_there_are(crowd):
    told = rejections(crowd, samples=40, leaf={"knowledge": 0.85, "skills": 0.15})
    assert leaves(told, crowd).total() == 40
    assert {one.reason for one in told.values()} == {"over the target: there are 100 samples, and 40 are wanted"}
    assert {(one.rule, one.score, one.threshold) for one in told.values()} == {("over-samples", 100, 40)}


def test_what_keeps_the_mix_small_is_named(crowd):
    told = rejections(crowd, samples=100, leaf={"knowledge": 0.3, "skills": 0.7})
    few = [one for one in told.values() if one.rule == "over-samples"]
    assert leaves(told, crowd)["skills/c"] == 15
    assert not few
    short = rejections(crowd, samples=100, leaf={"skills": 0.5, "knowledge/b": 0.5}, length={"1-9": 1})
    assert {one.reason for one in short.values() if "beside" in one.reason} == {
        "over the target: leaf beside those that are named has 60 %, and may have 0 %"
    }


def test_who_goes_depends_on_the_seed_and_not_on_order_or_on_other_cells(crowd):
    told = rejections(crowd, samples=50, leaf={"knowledge/a": 0.5, "knowledge/b": 0.5})
    mixed = crowd[:]
    random.Random(3).shuffle(mixed)
    assert rejections(mixed, samples=50, leaf={"knowledge/a": 0.5, "knowledge/b": 0.5}) == told
    other = rejections(crowd, seed=1, samples=50, leaf={"knowledge/a": 0.5, "knowledge/b": 0.5})
    assert other.keys() != told.keys()
    assert leaves(other, crowd) == leaves(told, crowd)


def test_a_text_too_short_to_tell_is_in_the_language_of_its_leafs_seed_examples(sample):
    pair = Pair(question="Wo ist das Haus, und was ist es?", answer="Es ist nicht mehr da, aber es war auf dem Platz.")
    german = {"k/de": LeafFacts(path="k/de", seeds=(Seed(number=1, line=1, pairs=(pair,)),))}
    samples = [sample(f"{number} + 1?", f"{number + 1}", leaf=leaf) for number in range(20) for leaf in ("k/de", "k/x")]
    told = rejections(samples, leaves=german, samples=40, language={"de": 1.0})
    assert leaves(told, samples) == {"k/de": 20}


def make(question: str, answer: str, *, leaf: str) -> Sample:
    lineage = Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="m")
    return Sample(id=digest([question, leaf])[:32], kind="freeform", question=question, answer=answer, lineage=lineage)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=3, max_size=3), st.integers(1, 80), st.floats(0.1, 0.9))
def test_whatever_is_there_no_more_is_kept_than_wanted_and_every_rejection_has_its_reason(counts, size, share):
    sizes = zip(("a", "b", "c"), counts, strict=True)
    samples = [make(f"Question {number}?", "Yes", leaf=leaf) for leaf, count in sizes for number in range(count)]
    told = rejections(samples, samples=size, leaf={"a": share})
    assert len(samples) - len(told) <= size
    assert all(one.rule.startswith("over-") and one.reason.startswith("over the target: ") for one in told.values())
