"""Pairs of a skill from its simulation.yaml: parameters are drawn here, question and answer rendered from them in a
confined process, one for a leaf's batch. A contributor wrote the templates; nothing of them is parsed on this side.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from instructlab_like.confined.process import Confined, seconds_for
from instructlab_like.confined.simulated import BOUNDS as BOUNDS
from instructlab_like.confined.wire import Flaw, Look
from instructlab_like.errors import TemplateError
from instructlab_like.generation import space
from instructlab_like.generation.space import SIMULATION, Space, Values
from instructlab_like.records import (
    Item,
    Lineage,
    Sample,
    Simulation,
    SimulationTask,
    Skill,
    digest,
    normalise,
    sample_id,
)

DRAWS = 256  # rendered at a time
FRUITLESS = 5_000  # draws in a row that give nothing new before the space counts as spent
PHRASINGS = 100  # question templates of a simulation
TRIALS = 100  # combinations that a simulation is tried with before anyone generates, fewer when it has many phrasings
TRIED = 2_000  # renderings of all trials
TRIAL_SECONDS = 0.3  # of processor time: 3 ms a rendering, where a batch has 5 ms a pair
SHOWN, SAID = 10, 120  # values in an error, and characters of each


@dataclass(frozen=True)
class Pair:
    question: str
    answer: str
    values: Values


def draw(task: SimulationTask) -> list[Sample]:
    """Up to `count` samples with different questions, from the training side; fewer when the space holds no more.

    Raises TemplateError naming the template, the drawn values and what went wrong, or the limit that was met.
    """
    key = digest([SIMULATION, task.simulation.model_dump(mode="json"), task.seed])
    rng = random.Random(f"training {task.seed}")
    with _opened(task.simulation, leaf=task.leaf, count=task.count) as stage:
        pairs = list(itertools.islice(stage.pairs(task.simulation.questions, rng, evaluation=False), task.count))
    return [
        Sample(
            id=sample_id(task.leaf, task.flow, (key, position)),
            kind="freeform",
            question=pair.question,
            answer=pair.answer,
            lineage=Lineage(
                leaf=task.leaf,
                leaf_blob=task.leaf_blob,
                method="simulation",
                model=SIMULATION,
                flow=task.flow,
                params=pair.values,
                depth=1,
            ),
        )
        for position, pair in enumerate(pairs)
    ]


def held_out(leaf: Skill, *, count: int, seed: int, avoid: Collection[str]) -> list[Item]:
    """Up to `count` fresh items from the evaluation side, in the phrasings kept for it when the simulation has some.

    No item's normalised question is in `avoid`, the normalised questions of training. Raises TemplateError as `draw`.
    """
    if leaf.simulation is None:
        return []
    asked = leaf.simulation.held_out_questions or leaf.simulation.questions
    rng = random.Random(f"evaluation {seed}")
    with _opened(leaf.simulation, leaf=leaf.path, count=count) as stage:
        pairs = stage.pairs(asked, rng, evaluation=True)
        fresh = list(itertools.islice((pair for pair in pairs if normalise(pair.question) not in avoid), count))
    return [
        Item(
            id=digest([leaf.path, SIMULATION, pair.question])[:32],
            leaf=leaf.path,
            source="simulation",
            question=pair.question,
            answer=pair.answer,
        )
        for pair in fresh
    ]


def problems(simulation: Simulation, *, rendered: list[tuple[str, str]] | None = None) -> list[str]:
    """What is wrong with a simulation before anyone generates, one text per problem, each opening with the field.

    The templates are looked at and, if all is sound so far, each is tried: with every combination of a small space,
    else with outermost values and some draws. The field `simulation` is the whole of it. What the trials gave is added
    to `rendered`, as field and text.
    """
    found = _static(simulation)
    if len(_sources(simulation)) > PHRASINGS + 1:
        return found
    try:
        with Confined(_sources(simulation), BOUNDS, where="", seconds=TRIAL_SECONDS) as confined:
            found += _seen(simulation, confined.looks)
            return found or _tried(_Stage(simulation, confined, where=""), [] if rendered is None else rendered)
    except TemplateError as error:
        return [*found, f"simulation: {error.what} → {error.fix}"]


def _tried(stage: _Stage, rendered: list[tuple[str, str]]) -> list[str]:
    """What goes wrong when every template is rendered with the same values, the first thing only of each template."""
    trials = stage.space.trials(min(TRIALS, TRIED // len(stage.fields)))
    found: list[str] = []
    answers: list[str] = []
    known: dict[str, str] = {}
    for number, field in enumerate(stage.fields):
        try:
            texts = list(stage.texts([(number, values) for values in trials]))
            rendered += [(field, text) for text in texts]
            if number == 0:
                answers = texts
                continue
            for question, answer, values in zip(texts, answers, trials, strict=False):
                stage.is_new(Pair(question, answer, values), known)
        except TemplateError as error:
            found.append(f"{field}: {error.what} → {error.fix}")
            if stage.confined.ended:
                break
    return found


def _static(simulation: Simulation) -> list[str]:
    phrasings = len(_sources(simulation)) - 1
    many = f"questions: there are {phrasings} phrasings in all, more than {PHRASINGS} → keep the best of them"
    return [*space.problems(simulation.parameters), *([many] if phrasings > PHRASINGS else [])]


def _seen(simulation: Simulation, looks: Sequence[Look]) -> list[str]:
    """What the looks at the templates say, and whether the templates and the parameters fit together."""
    known = set(simulation.parameters)
    fields = _fields(simulation)
    found = [
        f"{field}: {_flaw(flaw)}"
        for field, look in zip(fields, looks, strict=True)
        for flaw in [*look.flaws, *_unknown(look, known)]
    ]
    if found:
        return found
    answer, *questions = (set(look.names) for look in looks)
    for field, told in zip(fields[1:], questions, strict=True):
        if not told:
            found.append(f"{field}: uses no parameter, so it is always the same question → use {_names(known)}")
        elif answer - told:
            found.append(f"{field}: never tells {_names(answer - told)}, on which the answer depends → show it")
    unused = sorted(known - answer.union(*questions))
    return [*found, *(f"parameters.{name}: is used in no template → use it or leave it out" for name in unused)]


def _unknown(look: Look, known: Collection[str]) -> list[Flaw]:
    parameters = f"parameters: {_names(known)}"
    return [Flaw(None, f"{name!r} is no parameter", parameters) for name in look.names if name not in known]


def _flaw(flaw: Flaw) -> str:
    return f"{f'line {flaw.line}: ' if flaw.line else ''}{flaw.what} → {flaw.fix}"


def _names(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _sources(simulation: Simulation) -> list[str]:
    """Every template, the answer first."""
    return [simulation.answer, *simulation.questions, *simulation.held_out_questions]


def _fields(simulation: Simulation) -> list[str]:
    """The field of every template, in the order of the sources, counted from 1."""
    return [
        "answer",
        *(f"questions[{number}]" for number in range(1, len(simulation.questions) + 1)),
        *(f"held_out_questions[{number}]" for number in range(1, len(simulation.held_out_questions) + 1)),
    ]


@contextmanager
def _opened(simulation: Simulation, *, leaf: str, count: int) -> Iterator[_Stage]:
    """A process with the templates of a sound simulation, for the duration of the block."""
    where = f"{leaf}/simulation.yaml"
    fix = "correct the simulation; ilk check lists these with their positions"
    if flaws := _static(simulation):
        raise TemplateError("; ".join(flaws), where=where, fix=fix)
    with Confined(_sources(simulation), BOUNDS, where=where, seconds=seconds_for(count)) as confined:
        if flaws := _seen(simulation, confined.looks):
            raise TemplateError("; ".join(flaws), where=where, fix=fix)
        yield _Stage(simulation, confined, where=where)


class _Stage:
    """A sound simulation with its templates in a confined process, from which pairs are drawn."""

    def __init__(self, simulation: Simulation, confined: Confined, *, where: str) -> None:
        self.confined = confined
        self.where = where
        self.fields = _fields(simulation)
        self.space = Space(simulation.parameters, [look.names for look in confined.looks[1:]])
        sources = _sources(simulation)
        self.numbers = {source: sources.index(source) for source in sources}

    def pairs(self, questions: Sequence[str], rng: random.Random, *, evaluation: bool) -> Iterator[Pair]:
        """Pairs of one side with different questions, in drawn order, until the space is spent."""
        known: dict[str, str] = {}
        draws = self.space.draws(questions, rng)
        fruitless = 0
        while drawn := list(itertools.islice(draws, DRAWS)):
            sides = [self.space.evaluates(values) for values, _ in drawn]
            ours = [draw for draw, side in zip(drawn, sides, strict=True) if side == evaluation]
            rendered = self._rendered(ours)
            for side in sides:
                fruitless += 1
                if fruitless > FRUITLESS:
                    return
                if side != evaluation:
                    continue
                pair = next(rendered)
                if self.is_new(pair, known):
                    fruitless = 0
                    yield pair

    def _rendered(self, drawn: Sequence[tuple[Values, str]]) -> Iterator[Pair]:
        """The pair of each draw; what fails is an error when its turn comes, for it may never be wanted."""
        calls = [(number, values) for values, question in drawn for number in (self.numbers[question], 0)]
        texts = self.texts(calls)
        for (question, answer), (values, _) in zip(zip(texts, texts, strict=True), drawn, strict=True):
            yield Pair(question, answer, values)

    def texts(self, calls: Sequence[tuple[int, Values]]) -> Iterator[str]:
        """The text of each call, the number of a template and its values."""
        rendered = self.confined.render(calls)
        for text, (number, values) in zip(rendered.texts, calls, strict=False):
            if not text:
                raise self._error(f"gives no text with {_said(values)}", number, "cover this case too")
            yield text
        if rendered.failure:
            number, values = calls[len(rendered.texts)]
            what = f"cannot be rendered with {_said(values)}: {rendered.failure.what}"
            raise self._error(what, number, "correct the template or the parameters")

    def is_new(self, pair: Pair, known: dict[str, str]) -> bool:
        """Whether the question is not yet known; one that is known with another answer is an error."""
        answer = known.get(pair.question)
        if answer is not None and answer != pair.answer:
            both = f"{_short(answer)} and {_short(pair.answer)}"
            what = f"{_short(pair.question)} has two answers, {both}, the last with {_said(pair.values)}"
            raise TemplateError(what, where=self.where, fix="show in the question what the answer depends on")
        known[pair.question] = pair.answer
        return answer is None

    def _error(self, what: str, number: int, fix: str) -> TemplateError:
        return TemplateError(what, where=f"{self.where}: {self.fields[number]}", fix=fix)


def _said(values: Values) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in itertools.islice(values.items(), SHOWN))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SAID else f"{text[:SAID]}…"
