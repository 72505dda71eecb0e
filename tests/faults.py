"""What a teacher's server may do instead of answering: one record a fault, and all that have a name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["reply", "altered", "hang", "reset", "close", "cut", "cut_chunked", "reset_half", "drip", "gone"]
ECHO = "{authorization}"  # in a body or a header: what the client sent as its Authorization
LARGER_THAN_ANY_ANSWER = 17 * 2**20
AWAY = 0.4  # seconds


@dataclass(frozen=True)
class Fault:
    """What the server does instead of answering.

    `reply` sends status, headers and body. `altered` answers, after `change` had its way with the completion. `cut`
    announces the whole answer and sends half of it, `cut_chunked` does so in chunks, `reset_half` breaks the connection
    off there; `reset` and `close` end it without a byte, `hang` says nothing and `drip` sends a byte now and then.
    `gone` closes the port and every connection for `seconds`.
    """

    kind: Kind = "reply"
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[dict], None] | None = None
    seconds: float = AWAY
    name: str = ""

    @property
    def works(self) -> bool:
        """Whether the model does its work, and charges for it, before things go wrong."""
        return self.kind in ("altered", "cut", "cut_chunked", "reset_half", "drip")


def failing(status: int, message: str = "try later", **headers: str) -> Fault:
    """An error in the form in which OpenAI and its likes write one; `retry_after="2"` becomes a header."""
    named = {header.replace("_", "-").title(): value for header, value in headers.items()}
    return Fault(status=status, body=json.dumps({"error": {"message": message}}).encode(), headers=named)


def saying(content: str | None, finish: str = "stop") -> Callable[[dict], None]:
    def change(completion: dict) -> None:
        for choice in completion["choices"]:
            choice["message"]["content"] = content
            choice["finish_reason"] = finish

    return change


def without_choices(completion: dict) -> None:
    completion["choices"] = []


def cut_short(completion: dict) -> None:
    """The answer stops in the middle of a word, as where max_tokens is reached."""
    for choice in completion["choices"]:
        content = choice["message"]["content"]
        choice["message"]["content"] = content[: len(content) // 2]
        choice["finish_reason"] = "length"


def named(**faults: Fault) -> dict[str, Fault]:
    names = {name: name.strip("_").replace("_", "-") for name in faults}
    return {names[name]: replace(fault, name=names[name]) for name, fault in faults.items()}


def echoing(status: int, **headers: str) -> Fault:
    """An error that repeats the client's key, as some gateways do."""
    return failing(status, f"not now, {ECHO}", **headers)


HTML = f"<html><body><h1>Sign in</h1><pre>Authorization: {ECHO}</pre></body></html>".encode()
ODD_BYTES = b'{"choices": [{"message": {"content": "\xff\xfe\xc3("}, "finish_reason": "stop"}]}'
NAMED: dict[str, Fault] = named(
    _429=echoing(429),
    _429_seconds=echoing(429, retry_after="1"),
    _429_date=echoing(429, retry_after="{in 1 s}"),
    _500=echoing(500),
    _502=Fault(status=502, body=HTML, headers={"Content-Type": "text/html"}),
    _503_seconds=echoing(503, retry_after="1"),
    _504=echoing(504),
    _408=echoing(408),
    reset=Fault("reset"),
    close=Fault("close"),
    reset_half=Fault("reset_half"),
    hang=Fault("hang"),
    drip=Fault("drip"),
    cut=Fault("cut"),
    cut_chunked=Fault("cut_chunked"),
    broken_json=Fault(body=f'{{"choices": [{{"message": {{"content": "{ECHO}'.encode()),
    wrong_shape=Fault(body=f'{{"choices": {{"0": "{ECHO}"}}, "model": ["x"]}}'.encode()),
    no_choices=Fault("altered", change=without_choices),
    empty=Fault("altered", change=saying("")),
    null=Fault("altered", change=saying(None)),
    length=Fault("altered", change=cut_short),
    html=Fault(body=HTML, headers={"Content-Type": "text/html"}),
    huge=Fault(body=b" " * LARGER_THAN_ANY_ANSWER),
    not_gzip=Fault(body=b'{"choices": []}', headers={"Content-Encoding": "gzip"}),
    not_utf8=Fault(body=ODD_BYTES),
    redirect=Fault(status=307, headers={"Location": f"/v2/chat/completions?key={ECHO}"}),
    _401=echoing(401),
    _404=echoing(404),
    gone=Fault("gone"),
    _400=echoing(400),
)
