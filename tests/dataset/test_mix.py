from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.dataset import mix as mixing
from instructlab_like.errors import RecipeError


def mix(*given, **options):
    return list(mixing.mix(*given, **options))


@pytest.fixture
def train(sample):
    knowledge = [sample(f"Where is tower {n}?") for n in range(90)]
    return knowledge + [
        sample(f"What is {n} + 1?", str(n + 1), kind="freeform", method="simulation") for n in range(60)
    ]


def counts(rows, phase):
    of_phase = [row for row in rows if row.phase == phase]
    replayed = sum(row.leaf == "replay" for row in of_phase)
    return len(of_phase), replayed, sum(row.kind == "knowledge" for row in of_phase)


def test_each_phase_holds_its_share_of_replay(train, replay):
    rows = mix(train, replay, share=0.25, knowledge_share=0.15, seed=0)
    assert counts(rows, "knowledge") == (120, 30, 90)
    assert counts(rows, "skills") == (100, 25, 15)


def test_replayed_knowledge_keeps_its_leaf_and_id(train, replay):
    rows = mix(train, replay, share=0.25, seed=0)
    ids = {row.sample: row for row in rows if row.phase == "knowledge"}
    for row in rows:
        if row.phase == "skills" and row.kind == "knowledge":
            assert row.messages == ids[row.sample].messages
            assert row.leaf == "knowledge/tides"


def test_a_phase_has_each_row_once(train, replay):
    rows = mix(train, [*replay, *replay], share=0.6, knowledge_share=0.3, seed=0)
    keys = [(row.phase, row.leaf, row.sample) for row in rows]
    assert len(keys) == len(set(keys))


def test_what_is_short_is_taken_whole(train, replay):
    rows = mix(train, replay[:4], share=0.25, seed=0)
    assert counts(rows, "knowledge")[1] == counts(rows, "skills")[1] == 4


def test_a_phase_without_samples_stays_empty(train, replay):
    knowledge = [one for one in train if one.kind == "knowledge"]
    assert counts(mix(knowledge, replay, share=0.25, seed=0), "skills") == (0, 0, 0)
    skills = [one for one in train if one.kind != "knowledge"]
    rows = mix(skills, replay, share=0.25, seed=0)
    assert counts(rows, "knowledge") == (0, 0, 0)
    assert counts(rows, "skills") == (80, 20, 0)
    assert mix([], replay, share=0.25, seed=0) == []


def test_the_order_is_a_shuffle_that_depends_on_rows_and_seed_alone(train, replay):
    rows = mix(train, replay, share=0.25, seed=0)
    assert [row.phase for row in rows] == sorted(row.phase for row in rows)
    leaves = [row.leaf == "replay" for row in rows if row.phase == "knowledge"]
    assert 3 < sum(leaves[:40]) < 25
    assert mix(random.Random(1).sample(train, len(train)), replay[::-1], share=0.25, seed=0) == rows
    assert mix(train, replay, share=0.25, seed=1) != rows


def test_shares_that_leave_no_room_are_refused(train, replay):
    with pytest.raises(RecipeError, match="fill the whole skills phase"):
        mix(train, replay, share=0.8, seed=0)


@given(
    st.integers(1, 3000),
    st.integers(0, 500),
    st.integers(0, 500),
    st.sampled_from([0, 0.01, 0.05, 0.2, 0.25, 0.5]),
    st.sampled_from([0, 0.01, 0.05, 0.2, 0.45]),
)
def test_shares_are_of_rows_and_met_to_the_nearest_row(new, bases, knowledge, share, repeated):
    found = mixing.replay_counts(new, bases=bases, knowledge=knowledge, share=share, repeated=repeated)
    rows = new + sum(found)
    for count, there, wanted in ((found[0], bases, share), (found[1], knowledge, repeated)):
        assert 0 <= count <= there
        if count < there:
            assert abs(count - wanted * rows) <= 1
        else:
            assert count <= wanted * rows + 1


def test_without_rows_of_the_base_the_share_of_knowledge_is_met_all_the_same(train):
    rows = mix(train, [], share=0.25, knowledge_share=0.25, seed=0)
    assert counts(rows, "skills") == (80, 0, 20)


def test_too_few_rows_of_the_base_leave_the_share_of_knowledge_as_it_is(train, replay):
    rows = mix(train, replay[:4], share=0.25, knowledge_share=0.2, seed=0)
    assert counts(rows, "skills") == (80, 4, 16)


def test_without_rows_of_the_base_their_share_takes_no_room(train):
    assert counts(mix(train, [], share=0.8, knowledge_share=0.25, seed=0), "skills") == (80, 0, 20)


def repeated(train, knowledge_share, seed):
    rows = mix(train, [], share=0.0, knowledge_share=knowledge_share, seed=seed)
    return [row for row in rows if row.phase == "skills" and row.kind == "knowledge"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), min_size=60, max_size=150),
    st.sampled_from([0.01, 0.05, 0.2, 0.4]),
    st.integers(0, 3),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_repeated_knowledge_spreads_over_leaves_chunks_and_facts(sample, places, share, seed):
    knowledge = [
        sample(f"Question {number}?", f"fact {fact}", leaf=f"knowledge/{leaf}", chunk=f"chunk {chunk}")
        for number, (leaf, chunk, fact) in enumerate(places)
    ]
    skills = [sample(f"What is {number} + 1?", kind="freeform", method="simulation") for number in range(60)]
    paths = {one.id: (one.lineage.leaf, one.lineage.chunk, one.answer) for one in knowledge}
    found = [paths[row.sample] for row in repeated([*knowledge, *skills], share, seed)]
    part = len(found) / len(knowledge)
    for depth in (1, 2, 3):
        told, there = (Counter(path[:depth] for path in of) for of in (found, paths.values()))
        assert all(abs(told[path] - part * count) < 1 for path, count in there.items())


def test_one_row_in_twenty_leaves_out_no_fact(sample):
    """Drawn at random, three samples of sixty for a fact on average, it would leave out one fact in twenty-two."""
    knowledge = [sample(f"Where is tower {n}, {way}?", f"town {n}") for n in range(40) for way in range(60)]
    skills = [sample(f"What is {n} + 1?", kind="freeform", method="simulation") for n in range(2280)]
    for seed in range(3):
        found = Counter(row.messages[-1].content for row in repeated([*knowledge, *skills], 0.05, seed))
        assert set(found) == {f"town {n}" for n in range(40)}
        assert set(found.values()) == {3}


def test_other_seeds_repeat_other_samples(train):
    first, second = ({row.sample for row in repeated(train, 0.2, seed)} for seed in (0, 1))
    assert len(first) == len(second) == 15
    assert first != second
