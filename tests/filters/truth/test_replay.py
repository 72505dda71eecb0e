"""Replay: a simulated answer is what the leaf's simulation gives for the values that were drawn."""

from __future__ import annotations

import pytest

from instructlab_like.confined import simulated
from instructlab_like.filters import LeafFacts
from instructlab_like.filters.truth.replay import Replay
from instructlab_like.generation.simulation import draw
from instructlab_like.records import IntegerParameter, SampleParameter, Simulation, SimulationTask

SUMS = Simulation(
    parameters={
        "a": IntegerParameter(low=1, high=99),
        "b": IntegerParameter(low=1, high=99),
        "of": SampleParameter(of=("red", "blue", "green"), count=2),
    },
    questions=("What is {{ a }} + {{ b }} in {{ of | join(' and ') }}?",),
    answer="{{ a + b }} ({% for one in of %}{{ one | upper }}{% endfor %})",
)
LEAF = LeafFacts(path="compositional_skills/sums", simulation=SUMS)


@pytest.fixture(autouse=True)
def _closed():
    yield
    simulated.close()


@pytest.fixture(scope="module")
def drawn():
    return draw(SimulationTask(leaf=LEAF.path, leaf_blob="0" * 40, simulation=SUMS, count=5, seed=0))


def test_what_the_simulation_drew_is_what_it_gives_again(drawn):
    assert all(Replay().judge(one, LEAF).keep and Replay().judge(one, LEAF).applied for one in drawn)


def test_an_answer_that_was_changed_is_rejected_with_both(drawn):
    changed = drawn[0].model_copy(update={"answer": "1000"})
    told = Replay().judge(changed, LEAF)
    assert (told.keep, told.rule) == (False, "other-answer")
    assert told.reason == f"the simulation says {drawn[0].answer!r}, not '1000'"


def test_a_simulation_that_was_changed_rejects_what_it_would_not_give(drawn):
    other = LEAF.model_copy(update={"simulation": SUMS.model_copy(update={"answer": "{{ a * b }}"})})
    assert not Replay().judge(drawn[0], other).keep


def test_values_that_the_simulation_does_not_take_are_rejected(drawn):
    other = LEAF.model_copy(update={"simulation": SUMS.model_copy(update={"answer": "{{ a + c }}"})})
    told = Replay().judge(drawn[0], other)
    assert (told.keep, told.rule) == (False, "no-replay")
    assert "'c' is undefined" in told.reason


def test_what_no_simulation_made_is_not_judged(sample, drawn):
    assert not Replay().judge(sample("What is 3 + 4?", "8"), LEAF).applied
    assert not Replay().judge(drawn[0], LeafFacts(path="elsewhere")).applied
    nameless = drawn[0].model_copy(update={"lineage": drawn[0].lineage.model_copy(update={"params": None})})
    assert not Replay().judge(nameless, LEAF).applied
    masked = drawn[0].model_copy(update={"lineage": drawn[0].lineage.model_copy(update={"parents": ("a",)})})
    assert not Replay().judge(masked, LEAF).applied


def test_more_leaves_than_processes_are_replayed(drawn):
    for number in range(simulated.OPEN + 2):
        answer = "{{ a + " + str(number) + " }}"
        leaf = LEAF.model_copy(update={"simulation": SUMS.model_copy(update={"answer": answer})})
        values = drawn[0].lineage.params or {}
        expected = drawn[0].model_copy(update={"answer": str(int(str(values["a"])) + number)})
        assert Replay().judge(expected, leaf).keep
