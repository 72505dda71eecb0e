"""What a judge said, read strictly: a number on its scale, or why there is none. No reply gets a score by default."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instructlab_like.filters import Reply
from instructlab_like.filters.judgement import Judgement, rejected

NO_JUDGEMENT = "no-judgement"  # the rule of all that was answered and is no judgement
SILENCE = Reply(failure="there is no reply")
SAID = 160  # characters of a judge's own words in a reason
LONGEST = 400  # characters of a reply in which a number is looked for
# A number alone, with what sets it off: "4", "**4**", "4/5", "4 out of 5", "Score: 4", "4.0".
NUMBER = re.compile(
    r"(?:[^\W\d_]{1,20}(?: [^\W\d_]{1,20})?\s*[:=]|[^\w\-.+−])*\s*"
    r"(?P<sign>[-−+]?)(?P<value>\d{1,9}(?:\.\d{1,6})?)(?P<percent>\s*%)?"
    r"(?:\s*(?:/|of|out of)\s*(?P<most>\d{1,9}(?:\.\d{1,6})?))?[^\w]*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Whole numbers that a judge chooses from; what lies between two of them counts as it is."""

    low: int
    high: int

    def read(self, text: str) -> float | str:
        """The score, or in words why there is none: nothing is rounded into the scale, and no scale is converted."""
        found = NUMBER.fullmatch(text.strip()) if len(text) <= LONGEST else None
        if found is None or found["percent"]:
            return f"said {quoted(text)}, where a number from {self.low} to {self.high} was asked for"
        score = float(found["value"]) * (-1 if found["sign"] in ("-", "−") and float(found["value"]) else 1)
        if found["most"] is not None and float(found["most"]) != self.high:
            return f"said {quoted(text)}, which is not on the scale from {self.low} to {self.high}"
        if not self.low <= score <= self.high:
            return f"said {quoted(text)}, which is outside of the scale from {self.low} to {self.high}"
        return score


def graded(reply: Reply, scales: Iterable[tuple[str, Scale]]) -> dict[str, float] | Judgement:
    """The score in each of these fields, or the judgement that one of them is none."""
    if reply.failure is not None:
        return unreadable(reply.failure)
    scores: dict[str, float] = {}
    for name, scale in scales:
        told = reply.fields.get(name)
        read = scale.read(told) if told is not None else "was left out"
        if isinstance(read, str):
            return unreadable(f"{name}: the judge {read}" if told is not None else f"{name} {read}")
        scores[name] = read
    return scores


def unreadable(why: str) -> Judgement:
    return rejected(NO_JUDGEMENT, f"the judge gave no judgement: {why}")


def only(replies: Sequence[Sequence[Reply]], number: int = 0) -> Reply:
    """The reply to a question that was asked once."""
    return next(iter(replies[number]), SILENCE) if number < len(replies) else SILENCE


def because(reply: Reply, field: str) -> str:
    """What the judge gave as its reason, short, to stand behind a statement."""
    told = reply.fields.get(field, "")
    return f"; because {quoted(told, SAID)}" if told.strip() else ""


def quoted(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= width else line[: width - 1] + "…")
