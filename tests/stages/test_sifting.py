from __future__ import annotations

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.filters import Surroundings
from instructlab_like.filters.sift import sift
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Item, Lineage, PhaseCount, RuleCount, Sample, Verdict, Waterfall, digest
from instructlab_like.stages.filtering.sifting import sifted
from instructlab_like.stock import Stock
from instructlab_like.workspace import Run, read_records, write_records

FILTERS = ("markup", "length", "held_out", "exact_duplicate")
BEFORE = Waterfall(
    phases=(PhaseCount(filter="flow/judge", made=1, kept=0, rejected=1),),
    rules=(RuleCount(filter="flow/judge", rule="", leaf="l", rejected=1),),
)


@pytest.fixture
def samples():
    asked = ["Who built the tower?", "who built the tower", "<|user|> hi", "Where is the tower of the town?", "Why?"]
    return [
        Sample(
            id=digest([question, answer])[:32],
            kind="freeform",
            question=question,
            answer=answer,
            lineage=Lineage(leaf="l", leaf_blob="0" * 40, method="teacher", model="m"),
        )
        for question in asked
        for answer in ("Ann", "Ben")
    ]


@pytest.fixture
def flows_own():
    """A verdict as a flow's judge left it: on a sample that went no further."""
    return Verdict(subject="f" * 32, leaf="l", filter="flow/judge", version=1, keep=False, reason="no – 東京")


@pytest.fixture
def run(tmp_path, samples, flows_own):
    run = Run(tmp_path)
    write_records(run.samples, samples)
    write_records(run.verdicts, [flows_own])
    return run


def test_verdicts_stand_behind_the_flows_own_filter_by_filter_and_in_id_order(run, samples, flows_own):
    held_out = Item(id="i", leaf="l", source="heldout", question="Where is the tower of the town?", answer="here")
    recipe = GenerateRecipe(filters=FILTERS)
    around = Surroundings(held_out=(held_out,))
    with Stock(run.samples) as stock:
        outcome = sifted(run, stock, recipe, around, before=BEFORE)
        whole = sift(samples, recipe.filters, around)
        assert (tuple(outcome.kept), outcome.waterfall) == (whole.kept, whole.waterfall)
    assert {phase.filter for phase in outcome.waterfall.phases if phase.rejected} == set(FILTERS)
    assert list(read_records(run.verdicts, Verdict)) == [flows_own, *whole.verdicts]
    before = run.verdicts.read_bytes()
    write_records(run.verdicts, [flows_own, *whole.verdicts])
    assert run.verdicts.read_bytes() == before, "the bytes are those of records that are written"
    told = Waterfall.model_validate_json(run.waterfall.read_bytes())
    assert told.phases == (*BEFORE.phases, *outcome.waterfall.phases)
    assert told.rules == (*BEFORE.rules, *outcome.waterfall.rules)
    names = ["2-samples.jsonl", "3-verdicts.jsonl", "3-waterfall.json"]
    assert sorted(path.name for path in run.folder.iterdir() if path.name != ".index") == names


def test_after_an_error_the_verdicts_are_as_they_were(run):
    before = run.verdicts.read_bytes()
    with Stock(run.samples) as stock, pytest.raises(RecipeError):
        sifted(run, stock, GenerateRecipe(filters=("markup", "marku")), Surroundings(), before=BEFORE)
    assert run.verdicts.read_bytes() == before
    assert sorted(path.name for path in run.folder.iterdir()) == ["2-samples.jsonl", "3-verdicts.jsonl"]


def test_without_filters_each_sample_has_a_verdict_that_says_so(run, samples, flows_own):
    with Stock(run.samples) as stock:
        outcome = sifted(run, stock, GenerateRecipe(filters=()), Surroundings(), before=BEFORE)
        assert (len(outcome.kept), outcome.waterfall.phases) == (10, ())
    told = list(read_records(run.verdicts, Verdict))
    assert told[0] == flows_own
    assert [(verdict.subject, verdict.keep) for verdict in told[1:]] == [
        (id, True) for id in sorted(s.id for s in samples)
    ]
