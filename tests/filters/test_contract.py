"""What every filter owes, whoever wrote it. A new file in filters/ is picked up here by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import orjson
import pytest
from pydantic import ValidationError

from instructlab_like.filters import SampleFilter, SetFilter, Surroundings, find, members
from instructlab_like.filters.sift import decide
from instructlab_like.records import Item, Sample, Verdict, plain

PASSAGE = "The Orrin Tower was built in 1874 by Mara Vell. It is 41 metres tall and stands on the harbour wall."


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
        sample("", ""),
        sample("<|user|>", "[INST]"),
        sample("Wo steht der Turm?", "Auf der Hafenmauer."),
        sample("塔は何年に建てられましたか？", "1874年"),
        sample("?", "!"),
        sample("word " * 3000, "word " * 3000),
    ]
    return sorted(found, key=lambda one: one.id)


@pytest.fixture
def around() -> Surroundings:
    item = Item(id="i1", leaf="l", source="heldout", question="When was the Orrin Tower built?", answer="1874")
    return Surroundings(held_out=(item,))


@pytest.fixture(params=members())
def kind(request: pytest.FixtureRequest) -> type[SampleFilter] | type[SetFilter]:
    return find(request.param)


def judge(kind: type[SampleFilter] | type[SetFilter], samples: list[Sample], around: Surroundings) -> list[Verdict]:
    return list(decide(kind(), samples, around))


def test_a_filter_gives_one_verdict_a_sample_in_order_with_a_reason(kind, corpus, around):
    verdicts = judge(kind, corpus, around)
    assert [verdict.subject for verdict in verdicts] == [sample.id for sample in corpus]
    for verdict, sample in zip(verdicts, corpus, strict=True):
        assert verdict.reason.strip()
        assert verdict.leaf == sample.lineage.leaf
        assert (verdict.filter, verdict.version) == (kind.__module__.rpartition(".")[2], kind.version)


def test_a_filter_judges_no_samples_as_none(kind, around):
    assert judge(kind, [], around) == []


def test_a_filter_judges_the_same_alike_every_time(kind, corpus, around):
    assert judge(kind, corpus, around) == judge(kind, corpus, around)


def test_a_filter_keeps_a_plain_question_and_answer(kind, sample, around):
    good = sample("Which rock is the harbour wall made of?", "Granite", method="rules")
    assert judge(kind, [good], around)[0].keep


def test_a_filters_verdicts_are_json(kind, corpus, around):
    for verdict in judge(kind, corpus, around):
        assert Verdict.model_validate(orjson.loads(orjson.dumps(plain(verdict)))) == verdict


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


def test_a_filter_needs_no_other_member_of_the_family(kind):
    source = inspect.getsource(inspect.getmodule(kind))
    for other in members():
        assert f"filters.{other}" not in source
