"""A flow as it was read, with its templates and the values of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from instructlab_like.axes import Axes, FromLeaf, Values, classifies
from instructlab_like.filters import SampleFilter, build, expand
from instructlab_like.flows.steps import (
    WHOLE,
    AskStep,
    LeafKind,
    Plan,
    PreferStep,
    Same,
    SimulationStep,
    Step,
    conditions,
)
from instructlab_like.prompts import Template
from instructlab_like.records import Leaf, Skill


@dataclass(frozen=True)
class Flow:
    name: str
    path: Path
    blob: str  # Git blob id of the file
    plan: Plan
    templates: Mapping[str, Template]  # by the name of the step
    values: Mapping[str, Values] = field(default_factory=dict)  # by axis, of those whose values the flow names
    drawn: Mapping[str, FromLeaf] = field(default_factory=dict)  # by axis, of those whose values each leaf gives

    def axes(self, seed: int, own: Mapping[str, Values] | None = None) -> Axes:
        """What its prompts are varied by, in the order that belongs to a recipe's seed; `own` are the leaf's values."""
        known = {**self.values, **(own or {})}
        return Axes({axis: known[axis] for axis in self.plan.axes if axis in known}, seed)

    def own(self, leaf: Leaf, beside: Sequence[Leaf]) -> Mapping[str, Values]:
        """The values of the axes that a leaf gives; `beside` are those that share its branch."""
        return {axis: source.values(leaf, beside) for axis, source in self.drawn.items()}

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.plan.steps

    @property
    def first(self) -> Step:
        return self.plan.steps[0]

    @property
    def asks(self) -> bool:
        """Whether it starts with a teacher."""
        return isinstance(self.first, AskStep)

    @property
    def begins_with_samples(self) -> bool:
        """Whether it takes up what an earlier run kept."""
        return isinstance(self.first, AskStep) and self.first.each == ("sample",)

    @cached_property
    def later_axes(self) -> tuple[str, ...]:
        """The axes that tell records of the same first prompt apart: later steps show them, or compare with them."""
        asking = [step for step in self.steps if isinstance(step, AskStep)]
        used = {name for step in asking[1:] for name in self.templates[step.name].variables}
        used |= {source for step in asking[1:] for source in step.given.values()}
        told = [condition for step in asking for condition in (*step.keep.values(), *conditions(step).values())]
        used |= {condition.same_as for condition in told if isinstance(condition, Same)}
        return tuple(axis for axis in self.plan.axes if axis in used)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.role for step in self.steps if isinstance(step, AskStep)))

    @cached_property
    def needs(self) -> frozenset[str]:
        """What its templates need of a server."""
        return frozenset(need for template in self.templates.values() for need in template.needs)

    @cached_property
    def filters(self) -> Mapping[str, tuple[SampleFilter, ...]]:
        """By the name of the step; of a phase, its filters that judge each sample by itself."""
        built = {step.name: [build(choice) for choice in expand(step.filters)] for step in self.steps}
        return {name: tuple(one for one in made if isinstance(one, SampleFilter)) for name, made in built.items()}

    def takes(self, leaf: Leaf) -> bool:
        if kind_of(leaf) not in self.plan.leaves:
            return False
        if any(axis.source == "answers" for axis in self.drawn.values()) and not classifies(leaf):
            return False
        simulated = isinstance(self.first, SimulationStep)
        return not simulated or (isinstance(leaf, Skill) and leaf.simulation is not None)

    @cached_property
    def writing(self) -> frozenset[str]:
        """The names of the steps whose answers become part of the sample, rather than a judgement of it."""
        of = {name for other in self.steps if isinstance(other, PreferStep) for name in other.of}
        content = {"context", *WHOLE, *of}
        return frozenset(
            step.name
            for step in self.steps
            if isinstance(step, AskStep)
            and content & {step.named_as.get(tag, tag) for tag in self.templates[step.name].yields}
        )


def kind_of(leaf: Leaf) -> LeafKind:
    if not isinstance(leaf, Skill):
        return "knowledge"
    return "grounded" if leaf.grounded else "freeform"
