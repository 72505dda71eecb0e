"""Rejects samples that would show the model a question it is going to be measured with."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts.runs import Hashes, Words, quoted, words
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Item, Sample, with_context

UPPER = 1 if sys.byteorder == "little" else 0
SHORT = 4  # bytes of a hash in a sketch, which only says where to look; what is found there is compared whole
BLOCK = 4096  # sketches looked at together
MOST_OF_IT = 0.5  # of a question's runs, in an answer or a passage
SEVERAL = 2  # seed examples that share a phrase, which is then their leaf's
MARKS = 1 << 24  # bytes of a table that says which hashes no item has


class HeldOutOverlap(SetFilter):
    """Rejects a sample that asks, or has in its answer, what a held-out item asks; the item is the verdict's partner.

    The question must not equal an item's, nor may a paragraph, a line, a sentence or a quotation in it (an earlier
    turn of a conversation, say), and it must share no run of `words` words with a question of heldout.yaml. An answer
    must not hold an item's question either: as one of its sentences, or by half of the question's runs. Less of it may
    stand there, for an answer and a question about one passage have phrases in common. Case, punctuation and
    typography do not count; in scripts without spaces two characters count as a word. No item's answer is compared.

    Questions drawn from a simulation share their phrasing on purpose and are kept apart by their parameters, so an item
    of source "simulation" is compared by equality alone, with the question and what stands by itself in it. Questions
    shorter than `words` have no run: for them, too, only equality decides, and inside a longer text only from
    `sentence` words on.

    A leaf whose questions begin alike ("Read the scenario and answer the following question") loses its samples by this
    rule; with `phrasing`, words in a row that two of its seed examples share give nothing away.

    A question about a passage is compared with its passage: equal when both are, overlapping when the passages share a
    run of words. ("Rewrite this text." may be asked again, about another text.)

    What it cannot know: whether a question in other words asks the same. Score: the share of the item's runs of words
    that the sample has, 1 for an equal question; threshold 0, of an answer 0.5.
    """

    version: ClassVar[int] = 2

    words: Annotated[int, Field(ge=2)] = 8
    """Length of a shared run of words that gives a held-out question away."""
    sentence: Annotated[int, Field(ge=1)] = 4
    """Words from which on a short held-out question is recognised inside a longer text."""
    phrasing: bool = False
    """Let pass what several seed examples of the item's leaf ask in the same words."""
    answers: bool = True
    """Look for held-out questions in answers, too."""

    def idle(self, around: Surroundings, /) -> bool:
        return not around.held_out

    def sketch(self, sample: Sample) -> bytes:
        passage = passage_of(sample)
        found = self.hashes(words(sample.question))
        if self.answers:
            found += self.hashes(words(sample.answer))
        if passage is not None:
            found += (words(passage).runs(self.words), words(with_context(sample.question, passage)).whole())
        return shortened(np.concatenate(found)).tobytes()

    def hashes(self, text: Words) -> tuple[Hashes, ...]:
        return text.whole(), text.parts(text.segments(self.sentence)), text.runs(self.words)

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        if not around.held_out:
            return
        index = Index(around, self)
        sieve = Sieve(index.hashes)
        for begin in range(0, len(pool), BLOCK):
            sketches = [pool.sketch(place) for place in range(begin, min(begin + BLOCK, len(pool)))]
            for place in sieve.caught(sketches):
                if told := index.compare(pool.sample(begin + place)):
                    yield begin + place, told


def passage_of(sample: Sample) -> str | None:
    """The passage that is part of the question; what is behind a knowledge sample is not shown to the model."""
    return sample.context if sample.kind == "grounded" and sample.context else None


def shortened(hashes: Hashes) -> NDArray[np.uint32]:
    """The upper half of each, for a sketch."""
    return hashes.view(np.uint32)[UPPER::2]


class Sieve:
    """Finds the sketches that have one of the given hashes."""

    def __init__(self, hashes: Hashes) -> None:
        self.wanted = np.unique(shortened(hashes))
        self.marks = np.zeros(MARKS, np.bool_)
        self.marks[self.wanted % np.uint32(MARKS)] = True

    def caught(self, sketches: list[bytes]) -> list[int]:
        """Their numbers, in order."""
        found = np.frombuffer(b"".join(sketches), np.uint32)
        likely = np.flatnonzero(self.marks[found % np.uint32(MARKS)])
        met = likely[np.isin(found[likely], self.wanted)]
        ends = np.cumsum([len(sketch) // SHORT for sketch in sketches])
        return [int(place) for place in np.unique(np.searchsorted(ends, met, side="right"))]


class Index:
    """Held-out items by their whole text and by its runs of words."""

    def __init__(self, around: Surroundings, options: HeldOutOverlap) -> None:
        self.options, self.around = options, around
        self.phrasings: dict[str, frozenset[int]] = {}
        self.whole: dict[int, list[Item]] = {}  # by a question, and by a question with its passage
        self.asked: dict[int, list[Item]] = {}  # by the runs of a question
        self.given: dict[int, list[Item]] = {}  # by the runs of a passage
        for item in around.held_out:
            question, together = words(item.question), words(with_context(item.question, item.context))
            shelve(item, {*question.whole().tolist(), *together.whole().tolist()}, self.whole)
            if item.source != "simulation":
                shelve(item, self.runs(item, "question"), self.asked)
                shelve(item, self.runs(item, "passage"), self.given)

    @property
    def hashes(self) -> Hashes:
        return np.array([key for shelf in (self.whole, self.asked, self.given) for key in shelf], np.uint64)

    def compare(self, sample: Sample) -> Judgement | None:
        passage = passage_of(sample)
        free = passage is not None  # items about another passage do not count
        question, answer = words(sample.question), words(sample.answer if self.options.answers else "")
        if passage is not None:
            together = words(with_context(sample.question, passage))
            if same := next((item for key in together.whole().tolist() for item in self.whole.get(key, ())), None):
                return asked(same, "asks a held-out question about its passage", sample.question)
        if found := self.within(question, free=free, least=1):
            return asked(found[0], "asks a held-out question", found[1])
        if found := self.within(answer, free=free, least=self.options.sentence):
            return asked(found[0], "its answer asks a held-out question", found[1])
        given = words(passage or "")
        return (
            self.shared(given, self.given, "passage", "passage", free=False)
            or self.shared(question, self.asked, "question", "question", free=free)
            or self.shared(given, self.asked, "passage", "question", free=free, least=MOST_OF_IT)
            or self.shared(answer, self.asked, "answer", "question", free=free, least=MOST_OF_IT)
        )

    def within(self, text: Words, *, free: bool, least: int) -> tuple[Item, str] | None:
        """The first item whose question is the text, or one of its segments, and the words of it."""
        stretches = text.segments(self.options.sentence)
        if text.length >= least:
            stretches = [(0, len(text.words)), *stretches]
        for (begin, end), key in zip(stretches, text.parts(stretches).tolist(), strict=True):
            for item in self.whole.get(key, ()):
                if not (free and item.context):
                    return item, " ".join(text.words[begin:end])
        return None

    def shared(
        self, text: Words, shelves: dict[int, list[Item]], part: str, of: str, *, free: bool, least: float = 0.0
    ) -> Judgement | None:
        """Of the items that share runs with the text, the one with most of them, if they are that many."""
        runs = text.runs(self.options.words).tolist()
        keys: dict[str, set[int]] = {}
        items: dict[str, Item] = {}
        for key in runs:
            for item in shelves.get(key, ()):
                if not (free and item.context):
                    items[item.id] = item
                    keys.setdefault(item.id, set()).add(key)
        shares = {id: len(met) / len(self.runs(items[id], of)) for id, met in keys.items()}
        nearest = min(shares, key=lambda id: (-shares[id], id), default=None)
        if nearest is None or shares[nearest] < least:
            return None
        first = next(place for place, key in enumerate(runs) if key in keys[nearest])
        shown = quoted(" ".join(text.words[first : first + self.options.words]))
        reason = f"its {part} shares {self.options.words} words in a row with a held-out {of}: {shown}"
        return rejected("shared-words", reason, score=round(shares[nearest], 4), threshold=least, partner=nearest)

    def runs(self, item: Item, of: str) -> set[int]:
        """Those of an item's question or passage that give it away."""
        text = item.question if of == "question" else item.context
        runs = set(words(text or "").runs(self.options.words).tolist())
        return runs - self.phrasing(item.leaf) if self.options.phrasing else runs

    def phrasing(self, leaf: str) -> frozenset[int]:
        """The runs that several seed examples of a leaf have in their questions."""
        if leaf not in self.phrasings:
            facts = self.around.leaves.get(leaf)
            counts = Counter[int]()
            for seed in facts.seeds if facts else ():
                asked = [words(pair.question).runs(self.options.words).tolist() for pair in seed.pairs]
                counts.update(set(chain.from_iterable(asked)))
            self.phrasings[leaf] = frozenset(key for key, count in counts.items() if count >= SEVERAL)
        return self.phrasings[leaf]


def shelve(item: Item, keys: Iterable[int], shelves: dict[int, list[Item]]) -> None:
    for key in set(keys):
        shelves.setdefault(key, []).append(item)


def asked(item: Item, what: str, words: str) -> Judgement:
    return rejected("asked", f"{what}: {quoted(words)}", score=1.0, threshold=0.0, partner=item.id)
