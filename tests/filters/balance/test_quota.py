from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters import Surroundings
from instructlab_like.filters.balance.quota import Quota, allowed, difficulty, largest
from instructlab_like.filters.pool import Held


def rejections(samples, *, seed=0, **options):
    """The judgement of each rejected sample, by id."""
    samples = sorted(samples, key=lambda one: one.id)
    chosen = Quota(**options)
    pool = Held(samples, [chosen.sketch(one) for one in samples])
    found = list(chosen.judge(pool, Surroundings(seed=seed)))
    assert [place for place, _ in found] == sorted(place for place, _ in found)
    return {samples[place].id: told for place, told in found}, pool, chosen


def leaves(kept, samples):
    return Counter(one.lineage.leaf for one in samples if one.id not in kept)


@pytest.fixture
def crowd(sample):
    sizes = {"knowledge/a": 60, "knowledge/b": 25, "knowledge/c": 5}
    return [
        sample(f"Question {number}?", f"Answer {number}", leaf=leaf)
        for leaf, size in sizes.items()
        for number in range(size)
    ]


def test_without_a_limit_all_are_kept(crowd):
    assert rejections(crowd)[0] == {}


def test_no_leaf_has_more_than_its_number(crowd):
    told, _, _ = rejections(crowd, per_leaf=20)
    assert leaves(told, crowd) == {"knowledge/a": 20, "knowledge/b": 20, "knowledge/c": 5}
    one = next(iter(told.values()))
    assert (one.rule, one.threshold) == ("per-leaf", 20)
    assert one.score in (60, 25)
    assert "may have 20" in one.reason


@pytest.mark.parametrize(("share", "kept"), [(0.5, (30, 25, 5)), (0.4, (10, 10, 5)), (0.1, (5, 5, 5))])
def test_no_leaf_has_more_than_its_share_of_what_is_kept(crowd, share, kept):
    told, _, _ = rejections(crowd, per_leaf=share)
    assert tuple(leaves(told, crowd).values()) == kept


def test_one_leaf_alone_keeps_all_whatever_the_share(crowd):
    alone = [one for one in crowd if one.lineage.leaf == "knowledge/a"]
    assert rejections(alone, per_leaf=0.2)[0] == {}


def test_who_goes_depends_on_the_seed_and_not_on_order_or_on_other_leaves(crowd):
    told, _, _ = rejections(crowd, per_leaf=20)
    mixed = crowd[:]
    random.Random(3).shuffle(mixed)
    assert rejections(mixed, per_leaf=20)[0] == told
    without = [one for one in crowd if one.lineage.leaf != "knowledge/c"]
    assert rejections(without, per_leaf=20)[0] == told
    assert rejections(crowd, per_leaf=20, seed=1)[0].keys() != told.keys()


def test_a_sample_stays_when_others_with_worse_lots_are_added(crowd, sample):
    kept = {one.id for one in crowd} - rejections(crowd, per_leaf=20)[0].keys()
    more = [sample(f"Further question {number}?", "x", leaf="knowledge/a") for number in range(30)]
    then = {one.id for one in [*crowd, *more]} - rejections([*crowd, *more], per_leaf=20)[0].keys()
    added = then & {one.id for one in more}
    assert len(kept - then) == len(added) < 20
    assert kept - then < kept


def test_kinds_methods_and_lengths_have_limits_of_their_own(sample):
    samples = [sample(f"Short {number}?", "Yes", method="rules" if number % 2 else "teacher") for number in range(20)]
    samples += [sample(f"Long {number}?", "word " * 40, kind="knowledge") for number in range(6)]
    assert Counter(told.rule for told in rejections(samples, per_kind=10)[0].values()) == {"per-kind": 10}
    assert len(rejections(samples, per_method=8)[0]) == (16 - 8) + (10 - 8)
    assert len(rejections(samples, per_length=4)[0]) == 16 + 2
    reasons = {told.reason for told in rejections(samples, per_length=4)[0].values()}
    assert any("'up to 16 words' has 20" in reason for reason in reasons)


def test_limits_apply_one_after_the_other(crowd):
    told, _, _ = rejections(crowd, per_leaf=20, per_kind=30)
    assert Counter(one.rule for one in told.values()) == {"per-leaf": 45, "per-kind": 15}


def test_groups_can_be_counted_within_each_leaf(crowd):
    told, _, _ = rejections(crowd, per_kind=4, within_leaf=True)
    assert tuple(leaves(told, crowd).values()) == (4, 4, 4)
    assert "'knowledge/a: freeform'" in next(iter(told.values())).reason or len(told) == 90 - 12


def test_difficulty_is_what_the_lineage_says_else_a_proxy_by_that_name(sample):
    easy = sample("Is it?", "Yes.")
    assert difficulty(easy) == "proxy-easy"
    told = easy.model_copy(update={"lineage": easy.lineage.model_copy(update={"params": {"difficulty": "hard"}})})
    assert difficulty(told) == "hard"
    steps = "1. Take 3 of them.\n2. Add 4.\n3. Divide by 7.\n"
    assert difficulty(sample("Add 3, 4 and 5.", steps)) == "proxy-hard"
    assert difficulty(sample("What then?", steps)) == "proxy-medium"


def test_remarks_say_what_is_kept_of_each_group(crowd):
    told, pool, chosen = rejections(crowd, per_leaf=20)
    places = [place for place in range(len(pool)) if pool.sample(place).id in told]
    assert chosen.remarks(pool, places, Surroundings()) == (
        "quota, kept by leaf: knowledge/a 20 of 60, knowledge/b 20 of 25, knowledge/c 5 of 5",
    )
    assert chosen.remarks(pool, [], Surroundings()) == ()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.floats(0.01, 0.99))
def test_a_share_leaves_as_many_as_it_can(sizes, share):
    most = allowed(sizes, share)
    share = max(share, 1 / len(sizes))
    total = sum(min(size, most) for size in sizes)
    assert most == 1 or most <= share * total + 1e-6
    more = most + 1
    assert more > max(sizes) or more > share * sum(min(size, more) for size in sizes) - 1e-6
    assert largest(sizes, 1.0) == max(sizes)
