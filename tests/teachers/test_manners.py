"""How the HTTP teacher treats servers that are busy, down or coming back; hours pass in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from loop_server import Arrival, LoopServer, saying
from made_prompts import prompt
from virtual_time import run

from instructlab_like.errors import IlkError, PassingError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Sampling
from instructlab_like.teachers.http import HttpTeacher

STILL = Sampling(temperature=0)


class Asking:
    """A small engine: so many workers, and every passing failure is asked again at once or after its wait."""

    def __init__(self, teacher: HttpTeacher, workers: int | None = None) -> None:
        self.teacher = teacher
        self.workers = workers or teacher.capacity
        self.done: dict[str, Completion] = {}
        self.failures: list[PassingError] = []

    async def all(self, *texts: str) -> None:
        waiting = list(reversed(texts))

        async def worker() -> None:
            while waiting:
                await self.one(waiting.pop())

        tasks = [asyncio.create_task(worker()) for _ in range(self.workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def one(self, text: str) -> None:
        while text not in self.done:
            try:
                self.done[text] = await self.teacher.answer(prompt(text))
            except PassingError as error:
                self.failures.append(error)
                await asyncio.sleep(error.wait or 0)


Story = Callable[[Asking, list[LoopServer]], Awaitable[None]]


def told(story: Story, *handlers: Callable[[Arrival], Awaitable[web.StreamResponse]], **recipe: object) -> Asking:
    """The story of a teacher and as many servers as there are handlers."""

    async def session() -> Asking:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(LoopServer(handler)) for handler in handlers]
            urls = tuple(server.url for server in servers)
            asking = Asking(HttpTeacher(TeacherRecipe(**{"url": urls, "model": "m", **recipe})))
            stack.push_async_callback(asking.teacher.close)
            await story(asking, servers)
            return asking

    return run(session())


def words(count: int) -> list[str]:
    return [f"word {number}" for number in range(count)]


async def slow(arrival: Arrival, seconds: float = 1.0) -> web.StreamResponse:
    await asyncio.sleep(seconds)
    return saying(f"heard {arrival.text}")


@pytest.mark.parametrize("workers", [1, 8, 64])
def test_retry_after_is_never_undercut(workers: int) -> None:
    asked_away: list[tuple[float, float]] = []  # from when, until when

    async def busy(arrival: Arrival) -> web.StreamResponse:
        assert not any(since < arrival.at < until for since, until in asked_away)
        await asyncio.sleep(0.05 + arrival.number % 7 / 50)
        if arrival.number % 10 == 3 and arrival.number < 100:
            now = asyncio.get_running_loop().time()
            asked_away.append((now, now + 7.0))
            return saying("slow down", 429, retry_after="7")
        return saying()

    async def story(asking: Asking, _: list[LoopServer]) -> None:
        await asking.all(*words(200))

    asking = told(story, busy, concurrency=workers)
    assert len(asked_away) == 10
    assert len(asking.done) == 200
    assert [error.kind for error in asking.failures] == ["rate_limit"] * 10


def test_a_request_that_is_still_connecting_when_the_pause_begins_is_not_sent() -> None:
    async def busy(arrival: Arrival) -> web.StreamResponse:
        return saying("slow down", 429, retry_after="30") if not arrival.number else saying()

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        teacher = asking.teacher
        (line,) = teacher.opened().members
        connector = line.session.connector
        assert connector is not None
        create = connector._create_connection
        second_may_connect = asyncio.Event()
        first = True

        async def gated(*args: object) -> object:
            nonlocal first
            if first:
                first = False
            else:
                await second_may_connect.wait()
            return await create(*args)

        connector._create_connection = gated  # type: ignore[method-assign, assignment]
        one, two = (asyncio.create_task(teacher.answer(prompt(text))) for text in ("one", "two"))
        with pytest.raises(PassingError) as caught:
            await one
        assert caught.value.wait == pytest.approx(30, abs=0.1)
        second_may_connect.set()
        assert (await two).text == "hello"
        assert [arrival.text for arrival in servers[0].arrivals] == ["one", "two"]
        assert servers[0].arrivals[1].at >= 30

    told(story, busy)


def test_a_busy_endpoint_is_asked_less_and_then_more_again() -> None:
    flying = 0

    async def four_at_once(arrival: Arrival) -> web.StreamResponse:
        nonlocal flying
        flying += 1
        try:
            if flying > 4 and arrival.number < 300:
                return saying("too many", 429)
            await asyncio.sleep(1)
            return saying()
        finally:
            flying -= 1

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await asking.all(*words(1000))
        late = servers[0].arrivals[-1]
        assert late.number < 1300  # the pace was found: few were asked in vain
        (line,) = asking.teacher.opened().members
        assert line.limit == 16

    told(story, four_at_once, concurrency=16)


def test_other_endpoints_go_on_while_one_is_asked_to_wait() -> None:
    async def busy(arrival: Arrival) -> web.StreamResponse:
        return saying("slow down", 429, retry_after="100") if not arrival.number else await slow(arrival)

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await asking.all(*words(60))
        assert len(servers[0].arrivals) <= 4
        assert servers[1].arrivals[-1].at < 20
        assert asking.failures[0].wait is None  # another endpoint may be asked at once

    told(story, busy, slow, concurrency=4)


def test_the_load_is_shared_and_every_slot_is_used() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await asking.all(*words(400))
        assert [server.most_flying for server in servers] == [8, 8]
        assert servers[0].arrivals[-1].at < 400 / 16 * 1.05

    told(story, slow, slow, concurrency=8)


def test_a_slow_endpoint_gets_what_it_can_answer() -> None:
    async def sluggish(arrival: Arrival) -> web.StreamResponse:
        return await slow(arrival, 9)

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await asking.all(*words(400))
        assert 5 * len(servers[0].arrivals) < len(servers[1].arrivals)

    told(story, sluggish, slow, concurrency=4)


def test_one_endpoint_that_goes_down_is_left_alone_and_taken_back() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        working = asyncio.create_task(asking.all(*words(400)))
        await asyncio.sleep(5.5)
        await servers[0].down()
        before = len(servers[0].arrivals)
        await asyncio.sleep(10)
        assert len(servers[0].arrivals) == before
        await servers[0].up()
        await working
        assert len(servers[0].arrivals) > before + 50
        assert {error.kind for error in asking.failures} == {"reset"}
        assert len(asking.failures) <= 4  # those in flight; refused connections cost no attempt
        (notice,) = asking.teacher.notices
        assert notice.startswith(f"{servers[0].url}/chat/completions: cannot be reached: Connection refused; going on")

    told(story, slow, slow, concurrency=4)


def test_a_server_that_restarts_costs_no_attempt_but_those_in_flight() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        working = asyncio.create_task(asking.all(*words(100)))
        await asyncio.sleep(3.5)
        await servers[0].down()
        await asyncio.sleep(60)
        await servers[0].up()
        await working
        assert len(asking.done) == 100
        assert len(asking.failures) <= 4
        back = [arrival for arrival in servers[0].arrivals if arrival.at > 10]
        assert [arrival.at for arrival in back[:2]] == pytest.approx([back[0].at, back[0].at + 1], abs=0.2)  # one first

    told(story, slow, concurrency=4)


def test_a_server_that_stays_away_ends_the_run_when_patience_does() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        working = asyncio.create_task(asking.all(*words(100)))
        await asyncio.sleep(3.5)
        await servers[0].down()
        gone_at = asyncio.get_running_loop().time()
        with pytest.raises(TeacherError) as caught:
            await working
        assert caught.value.what == "no answer for 40 s; the last trouble: cannot be reached: Connection refused"
        assert caught.value.where == f"{servers[0].url}/chat/completions"
        assert caught.value.fix.startswith("start the server")
        assert asyncio.get_running_loop().time() - gone_at == pytest.approx(40, abs=1.5)

    told(story, slow, concurrency=4, patience=40)


def test_a_server_that_only_says_500_is_tried_one_at_a_time() -> None:
    async def broken(arrival: Arrival) -> web.StreamResponse:
        return saying("out of memory", 500) if 10 <= arrival.at < 60 else await slow(arrival)

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await asking.all(*words(300))
        refused = [arrival.at for arrival in servers[0].arrivals if 10 <= arrival.at < 60]
        trials = [at for at in refused if at > refused[0] + 0.4]
        assert [at - refused[0] for at in trials] == pytest.approx([0.5, 1.5, 3.5, 7.5, 15.5, 31.5], abs=0.1)
        assert len(refused) - len(trials) <= 32
        assert len(asking.done) == 300

    told(story, broken, concurrency=16)


def test_one_prompt_that_hangs_for_ever_does_not_end_the_run() -> None:
    async def hanging(arrival: Arrival) -> web.StreamResponse:
        if arrival.text == "word 0":
            await asyncio.sleep(1e6)
        return await slow(arrival)

    async def story(asking: Asking, _: list[LoopServer]) -> None:
        await asking.all(*words(20)[1:])
        for _ in range(6):
            with pytest.raises(PassingError) as caught:
                await asking.teacher.answer(prompt("word 0"))
            assert caught.value.kind == "timeout"

    told(story, hanging, timeout=120, patience=60)


def test_nothing_reachable_at_the_start_is_said_at_once() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        for server in servers:
            await server.down()
        with pytest.raises(TeacherError) as caught:
            await asking.all(*words(10))
        assert caught.value.what == "none of the 2 endpoints answers: cannot be reached: Connection refused"
        assert asyncio.get_running_loop().time() < 1

    told(story, slow, slow)


def test_one_endpoint_that_is_not_there_at_the_start_is_named_and_left_out() -> None:
    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        await servers[0].down()
        await asking.all(*words(20))
        assert len(asking.done) == 20
        assert not asking.failures
        (notice,) = asking.teacher.notices
        assert notice == (
            f"{servers[0].url}/chat/completions: cannot be reached: Connection refused; "
            "going on with the others, and trying it again"
        )

    told(story, slow, slow)


@pytest.mark.parametrize("wait", ["301", "inf", "Wed, 21 Oct 2199 07:28:00 GMT"])
def test_a_wait_that_is_too_long_ends_the_run(wait: str) -> None:
    async def closed(_: Arrival) -> web.StreamResponse:
        return saying("come back next year", 429, retry_after=wait)

    async def story(asking: Asking, servers: list[LoopServer]) -> None:
        with pytest.raises(
            TeacherError, match=r"wants no request for .* s \(HTTP 429: come back next year\)"
        ) as caught:
            await asking.teacher.answer(prompt())
        assert type(caught.value) is TeacherError
        with pytest.raises(TeacherError, match="wants no request"):
            await asking.teacher.answer(prompt())
        assert len(servers[0].arrivals) == 1

    told(story, closed)


def test_a_cancelled_answer_leaves_its_slot_to_the_next() -> None:
    async def story(asking: Asking, _: list[LoopServer]) -> None:
        for _ in range(3):
            task = asyncio.create_task(asking.teacher.answer(prompt("a")))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await asking.teacher.answer(prompt("b"))).text == "heard b"

    told(story, slow, concurrency=1)


def test_a_lasting_refusal_of_one_prompt_leaves_the_endpoint_as_it_is() -> None:
    async def picky(arrival: Arrival) -> web.StreamResponse:
        return saying("too long", 400) if arrival.text == "no" else saying()

    async def story(asking: Asking, _: list[LoopServer]) -> None:
        for _ in range(20):
            with pytest.raises(IlkError, match="refuses the request"):
                await asking.teacher.answer(prompt("no"))
        assert (await asking.teacher.answer(prompt("yes"))).text == "hello"
        (line,) = asking.teacher.opened().members
        assert (line.limit, line.trials, line.busy) == (16, 0, 0)

    told(story, picky)
