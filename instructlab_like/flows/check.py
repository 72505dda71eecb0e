"""What of a flow would fail later, said before anything is asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from instructlab_like.errors import RecipeError
from instructlab_like.filters import SampleFilter, build, expand
from instructlab_like.flows.flow import Flow
from instructlab_like.flows.sheet import Sheet
from instructlab_like.flows.steps import (
    ABOUT,
    BROUGHT,
    WHOLE,
    AskStep,
    Condition,
    Conditions,
    LeafKind,
    Limits,
    PreferStep,
    RulesStep,
    Same,
    SimulationStep,
    Step,
    conditions,
)
from instructlab_like.records import normalise

LOOKS_AT = {
    "leaf": "looks at the sample's leaf as well",
    "set": "judges the whole set",
    "ask": "asks a model, which is a step of its own",
}


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
