"""Brings every walk to its end: asks what the ledger does not hold, keeps all slots busy, and loses no answer.

One process and one event loop; the ledger is written by a thread. Calls wait in a heap for each teacher, the deepest
step first, so that samples get finished before others are begun and what waits stays bounded. The retry policy is here
and nowhere else: an attempt that failed in a way that may pass goes back to the heap after a pause, and its slot serves
another call meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Protocol

from instructlab_like.console import warn
from instructlab_like.errors import IlkError, PassingError, RefusedError, StoppedError, TeacherError
from instructlab_like.flows import Flow
from instructlab_like.generation.journal import Journal, Then
from instructlab_like.generation.ledger import Entry, Failure, Ledger, Lookup, Unsent, intent
from instructlab_like.generation.purse import Purse
from instructlab_like.generation.walk import (
    NO_SEATS,
    Call,
    Finished,
    Lost,
    Outcome,
    Preferred,
    Ready,
    Seats,
    Start,
)
from instructlab_like.records import Completion, Prompt
from instructlab_like.teachers import Teacher

BYTES = 3.0  # a token, where a server does not count them
MOST_REFUSALS = 8  # calls without an answer, before there is any, that show that something is wrong with all of them
GRACE = 10.0  # seconds for answers under way once the teacher has failed: they may be paid for
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a call is tried again, doubled each time
AHEAD = 2  # calls that wait, for each slot, before more walks are begun
TOGETHER = 32  # walks begun at a time
SELDOM = (50_000, 20, 20)  # objects made before the garbage collector looks

End = Finished | Lost | Preferred
Done = Callable[[Start, list[End]], None]


class Walker(Protocol):
    """What follows from each answer: the `Walk` of a run's flows, or what asks on behalf of a filter."""

    @property
    def flows(self) -> Sequence[Flow]: ...

    def begin(self, start: Start, /) -> list[Outcome]: ...

    def calls(self, ready: Sequence[Ready], /) -> Iterable[Call]: ...

    def received(self, call: Call, completion: Completion, /) -> list[Outcome]: ...

    def failed(self, call: Call, failure: Failure, /) -> list[Outcome]: ...


class Aside(Protocol):
    """What is asked once beside the walks; no answer of a walk is asked for before it is over, if it is urgent."""

    urgent: bool

    async def ask(self, write: Callable[[Entry], Awaitable[object]], /) -> None: ...


@dataclass
class Tally:
    """What happened so far; read by whoever shows it."""

    begun: int = 0  # walks
    ended: int = 0
    answered: int = 0  # calls that were asked and answered in this run
    reused: int = 0  # calls whose answer was there
    failed: Counter[str] = field(default_factory=Counter)  # calls without an answer, by kind
    retried: Counter[str] = field(default_factory=Counter)  # attempts that failed and were repeated, by kind
    planned: bool = False  # whether all walks have begun


@dataclass
class Desk:
    """One teacher, the calls that wait for it, and the workers that wait for calls."""

    teacher: Teacher
    retries: int
    price: tuple[float, float] | None
    waiting: list[tuple[int, int, int, Call]] = field(default_factory=list)
    idle: list[asyncio.Future[None]] = field(default_factory=list)

    def put(self, call: Call, order: int) -> None:
        heapq.heappush(self.waiting, (-call.number, call.candidate.start.number, order, call))
        if self.idle:
            self.wake()

    def wake(self) -> None:
        while self.idle:
            worker = self.idle.pop()
            if not worker.done():
                worker.set_result(None)
                return

    async def take(self) -> Call:
        while not self.waiting:
            called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.idle.append(called)
            await called
        return heapq.heappop(self.waiting)[3]


@dataclass
class Open:
    """A walk under way: how many of its calls are not answered, and what it came to so far."""

    start: Start
    calls: int = 0
    ends: list[End] = field(default_factory=list)


class Engine:
    """`done` is called once for each walk, when it has ended, with all it came to, in its own order."""

    def __init__(
        self,
        walk: Walker,
        desks: Mapping[str, Desk],
        ledger: Ledger,
        purse: Purse,
        done: Done,
        tally: Tally,
        aside: Aside | None = None,
        *,
        asking: bool = True,
        seats: Seats = NO_SEATS,
    ) -> None:
        self.walk, self.ledger, self.purse, self.done, self.tally = walk, ledger, purse, done, tally
        self.desks = desks  # by role, or by seat where a route chose who has the role; they may share one
        self.seats = seats
        self.aside = aside
        self.asking = asking  # False: what the ledger does not hold stays as it is
        self.failures = {} if asking else {failure.key: failure for failure in ledger.failures}
        self.asking_aside: asyncio.Task[None] | None = None
        self.order = count()
        self.open: dict[int, Open] = {}
        self.under_way: dict[str, list[Call]] = {}
        self.tries: Counter[str] = Counter()
        self.uncounted: set[str] = set()  # teachers that do not say how many tokens an answer took
        self.refusal: TeacherError | None = None  # the last call that failed for good
        self.stopping: StoppedError | None = None  # nothing more is asked; what is under way may end
        self.due: list[tuple[Then, Completion | None]] = []
        self.ready: list[Ready] = []
        self.unsure: list[asyncio.Future[None]] = []  # calls for which the purse may be too small

    async def run(self, starts: Iterator[Start]) -> None:
        """Walk all of `starts`. Raises what ended it early; all that was answered by then is in the ledger."""
        self.loop = asyncio.get_running_loop()
        self.hungry, self.bell, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.hungry.set()
        with uncollected():
            await self.walk_all(starts)

    async def walk_all(self, starts: Iterator[Start]) -> None:
        async with Journal(self.ledger, self.arrived) as self.journal:
            desks = {id(desk): desk for desk in self.desks.values()}.values()
            self.slots = sum(desk.teacher.capacity for desk in desks)
            feeder = asyncio.create_task(self.feed(starts))
            settler = asyncio.create_task(self.settle())
            workers = [asyncio.create_task(self.work(desk)) for desk in desks for _ in range(desk.teacher.capacity)]
            ending: asyncio.Task[None] = asyncio.create_task(self.end())
            tasks = [feeder, settler, *workers]
            try:
                left = {ending, *tasks}
                while not ending.done():
                    finished, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                    if any(task.exception() for task in finished):
                        break
                if not ending.done() or self.stopping:
                    await self.grace(tasks, workers)
            finally:
                over = [ending, *tasks, *([self.asking_aside] if self.asking_aside else [])]
                for task in over:
                    task.cancel()
                await asyncio.gather(*over, return_exceptions=True)
        self.raise_first(tasks)
        if self.refusal and not self.tally.answered and not self.tally.reused:
            raise self.resumable(self.refusal)

    async def end(self) -> None:
        """Over when all walks are, and what was asked beside them, which was paid for."""
        await self.ended.wait()
        if self.asking_aside is not None and self.stopping is None:
            await asyncio.wait([self.asking_aside], timeout=GRACE)

    async def grace(self, tasks: list[asyncio.Task[None]], workers: list[asyncio.Task[None]]) -> None:
        """Let answers under way arrive: those of a stop of our own to the last, others for a while."""
        self.stopping = self.stopping or StoppedError("stopped")
        self.settled()
        for desk in self.desks.values():
            desk.waiting.clear()
            for waiter in desk.idle:
                waiter.cancel()
        broken = any(task.done() and not task.cancelled() and task.exception() for task in tasks)
        left = [task for task in workers if not task.done()]
        if left:
            await asyncio.wait(left, timeout=0 if self.journal.broken else GRACE if broken else None)
        if self.asking_aside is not None and not self.journal.broken:
            await asyncio.wait([self.asking_aside], timeout=GRACE)
        if not broken:
            await self.written(Lookup(""))  # when this is read, all before it is on disk and has been gone on with
            for walk in self.open.values():
                self.done(walk.start, sorted(walk.ends, key=placed))

    def raise_first(self, tasks: list[asyncio.Task[None]]) -> None:
        """The error that ended the run: a bug or wrong input before a stop of any kind, a teacher's failure last."""
        errors = [error for task in tasks if not task.cancelled() and (error := task.exception())]
        if self.journal.broken is not None:
            errors.insert(0, self.journal.broken)
        errors.sort(key=lambda error: (isinstance(error, StoppedError), isinstance(error, TeacherError)))
        if errors:
            raise self.resumable(errors[0])
        if self.stopping is not None:
            raise self.resumable(self.stopping)

    def resumable(self, error: BaseException) -> BaseException:
        """A stop with what it leaves behind; other errors speak for themselves."""
        if not isinstance(error, StoppedError):
            return error
        kept = self.ledger.counts.answered if self.journal.broken is None else self.tally.answered + self.tally.reused
        again = "run the same command again: no answer that is there is asked for again"
        fix = f"{error.fix}; then {again}" if error.fix else again
        kind = TeacherError if isinstance(error, TeacherError) else type(error)
        stopped = kind(f"{error.what} ({kept} answers are in the ledger)", where=error.where, fix=fix)
        stopped.__cause__ = error
        return stopped

    # --- walks

    async def feed(self, starts: Iterator[Start]) -> None:
        """Begin walks as the calls that wait run low; planning and model-free tasks run beside the loop."""
        while self.stopping is None:
            await self.hungry.wait()
            begun = await asyncio.to_thread(self.begin, starts)
            for start, outcomes in begun:
                self.tally.begun += 1
                self.open[start.number] = Open(start)
                self.take(start, outcomes, closed=0)
            self.ask_ready()
            if not begun:
                self.tally.planned = True
                self.end_if_all_done()
                return
            self.look_ahead()

    def begin(self, starts: Iterator[Start]) -> list[tuple[Start, list[Outcome]]]:
        """The next few walks; fewer once they have come to as many samples, which are in memory until they end."""
        begun: list[tuple[Start, list[Outcome]]] = []
        made = 0
        for start in islice(starts, TOGETHER):
            begun.append((start, self.walk.begin(start)))
            made += len(begun[-1][1])
            if made > TOGETHER:
                break
        return begun

    def look_ahead(self) -> None:
        """More walks are wanted while no more than `AHEAD` calls a slot wait."""
        waiting = sum(len(desk.waiting) for desk in self.desks.values())
        if waiting <= AHEAD * self.slots:
            self.hungry.set()
        else:
            self.hungry.clear()

    def take(self, start: Start, outcomes: list[Outcome], *, closed: int) -> None:
        """Enter what became of a walk; `closed` of its calls are over."""
        walk = self.open[start.number]
        for outcome in outcomes:
            if isinstance(outcome, Ready):
                walk.calls += outcome.step.draws
                self.ready.append(outcome)
            elif isinstance(outcome, Call):
                walk.calls += 1
                self.put(outcome)
            else:
                walk.ends.append(outcome)
        walk.calls -= closed
        if not walk.calls:
            del self.open[start.number]
            self.tally.ended += 1
            self.done(start, sorted(walk.ends, key=placed))
            self.end_if_all_done()

    def ask_ready(self) -> None:
        """Turn the records that are ready for their next step into calls."""
        ready, self.ready = self.ready, []
        for call in self.walk.calls(ready):
            self.put(call)

    def put(self, call: Call) -> None:
        leaf, role = call.candidate.start.about.leaf, call.step.role
        self.desks[self.seats.get((leaf, role), role)].put(call, next(self.order))

    def end_if_all_done(self) -> None:
        if self.tally.planned and not self.open:
            self.ended.set()

    # --- calls

    async def work(self, desk: Desk) -> None:
        """Take one call after another; a slot is free again as soon as its answer is here, not when it is on disk."""
        while self.stopping is None:
            call = await desk.take()
            if not self.hungry.is_set():
                self.look_ahead()
            key = call.prompt.key
            if key in self.under_way:
                self.under_way[key].append(call)
                continue
            self.under_way[key] = [call]
            await self.attempt(desk, call)

    async def attempt(self, desk: Desk, call: Call) -> None:
        prompt = call.prompt
        stop = await self.allowed(prompt) if self.asking else None
        known = await self.beforehand(prompt) if self.aside and self.aside.urgent and not stop else None
        held = known or await self.written(Lookup(prompt.key) if stop or not self.asking else intent(prompt))
        if held is not None:
            if stop is None and self.asking:
                self.purse.unused(prompt)
                self.settled()
            self.tally.reused += 1
            self.answered(prompt.key, held)
            self.bell.set()  # for what is ready now
            return
        if not self.asking:
            self.tally.failed["not asked"] += 1
            self.unanswered(
                prompt.key, self.failures.get(prompt.key, Failure(prompt.key, "was not asked", "not asked"))
            )
            self.bell.set()
            return
        if stop is not None:
            self.stopping = stop
            self.ended.set()
            return
        try:
            if self.aside is not None and self.asking_aside is None:
                self.beside(self.aside)
            completion = await desk.teacher.answer(prompt)
        except PassingError as error:
            self.passed(desk, call, error)
        except RefusedError as error:
            self.purse.end(prompt, desk.price, 0, 0)
            self.settled()
            self.give_up(call, Failure(prompt.key, str(error), "refused", sent=error.sent))
            self.hopeless(error)
        except IlkError as error:  # which ends the run
            if error.sent:
                self.purse.end(prompt, desk.price, 0, 0)
                kind = "gone" if isinstance(error, TeacherError) else "input"
                self.journal.enter(Failure(prompt.key, str(error), kind), nothing)
            else:
                self.purse.unused(prompt)
                self.journal.enter(Unsent(prompt.key), nothing)
            self.settled()
            raise
        else:
            completion = self.counted(desk.teacher, prompt, completion)
            self.purse.end(prompt, desk.price, completion.prompt_tokens or 0, completion.completion_tokens or 0)
            self.settled()
            self.tally.answered += 1
            self.journal.enter(completion, lambda _: self.answered(prompt.key, completion))

    def counted(self, teacher: Teacher, prompt: Prompt, completion: Completion) -> Completion:
        """With tokens, as a budget needs them: estimated from the texts, generously, where the server counts none."""
        if completion.prompt_tokens is not None and completion.completion_tokens is not None:
            return completion
        if teacher.identity not in self.uncounted:
            self.uncounted.add(teacher.identity)
            warn(f"  {teacher.identity}: does not count tokens; they are estimated, one for {BYTES:g} bytes of text")
        asked = sum(len(message.content.encode()) for message in prompt.messages)
        return completion.model_copy(
            update={
                "prompt_tokens": math.ceil(asked / BYTES),
                "completion_tokens": math.ceil(len(completion.text.encode()) / BYTES),
            }
        )

    async def beforehand(self, prompt: Prompt) -> Completion | None:
        """The answer that the ledger has; else wait for what must be known before anything is asked."""
        assert self.aside is not None
        if (held := await self.written(Lookup(prompt.key))) is None:
            await asyncio.shield(self.asking_aside or self.beside(self.aside))
        return held

    def beside(self, aside: Aside) -> asyncio.Task[None]:
        """With the first call that is really made, ask what else there is to ask."""
        if self.purse.narrow and aside.urgent:
            what = "the budget leaves too little to learn first whether the teacher can do what a template needs"
            raise StoppedError(what, where="budget", fix="raise it (--budget)")
        self.asking_aside = asyncio.create_task(nobody() if self.purse.narrow else aside.ask(self.written))
        return self.asking_aside

    async def allowed(self, prompt: Prompt) -> StoppedError | None:
        """Have the purse reserve the call, or say why not, once no answer under way can change its mind."""
        while (stop := self.purse.refusal(prompt)) is not None:
            if self.stopping or not self.purse.under_way:
                return stop
            told: asyncio.Future[None] = self.loop.create_future()
            self.unsure.append(told)
            await told
        self.purse.begin(prompt)
        return None

    def settled(self) -> None:
        """The purse knows what a call came to: whoever waits for that may ask again."""
        while self.unsure:
            waiter = self.unsure.pop()
            if not waiter.done():
                waiter.set_result(None)

    def passed(self, desk: Desk, call: Call, error: PassingError) -> None:
        """An attempt failed that may be repeated: later, or never when there were too many."""
        key = call.prompt.key
        self.purse.end(call.prompt, desk.price, error.prompt_tokens, error.completion_tokens)
        self.settled()
        failure = Failure(key, error.what, error.kind, error.prompt_tokens, error.completion_tokens)
        self.tries[key] += 1
        if self.tries[key] > desk.retries:
            self.give_up(call, failure)
            self.hopeless(error)
            return
        self.tally.retried[error.kind] += 1
        if not self.tally.answered and not self.tally.reused and self.unusable() >= MOST_REFUSALS * (desk.retries + 1):
            raise TeacherError(error.what, where=error.where, fix=error.fix or "see what the server sends") from error
        pause = max(error.wait or 0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.tries[key] - 1)))
        self.journal.enter(failure, lambda _: self.again_after(pause, desk, key))

    def unusable(self) -> int:
        """Answers, paid for, that were none; a server that is starting up sends others."""
        return self.tally.retried["malformed"] + self.tally.retried["empty"]

    def again_after(self, pause: float, desk: Desk, key: str) -> None:
        def again() -> None:
            for waiting in self.under_way.pop(key):
                desk.put(waiting, next(self.order))

        self.loop.call_later(pause, again)

    def give_up(self, call: Call, failure: Failure) -> None:
        """The call stays without an answer: what follows from that is up to its walk."""
        self.tally.failed[failure.kind] += 1
        self.journal.enter(failure, lambda _: self.unanswered(call.prompt.key, failure))

    def hopeless(self, error: TeacherError) -> None:
        """Raise when nothing has been answered yet and several calls failed: something is wrong with all of them."""
        self.refusal = TeacherError(error.what, where=error.where, fix=error.fix)
        self.refusal.__cause__ = error
        if not self.tally.answered and not self.tally.reused and self.tally.failed.total() >= MOST_REFUSALS:
            raise self.refusal

    def answered(self, key: str, completion: Completion) -> None:
        for call in self.under_way.pop(key):
            self.take(call.candidate.start, self.walk.received(call, completion), closed=1)

    def unanswered(self, key: str, failure: Failure) -> None:
        for call in self.under_way.pop(key):
            self.take(call.candidate.start, self.walk.failed(call, failure), closed=1)

    # --- the ledger

    async def written(self, entry: Entry) -> Completion | None:
        on_disk: asyncio.Future[Completion | None] = self.loop.create_future()
        self.journal.enter(entry, lambda held: None if on_disk.done() else on_disk.set_result(held))
        return await on_disk

    def arrived(self, due: list[tuple[Then, Completion | None]]) -> None:
        self.due += due
        self.bell.set()

    async def settle(self) -> None:
        """Go on with what is on disk; whatever fails in it ends the run."""
        while True:
            await self.bell.wait()
            self.bell.clear()
            due, self.due = self.due, []
            for then, held in due:
                then(held)
            if self.ready:
                self.ask_ready()
            if self.journal.broken is not None:
                raise self.journal.broken


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for cycles of objects less often: a call leaves none, and looking took a tenth of its processor time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def placed(end: End) -> tuple[int, ...]:
    return end.place


async def nobody() -> None:
    """Nothing is asked beside the walks."""


def nothing(_: Completion | None) -> None:
    """Nothing follows from the entry."""
