"""Judges for the test server, each with its own way of judging: a function of the request, as any answer there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from teacher_answers import form_of, scale_of

Judge = Callable[[dict], str]


def shown(request: dict) -> str:
    return request["messages"][-1]["content"]


def part(request: dict, tag: str) -> str:
    """What stands inside <tag> of a prompt."""
    return shown(request).partition(f"<{tag}>\n")[2].rpartition(f"\n</{tag}>")[0]


def reply(request: dict, told: Callable[[str, list[str]], str]) -> str:
    """The form of the prompt filled in: `told` is given each tag and the scale that it offers, if it does."""
    lines = []
    for tag, words in form_of(shown(request)).items():
        lines += [f"[{tag} 1]", told(tag, scale_of(words))]
    return "\n".join([*lines, "[END 1]"])


def scoring(score: Callable[[dict, list[str]], str]) -> Judge:
    """A judge that gives the same score on every scale of a prompt, after a reason."""
    return lambda request: reply(
        request, lambda tag, scale: score(request, scale) if scale else f"a reason in {tag.lower()}"
    )


def perfect(good: Callable[[dict], bool]) -> Judge:
    return scoring(lambda request, scale: scale[-1] if good(request) else scale[0])


def guessing(seed: int = 0) -> Judge:
    """One that rolls dice: which way they fall depends on the request alone."""

    def score(request: dict, scale: list[str]) -> str:
        told = json.dumps([seed, request["messages"]], sort_keys=True).encode()
        return scale[int.from_bytes(hashlib.sha256(told).digest()[:8]) % len(scale)]

    return scoring(score)


def always(text: str) -> Judge:
    """One that says the same wherever a scale is offered."""
    return scoring(lambda _, __: text)


def saying(text: str) -> Judge:
    """One that says the same whatever it is asked, without the form."""
    return lambda _: text


def answering(text: Callable[[dict], str]) -> Judge:
    """One that fills in an answer."""
    return lambda request: reply(request, lambda tag, _: text(request) if tag == "ANSWER" else "because")
