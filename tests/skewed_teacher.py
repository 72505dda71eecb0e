"""A teacher for tests of a wanted mix: answers are short, long, German or nothing, as the prompt's digest has it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

COUNT = re.compile(r"Write (\d+) new|ask (\d+) about")
OPENINGS = ("Tell me", "Say", "I would like to know", "Please explain", "Could you tell me")
THINGS = ("the harbour", "the old mill", "this bridge", "her garden", "our library", "that clock", "the north gate")
LONG = " and that there is more to say about it, because it was there before we came and will be there after us"
GERMAN = (
    "Wo ist das und was ist es, wenn es nicht mehr da ist? Sag es mir mit der Nummer {number}.",
    "Das ist nicht mehr da, aber es war auf dem Platz neben der Kirche, und wir haben es gesehen, Nummer {number}.",
)


def skewed(
    *, long: float = 0.2, german: str = "\0", refuses: str = "\0", poor: tuple[str, float] = ("\0", 1.0)
) -> Callable[[dict], str]:
    """As many pairs as are asked for; a share of them `long`, those with one text in the prompt in German, none with
    another, and of a third only a share.
    """

    def answer(request: dict) -> str:
        prompt = request["messages"][-1]["content"]
        chance = int.from_bytes(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest())
        if refuses in prompt:
            return "There is nothing that I could say."
        found = COUNT.search(prompt)
        shown = []
        for number in range(1, 1 + int(next(filter(None, found.groups()))) if found else 2):
            lot = chance >> 24 * number
            if poor[0] in prompt and lot % 1000 >= 1000 * poor[1]:
                continue
            place = len(shown) + 1
            question, reply = texts(lot, long=lot // 1000 % 1000 < 1000 * long, german=german in prompt)
            shown.append(f"[QUESTION {place}]\n{question}\n[ANSWER {place}]\n{reply}\n[END {place}]")
        return "\n\n".join(shown) or "nothing"

    return answer


def texts(lot: int, *, long: bool, german: bool) -> tuple[str, str]:
    code = lot % 1_000_003
    if german:
        question, reply = (text.format(number=code) for text in GERMAN)
        return question, reply
    thing, opening = THINGS[lot % len(THINGS)], OPENINGS[lot // 7 % len(OPENINGS)]
    reply = f"It is what they said of {thing} in the year of the number {code}"
    return f"{opening} what it is with {thing} and the number {code}.", f"{reply}{LONG if long else ''}."
