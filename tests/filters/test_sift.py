from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.errors import RecipeError
from instructlab_like.filters import SampleFilter, Surroundings, build, find
from instructlab_like.filters.sift import decide, sift
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice


def test_an_unknown_filter_names_the_nearest():
    with pytest.raises(RecipeError) as raised:
        find("near_duplicat")
    assert str(raised.value) == "filters: there is no filter 'near_duplicat'\n  → did you mean 'near_duplicate'?"


def test_the_module_that_applies_filters_is_none():
    with pytest.raises(RecipeError):
        find("sift")


def test_an_unknown_option_names_filter_option_and_nearest():
    with pytest.raises(RecipeError) as raised:
        build(FilterChoice(name="length", options={"max_answer_word": 3}))
    assert str(raised.value) == (
        "filters.length.max_answer_word: filter 'length' has no option 'max_answer_word'\n"
        "  → did you mean 'max_answer_words'?"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 7}, "threshold: Input should be less than or equal to 1 (got 7)"),
        ({"threshold": "high"}, "threshold: Input should be a valid number"),
    ],
)
def test_a_wrong_value_names_filter_field_and_value(options, said):
    with pytest.raises(RecipeError) as raised:
        build(FilterChoice(name="grounded", options=options))
    assert raised.value.where == "filters.grounded"
    assert said in raised.value.what


def test_a_wrong_choice_is_told_before_anything_is_judged(sample):
    with pytest.raises(RecipeError):
        sift([], [FilterChoice(name="shape"), FilterChoice(name="nothing")], held_out=[])


def test_a_later_filter_sees_only_what_the_earlier_kept(sample):
    good, empty, long = sample("Who came first?", "Ann"), sample("Who came last?", ""), sample("Say it.", "word " * 900)
    found = sift([good, empty, long], [FilterChoice(name="shape"), FilterChoice(name="length")], held_out=[])
    assert found.kept == (good,)
    assert [(phase.filter, phase.made, phase.kept, phase.rejected) for phase in found.phases] == [
        ("shape", 3, 2, 1),
        ("length", 2, 1, 1),
    ]
    assert [verdict.subject for verdict in found.verdicts if verdict.filter == "length"] == sorted([good.id, long.id])


def test_without_filters_all_samples_are_kept_in_id_order(sample):
    samples = [sample(f"Question {number}?", "Yes") for number in range(9)]
    assert sift(samples, [], held_out=[]).kept == tuple(sorted(samples, key=lambda one: one.id))


class Loses(SampleFilter):
    """A filter with a bug: its verdicts are about another sample."""

    version = 1

    def judge(self, sample):
        return self.keep(sample.model_copy(update={"id": "another"}), "fine")


def test_a_filter_that_loses_a_sample_ends_the_run(sample):
    with pytest.raises(RuntimeError, match="was given 1 samples"):
        list(decide(Loses(), [sample("Who?", "Ann")], Surroundings()))


VOCABULARY = "the a moon tide Ann Orrin tower 7 1874 is was not [ANSWER] <|user|> As an AI red ? ."
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["knowledge", "freeform", "grounded"])), max_size=12))
def test_kept_and_rejected_make_up_what_was_made_at_every_phase(sample, texts):
    samples = [
        sample(q, a, kind=kind, context="The moon is red.", id=f"{n:02}") for n, (q, a, kind) in enumerate(texts)
    ]
    found = sift(samples, DEFAULT_FILTERS, held_out=[])
    made = len(samples)
    for phase in found.phases:
        of_phase = [verdict for verdict in found.verdicts if verdict.filter == phase.filter]
        assert phase.made == made == len(of_phase)
        assert phase.kept == sum(verdict.keep for verdict in of_phase) == phase.made - phase.rejected
        made = phase.kept
    assert made == len(found.kept)
    assert sift(samples[::-1], DEFAULT_FILTERS, held_out=[]) == found
