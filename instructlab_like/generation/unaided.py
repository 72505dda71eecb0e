"""Samples of the tasks that need no teacher: rules over a chunk, draws of a simulation."""

from __future__ import annotations

from instructlab_like.generation import rules, simulation
from instructlab_like.records import RulesTask, Sample, SimulationTask


def unaided(task: RulesTask | SimulationTask) -> list[Sample]:
    """The samples in their order; raises TemplateError for a simulation that cannot be drawn."""
    return rules.pairs(task) if isinstance(task, RulesTask) else simulation.draw(task)
