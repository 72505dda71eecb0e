"""A small OpenAI-compatible server: answers every shipped template from what the prompt holds, and breaks on request.

In a test: `with TeacherServer() as server: ... server.url`. By hand: `python tests/server.py --port 8000`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from teacher_answers import answered


@dataclass(frozen=True)
class Fault:
    """What the server does instead of answering. `cut` announces the whole reply and sends half of it."""

    kind: Literal["reply", "hang", "reset", "cut"] = "reply"
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def failing(status: int, message: str = "try later", **headers: str) -> Fault:
    """An error in the form in which OpenAI and its likes write one; `retry_after="2"` becomes a header."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Fault(status=status, body=json.dumps({"error": {"message": message}}).encode(), headers=named)


class TeacherServer:
    """Serves from a thread of its own. `faults` gives the fault for the n-th request, counted from 0, if any.

    `bodies` keeps every request's bytes in order of arrival, `served` counts those that got an answer, and
    `on_served` is called in the server's thread after each answer, with their number.
    """

    def __init__(
        self,
        faults: Mapping[int, Fault] | Callable[[int], Fault | None] | None = None,
        *,
        answer: Callable[[dict], str] | None = None,
        on_served: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.fault = faults if callable(faults) else dict(faults or {}).get
        self.answer = answer or answered
        self.on_served = on_served
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.served: Counter[bytes] = Counter()
        self.started = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> TeacherServer:
        self.thread = threading.Thread(target=asyncio.run, args=(self.serve(0),))
        self.thread.start()
        assert self.started.wait(timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(timeout=60)

    async def serve(self, port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/v1/chat/completions", self.complete)
        application.router.add_get("/v1/models", self.models)
        runner = web.AppRunner(application, shutdown_timeout=1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.port = runner.addresses[0][1]
        self.started.set()
        await self.stopping.wait()
        await runner.cleanup()

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "test-teacher", "object": "model"}]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        number = len(self.bodies)
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        fault = self.fault(number)
        if fault is not None and fault.kind != "cut":
            return await self.broken(request, fault)
        reply = json.dumps(completion(json.loads(body), self.answer)).encode()
        if fault is not None:
            return await cut(request, reply)
        response = web.Response(body=reply, content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        self.served[body] += 1
        self.on_served(self.served.total())
        return response

    async def broken(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.kind == "hang":
            await self.stopping.wait()
        if fault.kind == "reset" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=fault.status, body=fault.body, headers=fault.headers)


async def cut(request: web.Request, reply: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(reply)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(reply[: len(reply) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


def completion(request: dict, answer: Callable[[dict], str]) -> dict:
    """The reply that an OpenAI-compatible server gives; tokens are words here."""
    text = answer(request)
    words = text.split(" ")
    finish = "length" if len(words) > request.get("max_tokens", 10**9) else "stop"
    shown = " ".join(words[: request.get("max_tokens", 10**9)])
    asked = sum(len(message["content"].split()) for message in request["messages"])
    return {
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": shown}, "finish_reason": finish}],
        "usage": {"prompt_tokens": asked, "completion_tokens": len(shown.split(" "))},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    server = TeacherServer()
    port = parser.parse_args().port
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    asyncio.run(server.serve(port))


if __name__ == "__main__":
    main()
