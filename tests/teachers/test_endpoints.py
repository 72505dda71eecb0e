"""The rules by which endpoints are chosen, paused and tried, against a clock of the test's own."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from instructlab_like.errors import TeacherError
from instructlab_like.teachers.endpoints import LONGEST_WAIT, MANY, Endpoint, Endpoints, Slot


class HandClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order = count()
        self.due: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        heapq.heappush(self.due, (when, next(self.order), callback))
        return None

    def move(self, seconds: float) -> None:
        until = self.now + seconds
        while self.due and self.due[0][0] <= until:
            self.now, _, callback = heapq.heappop(self.due)
            callback()
        self.now = until


def pool(
    members: int = 1, most: int = 8, patience: float = 120.0
) -> tuple[Endpoints[Endpoint], list[Endpoint], HandClock]:
    clock = HandClock()
    endpoints = [Endpoint(f"http://e{number}", most) for number in range(members)]
    for endpoint in endpoints:
        endpoint.reached = True
    return Endpoints(endpoints, patience=patience, clock=clock, notices=[]), endpoints, clock


def taken(endpoints: Endpoints[Endpoint]) -> Slot[Endpoint]:
    slot = endpoints.free()
    assert slot is not None
    return slot


def drained(endpoints: Endpoints[Endpoint]) -> list[Slot[Endpoint]]:
    """All slots that are free."""
    return list(iter(endpoints.free, None))


def test_the_least_loaded_endpoint_is_first() -> None:
    endpoints, (first, second), _ = pool(2, most=4)
    slots = [taken(endpoints) for _ in range(6)]
    assert [slot.endpoint for slot in slots] == [first, second] * 3
    for slot in slots[1::2]:
        endpoints.answered(slot)
    assert [taken(endpoints).endpoint for _ in range(4)] == [second, second, second, first]


def test_one_request_at_a_time_goes_to_all_endpoints_in_turn() -> None:
    endpoints, members, _ = pool(3)
    for _ in range(30):
        endpoints.answered(taken(endpoints))
    assert [member.sent for member in members] == [10, 10, 10]


def test_an_endpoint_that_comes_back_is_asked_more_by_and_by() -> None:
    endpoints, _, clock = pool(most=16)
    endpoints.unreachable(taken(endpoints), "refused")
    clock.move(0.5)
    rounds = []
    for _ in range(6):
        slots = drained(endpoints)
        rounds.append(len(slots))
        for slot in slots:
            endpoints.answered(slot)
    assert rounds == [1, 2, 4, 8, 16, 16]


def test_an_endpoint_that_takes_less_at_once_gets_less() -> None:
    endpoints, (first, second), clock = pool(2, most=8)
    for _ in range(3):
        slot = endpoints.free(first)
        assert slot is not None
        endpoints.answered(slot, overloaded="429")
        clock.move(30)
    slots = drained(endpoints)
    assert [sum(slot.endpoint is one for slot in slots) for one in (first, second)] == [2, 8]


def test_a_burst_of_overload_decreases_the_limit_once() -> None:
    endpoints, (only,), _ = pool(most=64)
    for slot in drained(endpoints):
        endpoints.answered(slot, overloaded="429")
    assert only.limit == pytest.approx(64 * 0.7)
    for slot in drained(endpoints):
        endpoints.answered(slot, overloaded="429")
    assert only.limit == pytest.approx(64 * 0.49)


def test_the_limit_grows_by_one_a_round_and_never_beyond_what_was_told() -> None:
    endpoints, (only,), _ = pool(most=20)
    endpoints.answered(taken(endpoints), overloaded="429")
    assert only.limit == pytest.approx(14)
    for slot in drained(endpoints):
        endpoints.answered(slot)
    assert 14.9 < only.limit <= 15
    for _ in range(200):
        endpoints.answered(taken(endpoints))
    assert only.limit == 20


def test_after_overload_without_one_answer_the_limit_returns_fast() -> None:
    endpoints, (only,), clock = pool(most=64, patience=1e9)
    for _ in range(14):
        for slot in drained(endpoints):
            endpoints.answered(slot, overloaded="429")
        clock.move(30)
    assert only.limit == 1
    rounds = 0
    while only.limit < 44:
        for slot in drained(endpoints):
            endpoints.answered(slot)
        rounds += 1
    assert rounds <= 7


def test_an_endpoint_that_is_always_overloaded_is_left_alone_for_longer_each_time() -> None:
    endpoints, (only,), clock = pool(most=4, patience=100.0)
    pauses = []
    while endpoints.over is None:
        for slot in drained(endpoints):
            endpoints.answered(slot, overloaded="HTTP 429: later")
        pauses.append(max(0.0, only.opens - clock.now))
        clock.move(pauses[-1])
    assert pauses == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 8.5, 0]
    with pytest.raises(TeacherError, match="no answer for 100 s; the last trouble: HTTP 429: later"):
        endpoints.free()


def test_many_prompts_in_a_row_put_an_endpoint_on_trial_and_an_answer_ends_it() -> None:
    endpoints, (first, second), clock = pool(2, most=16)
    for number in range(MANY):
        slot = endpoints.free(first)
        assert slot is not None
        endpoints.failed(slot, str(number), "HTTP 500")
    assert first.trials == 1
    assert endpoints.notices == ["http://e0: HTTP 500; going on with the others, and trying it again"]
    assert {slot.endpoint for slot in drained(endpoints)} == {second}
    clock.move(0.5)
    trial = endpoints.free(first)
    assert trial is not None
    assert endpoints.free(first) is None
    endpoints.answered(trial)
    assert first.trials == 0
    assert endpoints.free(first) is not None


def test_one_prompt_that_always_fails_puts_nothing_on_trial() -> None:
    endpoints, (only,), _ = pool()
    for _ in range(10 * MANY):
        endpoints.failed(taken(endpoints), "the same", "HTTP 500")
    assert only.trials == 0


def test_a_pause_that_outlives_the_trials_wakes_who_waits() -> None:
    async def waiting() -> None:
        endpoints, (only,), clock = pool(most=2)
        early, late = taken(endpoints), taken(endpoints)
        endpoints.unreachable(late, "refused")
        for _ in range(3):
            endpoints.tried(Slot(only))  # the next trial is four seconds away
        endpoints.pause(only, 2.5)
        waiter = asyncio.create_task(endpoints.take())
        await asyncio.sleep(0)
        endpoints.answered(early)
        clock.move(2.4)
        await asyncio.sleep(0)
        assert not waiter.done()
        clock.move(0.2)
        assert (await waiter).endpoint is only

    run(waiting())


def test_an_endpoint_that_goes_down_again_and_again_is_told_of_once() -> None:
    endpoints, (first, _), clock = pool(2)
    for _ in range(5):
        for end in (lambda slot: endpoints.unreachable(slot, "refused"), endpoints.answered):
            slot = endpoints.free(first)
            assert slot is not None
            end(slot)
            clock.move(1)
    assert len(endpoints.notices) == 1


def test_trials_are_twice_as_far_apart_each_time_up_to_a_limit() -> None:
    endpoints, (first, _), clock = pool(2)
    slot = endpoints.free(first)
    assert slot is not None
    endpoints.unreachable(slot, "refused")
    pauses = []
    for _ in range(9):
        pauses.append(first.opens - clock.now)
        clock.move(pauses[-1])
        slot = endpoints.free(first)
        assert slot is not None
        endpoints.unreachable(slot, "refused")
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_was_in_flight_when_the_trials_began_does_not_prolong_them() -> None:
    endpoints, (first, _), _ = pool(2)
    slots = [slot for slot in drained(endpoints) if slot.endpoint is first]
    for slot in slots:
        endpoints.unreachable(slot, "refused")
    assert first.trials == 1
    assert first.opens == 0.5


def test_when_nobody_answers_for_as_long_as_patience_allows_all_who_wait_are_told() -> None:
    async def waiting() -> None:
        endpoints, (only,), clock = pool(patience=10.0)
        tries = []
        endpoints.unreachable(taken(endpoints), "refused")
        waiters = [asyncio.create_task(endpoints.take()) for _ in range(3)]
        await asyncio.sleep(0)
        while not endpoints.over:
            clock.move(only.opens - clock.now)
            tries.append(clock.now)
            await asyncio.sleep(0)
            trial = next(waiter for waiter in waiters if waiter.done())
            waiters.remove(trial)
            waiters.append(asyncio.create_task(endpoints.take()))
            endpoints.unreachable(trial.result(), "refused")
        assert tries == [0.5, 1.5, 3.5, 7.5, 10.0]  # the last at the very end
        for error in await asyncio.gather(*waiters, return_exceptions=True):
            assert isinstance(error, TeacherError)
            assert error.what == "no answer for 10 s; the last trouble: refused"
        with pytest.raises(TeacherError):
            endpoints.free()

    run(waiting())


def test_a_pause_asked_for_is_kept_beyond_our_patience() -> None:
    endpoints, (only,), clock = pool(patience=1.0)
    slot = taken(endpoints)
    endpoints.pause(only, 100.0)
    endpoints.failed(slot, "a", "HTTP 503", overloaded=True)
    clock.move(99.9)
    assert endpoints.free() is None
    clock.move(0.1)
    assert endpoints.free() is not None


def test_nobody_reachable_at_the_start_ends_it_at_once() -> None:
    endpoints, members, _ = pool(2)
    for member in members:
        member.reached = False
    endpoints.unreachable(taken(endpoints), "cannot be reached: a")
    assert endpoints.notices == ["http://e0: cannot be reached: a; going on with the others, and trying it again"]
    endpoints.unreachable(taken(endpoints), "cannot be reached: b")
    with pytest.raises(
        TeacherError, match="none of the 2 endpoints answers: cannot be reached: a; cannot be reached: b"
    ):
        endpoints.free()


def test_a_pause_that_is_too_long_ends_it_only_when_no_other_endpoint_is_left() -> None:
    endpoints, (first, second), _ = pool(2)
    endpoints.pause(first, math.inf)
    assert taken(endpoints).endpoint is second
    endpoints.pause(second, LONGEST_WAIT)
    assert endpoints.over is None
    endpoints.pause(second, LONGEST_WAIT + 1)
    with pytest.raises(TeacherError, match="wants no request for 301 s"):
        endpoints.free()


def test_a_waiter_that_is_cancelled_gives_its_slot_to_the_next() -> None:
    async def waiting() -> None:
        endpoints, (only,), _ = pool(most=1)
        held = taken(endpoints)
        first, second = asyncio.create_task(endpoints.take()), asyncio.create_task(endpoints.take())
        await asyncio.sleep(0)
        endpoints.answered(held)  # hands the slot to the first
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await second).endpoint is only
        assert only.busy == 1

    run(waiting())


def test_who_asked_first_is_served_first() -> None:
    async def waiting() -> None:
        endpoints, _, _ = pool(most=1)
        held = taken(endpoints)
        served: list[int] = []

        async def worker(number: int) -> None:
            slot = await endpoints.take()
            served.append(number)
            endpoints.answered(slot)

        workers = [asyncio.create_task(worker(number)) for number in range(20)]
        await asyncio.sleep(0)
        endpoints.answered(held)
        await asyncio.gather(*workers)
        assert served == list(range(20))

    run(waiting())


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["take", "answered", "overloaded", "failed", "unreachable", "unused", "pause", "move"]),
        st.integers(0, 30),
    ),
    max_size=120,
)


@given(events=EVENTS, members=st.integers(1, 3), most=st.integers(1, 6))
def test_whatever_happens_limits_and_pauses_hold_and_no_slot_is_lost(
    events: list[tuple[str, int]], members: int, most: int
) -> None:
    endpoints, endpoint_list, clock = pool(members, most, patience=1e9)
    held: list[Slot[Endpoint]] = []
    asked_away = dict.fromkeys(endpoint_list, -math.inf)
    limits = {}
    for number, (event, value) in enumerate(events):
        limits = {endpoint: (endpoint.limit, endpoint.round) for endpoint in endpoint_list}
        if event == "take":
            slot = endpoints.free()
            possible = [one for one in endpoint_list if one.busy < int(one.room) and one.opens <= clock.now]
            if slot is None:
                assert not possible  # no slot idles
                continue
            held.append(slot)
            assert asked_away[slot.endpoint] <= clock.now
            assert slot.endpoint.busy <= most
            assert slot.endpoint.trials == 0 or slot.endpoint.busy == 1
        elif event == "move":
            clock.move(value / 4)
        elif event == "pause":
            endpoint = endpoint_list[value % members]
            endpoints.pause(endpoint, float(value))
            asked_away[endpoint] = max(asked_away[endpoint], clock.now + value)
        elif held:
            slot = held.pop(value % len(held))
            before, round_before = limits[slot.endpoint]
            old = slot.round != round_before
            if event == "answered":
                endpoints.answered(slot)
            elif event == "overloaded":
                on_trial = slot.endpoint.trials
                endpoints.answered(slot, overloaded="429")
                assert on_trial or not old or slot.endpoint.limit == before  # at most one decrease a round
            elif event == "failed":
                endpoints.failed(slot, str(number), "broken", overloaded=bool(value % 2))
            elif event == "unreachable":
                endpoints.unreachable(slot, "refused")
            else:
                endpoints.unused(slot)
        for endpoint in endpoint_list:
            assert 1 <= endpoint.limit <= most
            assert endpoint.busy == sum(slot.endpoint is endpoint for slot in held)
    for slot in held:
        endpoints.answered(slot)
    clock.move(1e6)
    assert endpoints.free() is not None


@given(
    st.lists(st.tuples(st.sampled_from(["answered", "overloaded", "failed", "pause"]), st.integers(0, 9)), max_size=60)
)
def test_workers_are_woken_as_soon_as_there_is_a_slot(events: list[tuple[str, int]]) -> None:
    """After every event: no one waits while a slot is free."""

    async def waiting() -> None:
        endpoints, endpoint_list, clock = pool(2, 3, patience=1e9)
        held: list[Slot[Endpoint]] = []

        async def worker() -> None:
            while True:
                held.append(await endpoints.take())

        workers = [asyncio.create_task(worker()) for _ in range(12)]
        for number, (event, value) in enumerate(events):
            for _ in range(30):
                await asyncio.sleep(0)
            free = [one for one in endpoint_list if one.busy < int(one.room) and one.opens <= clock.now]
            assert not free
            if event == "pause":
                endpoints.pause(endpoint_list[value % 2], value / 2)
                clock.move(value)
            elif held:
                slot = held.pop(value % len(held))
                if event == "failed":
                    endpoints.failed(slot, str(number), "broken")
                else:
                    endpoints.answered(slot, overloaded="429" if event == "overloaded" else "")
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    run(waiting())
