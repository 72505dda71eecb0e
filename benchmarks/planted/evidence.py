"""Planted evidence that is not there, says nothing or has another number, and evidence that bears its answer out."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.98, precision=0.99)

NAMES_TEXT = "Ardel Brenk Corvin Delmar Estrid Fennick Gorran Hester Ilmar Jorun Kestin Lorcan"
NAMES = NAMES_TEXT.split()
WORDS_TEXT = "zero one two three four five six seven eight nine ten eleven twelve"
WORDS = WORDS_TEXT.split()
FRAMES = [  # a passage of two sentences, each with a number; what is asked of the first, what of the second
    (
        "The {name} viaduct has {few} arches of grey stone.",
        "Trains of {many} tonnes crossed it in {year}.",
        ("How many arches has the {name} viaduct?", "It stands on {few} arches."),
        ("How heavy were the trains on the {name} viaduct?", "They weighed {many} tonnes."),
    ),
    (
        "A dose of {many} mg is given to adults every {few} hours.",
        "The {name} study of {year} advised against it in children.",
        ("How often is the dose given?", "Once in {few} hours."),
        ("When was the {name} study made?", "It dates from {year}."),
    ),
    (
        "Tenants of {name} House give notice {few} months ahead.",
        "The rent was last raised in {year}, by {many} crowns.",
        ("How long ahead do tenants of {name} House give notice?", "They must do so {few} months before."),
        ("By how much was the rent of {name} House raised?", "It went up by {many} crowns."),
    ),
    (
        "The {name} pump delivers {many} litres a minute at {few} bar.",
        "It was tested by the works in {year}.",
        ("How much does the {name} pump deliver?", "Its output is {many} litres per minute."),
        ("When was the {name} pump tested?", "The test took place in {year}."),
    ),
]


def made(question: str, answer: str, passage: str, evidence: str | None) -> Sample:
    span = None
    if evidence is not None:
        start = passage.index(evidence)
        span = (start, start + len(evidence))
    return Sample(
        id=digest([question, answer, passage, evidence])[:32],
        kind="knowledge",
        question=question,
        answer=answer,
        context=passage,
        evidence=span,
        lineage=Lineage(leaf="knowledge/planted", leaf_blob="", method="teacher", model="teacher"),
    )


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for place in range(count):
        first, second, *pairs = rng.choice(FRAMES)
        few, many = rng.randint(3, 12), rng.randint(31, 97)
        values: dict[str, object] = {
            "name": rng.choice(NAMES),
            "few": few,
            "many": many,
            "year": rng.randint(1820, 1990),
        }
        sentences = [first.format(**values), second.format(**values)]
        passage = " ".join(sentences)
        number = rng.randrange(2)
        question, answer = (text.format(**values) for text in pairs[number])
        beside = " ".join(part for part in passage.split() if not any(letter.isdigit() for letter in part))
        match place % 6:
            case 0:
                yield Case("evidence not in the passage", (made(question, answer, passage, None),), bad=True)
            case 1:
                blank = rng.choice([".", " ", "is", "the", "It was"])
                chosen = blank if blank in passage else "."
                yield Case("evidence that says nothing", (made(question, answer, passage, chosen),), bad=True)
            case 2:
                other = sentences[1 - number]
                yield Case("number beside the evidence", (made(question, answer, passage, other),), bad=True)
            case 3:
                spelled = answer.replace(f" {few} ", f" {WORDS[few]} ")
                yield Case(
                    "honest: another spelling", (made(question, spelled, passage, sentences[number]),), bad=False
                )
            case 4:
                yield Case("honest: the whole passage", (made(question, answer, passage, passage),), bad=False)
            case _:
                words = next(word for word in beside.split() if len(word) > 4)
                yield Case("honest: a single word", (made(question, "Yes, it is so.", passage, words),), bad=False)
