from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.dataset import split as splitting
from instructlab_like.records import ngrams, normalise


def split(samples, **options):
    train, test = splitting.split(samples, **options)
    return list(train), list(test)


def facts(sample, count, leaf="knowledge/tides"):
    """Three phrasings of each of `count` facts, without words in common but those of the frame."""
    frames = (
        "Where is the {}?",
        "In which town can one find the {}?",
        "Fill in: the {} stands in the old town of ____.",
    )
    return [
        sample(frame.format(f"{leaf[-3:]}tower{n}"), f"town {n}", leaf=leaf) for n in range(count) for frame in frames
    ]


def test_the_share_of_each_leaf_is_set_aside(sample):
    samples = facts(sample, 40, "a/one") + facts(sample, 20, "b/two")
    train, test = split(samples, share=0.1, seed=0)
    assert Counter(one.lineage.leaf for one in test) == {"a/one": 12, "b/two": 6}
    assert sorted(one.id for one in train + test) == sorted(one.id for one in samples)


def test_a_tiny_leaf_has_no_test_rows(sample):
    assert split(facts(sample, 3), share=0.1, seed=0)[1] == []
    assert split([], share=0.1, seed=0) == ([], [])
    assert split(facts(sample, 3), share=0.0, seed=0)[1] == []


def test_no_leaf_goes_to_test_whole(sample):
    train, _ = split([sample("Who?"), sample("When was it?")], share=0.999, seed=0)
    assert train


def test_the_choice_depends_on_the_samples_and_the_seed_alone(sample):
    samples = facts(sample, 40)
    mixed = random.Random(1).sample(samples, len(samples))
    chosen = {one.id for one in split(samples, share=0.2, seed=0)[1]}
    assert {one.id for one in split(mixed, share=0.2, seed=0)[1]} == chosen
    assert {one.id for one in split(samples, share=0.2, seed=1)[1]} != chosen


def test_both_sides_keep_the_order_given(sample):
    samples = facts(sample, 40)
    for side in split(samples, share=0.3, seed=0):
        places = [samples.index(one) for one in side]
        assert places == sorted(places)


def test_a_group_larger_than_the_share_stays_in_training(sample):
    shared = "what do we know of the tower by the sea since"
    samples = [sample(f"{shared} {year}?") for year in range(30)]
    assert split(samples, share=0.2, seed=0)[1] == []


def test_a_question_of_two_leaves_stays_in_training(sample):
    samples = [sample(f"Who is number {n}?", leaf=leaf) for n in range(10) for leaf in ("a", "b")]
    assert split(samples, share=0.5, seed=0)[1] == []


def test_simulations_are_split_by_question_though_their_phrasing_is_one(sample):
    tale = "A crate on the quay holds {} boxes of twelve eggs each. How many eggs are there?"
    samples = [sample(tale.format(n), str(n * 12), kind="freeform", method="simulation") for n in range(100)]
    train, test = split(samples, share=0.1, seed=0)
    assert len(test) == 10
    assert not {normalise(one.question) for one in train} & {normalise(one.question) for one in test}


def test_questions_about_a_passage_are_split_by_passage_and_chunk(sample):
    samples = [
        sample(
            ask, f"{n}", kind="grounded", context=f"Text {part} of number {n}.", method="teacher", chunk=f"blob:{n}-9"
        )
        for n in range(30)
        for part in ("one", "two")
        for ask in ("Return the text after correcting any errors of punctuation in it.", "Sum it up.")
    ]
    train, test = split(samples, share=0.2, seed=0)
    assert len(test) == 24
    assert not {one.lineage.chunk for one in train} & {one.lineage.chunk for one in test}


VOCABULARY = "who when what built the old tower stood by sea in town of ann"
WORDS = st.lists(st.sampled_from(VOCABULARY.split()), min_size=1, max_size=14)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(WORDS, st.sampled_from("ab")), max_size=40, unique_by=lambda pair: (tuple(pair[0]), pair[1])),
    st.floats(min_value=0, max_value=0.99),
    st.integers(min_value=0, max_value=9),
)
def test_train_and_test_share_no_question_and_no_run_of_eight_words(sample, texts, share, seed):
    samples = [sample(" ".join(words), leaf=leaf) for words, leaf in texts]
    train, test = split(samples, share=share, seed=seed)
    assert sorted(one.id for one in train + test) == sorted(one.id for one in samples)
    assert not {normalise(one.question) for one in train} & {normalise(one.question) for one in test}
    runs = [{run for one in side for run in ngrams(one.question) if len(run) == 8} for side in (train, test)]
    assert not runs[0] & runs[1]
    for leaf in {one.lineage.leaf for one in samples}:
        of_leaf = sum(one.lineage.leaf == leaf for one in samples)
        assert sum(one.lineage.leaf == leaf for one in test) <= share * of_leaf + 1e-9
        assert any(one.lineage.leaf == leaf for one in train)
