"""A small OpenAI-compatible server: answers every shipped template from what the prompt holds, and breaks on request.

In a test: `with TeacherServer() as server: ... server.url`. By hand, and for benchmarks:

    python tests/server.py --port 8000 --latency 0.05 --tail 0.05:1.0 --fault 500:0.1 --fault hang:0.01 --log FILE

What it answers is a function of the request alone, and so are its latency and, by hand, its faults. Its log says what
became of each request and what was charged for it: the oracle against which a client's books are held.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import IO

import orjson
from faults import ECHO, NAMED, Fault
from faults import failing as failing
from http_wire import Connection, all_headers, authorization, chunked, head_of, response
from schema_values import fitting
from teacher_answers import answered

CHAT = "/chat/completions"
IN_SECONDS = re.compile(r"\{in (\d+) s\}")
DRIP = 0.05  # seconds between two bytes
Answer = Callable[[dict], str]


@dataclass(frozen=True)
class Latency:
    """Seconds for an answer: `fixed`, and `slow` instead for a share of requests, which a digest of each decides."""

    fixed: float = 0.0
    share: float = 0.0
    slow: float = 0.0

    def of(self, digest: bytes) -> float:
        return self.slow if self.share and chance(digest, b"latency") < self.share else self.fixed


@dataclass
class Entry:
    """One request in the server's log. Times are of the monotonic clock, which all processes of a machine share."""

    number: int  # from 0, in order of arrival
    arrived: float
    path: str
    request: str  # digest of the body
    times: int  # how often this very request had come before
    authorization: str | None
    left: float | None = None  # when its reply was handed to the system
    done: str = "open"  # "answered", "refused", "dropped" by the client, or the name or kind of a fault
    status: int | None = None
    retry_after: str | None = None
    prompt_tokens: int = 0  # charged, whatever became of the answer
    completion_tokens: int = 0
    told: bool = False  # whether the charge stood in a reply that was sent whole


@dataclass(frozen=True)
class Arrival:
    """What may decide a request's fault."""

    number: int
    body: bytes
    times: int
    served: int  # answers given so far


class TeacherServer:
    """Serves from a thread of its own. `faults` gives the fault for the n-th request, counted from 0, if any.

    `choose` does so with more to go by. `bodies` keeps every request's bytes in order of arrival, `served` counts those
    that got an answer, and `on_served` is called in the server's thread after each answer, with their number. `ignores`
    names fields that it passes over in silence: seed, logprobs, n, response_format. With `context` (tokens; they are
    words here) it refuses as `dialect` words it. `keep=False` forgets bodies, for long runs.
    """

    def __init__(
        self,
        faults: Mapping[int, Fault] | Callable[[int], Fault | None] | None = None,
        *,
        answer: Answer | None = None,
        on_served: Callable[[int], None] = lambda _: None,
        choose: Callable[[Arrival], Fault | None] | None = None,
        latency: Latency | None = None,
        ignores: Iterable[str] = (),
        context: int | None = None,
        dialect: str = "vllm",
        log_to: IO[bytes] | None = None,
        keep: bool = True,
    ) -> None:
        self.fault = faults if callable(faults) else dict(faults or {}).get
        self.choose = choose or (lambda arrival: self.fault(arrival.number))
        self.answer = answer or answered
        self.on_served = on_served
        self.latency = latency or Latency()
        self.ignores = frozenset(ignores)
        self.context = context
        self.dialect = dialect
        self.log_to = log_to
        self.keep = keep
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.log: list[Entry] = []
        self.served: Counter[bytes] = Counter()
        self.answers = 0
        self.requests = 0
        self.times: Counter[bytes] = Counter()
        self.unfinished: dict[int, Entry] = {}
        self.connections: set[Connection] = set()
        self.started = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def headers(self) -> list[Mapping[str, str]]:
        """Of each request in `bodies`."""
        return [all_headers(head) for head in self.heads]

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
        self.port = port
        await self.listen()
        self.started.set()
        await self.stopping.wait()
        for entry in self.unfinished.values():
            self.note(entry)
        self.deafen()

    async def listen(self) -> None:
        self.listening = await self.loop.create_server(
            lambda: Connection(self.take, self.connections), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self.listening.sockets[0].getsockname()[1]

    def deafen(self) -> None:
        """Close the port and break every connection off."""
        self.listening.close()
        for connection in list(self.connections):
            connection.reset()

    def go_away(self, seconds: float) -> None:
        self.deafen()
        self.loop.call_later(seconds, lambda: self.loop.create_task(self.listen()))

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        if head.startswith(b"POST ") and path.endswith(CHAT):
            self.complete(connection, head, body, path)
        elif head.startswith(b"GET ") and path.endswith("/models"):
            connection.reply(response(200, orjson.dumps(self.models())))
        else:
            connection.reply(response(404, orjson.dumps({"error": {"message": f"there is no {path} here"}})))

    def models(self) -> dict:
        """The list of models, with the context in the place where each kind of server has it."""
        model: dict = {"id": "test-teacher", "object": "model"}
        if self.context is not None and self.dialect == "vllm":
            model["max_model_len"] = self.context
        elif self.context is not None:
            model["meta"] = {"n_ctx_train": self.context}
        return {"object": "list", "data": [model]}

    def complete(self, connection: Connection, head: bytes, body: bytes, path: str) -> None:
        digest = hashlib.sha256(body).digest()
        times = self.times[digest]
        self.times[digest] += 1
        entry = Entry(self.requests, time.monotonic(), path, digest.hex(), times, authorization(head))
        self.requests += 1
        self.unfinished[entry.number] = entry
        if self.keep:
            self.bodies.append(body)
            self.heads.append(head)
            self.log.append(entry)
        connection.gone = lambda: self.leave(connection, entry, "dropped")
        fault = self.choose(Arrival(entry.number, body, times, self.answers))
        if fault is not None and not fault.works:
            self.break_off(connection, entry, fault)
            return
        made = self.made(connection, entry, body, digest)
        if made is None:
            return
        if fault is not None and fault.change is not None:
            fault.change(made)
        entry.prompt_tokens = made["usage"]["prompt_tokens"]
        entry.completion_tokens = made["usage"]["completion_tokens"]
        seconds = self.latency.of(digest)
        if seconds:
            self.loop.call_later(seconds, self.deliver, connection, entry, body, orjson.dumps(made), fault)
        else:
            self.deliver(connection, entry, body, orjson.dumps(made), fault)

    def made(self, connection: Connection, entry: Entry, body: bytes, digest: bytes) -> dict | None:
        """The completion; None where the request was refused, and has its reply."""
        try:
            request = orjson.loads(body)
            too_long = self.too_long(request)
            if too_long is None:
                return completion(self.honoured(request, entry.times), self.answer, digest)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:  # no request, or our bug
            said = {"error": {"message": f"{type(error).__name__}: {error}"}}
            self.finish(connection, entry, orjson.dumps(said), "mistake", status=500)
        else:
            self.finish(connection, entry, orjson.dumps(too_long), "refused", status=400)
        return None

    def honoured(self, request: dict, times: int) -> dict:
        """The request without the fields that are ignored; without its seed the same request is answered anew."""
        if not self.ignores:
            return request
        told = {name: value for name, value in request.items() if name not in self.ignores}
        if "seed" in self.ignores and request.get("temperature", 1):
            told["seed"] = -times
        return told

    def too_long(self, request: dict) -> dict | None:
        """What a server says of a prompt that leaves no room for the answer in its context."""
        if self.context is None:
            return None
        return REFUSALS[self.dialect](self.context, words_of(request), request.get("max_tokens") or 1)

    def deliver(self, connection: Connection, entry: Entry, body: bytes, reply: bytes, fault: Fault | None) -> None:
        if entry.done != "open":
            return
        if fault is not None and fault.kind != "altered":
            self.spoil(connection, entry, reply, fault)
            return
        entry.told = True
        self.finish(connection, entry, reply, "answered" if fault is None else fault.name or fault.kind)
        if fault is None:
            self.answers += 1
            if self.keep:
                self.served[body] += 1
            self.on_served(self.answers)

    def spoil(self, connection: Connection, entry: Entry, reply: bytes, fault: Fault) -> None:
        """Send a part of an answer."""
        half = len(reply) // 2
        framing = "Transfer-Encoding: chunked" if fault.kind == "cut_chunked" else f"Content-Length: {len(reply)}"
        head = head_of(200, {}, framing)
        self.leave(connection, entry, fault.name or fault.kind)
        if fault.kind == "cut":
            connection.end(head + reply[:half])
        elif fault.kind == "cut_chunked":
            connection.end(head + chunked(reply[:half]).removesuffix(b"0\r\n\r\n"))
        elif fault.kind == "reset_half":
            connection.reset(head + reply[:half])
        else:
            connection.transport.write(head)
            self.drip(connection, reply, 0)

    def drip(self, connection: Connection, reply: bytes, at: int) -> None:
        if at < len(reply) - 1 and not connection.transport.is_closing():
            connection.transport.write(reply[at : at + 1])
            self.loop.call_later(DRIP, self.drip, connection, reply, at + 1)

    def break_off(self, connection: Connection, entry: Entry, fault: Fault) -> None:
        """Do what is done without an answer."""
        name = fault.name or fault.kind
        if fault.kind == "reply":
            key = entry.authorization or "nobody"
            headers = {each: filled(value, key) for each, value in fault.headers.items()}
            entry.retry_after = headers.get("Retry-After")
            name = fault.name or str(fault.status)
            body = fault.body.replace(ECHO.encode(), key.encode()) if len(fault.body) < 2**16 else fault.body
            self.finish(connection, entry, body, name, status=fault.status, headers=headers)
            return
        self.leave(connection, entry, name)
        if fault.kind == "reset":
            connection.reset()
        elif fault.kind == "close":
            connection.end()
        elif fault.kind == "gone":
            self.go_away(fault.seconds)

    def finish(
        self,
        connection: Connection,
        entry: Entry,
        body: bytes,
        done: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole reply."""
        entry.status = status
        self.leave(connection, entry, done)
        connection.reply(response(status, body, headers))

    def leave(self, connection: Connection, entry: Entry, done: str) -> None:
        """Nothing more becomes of a request."""
        connection.gone = None
        entry.done = done
        entry.left = time.monotonic()
        self.unfinished.pop(entry.number, None)
        self.note(entry)

    def note(self, entry: Entry) -> None:
        if self.log_to is not None:
            self.log_to.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


def completion(request: dict, answer: Answer, digest: bytes) -> dict:
    """The reply that an OpenAI-compatible server gives; tokens are words here."""
    choices = [choice(asked, index, answer, digest) for index, asked in enumerate(draws(request))]
    made = sum(each["message"]["content"].count(" ") + 1 for each in choices)
    asked = words_of(request)
    return {
        "id": f"chatcmpl-{digest.hex()[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": choices,
        "usage": {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made},
    }


def draws(request: dict) -> list[dict]:
    """The request once for each of its `n` answers, every one with a seed of its own."""
    count = request.get("n") or 1
    return [request | {"seed": [request.get("seed"), index]} if index else request for index in range(count)]


def choice(request: dict, index: int, answer: Answer, digest: bytes) -> dict:
    text = formed(request, answer(request), digest)
    for stop in [request["stop"]] if isinstance(request.get("stop"), str) else request.get("stop") or ():
        text = text.partition(stop)[0]
    limit = request.get("max_tokens") or request.get("max_completion_tokens") or 10**9
    finish = "stop"
    if text.count(" ") >= limit:
        finish, text = "length", " ".join(text.split(" ", limit)[:limit])
    made: dict = {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if request.get("logprobs"):
        made["logprobs"] = {"content": likelihoods(text, request.get("top_logprobs") or 0, digest)}
    return made


def formed(request: dict, text: str, digest: bytes) -> str:
    """The answer in the form that response_format asks for."""
    wanted = request.get("response_format") or {}
    if wanted.get("type") not in ("json_schema", "json_object"):
        return text
    schema = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
    try:
        if isinstance(found := json.loads(text), dict) and set(schema.get("required", ())) <= set(found):
            return text
    except ValueError:
        pass
    seed = hashlib.sha256(digest + str(request.get("seed")).encode()).digest()
    return json.dumps(fitting(schema, int.from_bytes(seed[:8], "big")), ensure_ascii=False)


def likelihoods(text: str, top: int, digest: bytes) -> list[dict]:
    """A log-probability for each word, and for `top` candidates in its place, the word itself first."""
    made = []
    for place, word in enumerate(re.findall(r"\s*\S+\s*\Z|\s*\S+", text)):
        logprob = -chance(digest, str(place).encode()) / 4
        others = [{"token": f"{word}~{rank}", "logprob": logprob - rank, "bytes": None} for rank in range(1, top)]
        own = {"token": word, "logprob": logprob, "bytes": list(word.encode())}
        made.append({**own, "top_logprobs": [own, *others] if top else []})
    return made


def vllm_refusal(context: int, asked: int, wanted: int) -> dict | None:
    """vLLM counts the answer in (its wording up to 0.10, with the error at the root of the object)."""
    if asked + wanted <= context:
        return None
    message = (
        f"This model's maximum context length is {context} tokens. However, you requested {asked + wanted} tokens "
        f"({asked} in the messages, {wanted} in the completion). "
        "Please reduce the length of the messages or completion."
    )
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


def llama_refusal(context: int, asked: int, _wanted: int) -> dict | None:
    """llama.cpp looks at the prompt alone."""
    if asked < context:
        return None
    message = "the request exceeds the available context size, try increasing it"
    counts = {"n_prompt_tokens": asked, "n_ctx": context}
    return {"error": {"code": 400, "message": message, "type": "exceed_context_size_error", **counts}}


REFUSALS = {"vllm": vllm_refusal, "llama.cpp": llama_refusal}


def words_of(request: dict) -> int:
    return sum(len(message["content"].split()) for message in request["messages"])


def chance(digest: bytes, use: bytes) -> float:
    """A number from 0 to 1 that a request has for a use."""
    return int.from_bytes(hashlib.sha256(use + digest).digest()[:6], "big") / 2**48


def filled(header: str, key: str) -> str:
    """A fault's header with the client's key, or a date so many whole seconds after the next one."""
    dated = IN_SECONDS.sub(lambda found: formatdate(int(time.time()) + 1 + int(found[1]), usegmt=True), header)
    return dated.replace(ECHO, key)


def by_share(shares: Mapping[str, float]) -> Callable[[Arrival], Fault | None]:
    """Named faults, each for its share of requests; the n-th time of a request is decided anew, always the same way."""

    def choose(arrival: Arrival) -> Fault | None:
        drawn = chance(hashlib.sha256(arrival.body).digest(), b"fault %d" % arrival.times)
        for name, share in shares.items():
            if drawn < share:
                return NAMED[name]
            drawn -= share
        return None

    return choose


def share_of(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition(":")
    if name not in NAMED:
        raise argparse.ArgumentTypeError(f"{name!r} is no fault; known: {', '.join(NAMED)}")
    return name, float(share)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="0: one that is free; the URL is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for an answer")
    parser.add_argument("--tail", default="0:0", help="SHARE:SECONDS, of requests that take so long instead")
    parser.add_argument("--fault", type=share_of, action="append", default=[], help="NAME:SHARE of requests")
    parser.add_argument("--ignore", action="append", default=[], help="seed, logprobs, n, response_format")
    parser.add_argument("--context", type=int, help="tokens of prompt and answer")
    parser.add_argument("--dialect", choices=sorted(REFUSALS), default="vllm")
    parser.add_argument("--log", type=Path, help="one JSON line a request, written when it is dealt with")
    return parser.parse_args()


async def serve(told: argparse.Namespace, log: IO[bytes] | None) -> None:
    share, _, slow = told.tail.partition(":")
    server = TeacherServer(
        choose=by_share(dict(told.fault)) if told.fault else None,
        latency=Latency(told.latency, float(share), float(slow)),
        ignores=told.ignore,
        context=told.context,
        dialect=told.dialect,
        log_to=log,
        keep=False,
    )
    serving = asyncio.create_task(server.serve(told.port))
    while not server.started.is_set():
        await asyncio.sleep(0)
        if serving.done():
            serving.result()
    for number in (signal.SIGTERM, signal.SIGINT):
        server.loop.add_signal_handler(number, server.stopping.set)
    print(server.url, flush=True)
    await serving


def main() -> None:
    told = arguments()
    if told.log is None:
        asyncio.run(serve(told, None))
        return
    with told.log.open("wb") as log:
        asyncio.run(serve(told, log))


if __name__ == "__main__":
    main()
