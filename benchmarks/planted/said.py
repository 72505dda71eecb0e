"""Texts that are planted as they are: read from `said/<filter>.txt`, with slots filled in and company around them.

[kind]  x: what {x} | may stand for    ? a question    ~ what may follow    . a sentence that may come before
+ an answer with the fault, at its start    * the same, anywhere    < a question with the fault
- question => answer    a pair without the fault, however much it looks like it;    + question => answer one with it
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.planted import Case
from benchmarks.planted.domains import made
from benchmarks.planted.writings import clean

FOLDER = Path(__file__).with_name("said")
UNSPACED = ("Chinese", "Japanese")
PLAIN_SHARE = 0.12  # of pairs that look like nothing


@dataclass(frozen=True)
class Said:
    """What one heading of a file has."""

    kind: str
    fills: list[str] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)  # by mark

    def fill(self, rng: random.Random, text: str) -> str:
        return text.replace("{x}", rng.choice(self.fills) if self.fills else "").replace("\\n", "\n")

    def pair(self, rng: random.Random, line: str) -> tuple[str, str]:
        question, _, answer = self.fill(rng, line).partition(" => ")
        return question, answer

    def question(self, rng: random.Random) -> str:
        return self.fill(rng, rng.choice(self.lines["?"]))


@cache
def said(filter: str) -> tuple[Said, ...]:
    """What the file of a filter has, heading by heading."""
    found: list[Said] = []
    for line in (FOLDER / f"{filter}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            found.append(Said(line[1:-1]))
        elif line.startswith("x: "):
            found[-1].fills.extend(line[3:].split(" | "))
        elif line and not line.startswith("#"):
            found[-1].lines.setdefault(line[0], []).append(line[2:])
    return tuple(found)


def spoken_cases(filter: str, rng: random.Random, count: int, *, kind: str = "freeform") -> Iterator[Case]:
    """Cases of all headings by turns, a little more than half of them without the fault."""
    headings = said(filter)
    for number in range(count):
        heading = headings[number % len(headings)]
        faulty = [mark for mark in "+*<" if mark in heading.lines]
        if rng.random() < PLAIN_SHARE:
            yield plain(rng, kind)
        elif rng.random() < 0.5 or not faulty:
            if "-" not in heading.lines:
                yield plain(rng, kind)
                continue
            question, answer = heading.pair(rng, rng.choice(heading.lines["-"]))
            yield Case(heading.kind, (made(question, answer, kind=kind),), False)
        else:
            weights = [len(heading.lines[mark]) for mark in faulty]
            question, answer = with_fault(rng, heading, rng.choices(faulty, weights)[0])
            yield Case(heading.kind, (made(question, answer, kind=kind),), True)


def with_fault(rng: random.Random, heading: Said, mark: str) -> tuple[str, str]:
    line = rng.choice(heading.lines[mark])
    if " => " in line:
        return heading.pair(rng, line)
    text = heading.fill(rng, line)
    if mark == "<":
        return text, heading.fill(rng, rng.choice(heading.lines["."]))
    parts = [text]
    if mark == "*":
        parts[:0] = rng.sample(heading.lines["."], rng.randint(0, len(heading.lines["."])))
    if "~" in heading.lines and rng.random() < 0.4:
        parts.append(rng.choice(heading.lines["~"]))
    gap = "\n\n" if rng.random() < 0.15 else "" if heading.kind in UNSPACED else " "
    return heading.question(rng), typed(rng, gap.join(parts))


def plain(rng: random.Random, kind: str) -> Case:
    """A pair on any matter, in any language and form."""
    _, sample = clean(rng)
    return Case("anything", (made(sample.question, sample.answer, kind=kind),), False)


def typed(rng: random.Random, text: str) -> str:
    """The same words in other typography."""
    way = rng.randrange(6)
    if way == 0:
        return text.replace("'", "’")
    if way == 1:
        return text.replace(" ", "\n", 1) if "\n" not in text else text
    if way == 2:
        return f"**{text}**" if "\n" not in text else text
    return text
