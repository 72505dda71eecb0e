"""What a flow's file may say: its steps, and the conditions that records have to meet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from instructlab_like.recipe import FilterChoice, named_filters
from instructlab_like.records import Record

MOST_STEPS = 40

LeafKind = Literal["knowledge", "freeform", "grounded"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", max_length=60)]

ABOUT: dict[LeafKind, frozenset[str]] = {  # variables that a record starts with
    "knowledge": frozenset(("leaf", "domain", "outline", "headings", "passage", "example", "count")),
    "freeform": frozenset(("leaf", "task", "examples", "answers", "count")),
    "grounded": frozenset(("leaf", "task", "examples", "answers", "count")),
}
WHOLE = ("question", "answer")  # the fields that make a record a sample
BROUGHT: dict[LeafKind, frozenset[str]] = {  # fields of a record that begins with a sample of an earlier run
    "knowledge": frozenset(WHOLE),
    "freeform": frozenset(WHOLE),
    "grounded": frozenset((*WHOLE, "context")),
}


Bound = Annotated[float, Field(allow_inf_nan=False)]


class Limits(Record):
    at_least: Bound | None = None
    at_most: Bound | None = None

    @model_validator(mode="after")
    def some(self) -> Limits:
        if self.at_least is None and self.at_most is None:
            raise ValueError("says neither at_least nor at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("no number is at least the one and at most the other")
        return self


class Same(Record):
    """What was judged must be another field, or the value on an axis, to the letter but for spaces."""

    same_as: FieldName


Condition = Annotated[tuple[str, ...], Field(min_length=1)] | Limits | Same
Conditions = dict[FieldName, Condition]
CONDITIONS = ("keep", "when")  # fields of a step that hold some


class _Step(Record):
    model_config = ConfigDict(populate_by_name=True)
    name: Name
    filters: tuple[FilterChoice, ...] = ()
    """Per-sample filters, or a phase of them, judged before the next step is paid for; a name, or {name, options}."""

    @field_validator("filters", mode="before")
    @classmethod
    def named(cls, value: object) -> object:
        return named_filters(value)


class AskStep(_Step):
    """A question to whoever has the role, one for each record and draw."""

    kind: Literal["ask"] = "ask"
    template: str
    role: Name = "asker"
    each: tuple[Literal["chunk", "seed", "seeds", "sample"], ...] | None = None
    fan_out: bool = False
    draws: Annotated[int, Field(ge=1, le=64)] = 1
    given: dict[FieldName, FieldName] = Field(default={}, alias="with")
    named_as: dict[FieldName, FieldName] = Field(default={}, alias="as")
    keep: Conditions = {}
    when: Conditions = {}
    """What has to hold of a record for the step to be taken; else it passes by with the fields that it has."""


class RulesStep(_Step):
    kind: Literal["rules"]


class SimulationStep(_Step):
    kind: Literal["simulation"]


class PreferStep(_Step):
    """Of two texts of a record, the second goes on as `answer` if its score is higher by more than the margin."""

    kind: Literal["prefer"]
    of: tuple[FieldName, FieldName]
    by: tuple[FieldName, FieldName]
    margin: Annotated[float, Field(ge=0)] = 0.0
    when: Conditions = {}


Step = AskStep | RulesStep | SimulationStep | PreferStep
TESTS = (*Limits.model_fields, *Same.model_fields)  # keys of a condition that is no list of words
UNIONS = ("tuple[", "Limits", "Same", "function-after[")  # as pydantic names the members of one in a place
STEPS: dict[str, type[_Step]] = {
    "ask": AskStep, "rules": RulesStep, "simulation": SimulationStep, "prefer": PreferStep,
}  # fmt: skip


class Plan(Record):
    """What a flow's file says."""

    purpose: Annotated[str, Field(min_length=1, max_length=400)]
    leaves: Annotated[tuple[LeafKind, ...], Field(min_length=1)]
    axes: dict[FieldName, tuple[str, ...] | dict[str, str] | str] = {}
    steps: Annotated[
        tuple[Annotated[Step, Field(discriminator="kind")], ...], Field(min_length=1, max_length=MOST_STEPS)
    ]

    @field_validator("steps", mode="before")
    @classmethod
    def asking_by_default(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"kind": "ask", **step} if isinstance(step, dict) else step for step in value]


def conditions(step: Step) -> Conditions:
    return step.when if isinstance(step, AskStep | PreferStep) else {}
