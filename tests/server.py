"""A small OpenAI-compatible server: answers every shipped template from what the prompt holds, and breaks on request.

In a test: `with TeacherServer() as server: ... server.url`. By hand: `python tests/server.py --port 8000`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

NAMES = ["Ada", "Bruno", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kira", "Luis", "Mona"]
TOWNS = ["Aldbury", "Brackwell", "Corvany", "Dunsted", "Elmhollow", "Fenwick", "Garrow", "Hexley", "Ilford", "Jarrow"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


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


def answered(request: dict) -> str:
    """As many groups of tags as the prompt asks for, in the form it shows, out of its passage or its examples."""
    prompt = request["messages"][-1]["content"]
    head, count, form = re.split(r"Write (\d+) new", prompt)[-3:]
    tags = list(dict.fromkeys(re.findall(r"^\[([A-Z]+) 1\]", form, re.MULTILINE)))
    chance = int(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest(), 16)
    passage = re.search(r"<passage>\n(.*)\n</passage>", head, re.DOTALL)
    made = about(passage[1], int(count), chance) if passage else practising(head, int(count), chance)
    groups = []
    for number, texts in enumerate(made, start=1):
        parts = [f"[{tag} {number}]\n{texts[tag]}" for tag in tags if tag != "END"]
        groups.append("\n".join([*parts, f"[END {number}]"]))
    return "\n\n".join(groups)


def about(passage: str, count: int, chance: int) -> list[dict[str, str]]:
    """Pairs that ask how a statement of the passage goes on; which statements depends on the request."""
    found = statements(passage)
    start = chance % len(found)
    chosen = [found[(start + step) % len(found)] for step in range(min(count, len(found)))]
    pairs = []
    for words in chosen:
        middle = max(1, len(words) * 3 // 5)
        known, rest = " ".join(words[:middle]), " ".join(words[middle:])
        pairs.append({"QUESTION": f"How does the statement “{known} …” go on?", "ANSWER": rest or known})
    return pairs


def statements(passage: str) -> list[list[str]]:
    """The words of each sentence of a Markdown text; of the whole text when it holds no sentence."""
    prose = "\n".join(line for line in passage.splitlines() if line and line[0] not in "#|`<>=")
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    sentences = re.split(r"(?<=[.!?])\s+|\n\s*\n|\n(?=[-*\d])", prose)
    words = [re.sub(r"[*_`\[\]]|^[-\d.]+\s", "", sentence).split() for sentence in sentences]
    return [each for each in words if 6 <= len(each) <= 50] or [passage.split()[:40] or ["nothing"]]


def practising(prompt: str, count: int, chance: int) -> list[dict[str, str]]:
    """The prompt's seed examples, each set in another situation."""
    shown = []
    for block in re.findall(r"<example>\n(.*?)\n</example>", prompt, re.DOTALL):
        text, *pairs = re.split(r"^Question: ", block, flags=re.MULTILINE)
        shown += [(text.removeprefix("Text: "), *pair.split("\nAnswer: ", 1)) for pair in pairs]
    made = []
    for step in range(count):
        lot = (chance >> (7 * step)) % (len(NAMES) * len(TOWNS) * len(DAYS))
        text, question, reply = shown[(chance + step) % len(shown)]
        name, town = NAMES[lot % len(NAMES)], TOWNS[lot // len(NAMES) % len(TOWNS)]
        day = DAYS[lot // len(NAMES) // len(TOWNS)]
        situation = f"On {day}, {name} of {town} writes:"
        made.append(
            {
                "CONTEXT": f"{situation} {text.strip()}",
                "QUESTION": question if text.strip() else f"{situation} {question}",
                "ANSWER": reply.strip(),
            }
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    server = TeacherServer()
    port = parser.parse_args().port
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    asyncio.run(server.serve(port))


if __name__ == "__main__":
    main()
