"""Planted answers that go round in circles, and honest repetition."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made
from benchmarks.planted.writings import ABROAD, ALL, ENGLISH, UNSPACED, clean

FLOORS = Floors(recall=0.95, precision=0.99)

SYLLABLES = ("ha", "lo", "abc", "xyz", "na", "wow")
WORDS = ("the", "of", "and", "water", "time", "great", "is", "to")


def tail(rng: random.Random) -> tuple[str, str]:
    """A good beginning, and then a phrase of its own over and over."""
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    words = told[-1].rstrip(".").split()
    size = min(len(words) - 1, rng.randint(2, 9))
    begin = rng.randrange(len(words) - size)
    return question, f"{' '.join(told)} {' '.join(words[begin : begin + size] * rng.randint(5, 12))}"


def word(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH).drawn(rng)
    if rng.random() < 0.5:
        return question, f"{told[0]} {' '.join(['the'] * rng.randint(3, 30))} {told[1]}"
    return question, f"{' '.join(told)} {' '.join([rng.choice(WORDS)] * rng.randint(6, 60))}"


def sentence(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    if rng.random() < 0.5:
        return question, " ".join([*told, *[told[0]] * rng.randint(2, 6)])
    return question, " ".join(part for part in told for _ in range(rng.randint(3, 4)))


def line(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    mark = rng.choice(("", "- ", "* "))
    lines = [told[0], *[told[-1]] * rng.randint(3, 9)]
    if rng.random() < 0.3:
        return question, "\n".join(f"{number}. {text}" for number, text in enumerate(lines, start=1))
    return question, "\n".join(mark + text for text in lines)


def whole(rng: random.Random) -> tuple[str, str]:
    """The whole answer once more."""
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    answer = " ".join(told)
    return question, rng.choice((" ", "\n\n", "\n")).join([answer] * rng.randint(2, 3))


def character(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ALL).drawn(rng)
    run = rng.choice(("a", "o", "e", "!", "?", "m")) * rng.randint(16, 60)
    if rng.random() < 0.4:
        run = rng.choice(SYLLABLES) * rng.randint(12, 30)
    return question, f"{told[0]} {run}" if rng.random() < 0.7 else run


def unspaced(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(UNSPACED).drawn(rng)
    return question, "".join(told) + rng.choice((told[-1] * 4, told[0][:4] * 8, told[0][0] * 20))


CIRCLES: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "phrase": tail,
    "word": word,
    "sentence": sentence,
    "line": line,
    "whole answer": whole,
    "character or syllable": character,
    "without spaces": unspaced,
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """An answer that goes round and an honest one by turns."""
    kinds = list(CIRCLES)
    for number in range(count):
        if number % 2:
            kind = kinds[number // 2 % len(kinds)]
            yield Case(kind, (made(*CIRCLES[kind](rng)),), bad=True)
        else:
            row, sample = clean(rng, "honest repetition")
            yield Case(row, (sample,), bad=False)
