"""Planted questions and answers in another language than their leaf's seed examples, and such as only look so."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made, name
from benchmarks.planted.said import Said, said
from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.records import Pair, Sample, Seed

FLOORS = Floors(recall=0.95, precision=0.98)
CODE = "```python\nfor row in table:\n    if row.total is not None and row.total > 0:\n        print(row.total)\n```"
SHORT = ("1874", "42 kg", "Anna Bergström", "H2O", "E = mc²", "Velmouth", "OK", "x = 7", "Ja", "non", "東京", "Москва")
ASKED = (
    "Translate into {language}: {text}",
    "How do you say this in {language}: {text}",
    "What is the {language} translation of: {text}",
)
NAMED = {
    "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian", "nl": "Dutch", "pl": "Polish",
    "sv": "Swedish", "tr": "Turkish", "ru": "Russian", "zh": "Chinese", "ja": "Japanese", "ko": "Korean",
    "ar": "Arabic", "hi": "Hindi",
}  # fmt: skip
NAMES_ALONE = "Mara Vell, Jon Stark, Ivo Brand, Ana Silva, Petra Novak, Luc Moreau"


def leaf_of(language: str) -> str:
    return f"knowledge/planted/{language}"


def filled(text: str, called: str) -> str:
    return text.replace("{x}", called)


def around() -> Surroundings:
    """A leaf for each language, with five seed examples of two pairs in it."""
    leaves = {}
    rng = random.Random(7)
    for heading in said("language"):
        seeds = tuple(
            Seed(number=number, line=number, pairs=tuple(drawn(rng, heading) for _ in range(2)))
            for number in range(1, 6)
        )
        leaves[leaf_of(heading.kind)] = LeafFacts(path=leaf_of(heading.kind), seeds=seeds)
    return Surroundings(leaves=leaves)


def drawn(rng: random.Random, heading: Said) -> Pair:
    asked, told = rng.choice(heading.lines["?"]), rng.sample(heading.lines["."], rng.randint(1, 2))
    gap = "" if heading.kind in ("zh", "ja") else " "
    called = name(rng)
    return Pair(question=filled(asked, called), answer=filled(gap.join(told), called))


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    headings = said("language")
    for number in range(count):
        own = headings[number % len(headings)]
        other = rng.choice([heading for heading in headings if heading is not own])
        yield foreign(rng, own, other) if rng.random() < 0.45 else fitting(rng, own, other)


def foreign(rng: random.Random, own: Said, other: Said) -> Case:
    here, there = drawn(rng, own), drawn(rng, other)
    question = rng.random() < 0.5
    asked, told = (there.question, here.answer) if question else (here.question, there.answer)
    return Case("question" if question else "answer", (in_leaf(own, asked, told),), True)


def fitting(rng: random.Random, own: Said, other: Said) -> Case:
    here, there = drawn(rng, own), drawn(rng, other)
    way = rng.randrange(6)
    if way == 0:
        return Case("short answer", (in_leaf(own, here.question, rng.choice(SHORT)),), False)
    if way == 1:
        return Case("code", (in_leaf(own, here.question, rng.choice((CODE, f"{here.answer}\n\n{CODE}"))),), False)
    if way == 2 and other.kind in NAMED:
        asked = rng.choice(ASKED).format(language=NAMED[other.kind], text=here.answer)
        return Case("translation", (in_leaf(own, asked, there.answer),), False)
    if way == 3:
        return Case("names", (in_leaf(own, here.question, NAMES_ALONE),), False)
    if way == 4:
        quotation = " ".join(there.answer.split()[:4])[:24]
        return Case("quotation", (in_leaf(own, here.question, f"{here.answer} {here.answer} («{quotation}»)"),), False)
    return Case("own language", (in_leaf(own, here.question, here.answer),), False)


def in_leaf(own: Said, question: str, answer: str) -> Sample:
    return made(question, answer, leaf=leaf_of(own.kind))
