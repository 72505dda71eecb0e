"""Puts many prompts to one model, through the engine and the ledger that a run's teachers are asked by.

For whoever has prompts of his own and wants the texts back: students that are served, judges of answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from instructlab_like.console import warn
from instructlab_like.errors import IlkError, PassingError
from instructlab_like.flows import AskStep, Flow, Plan
from instructlab_like.generation.engine import End, Tally
from instructlab_like.generation.ledger import Failure, Ledger
from instructlab_like.generation.purse import Price
from instructlab_like.generation.walk import About, Call, Candidate, Outcome, Ready, Start
from instructlab_like.recipe import Budget, GenerateRecipe, TeacherRecipe
from instructlab_like.records import AskTask, Completion, Lineage, Message, Prompt, Sampling
from instructlab_like.stages.generating.asking import Absent, Asked, Staff
from instructlab_like.stages.generating.progress import Sized
from instructlab_like.teachers import Teacher
from instructlab_like.teachers.probe import Capabilities, Finding, Recorder
from instructlab_like.workspace import Run, dump, write_whole

UNKNOWN = Finding(able="unknown")
UNPROBED = Capabilities(seed=UNKNOWN, logprobs=UNKNOWN, n=UNKNOWN, json_schema=UNKNOWN, over_long="unknown")


class Replies(NamedTuple):
    """What became of each prompt, by `Prompt.key`: each key is in one of the two."""

    completions: Mapping[str, Completion]
    failures: Mapping[str, Failure]  # `kind`: refused, server_error, malformed, …; `sent`: the server has seen it


class Inquiry:
    """Asks on behalf of one part of a run; the ledger is the caller's, and open.

        with Ledger(run.ledger) as ledger:
            inquiry = Inquiry(ledger)
            identity = inquiry.identity(told)  # for Prompt.lineage.model: `prompt(messages, identity, sampling)`
            replies = inquiry.put(prompts, told, whom="the judge")

    `budget` counts all calls of the ledger, `prices` are those of others who were asked out of it, by their identity.
    `empty`: an answer without any text is an answer, kept like any other; else it is asked for again, as a teacher's.
    Without `asking` the ledger alone answers, and no key or server is needed; the rest comes back as failures of the
    kind "not asked".
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        empty: bool = False,
        asking: bool = True,
    ) -> None:
        self.ledger, self.budget, self.prices = ledger, budget or Budget(), prices or {}
        self.empty, self.asking = empty, asking
        self.tally = Tally()  # of all that was put so far

    @staticmethod
    def identity(told: TeacherRecipe) -> str:
        """By which the ledger knows the model's answers; no key or server is needed for it."""
        return Absent(told).identity

    def put(
        self, prompts: Iterable[Prompt], told: TeacherRecipe, *, role: str = "student", whom: str = "the model"
    ) -> Replies:
        """The model's answers to the prompts: from the ledger, else asked for once, however many ask the same.

        `whom` is what people read while they wait. Calls that failed are asked for again by the next run of the same
        command. The shortest prompts go first, so that a model too small for some of them has answered others by then.
        Raises what the engine raises: TeacherError for a model that is gone or answers nothing at all (the same
        command goes on), StoppedError for a budget that is used up, InputError for what was told wrong.
        """
        distinct = {prompt.key: prompt for prompt in sorted(prompts, key=length)}
        wrong = {prompt.lineage.model for prompt in distinct.values()} - {self.identity(told)}
        if wrong:
            raise ValueError(f"prompts for {', '.join(sorted(wrong))} are put to {self.identity(told)}")
        if not distinct:
            return Replies({}, {})
        asked = Asked()
        flow = asking_once(role)
        recipe = GenerateRecipe(roles={role: told}, budget=self.budget)
        staff = Staff([flow], recipe, asking=self.asking, others=self.prices)
        staff.teachers = {name: Plainly(teacher, empty=self.empty) for name, teacher in staff.teachers.items()}
        heard = Hearing(flow)
        try:
            starts = heard.starts(distinct.values())
            staff.bring(starts, heard, self.ledger, done, asked, Sized(len(distinct)), whom=whom)
        finally:
            self.count(asked.tally)
        if self.asking and heard.failures:
            warn(f"  {whom}: {len(heard.failures)} of {len(distinct)} prompts got no answer")
        return Replies(heard.completions, heard.failures)

    def count(self, tally: Tally) -> None:
        self.tally.answered += tally.answered
        self.tally.reused += tally.reused
        self.tally.failed.update(tally.failed)
        self.tally.retried.update(tally.retried)


def reworded(error: IlkError, words: Mapping[str, str]) -> IlkError:
    """The error in a command's own words, in the place of those for the fields of a teacher's recipe."""
    for field, told in words.items():
        error.what, error.where, error.fix = (
            text.replace(field, told) for text in (error.what, error.where, error.fix)
        )
    return error


def prompt(messages: Sequence[Message], identity: str, sampling: Sampling, *, draw: int = 0) -> Prompt:
    """A prompt whose whole answer is wanted as it is; to ask the very same twice, give it another `draw`."""
    return Prompt(
        messages=tuple(messages),
        sampling=sampling,
        yields=("answer",),
        lineage=Lineage(leaf="", leaf_blob="", method="teacher", model=identity, draw=draw),
    )


class Hearing:
    """One call for each prompt, and nothing after it. A `Walker` for the engine."""

    flows: Sequence[Flow] = ()  # nothing is needed of a server but answers

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.completions: dict[str, Completion] = {}
        self.failures: dict[str, Failure] = {}

    def starts(self, prompts: Iterable[Prompt]) -> Iterator[Start]:
        for number, one in enumerate(prompts):
            about = About(leaf=one.lineage.leaf, leaf_blob=one.lineage.leaf_blob, kind="freeform", variables={})
            task = AskTask(flow=self.flow.name, step=self.flow.first.name, role=self.flow.roles[0], prompt=one)
            yield Start(number, self.flow, about, task)

    def begin(self, start: Start, /) -> list[Outcome]:
        step, task = start.flow.first, start.task
        assert isinstance(step, AskStep)
        assert isinstance(task, AskTask)
        return [Call(Candidate(start), step, 0, task.prompt.lineage.draw, task.prompt)]

    def calls(self, _: Sequence[Ready], /) -> Iterator[Call]:
        yield from ()

    def received(self, call: Call, completion: Completion, /) -> list[Outcome]:
        self.completions[call.prompt.key] = completion
        return []

    def failed(self, call: Call, failure: Failure, /) -> list[Outcome]:
        self.failures[call.prompt.key] = failure
        return []


def length(one: Prompt) -> int:
    return sum(len(message.content) for message in one.messages)


def done(_: Start, __: list[End]) -> None:
    """What a walk came to was heard with its answer."""


def asking_once(role: str) -> Flow:
    """The flow that is one question to whoever has the role."""
    step = AskStep(name="ask", template="", role=role)
    plan = Plan(purpose="Questions of their own", leaves=("knowledge", "freeform", "grounded"), steps=(step,))
    return Flow(name="inquiry", path=Path("inquiry"), blob="", plan=plan, templates={})


class Plainly:
    """A teacher of whom nothing is wanted but answers: it is not probed, and with `empty` may say nothing."""

    def __init__(self, teacher: Teacher, *, empty: bool) -> None:
        self.teacher, self.empty = teacher, empty

    @property
    def identity(self) -> str:
        return self.teacher.identity

    @property
    def capacity(self) -> int:
        return self.teacher.capacity

    @property
    def notices(self) -> Sequence[str]:
        return self.teacher.notices

    async def answer(self, prompt: Prompt) -> Completion:
        try:
            return await self.teacher.answer(prompt)
        except PassingError as error:
            if not self.empty or error.kind != "empty":
                raise
            return Completion(
                key=prompt.key,
                text="",
                finish_reason="stop",
                prompt_tokens=error.prompt_tokens,
                completion_tokens=error.completion_tokens,
            )

    async def probe(self, _: Recorder, /) -> Capabilities:
        return UNPROBED

    async def close(self) -> None:
        await self.teacher.close()


def note_uses(run: Run, uses: Sequence[tuple[str, str]]) -> None:
    """Write down which leaf of an evaluation needs which call: a leaf is forgotten whole, and what was paid stays."""
    if uses:
        run.evaluation.mkdir(parents=True, exist_ok=True)
        write_whole(run.asked, b"".join(dump({"call": call, "leaf": leaf}) for leaf, call in dict.fromkeys(uses)))
    else:
        run.asked.unlink(missing_ok=True)
