"""What every filter owes, whoever wrote it. A new file in a phase's folder is picked up here by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from instructlab_like.filters import (
    PHASES,
    AskFilter,
    LeafFacts,
    LeafFilter,
    SampleFilter,
    SetFilter,
    Surroundings,
    find,
    members,
    places,
)
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.pool import Held
from instructlab_like.records import Item, Sample

PASSAGE = "The Orrin Tower was built in 1874 by Mara Vell. It is 41 metres tall and stands on the harbour wall."
NEEDED = {"semantic": "encoder", "contamination": "files"}  # options without which a filter is none


@pytest.fixture
def corpus(sample: Callable[..., Sample]) -> list[Sample]:
    long = "the tide rises twice a day because the moon pulls the water on the near side more than on the far side"
    found = [
        sample("When was the Orrin Tower built?", "1874", kind="knowledge", context=PASSAGE, method="rules"),
        sample("In which year was it built?", "In 1874.", kind="knowledge", context=PASSAGE, method="rules"),
        sample("Who built it?", "Benno Hart", kind="knowledge", context=PASSAGE),
        sample("What is 3 + 4?", "7", method="simulation"),
        sample("What is 3 + 4?", "8", method="simulation"),
        sample("Rewrite this text.", "A short text.", kind="grounded", context="This is a text of some length."),
        sample("Why are there tides?", f"Each day {long}."),
        sample("Why are there tides at all?", f"Each day {long} of it."),
        sample("Whom do I write to?", "To anna.berg@harbour-office.net, or call +44 20 7183 8750."),
        sample("", ""),
        sample("<|user|>", "[INST]"),
        sample("Wo steht der Turm?", "Auf der Hafenmauer."),
        sample("塔は何年に建てられましたか？", "1874年"),
        sample("?", "!"),
        sample("\U0001f600 \u200b\u202e", "```python\nprint(1"),
        sample("word " * 3000, "word " * 3000),
    ]
    return sorted(found, key=lambda one: one.id)


@pytest.fixture
def around() -> Surroundings:
    item = Item(id="i1", leaf="l", source="heldout", question="When was the Orrin Tower built?", answer="1874")
    return Surroundings(held_out=(item,))


@pytest.fixture(params=[name for name in members() if name not in NEEDED])
def kind(request: pytest.FixtureRequest) -> type[SampleFilter] | type[LeafFilter] | type[SetFilter] | type[AskFilter]:
    return find(request.param)


def judge(kind, samples: list[Sample], around: Surroundings) -> list[Judgement | None]:
    """What the filter says of each; None where one over the whole set says nothing."""
    chosen = kind()
    if isinstance(chosen, SampleFilter):
        return [chosen.judge(sample) for sample in samples]
    if isinstance(chosen, LeafFilter):
        return [chosen.judge(sample, LeafFacts(path=sample.lineage.leaf)) for sample in samples]
    if isinstance(chosen, AskFilter):
        return [chosen.judge(sample, [[] for _ in chosen.asks(sample)]) for sample in samples]
    told = dict(chosen.judge(Held(samples, [chosen.sketch(sample) for sample in samples]), around))
    return [told.get(place) for place in range(len(samples))]


def test_names_are_of_one_filter_each_and_no_phases():
    assert len(set(members())) == len(members())
    assert not set(members()) & set(PHASES)


def test_a_filter_judges_in_words(kind, corpus, around):
    told = judge(kind, corpus, around)
    assert len(told) == len(corpus)
    for judgement in told:
        if judgement is not None:
            assert judgement.reason.strip()
            assert judgement.keep or judgement.rule.replace("-", "").isalnum(), judgement
            assert judgement.keep or judgement.rule == judgement.rule.lower()


def test_a_filter_judges_no_samples_as_none(kind, around):
    assert judge(kind, [], around) == []


def test_a_filter_judges_the_same_alike_every_time(kind, corpus, around):
    assert judge(kind, corpus, around) == judge(kind, corpus, around)


def test_a_filter_keeps_a_plain_question_and_answer(kind, sample, around):
    if issubclass(kind, AskFilter):
        pytest.skip("a judge says")
    good = sample("Which rock is the harbour wall made of?", "Granite", method="rules")
    (told,) = judge(kind, [good], around)
    assert told is None or told.keep


def test_a_filters_options_are_frozen_and_can_stand_in_a_recipe(kind):
    chosen = kind()
    for option, value in chosen.model_dump().items():
        assert isinstance(value, int | float | str | bool), option
        with pytest.raises(ValidationError):
            setattr(chosen, option, value)


def test_a_filter_says_what_it_rejects_and_what_its_options_mean(kind):
    assert len(inspect.getdoc(kind) or "") > 80
    for option, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{option} has no docstring"


def test_a_filter_is_another_with_another_option(kind):
    assert kind().identity() == kind().identity()
    for option, value in kind().model_dump().items():
        if isinstance(value, bool):
            assert kind.model_validate({option: not value}).identity() != kind().identity()


def test_a_filter_needs_no_other_member_of_the_family(kind):
    source = inspect.getsource(inspect.getmodule(kind))
    for other, phase in places().items():
        assert f"filters.{phase}.{other}" not in source
