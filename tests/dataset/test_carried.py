"""Samples of an earlier run beside new ones: the share that stays, and which answer to a question is trained."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset.carried import joined, question
from instructlab_like.records import Lineage, Sample, digest

LEAVES = ("compositional_skills/a", "compositional_skills/b", "knowledge/c")


def sample(leaf: str, asked: int, answer: str) -> Sample:
    lineage = Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="m")
    kind = "knowledge" if leaf.startswith("knowledge") else "freeform"
    return Sample(
        id=digest([leaf, asked, answer])[:32], kind=kind, question=f"What is {asked}?", answer=answer, lineage=lineage
    )


asked = st.tuples(st.sampled_from(LEAVES), st.integers(0, 30))
olds = st.lists(asked, max_size=60, unique=True).map(lambda told: [sample(*one, "old") for one in told])
news = st.lists(asked, max_size=60, unique=True).map(lambda told: [sample(*one, "new") for one in told])
shares = st.sampled_from([0.0, 0.1, 0.5, 0.75, 0.99])


@given(news, olds, shares, st.integers(0, 3))
def test_of_each_leaf_the_share_stays_and_no_question_has_two_answers(
    new: list[Sample], old: list[Sample], share: float, seed: int
) -> None:
    found = joined(new, old, share=share, seed=seed)
    counts = Counter((one.lineage.leaf, one.answer) for one in found)
    for leaf in LEAVES:
        assert counts[leaf, "old"] >= share * (counts[leaf, "old"] + counts[leaf, "new"]) - 1e-9
    assert len({(one.lineage.leaf, question(one)) for one in found}) == len(found)
    assert len(found.new) + found.left_out == len(new)
    assert len(found.carried) + found.answered_anew == len(old)
    known = {one.id for one in (*new, *old)}
    assert {one.id for one in found} <= known


@given(news, olds)
def test_without_a_share_every_new_answer_is_taken(new: list[Sample], old: list[Sample]) -> None:
    found = joined(new, old, share=0.0, seed=0)
    assert list(found.new) == new
    answered = {(one.lineage.leaf, one.question) for one in new}
    assert list(found.carried) == [one for one in old if (one.lineage.leaf, one.question) not in answered]


@given(news, olds, shares)
def test_the_choice_does_not_hang_on_the_order_in_which_samples_come(
    new: list[Sample], old: list[Sample], share: float
) -> None:
    one, other = joined(new, old, share=share, seed=1), joined(new[::-1], old[::-1], share=share, seed=1)
    assert {sample.id for sample in one} == {sample.id for sample in other}


def test_half_of_a_leaf_is_answered_anew_at_most_and_the_seed_says_which() -> None:
    old = [sample(LEAVES[0], number, "old") for number in range(40)]
    new = [sample(LEAVES[0], number, "new") for number in range(40)]
    found, other = (joined(new, old, share=0.5, seed=seed) for seed in (0, 1))
    assert (len(found.new), len(found.carried), found.share) == (20, 20, 0.5)
    assert {one.id for one in found.new} != {one.id for one in other.new}


def test_a_leaf_without_old_samples_gets_no_new_ones_where_a_share_is_wanted() -> None:
    new = [sample(LEAVES[0], number, "new") for number in range(4)]
    assert joined(new, [], share=0.1, seed=0).left_out == 4
    assert joined(new, [], share=0.0, seed=0).left_out == 0


def test_it_is_a_sequence() -> None:
    new = [sample(LEAVES[0], number, "new") for number in range(2)]
    old = [sample(LEAVES[0], number, "old") for number in range(5, 9)]
    found = joined(new, old, share=0.0, seed=0)
    assert list(found) == [*new, *old]
    assert found[-1] == old[-1]
    assert list(found[1:3]) == [new[1], old[0]]
    with pytest.raises(IndexError):
        found[6]
