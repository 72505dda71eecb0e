"""Flows: short YAML files that say in which steps samples are made of a leaf, and who is asked in each.

    purpose: Questions, judged; their answers, judged as pairs
    leaves: [freeform]                     # of knowledge, freeform, grounded: which leaves it takes
    axes: {tone: [formal, friendly]}       # what prompts are varied by, if they are
    steps:
      - name: questions                    # unique; stands in lineage and verdicts
        template: skill/questions.j2
        role: asker                        # recipe `roles`; a role that is not named there is the recipe's teacher
        each: [seeds]                      # first step only: what one prompt is about
        fan_out: true                      # each group of the answer goes on by itself
      - name: question-judge
        template: judge/question.j2
        role: critic
        keep: {score: {at_least: 1}}       # a record that fails is rejected, with this as the reason
      - name: again
        template: skill/answer.j2
        role: expert
        when: {pair_score: {at_most: 1}}   # a record for which this does not hold passes the step by, as it is

A record starts with its leaf's variables; every step adds the texts that its template yields. At the end, a record with
a question and an answer is a sample.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from instructlab_like import axes
from instructlab_like.axes import FROM, Axes, FromLeaf, Values, classifies
from instructlab_like.errors import RecipeError, position
from instructlab_like.filters import SampleFilter, build, expand
from instructlab_like.prompts import FOLDER, Template, load_templates
from instructlab_like.recipe import FilterChoice, named_filters
from instructlab_like.records import Leaf, Record, Skill, blob_id, normalise
from instructlab_like.workspace import find, shipped_root

FLOWS = f"{FOLDER}/flows"
SUFFIX = ".yaml"
LARGEST, BRACKETS = 64_000, 400  # bytes of a flow's file, and opening brackets in it
MOST_STEPS = 40

LeafKind = Literal["knowledge", "freeform", "grounded"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", max_length=60)]

ABOUT: dict[LeafKind, frozenset[str]] = {  # variables that a record starts with
    "knowledge": frozenset(("leaf", "domain", "outline", "headings", "passage", "example", "count")),
    "freeform": frozenset(("leaf", "task", "examples", "answers", "count")),
    "grounded": frozenset(("leaf", "task", "examples", "answers", "count")),
}
LOOKS_AT = {
    "leaf": "looks at the sample's leaf as well",
    "set": "judges the whole set",
    "ask": "asks a model, which is a step of its own",
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


def load_flows(names: Iterable[str]) -> list[Flow]:
    """The flows by name or path, each once; raises InputError for a flow or a template of it that is wrong."""
    flows = [load_flow(name) for name in dict.fromkeys(names)]
    for flow in flows:
        if twin := next((other for other in flows if other.name == flow.name and other is not flow), None):
            raise RecipeError(
                f"two flows are called {flow.name!r}", where=f"{twin.path} and {flow.path}", fix="rename one of them"
            )
    return flows


def load_flow(name: str) -> Flow:
    """A flow by its name ("knowledge") or by a path that ends in .yaml; its templates are looked for beside it first.

    Raises RecipeError naming file, line and step for whatever would fail later, TemplateError for its templates.
    """
    path, beside = located(name)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(path), fix="check its permissions") from error
    sheet = read(data, path)
    plan = sheet.plan()
    asking = [(number, step) for number, step in enumerate(plan.steps) if isinstance(step, AskStep)]
    places = {step.template: sheet.at("steps", number, "template") for number, step in reversed(asking)}
    found = load_templates({step.template: places[step.template] for _, step in asking}, beside)
    templates = {step.name: found[step.template] for _, step in asking}
    told = {
        axis: axes.check(axis, said, beside=path.parent, where=sheet.at("axes", axis, *drawn_at(said)))
        for axis, said in plan.axes.items()
    }
    flow = Flow(
        name=path.stem,
        path=path,
        blob=blob_id(data),
        plan=plan,
        templates=templates,
        values={axis: one for axis, one in told.items() if not isinstance(one, FromLeaf)},
        drawn={axis: one for axis, one in told.items() if isinstance(one, FromLeaf)},
    )
    Check(flow, sheet).all()
    return flow


def drawn_at(said: object) -> tuple[str, ...]:
    """Where in an axis the source stands that it is drawn from."""
    return (FROM,) if isinstance(said, dict) and said.keys() == {FROM} else ()


def located(name: str) -> tuple[Path, Path | None]:
    """The flow's file, and the folder in which its templates are looked for first, if it is the user's own."""
    if name.endswith((SUFFIX, ".yml")) or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise RecipeError("there is no such flow file", where=name, fix=f"check the path; shipped: {known()}")
        return path, path.parent
    path = find(f"{FLOWS}/{name}{SUFFIX}")
    if not path.is_file():
        near = difflib.get_close_matches(name, shipped_flows(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {known()}; or give the path of a file"
        raise RecipeError(f"there is no flow {name!r}", where="flows", fix=hint)
    return path, None


def shipped_flows() -> list[str]:
    return sorted(path.stem for path in (shipped_root() / FLOWS).glob(f"*{SUFFIX}"))


def known() -> str:
    return ", ".join(shipped_flows())


# --- reading ----------------------------------------------------------------------------------------------------

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Sheet:
    """A flow's YAML as texts (YES is a word here, not a truth value), and the line of each."""

    path: Path
    value: object
    lines: Mapping[Place, tuple[int, int]]

    def at(self, *place: str | int) -> str:
        """The position of a value, or of the nearest one around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return position(self.path, *self.lines.get(place, (1, 1)))

    def plan(self) -> Plan:
        try:
            return Plan.model_validate(self.value)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            problem = next((one for one in problems if unknown(one["type"], one["loc"])), problems[0])
            place = tuple(part for part in problem["loc"] if part not in STEPS and not str(part).startswith(UNIONS))
            if unknown(problem["type"], problem["loc"]):
                raise self.unknown(place, problem["loc"]) from error
            field = ".".join(str(part) for part in place)
            limits = (one for one in problems if one["loc"][-1] in TESTS or one["type"] == "value_error")
            limits = (one for one in limits if one["type"] != "extra_forbidden")  # each member's of the others' fields
            said = next(limits, problem)["msg"].removeprefix("Value error, ")
            if len(place) > 3 and place[2] in CONDITIONS and said == problem["msg"] and problem["type"] == "tuple_type":
                said = "is neither a list of words, nor at_least or at_most with a number, nor same_as with a field"
            if place[:1] == ("axes",) and said == problem["msg"]:
                said = "is no list of values, no names with texts, no file, and no from: with one word"
            raise RecipeError(
                f"{field}: {said}" if field else said,
                where=self.at(*place),
                fix=f"a flow holds {', '.join(Plan.model_fields)}; docs/flows.md shows every field of a step",
            ) from error

    def unknown(self, place: Place, told: Place) -> RecipeError:
        """What is said of a key that nothing reads, with the nearest that is read in its place."""
        holder: type[BaseModel] = Plan if len(place) == 1 else STEPS[str(told[2])]
        if len(place) > 3:
            holder = Limits if place[2] in CONDITIONS else FilterChoice
        known = [field.alias or name for name, field in holder.model_fields.items()]
        known = list(TESTS) if holder is Limits else known
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return RecipeError(f"there is no field {place[-1]!r}", where=self.at(*place), fix=hint)


def unknown(kind: str, place: Place) -> bool:
    """Whether a key is one that nothing reads: a condition's members do not know one another's."""
    return kind == "extra_forbidden" and not (place[-1] in TESTS and {*CONDITIONS} & {*place})


def read(data: bytes, path: Path) -> Sheet:
    if len(data) > LARGEST:
        raise RecipeError(f"holds more than {LARGEST} bytes", where=str(path), fix="a flow is a short file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("is not UTF-8 text", where=str(path), fix="save the flow as UTF-8") from error
    if text.count("[") + text.count("{") > BRACKETS:
        raise RecipeError("has too many brackets", where=str(path), fix="a flow is a short file")
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        lines: dict[Place, tuple[int, int]] = {}
        return Sheet(path, plain(root, (), lines, path), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = position(path, mark.line + 1, mark.column + 1) if mark else str(path)
        raise RecipeError(f"is not valid YAML: {error.problem}", where=where, fix="correct the YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"is not valid YAML: {error}", where=str(path), fix="correct the YAML") from error


def plain(node: yaml.Node | None, place: Place, lines: dict[Place, tuple[int, int]], path: Path) -> object:
    if node is None:
        raise RecipeError("is empty", where=str(path), fix="a flow holds purpose, leaves and steps")
    if place in lines or len(place) > 8:  # an alias is the only way back to a place; nothing of a flow is so deep
        raise RecipeError("is nested too deeply", where=str(path), fix="write it out")
    lines[place] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [plain(child, (*place, number), lines, path) for number, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    found: dict[str, object] = {}
    for key, value in node.value:
        where = position(path, key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise RecipeError("has a key that is no word", where=where, fix="write names as keys")
        if key.value in found:
            raise RecipeError(f"says {key.value!r} twice", where=where, fix="keep one of them")
        found[str(key.value)] = plain(value, (*place, str(key.value)), lines, path)
        lines[(*place, str(key.value))] = (key.start_mark.line + 1, key.start_mark.column + 1)
    return found


# --- what would fail later --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Perhaps:
    """A field that only some records have: those for which the `when` of the step held that makes it."""

    step: str
    when: Conditions | None  # None: a field in it was made anew since, so nothing tells any more who has it


@dataclass(frozen=True)
class Check:
    flow: Flow
    sheet: Sheet
    perhaps: dict[str, Perhaps] = field(default_factory=dict)  # by field, as the steps so far leave it
    kept: dict[str, tuple[str, Condition]] = field(default_factory=dict)  # what an earlier step lets go

    def all(self) -> None:
        """Raise RecipeError at the first step that cannot do what it says with what the steps before it leave."""
        self.names()
        self.beginning()
        self.varied()
        fields: set[str] = set(frozenset.intersection(*map(self.brought, self.flow.plan.leaves)))
        for number, step in enumerate(self.flow.steps):
            self.order(number, step)
            self.condition(number, step, fields)
            known = fields | self.under(conditions(step))
            made = set(self.made(number, step, known))
            self.judged(number, step, known | made)
            self.leave(step, made, fields)
        if missing := [name for name in WHOLE if name not in fields]:
            where = self.sheet.at("steps", len(self.flow.steps) - 1)
            raise RecipeError(
                f"no step makes {' and '.join(missing)}, of which a sample is made{self.only(missing[0])}",
                where=where,
                fix="let a step's template yield it, or keep it under that name with `as`",
            )

    def names(self) -> None:
        seen: set[str] = set()
        for number, step in enumerate(self.flow.steps):
            if step.name in seen:
                raise self.wrong(number, "name", f"two steps are called {step.name!r}", "rename one")
            seen.add(step.name)

    def beginning(self) -> None:
        first, leaves = self.flow.first, self.flow.plan.leaves
        if isinstance(first, PreferStep):
            raise self.wrong(0, "kind", "cannot come first", "start with a step that makes something")
        if isinstance(first, RulesStep) and leaves != ("knowledge",):
            raise self.wrong(0, "kind", "rules read documents", "write leaves: [knowledge]")
        if isinstance(first, SimulationStep) and "knowledge" in leaves:
            raise self.wrong(0, "kind", "a simulation belongs to a skill", "write leaves: [freeform, grounded]")
        if not isinstance(first, AskStep):
            return
        if "knowledge" in leaves and len(leaves) > 1:
            raise RecipeError(
                "takes knowledge and skills, which have different variables",
                where=self.sheet.at("leaves"),
                fix="write a flow for each",
            )
        right = ("chunk", "seed") if leaves == ("knowledge",) else ("seeds",)
        wanted = (("chunk", "seed"), ("chunk",)) if leaves == ("knowledge",) else (("seeds",), ("seed",))
        wanted = (*wanted, ("sample",))
        if first.each not in wanted:
            told = " or ".join(f"[{', '.join(each)}]" for each in wanted)
            raise self.wrong(0, "each", f"the first step must say each: {told}", f"write each: [{', '.join(right)}]")

    def varied(self) -> None:
        """An axis is a variable of its own, and shapes what is written, or all of its values would ask the same."""
        names = [step.name for step in self.flow.steps]
        last = max((names.index(name) for name in self.flow.writing), default=-1)
        before = self.flow.steps[: last + 1]
        asking = [one for one in before if isinstance(one, AskStep) and not one.keep and not one.when]
        shown = {name for step in asking for name in self.flow.templates[step.name].variables}
        used = shown | {source for step in asking for source in step.given.values()}
        for axis in self.flow.plan.axes:
            if any(axis in ABOUT[kind] | self.brought(kind) for kind in self.flow.plan.leaves):
                what = f"the axis {axis!r} is a variable of the leaf"
                raise RecipeError(what, where=self.sheet.at("axes", axis), fix="give it another name")
            if axis not in used:
                what = f"no template on the way to question and answer shows the axis {axis!r}"
                raise RecipeError(what, where=self.sheet.at("axes", axis), fix=self.hint(axis, shown))
        if self.flow.plan.axes and not self.flow.asks:
            what = "only prompts have axes, and the first step asks nobody"
            raise RecipeError(what, where=self.sheet.at("axes"), fix="leave the axes out")

    def order(self, number: int, step: Step) -> None:
        if number and not isinstance(step, AskStep | PreferStep):
            raise self.wrong(number, "kind", f"{step.kind} can only come first", "move it to the top")
        if number and isinstance(step, AskStep) and step.each is not None:
            raise self.wrong(number, "each", "only the first step says what it is about", "leave `each` out")

    def condition(self, number: int, step: Step, fields: set[str]) -> None:
        """A step can be passed by only if another comes before it; what decides is there by then, and may hold."""
        told = conditions(step)
        if told and not number:
            raise self.wrong(0, "when", "nothing comes before the first step that could decide", "leave `when` out")
        met: Conditions = {}
        for name, wanted in told.items():
            if name not in fields | self.under(met):
                what = f"no step before it makes {name!r}{self.only(name)}"
                raise self.wrong(number, "when", what, self.hint(name, fields), name)
            if isinstance(wanted, Same):
                self.same(number, "when", name, wanted, fields | self.under(met))
            earlier, let_go = self.kept.get(name, ("", wanted))
            if apart(let_go, wanted):
                what = f"no record comes here of which `when` holds: the step {earlier!r} has rejected them by {name!r}"
                raise self.wrong(number, "when", what, f"take {name!r} out of the `keep` of {earlier!r}", name)
            met[name] = wanted

    def same(self, number: int, at: str, name: str, wanted: Same, fields: set[str]) -> None:
        """What a field is compared with is there, and another one."""
        there = (fields | self.flow.plan.axes.keys()) - {name}
        if wanted.same_as not in there:
            what = f"compares {name!r} with {wanted.same_as!r}, which is neither an axis nor made up to here"
            what = f"compares {name!r} with itself" if wanted.same_as == name else what
            raise self.wrong(number, at, what, self.hint(wanted.same_as, there))

    def under(self, told: Conditions) -> set[str]:
        """The fields that a record has of which these conditions hold, besides those that all have."""
        return {name for name, one in self.perhaps.items() if one.when is not None and one.when.items() <= told.items()}

    def leave(self, step: Step, made: set[str], fields: set[str]) -> None:
        """What is known behind a step of the fields that there are, and of what they may say."""
        told = conditions(step)
        for name in made - fields if told else ():
            self.perhaps[name] = Perhaps(step.name, told)
        if not told:
            fields |= made
        for name, one in [*self.perhaps.items()]:
            if name in fields:
                del self.perhaps[name]
            elif one.when is not None and made & set(read_by(one.when)):
                self.perhaps[name] = Perhaps(one.step, None)
        for name in made:
            self.kept.pop(name, None)
        if isinstance(step, AskStep) and not told:
            self.kept.update({name: (step.name, wanted) for name, wanted in step.keep.items()})

    def only(self, name: str) -> str:
        """What is to be added where a field is missing that some records have."""
        one = self.perhaps.get(name)
        return f" (only {one.step!r} does, and `when` lets records pass it by)" if one else ""

    def made(self, number: int, step: Step, fields: set[str]) -> Iterator[str]:
        """The fields that the step adds."""
        if isinstance(step, RulesStep | SimulationStep):
            yield from WHOLE
            return
        if isinstance(step, PreferStep):
            for name in (*step.of, *step.by):
                if name not in fields:
                    what = f"no step before it makes {name!r}{self.only(name)}"
                    raise self.wrong(number, "of", what, self.hint(name, fields))
            for field, pair in (("of", step.of), ("by", step.by)):
                if len(set(pair)) == 1:
                    raise self.wrong(number, field, f"compares {pair[0]!r} with itself", "name two different fields")
            yield "answer"
            return
        template = self.flow.templates[step.name]
        for tag in step.named_as:
            if tag not in template.yields:
                raise self.wrong(
                    number, "as", f"its template yields no {tag!r}", f"it yields {', '.join(template.yields)}"
                )
        names = [step.named_as.get(tag, tag) for tag in template.yields]
        if twice := {name for name in names if names.count(name) > 1}:
            raise self.wrong(number, "as", f"two tags are kept as {sorted(twice)[0]!r}", "give each its own name")
        for variable in step.given:
            if variable not in template.variables:
                what = f"its template {template.path} takes no {variable!r}"
                raise self.wrong(number, "with", what, self.hint(variable, template.variables))
        for kind in self.flow.plan.leaves:
            if taken := [name for name in names if name in ABOUT[kind] or name in self.flow.plan.axes]:
                what = f"keeps an answer as {taken[0]!r}, which is a variable of the leaf or an axis"
                raise self.wrong(number, "as", what, "keep it under another name")
            self.given(number, step, self.begun(kind) | fields)
        yield from names

    def begun(self, kind: LeafKind) -> frozenset[str]:
        """The variables that a record starts with; rules show a record no seed example."""
        unshown = {"example"} if isinstance(self.flow.first, RulesStep) else set()
        return ABOUT[kind] - unshown | self.flow.plan.axes.keys() | self.brought(kind)

    def brought(self, kind: LeafKind) -> frozenset[str]:
        """The fields that a record has before its first step."""
        return BROUGHT[kind] if self.flow.begins_with_samples else frozenset()

    def given(self, number: int, step: AskStep, known: frozenset[str]) -> None:
        """Whatever the step's template takes must be there by then."""
        for variable, source in step.given.items():
            if source not in known:
                what = f"gives {variable!r} the field {source!r}, which nothing before it makes{self.only(source)}"
                raise self.wrong(number, "with", what, self.hint(source, known))
        template = self.flow.templates[step.name]
        there = known | step.given.keys()
        for variable in sorted(template.variables - there):
            what = f"its template {template.path} takes {variable!r}, which nothing before it makes"
            what += self.only(variable)
            raise self.wrong(number, "template", what, self.hint(variable, there))

    def judged(self, number: int, step: Step, fields: set[str]) -> None:
        for name in step.keep if isinstance(step, AskStep) else ():
            if name not in fields:
                what = f"no step up to here makes {name!r}{self.only(name)}"
                raise self.wrong(number, "keep", what, self.hint(name, fields))
            if isinstance(step, AskStep) and isinstance(wanted := step.keep[name], Same):
                self.same(number, "keep", name, wanted, fields)
        for choice in step.filters:
            try:
                found = [build(one) for one in expand([choice])]
            except RecipeError as error:
                raise self.wrong(number, "filters", error.what, error.fix) from error
            if not any(isinstance(one, SampleFilter) for one in found):
                fix = "name it under `filters` of the recipe, where all samples are there"
                raise self.wrong(number, "filters", f"the filter {choice.name!r} {LOOKS_AT[found[0].kind]}", fix)
            if missing := [name for name in WHOLE if name not in fields]:
                what = f"filters judge pairs, and there is no {' and no '.join(missing)} yet"
                raise self.wrong(number, "filters", what, "name them at a later step")

    def wrong(self, number: int, field: str, what: str, fix: str, *inside: str) -> RecipeError:
        name = self.flow.steps[number].name
        return RecipeError(f"step {name!r}: {what}", where=self.sheet.at("steps", number, field, *inside), fix=fix)

    def hint(self, name: str, fields: Iterable[str]) -> str:
        if (one := self.perhaps.get(name)) and one.when is not None:
            return f"give it the `when` of {one.step!r}, or let a step that all records take make {name!r}"
        if one:
            return f"let a step that all records take make {name!r}"
        there: Sequence[str] = sorted(fields)
        near = difflib.get_close_matches(name, there, n=1)
        return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(there) or 'none'}"


def conditions(step: Step) -> Conditions:
    return step.when if isinstance(step, AskStep | PreferStep) else {}


def read_by(told: Conditions) -> Iterator[str]:
    """The fields that decide whether conditions hold."""
    for name, wanted in told.items():
        yield name
        if isinstance(wanted, Same):
            yield wanted.same_as


def apart(one: Condition, other: Condition) -> bool:
    """Whether no text meets both conditions."""
    if isinstance(one, Limits) and isinstance(other, Limits):
        lows = [found.at_least for found in (one, other) if found.at_least is not None]
        highs = [found.at_most for found in (one, other) if found.at_most is not None]
        return bool(lows and highs) and max(lows) > min(highs)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return not {normalise(word) for word in one} & {normalise(word) for word in other}
    return False
