from __future__ import annotations

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.filters.sift import sift
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice
from instructlab_like.records import Item, Lineage, Sample, Verdict, digest
from instructlab_like.stages.sifting import sifted
from instructlab_like.stock import Stock
from instructlab_like.workspace import Run, read_records, write_records


@pytest.fixture
def samples():
    asked = ["Who built the tower?", "who built the tower", "User: hi", "Where is the tower of the town?", "Why?"]
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
    held_out = [Item(id="i", leaf="l", source="heldout", question="Where is the tower of the town?", answer="here")]
    with Stock(run.samples) as stock:
        kept, phases = sifted(run, stock, DEFAULT_FILTERS, held_out=held_out)
        whole = sift(samples, DEFAULT_FILTERS, held_out=held_out)
        assert (tuple(kept), phases) == (whole.kept, whole.phases)
    assert {phase.filter for phase in phases if phase.rejected} == {"shape", "length", "held_out", "exact_duplicate"}
    assert list(read_records(run.verdicts, Verdict)) == [flows_own, *whole.verdicts]
    before = run.verdicts.read_bytes()
    write_records(run.verdicts, [flows_own, *whole.verdicts])
    assert run.verdicts.read_bytes() == before, "the bytes are those of records that are written"
    assert sorted(path.name for path in run.folder.iterdir()) == ["2-samples.jsonl", "3-verdicts.jsonl"]


def test_after_an_error_the_verdicts_are_as_they_were(run):
    before = run.verdicts.read_bytes()
    with Stock(run.samples) as stock, pytest.raises(RecipeError):
        sifted(run, stock, [FilterChoice(name="shape"), FilterChoice(name="shap")], held_out=[])
    assert run.verdicts.read_bytes() == before
    assert sorted(path.name for path in run.folder.iterdir()) == ["2-samples.jsonl", "3-verdicts.jsonl"]


def test_without_filters_the_verdicts_are_the_flows_own(run, flows_own):
    with Stock(run.samples) as stock:
        kept, phases = sifted(run, stock, [], held_out=[])
        assert (len(kept), phases) == (10, ())
    assert list(read_records(run.verdicts, Verdict)) == [flows_own]
