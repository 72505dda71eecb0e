"""Samples of the tasks that need no teacher: rules over a chunk, draws of a simulation."""

from __future__ import annotations

from instructlab_like.generation import simulation
from instructlab_like.records import RulesTask, Sample, SimulationTask


def unaided(task: RulesTask | SimulationTask) -> list[Sample]:
    """The samples in their order; raises TemplateError for a simulation that cannot be drawn."""
    if isinstance(task, SimulationTask):
        return simulation.draw(task)
    from instructlab_like.generation import rules  # on demand: their patterns take 0.2 s to compile

    return rules.pairs(task)
