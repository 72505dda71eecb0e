"""A plan held against the ledger: what is paid, what is due, and what may come later, by flow, leaf and step.

Asks nothing: follows each start as far as there are answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from instructlab_like.errors import InputError
from instructlab_like.flows import Flow
from instructlab_like.generation.books import Books
from instructlab_like.generation.foresee import Shape, Skeleton
from instructlab_like.generation.ledger import read
from instructlab_like.generation.walk import Call, Outcome, Ready, Start, Walk
from instructlab_like.records import Completion, Prompt

CHARACTERS = 4.0  # a token, where no teacher has counted: usual for English, too many for most other languages
SHARE, FEWEST, FEWEST_EACH = 0.01, 20, 8  # of the starts that a probe asks: of all, and of each flow


class Paid(NamedTuple):
    """A call of the ledger that has ended; without a completion it failed, and will be asked again."""

    completion: Completion | None
    tokens_in: int  # charged over all attempts
    tokens_out: int
    seconds: float | None  # from the intent to the commit, if the first attempt was answered


Answers = Callable[[str], Paid | None]


def nothing_paid(_: str) -> Paid | None:
    return None


PAID = (
    "SELECT answer, tokens_in, tokens_out, CASE WHEN attempts = 1 THEN finished - intended END FROM calls "
    "WHERE key = ? AND state != 'intended'"
)
PAID_OF_1 = (
    "SELECT answer, coalesce(json_extract(answer, '$.prompt_tokens'), 0), "
    "coalesce(json_extract(answer, '$.completion_tokens'), 0), CASE WHEN attempts = 1 THEN finished - intended END "
    "FROM calls WHERE key = ? AND state != 'intended'"
)


class Paybook:
    """The ledger as a quote reads it. Open with `with`; a ledger that is not there yet holds nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.books = Books(path) if path.is_file() else None

    def __enter__(self) -> Answers:
        if self.books is None:
            return nothing_paid
        books = self.books.__enter__()
        query = PAID if books.version > 1 else PAID_OF_1

        def answers(key: str) -> Paid | None:
            with books.translated():
                row: tuple[str | None, int, int, float | None] | None
                row = books.connection.execute(query, (key,)).fetchone()
            if row is None:
                return None
            answer, tokens_in, tokens_out, seconds = row
            if answer is None:
                return Paid(None, tokens_in, tokens_out, None)
            try:
                completion = read(answer)
            except (ValueError, TypeError, KeyError) as error:
                fix = "restore the file, or start another run"
                raise InputError(f"the answer to call {key} is damaged", where=str(self.path), fix=fix) from error
            return Paid(completion, tokens_in, tokens_out, None if seconds is None else max(0.0, seconds))

        return answers

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.books is not None:
            self.books.__exit__(kind, error, trace)


# --- sums -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sum:
    """Calls of a step. What is paid has tokens as they were charged; what is not has characters, and bounds."""

    calls: int = 0
    characters: int = 0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    unsure: int = 0  # of the calls, that may never come

    def add(self, other: Sum) -> None:
        self.calls += other.calls
        self.characters += other.characters
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.unsure += other.unsure


Sums = dict[int, Sum]  # by the number of the step


def merge(into: Sums, more: Sums) -> None:
    for number, amount in more.items():
        into.setdefault(number, Sum()).add(amount)


@dataclass
class Part:
    """A leaf's starts in a flow."""

    flow: Flow
    leaf: str
    ids: array[int] = field(default_factory=lambda: array("Q"))  # of its starts, chance by which they are chosen
    whole: int = 0  # of them, with all their answers in the ledger
    paid: Sums = field(default_factory=dict)
    paid_open: Sums = field(default_factory=dict)  # of it, for starts that are not whole
    due: Sums = field(default_factory=dict)  # calls whose prompts are known
    later: Sums = field(default_factory=dict)  # what may come of them
    open_characters: int = 0  # of the first prompts of starts that are not whole
    seen: list[tuple[int, array[float]]] = field(default_factory=list)  # starts that were walked to their end
    skeletons: dict[int, Skeleton] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return len(self.ids) - self.whole


def chosen(parts: Sequence[Part]) -> dict[tuple[str, str], int]:
    """How many of each part's starts a probe asks: those with the smallest ids, which are digests.

    A hundredth of all, at least `FEWEST`, spread evenly over the leaves of each flow in their order.
    """
    by_flow: dict[str, list[Part]] = {}
    for part in parts:
        if part.flow.asks:
            by_flow.setdefault(part.flow.name, []).append(part)
    everything = sum(len(part.ids) for part in parts if part.flow.asks)
    wanted = max(FEWEST, ceil(SHARE * everything))
    picked: dict[tuple[str, str], int] = {}
    for name, members in by_flow.items():
        size = sum(len(part.ids) for part in members)
        share = min(size, max(FEWEST_EACH, ceil(wanted * size / everything)))
        ends = [(2 * share * end + size) // (2 * size) for end in accumulate(len(part.ids) for part in members)]
        for part, begin, end in zip(members, [0, *ends], ends, strict=False):
            picked[name, part.leaf] = end - begin
    return picked


def start_id(start: Start) -> int:
    """A number by chance, the same whenever the same is asked."""
    task = start.task
    assert task.method == "teacher"
    return int(task.prompt.key[:16], 16)


def cutoffs(parts: Sequence[Part], picked: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """By flow and leaf, the largest id that is picked."""
    found = {}
    for part in parts:
        count = picked.get((part.flow.name, part.leaf), 0)
        if count:
            found[part.flow.name, part.leaf] = sorted(part.ids)[count - 1]
    return found


class Reckoner:
    """Takes the starts of a plan, one after the other, and knows at the end what is paid, due, and may come later."""

    def __init__(self, walk: Walk, answers: Answers) -> None:
        self.walk, self.answers = walk, answers
        self.shapes: dict[str, Shape] = {}
        self.parts: dict[tuple[str, str], Part] = {}
        self.met: set[bytes] = set()  # calls that were counted
        self.counted: dict[str, tuple[int, int, int]] = {}  # by teacher: characters, tokens, answers
        self.uncounted = 0  # answers whose tokens the teacher did not count
        self.seconds: dict[tuple[str, int], tuple[float, int]] = {}  # by flow and step: sum, answers

    def take(self, starts: Iterable[Start]) -> Iterator[Start]:
        """Pass starts on, and reckon each."""
        for start in starts:
            self.add(start)
            yield start

    def add(self, start: Start) -> None:
        flow = start.flow
        if not flow.roles:
            return
        shape = self.shapes.setdefault(flow.name, Shape(flow, self.walk))
        part = self.parts.get((flow.name, start.about.leaf))
        if part is None:
            part = self.parts[flow.name, start.about.leaf] = Part(flow, start.about.leaf)
            part.skeletons = shape.skeletons(start)
        Follower(self, shape, part, start).follow()

    def is_new(self, key: str) -> bool:
        """Whether a call has not been counted yet; from now on it has."""
        short = bytes.fromhex(key[:32])
        if short in self.met:
            return False
        self.met.add(short)
        return True

    def learn(self, flow: Flow, number: int, prompt: Prompt, paid: Paid) -> None:
        assert paid.completion is not None
        if paid.completion.prompt_tokens:
            model = prompt.lineage.model
            characters, tokens, answers = self.counted.get(model, (0, 0, 0))
            told = (characters + length(prompt), tokens + paid.completion.prompt_tokens, answers + 1)
            self.counted[model] = told
        else:
            self.uncounted += 1
        if paid.seconds is not None:
            total, answers = self.seconds.get((flow.name, number), (0.0, 0))
            self.seconds[flow.name, number] = (total + paid.seconds, answers + 1)


@dataclass
class Follower:
    """Follows one start as far as there are answers."""

    reckoner: Reckoner
    shape: Shape
    part: Part
    start: Start
    paid: Sums = field(default_factory=dict)
    due: Sums = field(default_factory=dict)
    later: Sums = field(default_factory=dict)
    spent: Sums = field(default_factory=dict)  # paid, and what failed calls were charged
    settled: bool = True  # whether nothing is due but calls that failed

    def follow(self) -> None:
        walk = self.reckoner.walk
        outcomes: list[Outcome] = walk.begin(self.start)
        while outcomes:
            ready = [outcome for outcome in outcomes if isinstance(outcome, Ready)]
            calls = [outcome for outcome in outcomes if isinstance(outcome, Call)]
            outcomes = [after for call in (*calls, *walk.calls(ready)) for after in self.ask(call)]
        self.close()

    def ask(self, call: Call) -> list[Outcome]:
        paid = self.reckoner.answers(call.prompt.key)
        is_new = self.reckoner.is_new(call.prompt.key)
        if is_new and paid is not None:
            self.enter(call, paid)
        if paid is not None and paid.completion is not None:
            return self.reckoner.walk.received(call, paid.completion)
        self.settled &= paid is not None
        if is_new:
            due = Sum(1, length(call.prompt), 0.0, call.prompt.sampling.max_tokens)
            self.due.setdefault(call.number, Sum()).add(due)
        self.foresee(call)
        return []

    def enter(self, call: Call, paid: Paid) -> None:
        tokens_in, tokens_out = float(paid.tokens_in), float(paid.tokens_out)
        if paid.completion is not None:
            self.reckoner.learn(self.shape.flow, call.number, call.prompt, paid)
            if paid.completion.prompt_tokens is None:
                tokens_in = tokens_in or length(call.prompt) / CHARACTERS
            if paid.completion.completion_tokens is None:
                tokens_out = tokens_out or len(paid.completion.text) / CHARACTERS
        amount = Sum(1, length(call.prompt), tokens_in, tokens_out)
        self.spent.setdefault(call.number, Sum()).add(amount)
        if paid.completion is None:
            amount = Sum(0, 0, tokens_in, tokens_out)
        self.paid.setdefault(call.number, Sum()).add(amount)

    def foresee(self, call: Call) -> None:
        """Count what may come of a call."""
        texts = {**self.start.about.variables, **call.candidate.fields}
        for step, calls, sure in self.shape.later[call.number]:
            skeleton = self.part.skeletons[step]
            producers = self.shape.producers[step]
            characters = skeleton.characters + sum(
                times * len(text)
                for name, times in skeleton.times.items()
                if times and producers.get(name, -1) < call.number and isinstance(text := texts.get(name), str)
            )
            tokens = self.shape.answers_in(skeleton, step, call.number)
            amount = Sum(
                calls, calls * characters, calls * tokens, calls * self.shape.lengths[step], 0 if sure else calls
            )
            self.later.setdefault(step, Sum()).add(amount)

    def close(self) -> None:
        part = self.part
        asks = self.start.task.method == "teacher"
        part.ids.append(start_id(self.start) if asks else 0)
        for into, more in ((part.paid, self.paid), (part.due, self.due), (part.later, self.later)):
            merge(into, more)
        if not self.due and not self.later:
            part.whole += 1
        else:
            merge(part.paid_open, self.paid)
            part.open_characters += sum(one[0].characters for one in (self.spent, self.due) if 0 in one)
        if self.settled and asks:
            part.seen.append((part.ids[-1], vector(self.shape, self.spent)))


def vector(shape: Shape, spent: Sums) -> array[float]:
    """Calls, tokens in and tokens out of each asking step; at the end the characters of the first prompt."""
    amounts = array("d")
    for number in shape.asking:
        amount = spent.get(number, Sum())
        amounts.extend((amount.calls, amount.tokens_in, amount.tokens_out))
    amounts.append(spent[0].characters if 0 in spent else 0.0)
    return amounts


def length(prompt: Prompt) -> int:
    return sum(len(message.content) for message in prompt.messages)
