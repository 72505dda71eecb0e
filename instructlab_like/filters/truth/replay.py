"""Rejects samples of a simulation whose answer the simulation does not give."""

from __future__ import annotations

from typing import ClassVar

from instructlab_like.confined import simulated
from instructlab_like.filters import LeafFacts, LeafFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.records import Sample

NOT_SIMULATED = not_applied("not made by a simulation")
NO_VALUES = not_applied("its drawn values are not known")
NO_SIMULATION = not_applied("its leaf has no simulation any more")
MASKED = not_applied("stands in another's place, with a part of it masked")
SAME = kept("the simulation gives this answer again")
SHOWN = 120


class Replay(LeafFilter):
    """Renders the answer of a simulated sample once more from the values that were drawn for it, and rejects it when
    the leaf's simulation gives another answer: because the answer was changed, or the simulation was.

    The question is not checked against the values, for the phrasing that was drawn is not kept. A sample is rendered in
    a confined process, which takes a third of a millisecond, and 80 ms once for each of the last eight leaves. Off by
    default: what `ilk generate` draws needs no second look.
    """

    version: ClassVar[int] = 1

    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        if sample.lineage.method != "simulation":
            return NOT_SIMULATED
        if sample.lineage.params is None:
            return NO_VALUES
        if leaf.simulation is None:
            return NO_SIMULATION
        if sample.lineage.parents:
            return MASKED
        where = f"{leaf.path}/simulation.yaml: answer"
        rendered = simulated.answer(leaf.simulation.answer, sample.lineage.params, where=where)
        if rendered.failure is not None:
            why = rendered.failure.what or "its template has a flaw; ilk check shows it"
            return rejected("no-replay", f"the simulation gives no answer with its values: {why}")
        again = rendered.texts[0].strip()
        if again == sample.answer.strip():
            return SAME
        return rejected("other-answer", f"the simulation says {short(again)}, not {short(sample.answer)}")


def short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
