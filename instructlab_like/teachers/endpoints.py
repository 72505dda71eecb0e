"""Where the next request goes, and when: load, limits, pauses and trials of several endpoints of one model.

Nothing here knows HTTP, and time comes from outside, so that every rule can be tested against a clock of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from instructlab_like.errors import TeacherError

LONGEST_WAIT = 300.0  # seconds; a server that wants us away for longer is worth a stop and a later run
FIRST_TRIAL, LONGEST_TRIAL = 0.5, 30.0  # seconds for which an endpoint is left alone, doubled each time
MANY = 8  # prompts in a row without an answer after which an endpoint counts as down
DECREASE = 0.7  # of the limit, when an endpoint says that it has too many
RESTART = "start the server, or correct teacher.url"


class Clock(Protocol):
    """The part of an event loop that tells the time."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> object: ...


class Endpoint:
    """What is known of one endpoint. `limit` moves between 1 and `most`: the calls that it may have in flight."""

    def __init__(self, where: str, most: int) -> None:
        self.where = where
        self.most = most
        self.limit = float(most)
        self.threshold = 1.0  # below it the limit grows by one an answer, above it by one a round of answers
        self.vain = 0  # decreases in a row without an answer in between
        self.busy = 0
        self.sent = 0
        self.round = 0  # counts decreases and trials: what was sent in an earlier one no longer decides anything
        self.reached = False  # whether a connection was ever made
        self.away_until = -math.inf  # as told by Retry-After
        self.opens = -math.inf  # the same, or later where it is left alone for other reasons
        self.trials = 0  # without an answer, in a row; 0: not on trial
        self.unanswered: set[str] = set()  # prompts in a row that it failed on
        self.trouble = ""  # the last one

    @property
    def works(self) -> bool:
        """Whether its last word was an answer, as far as we know."""
        return not self.trials and self.vain < 2

    @property
    def room(self) -> float:
        return 1.0 if self.trials else self.limit


Member = TypeVar("Member", bound=Endpoint)


class Slot(Generic[Member]):
    """One request's place at an endpoint, from the choice until it is given back through one method of Endpoints."""

    __slots__ = ("endpoint", "round")

    def __init__(self, endpoint: Member) -> None:
        self.endpoint = endpoint
        self.round = endpoint.round


Waiter = asyncio.Future[Slot[Member]]


class Endpoints(Generic[Member]):
    """Hands out slots: the least loaded endpoint first, in order of asking, none before its pause is over.

    `notices` gets a line when an endpoint stops answering while others go on. A slot is given back by exactly one of
    `answered`, `failed`, `unreachable` and `unused`; whoever waits for it is woken at once.
    """

    def __init__(self, members: Sequence[Member], *, patience: float, clock: Clock, notices: list[str]) -> None:
        self.members = tuple(members)
        self.patience = patience
        self.clock = clock
        self.notices = notices
        self.waiting: deque[Waiter[Member]] = deque()
        self.waiting_for: dict[Member, deque[Waiter[Member]]] = {member: deque() for member in members}
        self.silent_since: float | None = None  # since when no endpoint works
        self.over: tuple[str, str] | None = None  # why there will be no more slots, and what to do

    async def take(self, only: Member | None = None) -> Slot[Member]:
        """A slot as soon as there is one; raises TeacherError when all endpoints are gone."""
        slot = self.free(only)
        if slot is not None:
            return slot
        future: Waiter[Member] = asyncio.get_running_loop().create_future()
        (self.waiting if only is None else self.waiting_for[only]).append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.unused(future.result())
            raise

    def free(self, only: Member | None = None) -> Slot[Member] | None:
        """A slot if there is one now; raises TeacherError when all endpoints are gone."""
        if self.over is not None:
            raise self.gone()
        now = self.clock.time()
        best, least = None, math.inf
        for endpoint in self.members if only is None else (only,):
            room = endpoint.room
            if endpoint.busy + 1 <= room and endpoint.opens <= now:
                load = endpoint.busy / room
                if best is None or load < least or (load == least and endpoint.sent < best.sent):
                    best, least = endpoint, load
        if best is None:
            return None
        best.busy += 1
        best.sent += 1
        return Slot(best)

    def answered(self, slot: Slot[Member], *, overloaded: str = "") -> None:
        """It answered, be it with a refusal; `overloaded`: what it said when it had too many requests."""
        endpoint = slot.endpoint
        endpoint.busy -= 1
        if endpoint.unanswered:
            endpoint.unanswered.clear()
        if endpoint.trials:
            endpoint.trials = 0
            endpoint.threshold, endpoint.limit = endpoint.limit, 1.0
            endpoint.opens = -math.inf
            self.open_at(endpoint, endpoint.away_until)
        if overloaded:
            endpoint.trouble = overloaded
            self.decrease(slot)
        else:
            self.silent_since = None
            endpoint.vain = 0
            if endpoint.limit < endpoint.most:
                step = 1.0 if endpoint.limit < endpoint.threshold else 1.0 / endpoint.limit
                endpoint.limit = min(float(endpoint.most), endpoint.limit + step)
        self.wake()

    def failed(self, slot: Slot[Member], prompt: str, why: str, *, overloaded: bool = False) -> None:
        """It broke off, kept silent or answered that it is broken; `prompt` tells which prompt it was asked."""
        endpoint = slot.endpoint
        endpoint.busy -= 1
        endpoint.trouble = why
        if overloaded:
            self.decrease(slot)
        if endpoint.trials:
            self.tried(slot)
        else:
            endpoint.unanswered.add(prompt)
            if len(endpoint.unanswered) >= MANY:
                self.begin_trials(endpoint)
        self.wake()

    def unreachable(self, slot: Slot[Member], why: str) -> None:
        """No connection was made, so nothing was sent."""
        endpoint = slot.endpoint
        endpoint.busy -= 1
        endpoint.trouble = why
        if endpoint.trials:
            self.tried(slot)
        else:
            self.begin_trials(endpoint)
        self.wake()

    def unused(self, slot: Slot[Member]) -> None:
        """Nothing was sent, or nobody waited for what came of it."""
        slot.endpoint.busy -= 1
        self.wake()

    def pause(self, endpoint: Member, seconds: float) -> None:
        """It asked for no request before then; said as soon as it is known, while the slot is still taken."""
        now = self.clock.time()
        endpoint.away_until = max(endpoint.away_until, now + seconds)
        self.open_at(endpoint, endpoint.away_until)
        if all(member.opens - now > LONGEST_WAIT for member in self.members):
            self.end((f"wants no request for {seconds:.0f} s", "run the same command again later"))

    def opens_in(self) -> float | None:
        """Seconds until the first endpoint may be asked again; None: one may be asked now."""
        left = min(member.opens for member in self.members) - self.clock.time()
        return left if left > 0 else None

    # --- rules ------------------------------------------------------------------------------------------------------

    def decrease(self, slot: Slot[Member]) -> None:
        """At most once for all that was in flight together.

        Decreases in a row say nothing of where to return to; after each of them it is left alone for longer.
        """
        endpoint = slot.endpoint
        if slot.round != endpoint.round or endpoint.trials:
            return
        endpoint.round += 1
        endpoint.limit = max(1.0, endpoint.limit * DECREASE)
        endpoint.vain += 1
        if endpoint.vain == 1:
            endpoint.threshold = endpoint.limit
        else:
            self.leave_alone(endpoint, endpoint.vain - 1)

    def begin_trials(self, endpoint: Member) -> None:
        endpoint.round += 1
        endpoint.trials = 1
        endpoint.unanswered.clear()
        self.leave_alone(endpoint, 1)
        notice = f"{endpoint.where}: {endpoint.trouble}; going on with the others, and trying it again"
        if any(member.works for member in self.members) and notice not in self.notices:
            self.notices.append(notice)

    def tried(self, slot: Slot[Member]) -> None:
        if slot.round == slot.endpoint.round:
            slot.endpoint.trials += 1
            self.leave_alone(slot.endpoint, slot.endpoint.trials)

    def leave_alone(self, endpoint: Member, times: int) -> None:
        """Pause for longer each time, or give up when there was no answer from anywhere for too long."""
        now = self.clock.time()
        pause = min(LONGEST_TRIAL, FIRST_TRIAL * 2.0 ** min(times - 1, 10))
        if not any(member.works for member in self.members):
            if not any(member.reached for member in self.members):
                self.end(self.unreached())
                return
            if self.silent_since is None:
                self.silent_since = now
            left = self.silent_since + self.patience - now
            if left <= 0:
                self.end(self.silent())
                return
            pause = min(pause, left)  # so that the last try is at the very end of our patience
        self.open_at(endpoint, max(now + pause, endpoint.away_until))

    def open_at(self, endpoint: Member, when: float) -> None:
        if when > endpoint.opens:
            endpoint.opens = when
            if when < math.inf:
                self.clock.call_at(when, self.wake)

    def wake(self) -> None:
        """Hand every free slot to whoever waits for one."""
        for endpoint, waiting in self.waiting_for.items():
            if waiting:
                self.hand_out(waiting, endpoint)
        if self.waiting:
            self.hand_out(self.waiting, None)

    def hand_out(self, waiting: deque[Waiter[Member]], only: Member | None) -> None:
        while waiting and self.over is None:
            if waiting[0].done():  # cancelled
                waiting.popleft()
                continue
            slot = self.free(only)
            if slot is None:
                return
            waiting.popleft().set_result(slot)

    # --- the end ----------------------------------------------------------------------------------------------------

    def end(self, why: tuple[str, str]) -> None:
        """No more slots: everybody who waits is told, and everybody who asks later."""
        self.over = why
        for waiting in (self.waiting, *self.waiting_for.values()):
            while waiting:
                future = waiting.popleft()
                if not future.done():
                    future.set_exception(self.gone())

    def gone(self) -> TeacherError:
        what, fix = self.over or ("is gone", RESTART)
        return TeacherError(what, where=", ".join(member.where for member in self.members), fix=fix)

    def unreached(self) -> tuple[str, str]:
        if len(self.members) == 1:
            return self.members[0].trouble, RESTART
        told = "; ".join(dict.fromkeys(member.trouble for member in self.members))
        return f"none of the {len(self.members)} endpoints answers: {told}", RESTART

    def silent(self) -> tuple[str, str]:
        told = "; ".join(dict.fromkeys(member.trouble for member in self.members))
        return f"no answer for {self.patience:g} s; the last trouble: {told}", f"{RESTART}, or raise teacher.patience"
