"""Planted answers that break off, and whole ones that end in something else than a full stop."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made
from benchmarks.planted.writings import ABROAD, ENGLISH, UNSPACED, clean

FLOORS = Floors(recall=0.95, precision=0.99)

DANGLING = {
    "en": ("because the", "and their", "although a", "into the", "which is the reason for the", "as well as the", "if"),
    "de": ("weil die", "und der", "sowie eine", "für den", "obwohl"),
    "fr": ("parce que les", "et la", "dans le", "avec une", "de"),
    "es": ("porque los", "y la", "en el", "con una", "para"),
    "it": ("perché la", "e il", "nella", "con una", "di"),
    "pt": ("porque os", "e a", "com uma", "para o", "da"),
    "pl": ("ponieważ w", "oraz", "i", "dla"),
    "ru": ("потому что", "и", "в", "который"),
    "sv": ("eftersom den", "och", "som ett", "från"),
}
CODE = (
    (
        "Write a function that adds up a list.",
        "def total(items):\n    result = 0\n    for item in items:\n        result = add(result,",
    ),
    (
        "Write a query for the ten best customers.",
        "```sql\nSELECT name, SUM(price)\nFROM orders\nGROUP BY name\nORDER BY",
    ),
    ("Show how to read a file in Python.", "Like this:\n\n```python\nwith open(path) as file:\n    for line in fi"),
    ("Give me the settings as JSON.", '{"host": "localhost", "ports": [80, 443], "users": [{"name": "ann", "ro'),
    ("Return the list as JSON.", '[{"id": 1, "name": "oak"}, {"id": 2, "name":'),
    ("Sort numbers in JavaScript.", "const sorted = numbers\n  .filter(n => n > 0)\n  .sort((a, b) =>"),
)
FORMULAS = (
    ("What is the sum of the first n odd numbers?", "It is a square: \\[ \\sum_{k=1}^{n} (2k - 1) = n"),
    ("State the binomial theorem.", "For every n,\n\n$$ (a + b)^n = \\sum_{k=0}^{n} \\binom{n}{k} a^"),
    (
        "Derive the area of a circle.",
        "Cut it into rings of width $dr$ and add them up, which gives $\\int_0^R 2\\pi r \\,d",
    ),
    ("Write the equation of motion.", "\\begin{align}\nm \\ddot{x} &= -k x \\\\\nx(t) &= A \\cos"),
    ("What is the slope of the line?", "The slope is the quotient $m = \\frac{y_2 - y_1}{x_2"),
)


def cut_at(rng: random.Random, sentence: str) -> str:
    """A sentence without its end, cut between two words."""
    words = sentence.split()
    return " ".join(words[: rng.randrange(1, max(2, len(words) - 1))])


def behind_a_word(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    return question, f"{' '.join(told[:-1])} {cut_at(rng, told[-1])}"


def in_a_word(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    last = told[-1]
    at = rng.choice([place for place in range(8, len(last) - 4) if last[place - 1 : place + 1].isalpha()])
    return question, f"{' '.join(told[:-1])} {last[:at]}"


def dangling(rng: random.Random) -> tuple[str, str]:
    """One sentence that ends in a word which cannot be its last."""
    chosen = rng.choice(ENGLISH + ABROAD)
    question, told = chosen.drawn(rng)
    comma = rng.choice((" ", ", ")) if chosen.language == "en" else ", "
    return question, f"{told[0].rstrip('.')}{comma}{rng.choice(DANGLING[chosen.language])}"


def behind_a_sign(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    return (
        question,
        f"{' '.join(told[:-1])} {cut_at(rng, told[-1]).rstrip(',;:')}{rng.choice((',', ',', ':', ' -', ' –'))}",
    )


def in_a_list(rng: random.Random) -> tuple[str, str]:
    """Items with full stops of which the last breaks off, or has only its mark."""
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng, fewest=3)
    marks = rng.choice((["- "] * 9, [f"{number}. " for number in range(1, 9)], ["* "] * 9))
    items = "\n".join(mark + sentence for mark, sentence in zip(marks, told, strict=False))
    if rng.random() < 0.4:
        return question, f"{items}\n{marks[len(told)].strip()}"
    return (
        question,
        f"{items}\n{marks[len(told)]}{cut_at(rng, 'In the end most of it comes down to patience and good tools.')}",
    )


def in_a_bracket(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
    opened = rng.choice((" (", " (", ' "', " “", " [", " «"))
    return question, f"{told[0].rstrip('.')}{opened}{cut_at(rng, told[-1]).rstrip(',;:')}"


def without_spaces(rng: random.Random) -> tuple[str, str]:
    question, told = rng.choice(UNSPACED).drawn(rng)
    last = told[-1].rstrip("。")
    return question, "".join(told[:-1]) + last[: last.rfind("，") + 1 or last.rfind("、") + 1 or 6] + rng.choice(
        ("", "（")
    )


BREAKS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "behind a word": behind_a_word,
    "in a word": in_a_word,
    "behind a dangling word": dangling,
    "behind a comma, colon or dash": behind_a_sign,
    "in a list": in_a_list,
    "in a bracket or quotation": in_a_bracket,
    "in code or data": lambda rng: rng.choice(CODE),
    "without spaces": without_spaces,
    "in a formula": lambda rng: rng.choice(FORMULAS),
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """An answer cut off and a whole one by turns."""
    kinds = list(BREAKS)
    for number in range(count):
        if number % 2:
            kind = kinds[number // 2 % len(kinds)]
            yield Case(kind, (made(*BREAKS[kind](rng)),), bad=True)
        else:
            row, sample = clean(rng, "another end", fewest=1)
            yield Case(row, (sample,), bad=False)
