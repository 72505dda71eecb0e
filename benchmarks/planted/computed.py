"""Planted wrong sums in the ways that answers state them, and right or rounded ones, and what only looks like a sum."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.95, precision=0.99)

Sum = tuple[str, Fraction]  # how the left side is written, and what it comes to


def product(rng: random.Random) -> Sum:
    one, other = rng.randint(12, 480), rng.randint(3, 96)
    return f"{one} {rng.choice(['x', '*', '×'])} {other}", Fraction(one * other)


def total(rng: random.Random) -> Sum:
    parts = [rng.randint(11, 4200) for _ in range(rng.randint(2, 4))]
    return " + ".join(f"{part:,}" for part in parts), Fraction(sum(parts))


def difference(rng: random.Random) -> Sum:
    one = rng.randint(500, 9000)
    other = rng.randint(20, 480)
    return f"{one} {rng.choice(['-', '−'])} {other}", Fraction(one - other)


def quotient(rng: random.Random) -> Sum:
    by, result = rng.randint(3, 40), rng.randint(12, 300)
    return f"{by * result} {rng.choice(['/', '÷'])} {by}", Fraction(result)


def bracketed(rng: random.Random) -> Sum:
    one, two, three = rng.randint(2, 30), rng.randint(11, 90), rng.randint(3, 12)
    return f"({one} + {two}) * {three}", Fraction((one + two) * three)


def share(rng: random.Random) -> Sum:
    percent, of = rng.choice([5, 15, 20, 30, 35, 60, 85]), 20 * rng.randint(4, 90)
    return f"{percent}% of {of}", Fraction(percent * of, 100)


def power(rng: random.Random) -> Sum:
    base, exponent = rng.randint(3, 14), rng.randint(2, 4)
    return f"{base}^{exponent}", Fraction(base**exponent)


def cents(rng: random.Random) -> Sum:
    price, count = rng.randint(105, 1995), rng.randint(3, 24)
    return f"{count} * {price / 100:.2f}", Fraction(count * price, 100)


def spoken(rng: random.Random) -> Sum:
    one, other = rng.randint(12, 99), rng.randint(3, 19)
    sign, value = rng.choice([("plus", one + other), ("times", one * other), ("minus", one - other)])
    return f"{one} {sign} {other}", Fraction(value)


SUMS: dict[str, Callable[[random.Random], Sum]] = {
    "product": product,
    "total": total,
    "difference": difference,
    "quotient": quotient,
    "brackets": bracketed,
    "percentage": share,
    "power": power,
    "money": cents,
    "in words": spoken,
}
FRAMES = [
    "The crates hold {left} = {right} bulbs.",
    "First we get {left} = {right}.\nThen the rest follows.",
    "So the answer is {left} = {right}",
    "- Rent: {left} = {right}\n- Food: the rest",
    "**Step 2:** {left} = {right}",
    "Altogether the farm needs {left} = <<{left}={right}>>{right} litres.",
    "We compute $ {left} = {right} $ and go on.",
    "Since {left} = {right}, the ferry carries {right} cars.",
]
SPOKEN_FRAMES = [
    "As {left} is {right}, nothing is left.",
    "{left} equals {right}.",
    "Remember that {left} is equal to {right}.",
]


def written(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.2f}"


def wrong(value: Fraction, rng: random.Random) -> Fraction:
    """Another result: a neighbour, a lost carry, another power of ten, swapped digits."""
    digits = list(written(value))
    choices = [value + 1, value - 1, value + 10, value - 10, value * 10, value + 100]
    if len(digits) > 2 and digits[-1] != digits[-2] and "." not in digits:
        choices.append(Fraction("".join([*digits[:-2], digits[-1], digits[-2]])))
    return rng.choice([choice for choice in choices if choice != value and choice > 0])


def stated(kind: str, rng: random.Random, *, bad: bool) -> str:
    left, value = SUMS[kind](rng)
    frames = SPOKEN_FRAMES if kind in ("in words", "percentage") else FRAMES
    right = wrong(value, rng) if bad else value
    return rng.choice(frames).format(left=left, right=written(right))


def asked(rng: random.Random, *, bad: bool) -> tuple[str, str]:
    left, value = SUMS[rng.choice(["product", "total", "difference", "quotient"])](rng)
    right = written(wrong(value, rng) if bad else value)
    question = rng.choice(
        ["What is {left}?", "Calculate {left}.", "Work out the following: {left}", "How much is {left}?"]
    )
    return question.format(left=left), rng.choice([right, f"The answer is {right}.", f"**{right}**"])


ROUNDED = ["2 / 3 = {0}", "22 / 7 = {1}", "100 / 9 = {2}", "1 / 8 = {3}"]
OTHER = [
    ("Solve for x.", "x + 3 = 12, hence x = 9. Check: 2x + 4 = 22."),
    ("What is the reaction?", "2 H2 + O2 = 2 H2O"),
    ("When did it take place?", "It ran from 5 - 9 May, i.e. days 5-9 = one working week."),
    ("How long is a shift?", "A shift is 9-5 = 8 hours."),
    ("Which pages?", "Pages 20-30 = 11 pages."),
    ("How long is the film?", "1:45 + 0:30 = 2:15"),
    ("Divide with remainder.", "29 / 4 = 7 R 1"),
    ("Divide with remainder.", "29 / 4 = 7 remainder 1"),
    ("What is a common mistake?", "A common mistake is to write 1/2 + 1/3 = 2/5."),
    ("Add in base 2.", "1101 + 11 = 10000"),
    ("What does this print?", "```python\nx = 5 / 2 == 2\ny = 7 // 2 = 3\n```"),
    ("What is the time?", "10 + 4 = 2 o'clock"),
    ("Convert.", "1/2 hour = 30 minutes, 1/4 mile = 440 yards"),
    ("Add the vectors.", "(1, 2) + (3, 5) = (4, 7)"),
    ("Complete the puzzle: 2 + 3 = 10, 4 + 5 = 36", "As 2 + 3 = 10, the rule is (a + b) times a."),
    ("Which version?", "Version 2.4 - 1 = the last one; v3.1 = stable"),
    ("Kinematics?", "F = m * a, so v = 9.8 * t = 29.4 m/s for t = 3 s"),
    ("Discount?", "100 + 10% = 110"),
    ("Area?", "π * 2^2 = 12.57"),
    ("Logarithm?", "log 100 + 1 = 3"),
    ("Precision?", "0.1 + 0.2 = 0.30000000000000004 in floating point"),
    ("Share?", "45/60 = 75%, that is 0.75"),
    ("Running sum?", "5 + 3 = 8 + 4 = 12"),
    ("Mixed number?", "9/2 = 4 1/2 = 4.5"),
    ("Large?", "3,400,000 * 2 = 6.8 million"),
    ("German?", "3,5 + 1,75 = 5,25 und 1.200 + 300 = 1.500"),
    ("Buses?", "130 / 40 = 4 buses are needed"),
    ("Estimate.", "Roughly, 49 * 21 = 1000"),
    ("Factorial?", "5! = 120 and 5 + 5 = 10!"),
    ("Suppose.", "If 1 + 1 = 3, then anything follows."),
]


def sample(question: str, answer: str) -> Sample:
    return Sample(
        id=digest([question, answer])[:32],
        kind="freeform",
        question=question,
        answer=answer,
        lineage=Lineage(leaf="", leaf_blob="", method="given", model=""),
    )


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for place in range(count):
        bad = place % 2 == 0
        turn = place // 2 % 10
        number = f"Question {rng.randrange(10**6)}: how many are there?"
        if turn < 8:
            kind = rng.choice(list(SUMS))
            yield Case(kind if bad else f"right: {kind}", (sample(number, stated(kind, rng, bad=bad)),), bad=bad)
        elif bad or turn == 8:
            question, answer = asked(rng, bad=bad)
            yield Case("bare result" if bad else "right: bare result", (sample(question, answer),), bad=bad)
        elif rng.random() < 0.3:
            value = rng.choice(ROUNDED).format(
                *(
                    rng.choice(one)
                    for one in (
                        ("0.67", "0.66", "0.667", "0.6666"),
                        ("3.14", "3.143", "3.1"),
                        ("11", "11.1", "11.11"),
                        ("0.125", "0.13", "0.12"),
                    )
                )
            )
            yield Case("right: rounded", (sample(number, value),), bad=False)
        else:
            question, answer = rng.choice(OTHER)
            yield Case("no plain sum", (sample(f"{question} ({rng.randrange(10**6)})", answer),), bad=False)
