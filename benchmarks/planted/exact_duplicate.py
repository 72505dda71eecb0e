"""Planted copies whose typography alone differs, contradictions, and questions that differ by what counts.

For the filter the first of a case in id order is kept; what is planted comes last.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from benchmarks.planted import Case, Floors
from benchmarks.planted.retold import CHARACTERS, ENGLISH, LETTERS, Language, Telling
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=1.0, precision=1.0)
SPOKEN = (ENGLISH, *LETTERS, *CHARACTERS)
SUMS = (("+", "-"), ("×", "/"), ("<", ">"), ("=", "%"))


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    planter = Planter(rng)
    kinds: tuple[Callable[[Planter], Case], ...] = (
        copy,
        another_answer,
        contradiction,
        another_sign,
        elsewhere,
        case_of_it,
    )
    for _, kind in zip(range(count), cycle((*kinds, widths, another_passage)), strict=False):
        yield kind(planter)


class Planter:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.number = 0
        self.asked: set[str] = set()

    def drawn(self, spoken: Sequence[Language] = SPOKEN) -> Telling:
        """One whose question was not drawn before."""
        while True:
            found = self.rng.choice(spoken).drawn(self.rng)
            if (question := found.texts()[0]) not in self.asked:
                self.asked.add(question)
                return found

    def take(
        self, kind: str, *pairs: tuple[str, str], bad: bool, of: str = "freeform", passages: tuple[str, ...] = ()
    ) -> Case:
        """A case of samples in the order of their ids, each of a leaf of its own."""
        self.number += 1
        ids = sorted(digest([self.number, at, self.rng.random()])[:32] for at in range(len(pairs)))
        samples = [
            Sample(
                id=id,
                kind="grounded" if passages else "knowledge" if of == "knowledge" else "freeform",
                question=question,
                answer=answer,
                context=passages[at] if passages else None,
                lineage=Lineage(leaf=f"leaf/{at}", leaf_blob="0" * 40, method="teacher", model="planted"),
            )
            for at, (id, (question, answer)) in enumerate(zip(ids, pairs, strict=True))
        ]
        return Case(kind, tuple(samples), bad)

    def dressed(self, text: str) -> str:
        """The same words in other typography: spaces, marks, dashes, case."""
        rng = self.rng
        made = "".join(rng.choice((",", ";", " –", "")) if mark in ",;" else mark for mark in text)
        made = made.replace(" ", rng.choice((" ", "  ", "\n", "\u00a0"))).rstrip(".?!。？")
        made = (
            rng.choice((str.upper, str.title, str.lower, str))(made)
            if made.upper().casefold() == made.casefold()
            else made
        )
        return rng.choice((" {} ", "“{}”", "**{}**", "{}!", "({})")).format(made)


def copy(planter: Planter) -> Case:
    question, answer = planter.drawn().texts()
    again = planter.dressed(question), planter.dressed(answer)
    return planter.take("spacing, punctuation, case", (question, answer), again, bad=True)


def widths(planter: Planter) -> Case:
    """Full-width letters and figures, and accents as characters of their own."""
    question, answer = planter.drawn().texts()
    wide = "".join(chr(ord(mark) + 0xFEE0) if mark.isascii() and mark.isalnum() else mark for mark in question)
    return planter.take(
        "width, composed accents", (question, answer), (wide, unicodedata.normalize("NFD", answer)), bad=True
    )


def elsewhere(planter: Planter) -> Case:
    """Byte for byte, third in a row."""
    pair = planter.drawn().texts()
    return planter.take("the same in another leaf", pair, pair, bad=True)


def contradiction(planter: Planter) -> Case:
    one = planter.drawn()
    question, answer = one.texts()
    other = one.with_others(planter.rng).texts()[1]
    knowledge = planter.rng.random() < 0.5
    asked = planter.dressed(question) if knowledge else f" {question.replace(' ', '  ')}"
    of = "knowledge" if knowledge else "freeform"
    return planter.take("the same question, another answer", (question, answer), (asked, other), bad=True, of=of)


def another_answer(planter: Planter) -> Case:
    """Another question that has the same answer."""
    one = planter.drawn()
    question, answer = one.texts()
    other = planter.drawn().texts()[0]
    return planter.take("another question, the same answer", (question, answer), (other, answer), bad=False)


def another_sign(planter: Planter) -> Case:
    one, other = planter.rng.choice(SUMS)
    few, many = planter.rng.randint(2, 10**6), planter.rng.randint(2, 10**6)
    asked = f"Is {few} {{}} {many} right, and why?"
    first, second = (asked.format(one), "Yes."), (asked.format(other), "No.")
    return planter.take("another sign between two numbers", first, second, bad=False)


def case_of_it(planter: Planter) -> Case:
    """For a skill case and punctuation may be what is asked about."""
    text = planter.drawn((ENGLISH, *LETTERS)).texts()[0].rstrip("?")
    first = (f"Which words are written wrongly here: {text}", "None.")
    second = (f"Which words are written wrongly here: {text.lower()}", "The first one.")
    return planter.take("a skill, another case", first, second, bad=False)


def another_passage(planter: Planter) -> Case:
    passages = (planter.drawn().texts()[1], planter.drawn().texts()[1])
    pair = ("Say in a word what this is about.", "Property.")
    return planter.take("one instruction, two passages", pair, pair, bad=False, passages=passages)
