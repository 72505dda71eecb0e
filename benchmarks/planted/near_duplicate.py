"""Planted copies with one word in eight edited, and look-alikes in which one fact is another.

An edit puts another word of the same language, names and numbers included, in the place of a word, leaves it out, puts
one in, or exchanges it with its neighbour. What is edited is drawn, so a name, a number or a negation may be hit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from benchmarks.planted import Case, Floors
from benchmarks.planted.retold import CHARACTERS, ENGLISH, LETTERS, NEGATED, TURNED, Language, Telling
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.97, precision=0.999)
SHARE = 0.12
TEXTS = 60  # of a language, from whose words edits are drawn
Pair = tuple[str, str]


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """Kinds take turns; half of them are copies."""
    planter = Planter(rng)
    kinds: Sequence[Callable[[Planter], Case]] = (
        *(copied, another_name, copied_short, another_number),
        *(copied_abroad, negated, copied_by_character, turned),
        *(copied, other_facts, copied_short, other_facts_by_character),
        *(copied_abroad, another_subject, copied_by_character, other_facts_abroad),
        *(copied, roles_exchanged, copied_elsewhere, another_passage, copied_passage, two_questions),
    )
    for _, kind in zip(range(count), cycle(kinds), strict=False):
        yield kind(planter)


class Planter:
    """Draws texts that were not drawn before, and edits them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.number = 0
        self.words = {
            spoken.name: [
                word for _ in range(TEXTS) for text in spoken.drawn(rng).texts() for word in cut(spoken, text)
            ]
            for spoken in (ENGLISH, *LETTERS, *CHARACTERS)
        }

    def take(self, kind: str, pairs: Sequence[Pair], *, bad: bool, passages: Sequence[str] = ()) -> Case:
        """A case of samples in the order of their ids, which is that in which the filter sees them."""
        self.number += 1
        ids = sorted(digest([self.number, at, self.rng.random()])[:32] for at in range(len(pairs)))
        samples = [
            Sample(
                id=id,
                kind="grounded" if passages else "freeform",
                question=question,
                answer=answer,
                context=passages[at] if passages else None,
                lineage=Lineage(leaf=f"leaf/{self.number}/{at}", leaf_blob="0" * 40, method="teacher", model="planted"),
            )
            for at, (id, (question, answer)) in enumerate(zip(ids, pairs, strict=True))
        ]
        return Case(kind, tuple(samples), bad)

    def edited(self, spoken: Language, pair: Pair) -> Pair:
        """The pair with that share of its words edited, wherever they stand; neither part is left empty."""
        while True:
            words = [*cut(spoken, pair[0]), "\n", *cut(spoken, pair[1])]
            for _ in range(round(SHARE * len(words))):
                self.edit(words, self.words[spoken.name])
            question, _, answer = ((" " if spoken.spaced else "").join(words)).partition("\n")
            if question.strip() and answer.strip():
                return question.strip(), answer.strip()

    def edit(self, words: list[str], known: Sequence[str]) -> None:
        at, way = self.rng.randrange(len(words)), self.rng.choice(("replace", "omit", "insert", "exchange"))
        if way == "insert":
            words.insert(at, self.rng.choice(known))
        elif words[at] == "\n" or (way == "exchange" and (at + 1 == len(words) or words[at + 1] == "\n")):
            self.edit(words, known)
        elif way == "exchange":
            words[at : at + 2] = words[at + 1], words[at]
        else:
            words[at : at + 1] = [self.rng.choice(known)] if way == "replace" else []


def cut(spoken: Language, text: str) -> list[str]:
    return text.split() if spoken.spaced else list(text)


def copies(kind: str, spoken: Sequence[Language], sentences: int) -> Callable[[Planter], Case]:
    def plant(planter: Planter) -> Case:
        chosen = planter.rng.choice(spoken)
        pair = chosen.drawn(planter.rng, sentences).texts()
        return planter.take(kind, (pair, planter.edited(chosen, pair)), bad=True)

    return plant


def changes(
    kind: str, spoken: Sequence[Language], change: Callable[[Telling, random.Random], Telling]
) -> Callable[[Planter], Case]:
    """Look-alikes; the question must ask something else, for one question has one answer."""

    def plant(planter: Planter) -> Case:
        while True:
            one = planter.rng.choice(spoken).drawn(planter.rng)
            other = change(one, planter.rng)
            if one.texts()[0] != other.texts()[0]:
                return planter.take(kind, (one.texts(), other.texts()), bad=False)

    return plant


def asked_slot(names: str) -> Callable[[Telling, random.Random], Telling]:
    """Another fact in one of the slots that the question names."""

    def change(one: Telling, rng: random.Random) -> Telling:
        asked = [name for name in names.split() if one.asks(name)]
        return one.with_other(rng, rng.choice(asked)) if asked else one

    return change


EVERY = (ENGLISH, *LETTERS, *CHARACTERS)
copied = copies("one word in eight edited", (ENGLISH,), 3)
copied_short = copies("one word in eight edited, short", (ENGLISH,), 1)
copied_abroad = copies("one word in eight edited: German, Spanish, French", LETTERS, 3)
copied_by_character = copies("one character in eight edited: Chinese, Japanese", CHARACTERS, 3)
copied_elsewhere = copies("one word in eight edited", (ENGLISH,), 4)
another_name = changes("another name", EVERY, asked_slot("place person"))
another_number = changes("another year", EVERY, asked_slot("year"))
another_subject = changes("another subject", EVERY, asked_slot("thing what other"))
other_facts = changes("other facts in the same sentences", (ENGLISH,), Telling.with_others)
other_facts_abroad = changes("other facts in the same sentences, abroad", LETTERS, Telling.with_others)
other_facts_by_character = changes("other facts in the same sentences, by character", CHARACTERS, Telling.with_others)
roles_exchanged = changes("two names exchanged", (ENGLISH,), lambda one, _: one.with_roles_exchanged())


def negated(planter: Planter) -> Case:
    return apart(planter, "the opposite, by a negation", NEGATED)


def turned(planter: Planter) -> Case:
    return apart(planter, "the opposite, by another word", TURNED)


def apart(planter: Planter, kind: str, how: str) -> Case:
    """The same said the other way round; the question asks for the reason of it, so that it differs, too."""
    while True:
        one = planter.rng.choice((ENGLISH, *LETTERS)).drawn(planter.rng)
        claims = [sentence for sentence in one.sentences if how in sentence]
        if claims:
            asked = Telling(
                one.language, WHETHER[one.language.name].format(claims[0]), one.sentences, one.facts, one.sides
            )
            return planter.take(kind, (asked.texts(), asked.turned(how).texts()), bad=False)


WHETHER = {
    "English": "What follows from this? {}",
    "German": "Was folgt daraus? {}",
    "Spanish": "¿Qué se deduce de esto? {}",
    "French": "Que peut-on en déduire ? {}",
}


def another_passage(planter: Planter) -> Case:
    """One instruction about two passages."""
    passages = [ENGLISH.drawn(planter.rng).texts()[1] for _ in range(2)]
    return planter.take(
        "one instruction, two passages", [(SHORTEN, first(text)) for text in passages], bad=False, passages=passages
    )


def copied_passage(planter: Planter) -> Case:
    pair = (SHORTEN, ENGLISH.drawn(planter.rng, 4).texts()[1])
    other = planter.edited(ENGLISH, pair)
    passages = (pair[1], other[1])
    answers = [(SHORTEN, first(text)) for text in (pair[1], pair[1])]
    return planter.take("one word in eight of a passage edited", answers, bad=True, passages=passages)


def two_questions(planter: Planter) -> Case:
    """One answer to two questions."""
    one = ENGLISH.drawn(planter.rng)
    question, answer = one.texts()
    return planter.take(
        "one answer, two questions", ((question, answer), (f"Tell me about {one.facts['place']}.", answer)), bad=False
    )


SHORTEN = "Shorten the text to its first statement."


def first(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."
