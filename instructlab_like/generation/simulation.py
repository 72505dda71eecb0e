"""Pairs of a skill from its simulation.yaml: parameters are drawn, question and answer rendered from them.

Training and evaluation never meet: one combination of parameters in five, chosen by a hash of the values themselves,
belongs to evaluation, whatever the seed. A space of fewer than 25 combinations is all training and holds nothing out.
"""

from __future__ import annotations

import itertools
import keyword
import math
import random
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import jinja2

from instructlab_like.errors import TemplateError
from instructlab_like.generation.sandbox import RESERVED, Template, findings, variables
from instructlab_like.records import (
    ChoiceParameter,
    IntegerParameter,
    Item,
    Lineage,
    Parameter,
    Plain,
    Sample,
    SampleParameter,
    Simulation,
    SimulationTask,
    Skill,
    digest,
    normalise,
    sample_id,
)

SIMULATION = "simulation/1"
EVALUATION_SHARE = 5  # one combination in so many is kept for evaluation
SMALLEST_SPLIT = 25  # combinations below which nothing is held out
ENUMERATED = 20_000  # up to so many combinations are listed and shuffled; of more, values are drawn
FRUITLESS = 5_000  # draws in a row that give nothing new before the space counts as spent
SECONDS = 60.0  # for all renderings of one call, hundreds of times what a sound simulation needs
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FAILURES = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Values = dict[str, Plain | tuple[Plain, ...]]


@dataclass(frozen=True)
class Pair:
    question: str
    answer: str
    values: Values


def draw(task: SimulationTask) -> list[Sample]:
    """Up to `count` samples with different questions, from the training side; fewer when the space holds no more.

    Raises TemplateError naming the template, the drawn values and what went wrong.
    """
    space = Space(task.simulation, where=f"{task.leaf}/simulation.yaml")
    key = digest([SIMULATION, task.simulation.model_dump(mode="json"), task.seed])
    rng = random.Random(f"training {task.seed}")
    pairs = space.pairs(task.simulation.questions, rng, evaluation=False)
    return [
        Sample(
            id=sample_id(key, position),
            kind="freeform",
            question=pair.question,
            answer=pair.answer,
            lineage=Lineage(
                leaf=task.leaf,
                leaf_blob=task.leaf_blob,
                method="simulation",
                model=SIMULATION,
                params=pair.values,
                depth=1,
            ),
        )
        for position, pair in enumerate(itertools.islice(pairs, task.count))
    ]


def held_out(leaf: Skill, *, count: int, seed: int, avoid: Collection[str]) -> list[Item]:
    """Up to `count` fresh items from the evaluation side, in the phrasings kept for it when the simulation has some.

    No item's normalised question is in `avoid`, the normalised questions of training.
    """
    if leaf.simulation is None:
        return []
    space = Space(leaf.simulation, where=f"{leaf.path}/simulation.yaml")
    asked = leaf.simulation.held_out_questions or leaf.simulation.questions
    pairs = space.pairs(asked, random.Random(f"evaluation {seed}"), evaluation=True)
    fresh = (pair for pair in pairs if normalise(pair.question) not in avoid)
    return [
        Item(
            id=digest([leaf.path, SIMULATION, pair.question])[:32],
            leaf=leaf.path,
            source="simulation",
            question=pair.question,
            answer=pair.answer,
        )
        for pair in itertools.islice(fresh, count)
    ]


def problems(simulation: Simulation) -> list[str]:
    """What is wrong with a simulation before any draw, one text per problem, each opening with the field."""
    found = [text for name, parameter in simulation.parameters.items() for text in _parameter_problems(name, parameter)]
    known = set(simulation.parameters)
    used: set[str] = set()
    broken = False
    for field, source in _templates(simulation):
        flaws = findings(source, known)
        found += [f"{field}: {flaw}" for flaw in flaws]
        broken = broken or bool(flaws)
        used |= set() if flaws else variables(source)
    if broken:
        return found
    needed = variables(simulation.answer) & known
    for field, source in _templates(simulation)[1:]:
        told = variables(source) & known
        if not told:
            found.append(f"{field}: uses no parameter, so it is always the same question → use {_names(known)}")
        elif needed - told:
            found.append(f"{field}: never tells {_names(needed - told)}, on which the answer depends → show it")
    found += [f"parameters.{name}: is used in no template → use it or leave it out" for name in sorted(known - used)]
    return found


def _parameter_problems(name: str, parameter: Parameter) -> list[str]:
    field = f"parameters.{name}"
    usable = NAME.fullmatch(name) and name not in RESERVED and not keyword.iskeyword(name)
    flaws = [] if usable else [f"{field}: is no name for a template → letters, digits and _, no word of its language"]
    if isinstance(parameter, IntegerParameter):
        if parameter.low > parameter.high:
            flaws.append(f"{field}: low {parameter.low} is above high {parameter.high} → exchange them")
        return flaws
    different = len(_different(parameter.of))
    if different < len(parameter.of):
        flaws.append(f"{field}.of: holds a value twice → name each value once")
    if isinstance(parameter, SampleParameter) and parameter.count > different:
        flaws.append(f"{field}: takes {parameter.count} of {different} values → lower count or name more values")
    return flaws


def _different(values: Sequence[str | int | float]) -> list[str | int | float]:
    return list({(type(value).__name__, value): value for value in values}.values())


def _names(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _templates(simulation: Simulation) -> list[tuple[str, str]]:
    """Field and source of every template, the answer first."""
    return [
        ("answer", simulation.answer),
        *((f"questions[{i}]", source) for i, source in enumerate(simulation.questions)),
        *((f"held_out_questions[{i}]", source) for i, source in enumerate(simulation.held_out_questions)),
    ]


class Space:
    """All combinations of a simulation's parameters, parted into training and evaluation."""

    def __init__(self, simulation: Simulation, *, where: str) -> None:
        if flaws := problems(simulation):
            fix = "correct the simulation; ilk check lists these with their positions"
            raise TemplateError("; ".join(flaws), where=where, fix=fix)
        self.where = where
        self.parameters = simulation.parameters
        self.templates = {source: Template(source) for _, source in _templates(simulation)}
        self.fields = {source: field for field, source in reversed(_templates(simulation))}
        self.answer = simulation.answer
        # Two draws that read alike agree on what every question tells, so that part alone decides the side.
        told = [variables(source) for field, source in _templates(simulation)[1:]]
        shared = sorted(set(self.parameters).intersection(*told))
        self.deciding = shared if self._size(shared) >= SMALLEST_SPLIT else sorted(self.parameters)
        self.parted = self._size(self.deciding) >= SMALLEST_SPLIT

    def _size(self, names: Collection[str]) -> int:
        return math.prod(_size(self.parameters[name]) for name in names)

    def evaluates(self, values: Values) -> bool:
        """Whether these values belong to evaluation. A hash decides, so no seed or order can change it."""
        told = [[name, values[name]] for name in self.deciding]
        return self.parted and int(digest([SIMULATION, told])[:12], 16) % EVALUATION_SHARE == 0

    def pairs(self, questions: Sequence[str], rng: random.Random, *, evaluation: bool) -> Iterator[Pair]:
        """Pairs of one side with different questions, in drawn order, until the space is spent."""
        answers: dict[str, str] = {}
        began, fruitless = time.monotonic(), 0
        for values, question in self._draws(questions, rng):
            fruitless += 1
            if fruitless > FRUITLESS:
                return
            if self.evaluates(values) != evaluation:
                continue
            if time.monotonic() - began > SECONDS:
                what = f"rendering takes more than {SECONDS:.0f} seconds"
                raise TemplateError(what, where=self.where, fix="loop less in the templates")
            pair = Pair(self._render(question, values), self._render(self.answer, values), values)
            known = answers.get(pair.question)
            if known is None:
                answers[pair.question] = pair.answer
                fruitless = 0
                yield pair
            elif known != pair.answer:
                what = (
                    f"{pair.question!r} has two answers, {known!r} and {pair.answer!r}, the last with {_said(values)}"
                )
                raise TemplateError(what, where=self.where, fix="show in the question what the answer depends on")

    def _draws(self, questions: Sequence[str], rng: random.Random) -> Iterator[tuple[Values, str]]:
        """Values with a question: every combination once in each phrasing, or endless draws of a larger space."""
        if self._size(self.parameters) > ENUMERATED:
            while True:
                values = {name: _value(parameter, rng) for name, parameter in self.parameters.items()}
                yield values, rng.choice(questions)
        choices = [_all(parameter) for parameter in self.parameters.values()]
        listed = [dict(zip(self.parameters, values, strict=True)) for values in itertools.product(*choices)]
        rng.shuffle(listed)
        first = [rng.randrange(len(questions)) for _ in listed]
        for turn in range(len(questions)):
            for values, start in zip(listed, first, strict=True):
                yield values, questions[(start + turn) % len(questions)]

    def _render(self, source: str, values: Values) -> str:
        where = f"{self.where}: {self.fields[source]}"
        shown = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        try:
            text = self.templates[source].render(shown)
        except FAILURES as error:
            what = f"cannot be rendered with {_said(values)}: {error}"
            raise TemplateError(what, where=where, fix="correct the template or the parameters") from error
        if not text:
            raise TemplateError(f"gives no text with {_said(values)}", where=where, fix="cover this case too")
        return text


def _size(parameter: Parameter) -> int:
    match parameter:
        case IntegerParameter(low=low, high=high, step=step):
            return (high - low) // step + 1
        case ChoiceParameter(of=of):
            return len(of)
        case SampleParameter(of=of, count=count):
            return math.perm(len(of), count)


def _value(parameter: Parameter, rng: random.Random) -> Plain | tuple[Plain, ...]:
    match parameter:
        case IntegerParameter(low=low, step=step):
            return low + step * rng.randrange(_size(parameter))
        case ChoiceParameter(of=of):
            return rng.choice(of)
        case SampleParameter(of=of, count=count):
            return tuple(rng.sample(of, count))


def _all(parameter: Parameter) -> list[Plain | tuple[Plain, ...]]:
    match parameter:
        case IntegerParameter(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case ChoiceParameter(of=of):
            return list(of)
        case SampleParameter(of=of, count=count):
            return list(itertools.permutations(of, count))


def _said(values: Values) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
