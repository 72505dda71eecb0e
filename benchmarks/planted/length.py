"""Planted texts beyond the limits, and texts just within them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made
from benchmarks.planted.writings import ALL, ENGLISH, FORMS
from instructlab_like.filters.shape.length import Length
from instructlab_like.records import Sample

FLOORS = Floors(recall=1.0, precision=1.0)
LIMITS = Length()
SHORT = ("Why?", "?", "Explain", "塔", "Warum?")
ONE_WORD = ("1874", "+", "青", "Paris", "🙂")
PLAIN = ("gravel", "lantern", "morning", "river", "cart", "under", "slowly", "meadow")


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(PLAIN, k=count))


def beyond(rng: random.Random, kind: str) -> Sample:
    question, told = rng.choice(ENGLISH).drawn(rng)
    answer, more = " ".join(told), rng.randint(1, 200)
    match kind:
        case "question too short":
            return made(rng.choice(SHORT), answer)
        case "question too long":
            count = LIMITS.max_question_words + LIMITS.max_context_words + more
            return made(f"{words(rng, count)}?", answer)
        case "question beside a passage too long":
            long = f"{words(rng, LIMITS.max_question_words + more)}?"
            return made(long, answer, kind="grounded", context=words(rng, 60))
        case "answer too long":
            return made(question, words(rng, LIMITS.max_answer_words + more))
        case "passage too long":
            return made(question, answer, kind="grounded", context=words(rng, LIMITS.max_context_words + more))
        case "passage too short":
            return made(question, answer, kind="grounded", context=words(rng, rng.randint(1, 4)))
        case _:
            return made(question, "x" * (LIMITS.max_characters + more))


KINDS = (
    "question too short",
    "question too long",
    "question beside a passage too long",
    "answer too long",
    "passage too long",
    "passage too short",
    "too many characters",
)


def within(rng: random.Random) -> Sample:
    question, told = rng.choice(ALL).drawn(rng)
    match rng.randrange(5):
        case 0:
            return made(question, rng.choice(ONE_WORD))
        case 1:
            return made(f"{words(rng, LIMITS.max_question_words)}?", told[0])
        case 2:
            return made(question, words(rng, LIMITS.max_answer_words))
        case 3:
            return made(question, told[0], kind="knowledge", context=words(rng, LIMITS.max_context_words + 300))
        case _:
            return rng.choice(FORMS).sample()


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """A text beyond a limit and one within by turns."""
    for number in range(count):
        if number % 2:
            kind = KINDS[number // 2 % len(KINDS)]
            yield Case(kind, (beyond(rng, kind),), bad=True)
        else:
            yield Case("within the limits", (within(rng),), bad=False)
