"""Copies by digest: the same verdicts as by comparing all texts, in whatever order they are given."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.filters import Surroundings
from instructlab_like.filters.novelty.exact_duplicate import ExactDuplicate
from instructlab_like.filters.pool import Held
from instructlab_like.records import normalise


def judge(samples, **options):
    """The judgement of each rejected sample, by its id."""
    chosen = ExactDuplicate(**options)
    ordered = sorted(samples, key=lambda one: one.id)
    told = list(chosen.judge(Held(ordered, [chosen.sketch(one) for one in ordered]), Surroundings()))
    assert [place for place, _ in told] == sorted({place for place, _ in told})
    return {ordered[place].id: judgement for place, judgement in told}


def test_the_first_stays_and_is_named(sample):
    first = sample("Who built it?", "Ann", id="1")
    again = sample("who built it", "Ann.", id="2", leaf="another/leaf")
    (told,) = judge([again, first]).values()
    assert (told.rule, told.partner, told.reason) == ("copy", "1", "same question, same answer")


def test_the_same_question_with_another_answer_is_a_contradiction(sample):
    samples = [sample("Who built it?", name, kind="knowledge", id=name) for name in ("Ann", "Ben", "Cid")]
    told = judge(samples)
    assert {id: (one.rule, one.partner) for id, one in told.items()} == {
        "Ben": ("other-answer", "Ann"),
        "Cid": ("other-answer", "Ann"),
    }
    assert judge(samples, contradictions=False) == {}


def test_a_rejected_sample_is_nobodys_partner(sample):
    """The third asks what the second asks, but the second is gone."""
    samples = [
        sample("Who built it?", "Ann", id="1"),
        sample("who built it?", "Ann", id="2"),
        sample("who built it?", "Ben", id="3"),
    ]
    assert {id: one.rule for id, one in judge(samples).items()} == {"2": "copy"}


def test_a_sign_makes_another_question_of_a_skill(sample):
    assert judge([sample("What is 5 + 3?", "8"), sample("What is 5 - 3?", "2")]) == {}
    assert judge([sample("Is a * b even?", "No."), sample("Is a / b even?", "No.")]) == {}


def test_several_phrasings_of_one_fact_stay(sample):
    asked = ["Who built it?", "By whom was it built?", "Name its builder."]
    assert judge([sample(question, "Ann", method="rules") for question in asked]) == {}


def test_an_instruction_about_two_passages_is_two_questions(sample):
    samples = [sample("Sum it up.", f"About {what}.", kind="grounded", context=f"On {what}") for what in ("ice", "sea")]
    assert judge(samples) == {}


@pytest.mark.parametrize(
    "again",
    [
        "**who** built the *long* bridge, and when?",
        "* Who built the long bridge — and when?",
        "> Who built the long bridge; and when",
        "Ｗho built  the\nlong\u00a0bridge, and when…",
        "Who built the long\u200b bridge, and\u00ad when?",
    ],
)
def test_marks_of_lists_and_emphasis_do_not_count(sample, again):
    first = sample("Who built the long bridge, and when?", "Ann, in 1871.", id="1")
    assert set(judge([first, sample(again, "_Ann_, in **1871**", id="2")])) == {"2"}


def by_comparing(samples, contradictions):
    """The rules said once more, with all texts in memory."""
    first, asked, found = {}, {}, {}
    for one in sorted(samples, key=lambda one: one.id):
        key = normalise(one.question), normalise(one.answer)
        question = key[0] if one.kind == "knowledge" else (" ".join(one.question.split()),)
        if key in first:
            found[one.id] = ("copy", first[key])
        elif contradictions and question in asked:
            found[one.id] = ("other-answer", asked[question])
        else:
            first[key] = asked[question] = one.id
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Who?", "who", "5 + 3", "5 - 3", "5  +  3", "", "\ud800"]),
            st.sampled_from(["Ann", "ann.", "Ben", ""]),
            st.sampled_from(["knowledge", "freeform"]),
        ),
        max_size=40,
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_verdicts_are_those_of_all_samples_compared(sample, texts, contradictions, rng):
    samples = [sample(q, a, kind=kind, id=f"{n:03}") for n, (q, a, kind) in enumerate(texts)]
    expected = by_comparing(samples, contradictions)
    rng.shuffle(samples)
    told = judge(samples, contradictions=contradictions)
    assert {id: (one.rule, one.partner) for id, one in told.items()} == expected


def test_few_of_many_samples_are_looked_at(sample):
    """Those that share no digest with another are never read."""
    chosen = ExactDuplicate()
    samples = [sample(f"Who is number {number}?", "Ann", id=f"{number:032x}") for number in range(300)]
    samples.append(sample("Who is number 7?", "Ann", id=f"{999:032x}"))

    class Counting(Held):
        looks = 0

        def sketch(self, place):
            self.looks += 1
            return super().sketch(place)

    pool = Counting(samples, [chosen.sketch(one) for one in samples])
    assert [place for place, _ in chosen.judge(pool, Surroundings())] == [300]
    assert pool.looks == 2


def test_an_empty_pool_is_judged():
    assert list(ExactDuplicate().judge(Held([], []), Surroundings())) == []


def test_ids_decide_and_not_the_order_of_the_texts(sample):
    texts = [(f"Who is {number % 5}?", "Ann") for number in range(40)]
    ids = [f"{number:032x}" for number in range(40)]
    random.Random(3).shuffle(ids)
    samples = [sample(q, a, id=id) for (q, a), id in zip(texts, ids, strict=True)]
    kept = set(ids) - set(judge(samples))
    firsts = {min(one.id for one in samples if one.question == q) for q, _ in texts}
    assert kept == firsts
