"""The two steps as the server sees them: which request is which, what it is answered, how late, and with what fault."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

import orjson
from faults import NAMED, Fault
from server import Arrival

STEPS = ("question", "answer")
MARK = re.compile(r"\(ref ([0-9a-f]{16})\)")
ASKS_QUESTION, ASKS_ANSWER = "Write one question about", "Answer this question"
FAULTS = {"429-seconds": 0.05, "500": 0.10, "broken-json": 0.02}  # shares of requests
HANGING = 17  # the sample whose first question never comes, the first time
CONSONANTS, VOWELS = "bcdfghklmnprstvz", "aeio"


@dataclass(frozen=True)
class Identity:
    """Which call a request is. Samples have numbers in the order in which their first request came."""

    step: Literal["question", "answer"]
    sample: int


class Workload:
    """Answers both prompts out of the request alone, marking each question so that its answer is known by it.

    Latency and faults go by step and number of the sample, so that every arm meets the same of both. Requests that are
    neither step (a health check, a probe) are answered at once and never disturbed.
    """

    def __init__(self, *, latency: float = 0.0, share: float = 0.0, slow: float = 0.0, faults: bool = False) -> None:
        self.latency, self.share, self.slow, self.faults = latency, share, slow, faults
        self.identities: dict[bytes, Identity | None] = {}  # by digest of the request
        self.numbers: dict[str, int] = {}  # of samples, by the mark in their questions

    def choose(self, arrival: Arrival) -> Fault | None:
        return self.fault(arrival.body, arrival.times)

    def fault(self, body: bytes, times: int) -> Fault | None:
        """What befalls a request that has come so often before."""
        identity = self.identify(body)
        if identity is None or not self.faults:
            return None
        if identity == Identity("question", HANGING) and not times:
            return NAMED["hang"]
        drawn = chance(f"fault {identity.step} {identity.sample} {times}")
        for name, share in FAULTS.items():
            if drawn < share:
                return NAMED[name]
            drawn -= share
        return None

    def of(self, digest: bytes) -> float:
        """Seconds for an answer."""
        identity = self.identities[digest]
        if identity is None:
            return 0.0
        return self.slow if chance(f"latency {identity.step} {identity.sample}") < self.share else self.latency

    def identify(self, body: bytes) -> Identity | None:
        digest = hashlib.sha256(body).digest()
        if digest not in self.identities:
            self.identities[digest] = self.found(orjson.loads(body))
        return self.identities[digest]

    def known(self, digest: bytes) -> Identity | None:
        """What a request was that has been identified before."""
        return self.identities.get(digest)

    def found(self, request: dict) -> Identity | None:
        prompt = prompt_of(request)
        if (mark := MARK.search(prompt)) and ASKS_ANSWER in prompt:
            return Identity("answer", self.number(mark[1]))
        if ASKS_QUESTION in prompt:
            return Identity("question", self.number(mark_of(request)))
        return None

    def number(self, mark: str) -> int:
        return self.numbers.setdefault(mark, len(self.numbers))


def answered(request: dict) -> str:
    """A question with its mark, or an answer that repeats the mark; in tags where the prompt shows them."""
    prompt = prompt_of(request)
    if (mark := MARK.search(prompt)) and ASKS_ANSWER in prompt:
        return tagged(prompt, f"It is {words(mark[1], 40)} (ref {mark[1]}).")
    if ASKS_QUESTION in prompt:
        own = mark_of(request)
        return tagged(prompt, f"What is meant by {words(own, 12)} (ref {own})?")
    return "OK"


def tagged(prompt: str, text: str) -> str:
    tag = re.search(r"^\[([A-Z]+) 1\]$", prompt, re.MULTILINE)
    return f"[{tag[1]} 1]\n{text}\n[END 1]" if tag else text


def prompt_of(request: dict) -> str:
    return text_of(request["messages"][-1])


def text_of(message: dict) -> str:
    """Of a message; some clients send it in parts."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def mark_of(request: dict) -> str:
    """Of the question that answers this request: a digest of what the answer depends on."""
    told = [prompt_of(request), request.get("seed")]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]


def words(seed: str, count: int) -> str:
    """So many made-up words, different for every seed."""
    digest = hashlib.shake_256(seed.encode()).digest(3 * count)
    syllables = [f"{CONSONANTS[byte % 16]}{VOWELS[byte // 16 % 4]}" for byte in digest]
    return " ".join("".join(syllables[start : start + 3]) for start in range(0, len(syllables), 3))


def chance(use: str) -> float:
    return int.from_bytes(hashlib.sha256(use.encode()).digest()[:6], "big") / 2**48
