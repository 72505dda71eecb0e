"""A chat server in the test's own event loop: tells when each request arrived by the loop's clock, and goes down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Arrival:
    at: float  # by the loop's clock
    number: int  # from 0
    text: str  # of the last message


Handler = Callable[[Arrival], Awaitable[web.StreamResponse]]


def saying(text: str = "hello", status: int = 200, **headers: str) -> web.Response:
    """A chat completion, or for another status an error; `retry_after="2"` becomes a header."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    if status != 200:
        return web.json_response({"error": {"message": text}}, status=status, headers=named)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return web.json_response({"choices": [choice], "usage": usage}, headers=named)


class LoopServer:
    """`async with LoopServer(handler) as server`; `down()` refuses connections and resets those that are open."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.handler = handler or self.greet
        self.arrivals: list[Arrival] = []
        self.flying = self.most_flying = 0
        self.port = 0

    @staticmethod
    async def greet(arrival: Arrival) -> web.StreamResponse:
        return saying(f"heard {arrival.text}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> LoopServer:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self.complete)
        self.runner = web.AppRunner(application, shutdown_timeout=0, access_log=None)
        await self.runner.setup()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    async def up(self) -> None:
        self.site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True)
        await self.site.start()
        self.port = self.runner.addresses[0][1]

    async def down(self) -> None:
        await self.site.stop()
        for connection in list(self.runner.server.connections if self.runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        at = asyncio.get_running_loop().time()
        arrival = Arrival(at, len(self.arrivals), body["messages"][-1]["content"])
        self.arrivals.append(arrival)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            return await self.handler(arrival)
        finally:
            self.flying -= 1
