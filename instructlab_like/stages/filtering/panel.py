"""Puts a filter's questions to its judge, sample by sample, and has the filter judge by the replies."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType

import orjson

from instructlab_like.filters import Ask, AskFilter, Reply
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.flows import AskStep, Flow, Plan
from instructlab_like.generation.engine import End
from instructlab_like.generation.ledger import Failure
from instructlab_like.generation.parse import read, reason
from instructlab_like.generation.walk import About, Call, Candidate, Finished, Outcome, Ready, Start, derived_seed
from instructlab_like.prompts import Renderer, load_templates
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Completion, Lineage, Message, Prompt, Sample, Sampling
from instructlab_like.stages.evaluating.bench import Bench

NO_ANSWER = "no-answer"  # the rule of a sample whose question got no answer; the same command asks it again
TOGETHER = 64  # prompts rendered at a time


def flow_of(chosen: AskFilter, names: Sequence[str]) -> Flow:
    """A filter's questions as the engine knows questions: the steps of a flow, one for each template."""
    templates = load_templates(dict.fromkeys(names, f"the filter {chosen.name!r}"))
    steps = tuple(
        AskStep(name=f"ask-{number}", template=name, role=chosen.role) for number, name in enumerate(names, start=1)
    )
    plan = Plan(
        purpose=f"What the filter {chosen.name} asks", leaves=("knowledge", "freeform", "grounded"), steps=steps
    )
    return Flow(
        name=chosen.name,
        path=Path(f"filters/{chosen.phase}/{chosen.name}"),
        blob="",
        plan=plan,
        templates={step.name: templates[step.template] for step in steps},
    )


@dataclass
class Hearing:
    """A sample whose answers are coming in."""

    sample: Sample
    calls: list[Call]
    replies: list[list[Reply | None]]  # by ask and draw
    left: int
    failure: str = ""  # why a call got no answer


class Panel:
    """Asks what a filter has to ask of each sample, and has it judge by the replies. A `Walker` for the engine."""

    def __init__(
        self,
        chosen: AskFilter,
        flow: Flow,
        recipe: GenerateRecipe,
        judged_by: Bench,
        sample: Callable[[int], Sample],
        settle: Callable[[int, Judgement], None],
        note_use: Callable[[str, Iterable[str]], None],
    ) -> None:
        self.chosen, self.flow, self.recipe, self.judged_by = chosen, flow, recipe, judged_by
        self.sample, self.settle, self.note_use = sample, settle, note_use
        self.flows = (flow,)
        self.steps = {step.template: step for step in flow.steps if isinstance(step, AskStep)}
        self.hearings: dict[int, Hearing] = {}

    def __enter__(self) -> Panel:
        self.stack = ExitStack()
        self.renderers: dict[str, Renderer] = {
            name: self.stack.enter_context(self.flow.templates[step.name].renderer())
            for name, step in self.steps.items()
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)

    # --- questions

    def starts(self, places: Iterable[int]) -> Iterator[Start]:
        """The samples in order, their prompts rendered a few at a time."""
        waiting = iter(places)
        while together := list(islice(waiting, TOGETHER)):
            samples = [self.sample(place) for place in together]
            asked = [tuple(self.chosen.asks(sample)) for sample in samples]
            shown = self.rendered(asked)
            for place, sample, asks in zip(together, samples, asked, strict=True):
                messages = [next(shown[ask.template]) for ask in asks]
                yield self.start(place, sample, asks, messages)

    def rendered(self, asked: Iterable[Sequence[Ask]]) -> dict[str, Iterator[tuple[Message, ...]]]:
        """The prompts of each template, in the order in which they were asked for."""
        by_template: dict[str, list[Mapping[str, str | int | float]]] = {}
        for asks in asked:
            for ask in asks:
                by_template.setdefault(ask.template, []).append(ask.variables)
        return {name: iter(self.renderers[name].render(batch)) for name, batch in by_template.items()}

    def start(self, place: int, sample: Sample, asks: Sequence[Ask], messages: Sequence[tuple[Message, ...]]) -> Start:
        lineage = sample.lineage
        about = About(leaf=lineage.leaf, leaf_blob=lineage.leaf_blob, kind=sample.kind, variables={})
        prompts = [
            [self.prompt(ask, shown, draw, lineage) for draw in range(ask.draws)]
            for ask, shown in zip(asks, messages, strict=True)
        ]
        first = self.steps[asks[0].template]
        task = AskTask(flow=self.flow.name, step=first.name, role=first.role, prompt=prompts[0][0])
        start = Start(place, self.flow, about, task)
        calls = [
            Call(Candidate(start, place=(number, draw)), self.steps[ask.template], 0, draw, prompt)
            for number, (ask, drawn) in enumerate(zip(asks, prompts, strict=True))
            for draw, prompt in enumerate(drawn)
        ]
        self.hearings[place] = Hearing(sample, calls, [[None] * ask.draws for ask in asks], len(calls))
        return start

    def prompt(self, ask: Ask, messages: tuple[Message, ...], draw: int, about: Lineage) -> Prompt:
        template = self.flow.templates[self.steps[ask.template].name]
        sampling = Sampling(
            temperature=self.recipe.temperature,
            max_tokens=self.recipe.max_tokens,
            seed=derived_seed(self.recipe.seed, draw),
        )
        return Prompt(
            messages=messages,
            sampling=template.sampled(sampling),
            yields=template.yields,
            answer_schema=template.answer_schema,
            tags=template.tags,
            lineage=Lineage(
                leaf=about.leaf,
                leaf_blob=about.leaf_blob,
                method="teacher",
                model=self.judged_by.identity,
                flow=self.flow.name,
                template=template.name,
                template_blob=template.blob,
                draw=draw,
                depth=1,
            ),
        )

    # --- what the engine calls

    def begin(self, start: Start, /) -> list[Outcome]:
        return [*self.hearings[start.number].calls]

    def calls(self, _: Sequence[Ready], /) -> Iterator[Call]:
        """Nothing follows from an answer but a judgement."""
        yield from ()

    def received(self, call: Call, completion: Completion, /) -> list[Outcome]:
        prompt = call.prompt
        cut = completion.finish_reason == "length"
        found = read(completion.text, prompt.yields, prompt.answer_schema, prompt.tags, cut=cut)
        told = Reply(call=prompt.key, model=prompt.lineage.model)
        if len(found.groups) == 1:
            told = told.model_copy(update={"fields": dict(found.groups[0].texts)})
        elif found.groups:
            told = told.model_copy(update={"failure": f"the answer holds {len(found.groups)} where one was asked for"})
        else:
            why = reason(completion, prompt.yields, prompt.answer_schema, found.broken, prompt.tags)
            told = told.model_copy(update={"failure": why})
        return self.heard(call, told)

    def failed(self, call: Call, failure: Failure, /) -> list[Outcome]:
        why = failure.error.splitlines()[0] if failure.error else "no reason given"
        hearing = self.hearings[call.candidate.start.number]
        hearing.failure = hearing.failure or f"the {call.step.role} gave no answer ({failure.kind}): {why}"
        return self.heard(call, None)

    def heard(self, call: Call, reply: Reply | None) -> list[Outcome]:
        """The judgement, once the last reply is here."""
        start = call.candidate.start
        hearing = self.hearings[start.number]
        number, draw = call.candidate.place
        hearing.replies[number][draw] = reply
        hearing.left -= 1
        if hearing.left:
            return []
        del self.hearings[start.number]
        told = self.judged(hearing)
        self.note_use(hearing.sample.lineage.leaf, dict.fromkeys(one.prompt.key for one in hearing.calls))
        self.settle(start.number, told)
        return [Finished(start, (), hearing.sample, (self.chosen.verdict(hearing.sample, told),))]

    def judged(self, hearing: Hearing) -> Judgement:
        if hearing.failure:
            told = rejected(NO_ANSWER, hearing.failure)
        else:
            replies = [[reply for reply in drawn if reply is not None] for drawn in hearing.replies]
            told = self.judged_by.stamped(hearing.sample, self.chosen.judge(hearing.sample, replies))
        return replace(told, partner=hearing.calls[0].prompt.key) if told.partner is None else told

    def done(self, start: Start, _: list[End]) -> None:
        """A walk that was ended early leaves no judgement."""
        self.hearings.pop(start.number, None)


class Spool:
    """Judgements by place, in a file; eight bytes of each are in memory."""

    def __init__(self, size: int, scratch: Path | None) -> None:
        self.ends = array("Q", bytes(8 * size))  # 1 + where each begins; 0: there is none
        self.scratch = scratch

    def __enter__(self) -> Spool:
        self.file = tempfile.TemporaryFile(dir=self.scratch)
        self.end = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, place: int, told: Judgement) -> None:
        fields = (told.keep, told.reason, told.rule, told.score, told.threshold, told.partner, told.applied)
        line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        self.file.seek(self.end)
        self.file.write(line)
        self.ends[place] = self.end + 1
        self.end += len(line)

    def get(self, place: int) -> Judgement | None:
        if not self.ends[place]:
            return None
        self.file.seek(self.ends[place] - 1)
        return Judgement(*orjson.loads(self.file.readline()))
