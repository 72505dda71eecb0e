"""Rejects samples that copy their source or a seed example rather than say something of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from rapidfuzz.distance import Indel

from instructlab_like.claims import content_words, names, numbers
from instructlab_like.filters import LeafFacts, LeafFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.runs import Words, cut, quoted, words
from instructlab_like.records import Sample, Seed

MORE = 1.5  # times as many words in pieces as in a row
PIECE = 10  # words in a row that count as copied where the pieces of an answer are added up
SHORTEST = 12  # words of question and answer, from which on a near copy of a seed is told from another question
TELLING = 12  # words of answers that are the same answer when most of them agree; shorter ones many questions have
NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "neither",
        "nor",
        "without",
        "t",
        "cannot",
        "nicht",
        "kein",
        "keine",
        "nie",
        "pas",
        "jamais",
        "sans",
    ]
)
KEPT = 1024  # leaves whose seeds are held ready
EXEMPT = not_applied("made by rules or a simulation, from the source on purpose")
OWN = kept("copies neither its source nor a seed example")


class SourceOverlap(LeafFilter):
    """Rejects a sample that is too close to its source: to the passage it was made from, or to a seed example.

    - `seed-copy`: question and answer are those of a seed pair, but for case, punctuation and spacing, or for a few
      words: at least `seed_similarity` of the words of each agree in order, and they do not speak of something else.
      They do when each has a number, a name or, if the answers are short, a content word that the other lacks
      altogether, or one says "not" more often.
    - `copied-source`: question or answer of a knowledge sample has `words` words in a row of the passage or of a seed's
      context; or half as many again, in pieces of ten and more that make up `share` of it. A model trained on it would
      learn the source by heart. A sentence or two quoted as an answer is right, and passes.
    - `copied-seed`: the same of a seed's answer, for any sample, unless the passage of a grounded sample has it, too.

    Samples made by rules and simulations are not judged. What it cannot know: whether the source says something
    private, and what is copied from where nobody has named it. Score: words in a row, or words in pieces; of a copied
    seed the share of words that agree.
    """

    version: ClassVar[int] = 1

    words: Annotated[int, Field(ge=PIECE)] = 50
    """Words in a row that are too many; in scripts without spaces two characters are a word."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Of a text's words that must be copied in pieces of ten and more, if no run is long enough."""
    seed_similarity: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Of the words of question and answer each that agree in a near copy of a seed pair."""

    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        if sample.lineage.method in ("rules", "simulation"):
            return EXEMPT
        shelf = shelved(leaf.seeds)
        question, answer = words(sample.question), words(sample.answer)
        for pair in shelf.pairs:
            if told := self.seed_copy(sample, question, answer, pair):
                return told
        for part, text in (("question", question), ("answer", answer)):
            if text.length >= self.words and (told := self.copied(sample, text, part, shelf)):
                return told
        return OWN

    def seed_copy(self, sample: Sample, question: Words, answer: Words, pair: SeedPair) -> Judgement | None:
        if question.words == pair.question.words and answer.words == pair.answer.words:
            return self.is_seed(pair, 1.0)
        if len(question.words) + len(answer.words) < SHORTEST:
            return None
        alike = min(self.alike(question, pair.question), self.alike(answer, pair.answer))
        if alike < self.seed_similarity:
            return None
        short = min(answer.length, pair.answer.length) < TELLING
        if other_subject(f"{sample.question}\n{sample.answer}", pair.text, by_words=short):
            return None
        return self.is_seed(pair, round(alike, 4))

    def alike(self, one: Words, other: Words) -> float:
        """The share of words that agree in order; 0 if it is below what is asked for."""
        least = self.seed_similarity * (len(one.words) + len(other.words)) / 2
        if min(len(one.words) - len(set(one.words).difference(other.words)), len(other.words)) < least:
            return 0.0
        return Indel.normalized_similarity(one.words, other.words, score_cutoff=self.seed_similarity)

    def is_seed(self, pair: SeedPair, score: float) -> Judgement:
        reason = f"is the pair of {pair.name}{'' if score == 1 else ', a few words changed'}"
        return rejected("seed-copy", reason, score=score, threshold=self.seed_similarity, partner=pair.name)

    def copied(self, sample: Sample, text: Words, part: str, shelf: Shelf) -> Judgement | None:
        given = words(sample.context or "")
        sources: list[tuple[str, str, Words]] = []
        if sample.kind == "knowledge":
            sources.append(("copied-source", "the passage", given))
        if not shelf.runs.isdisjoint(text.runs(PIECE).tolist()):
            if sample.kind == "knowledge":
                sources += [("copied-source", name, context) for name, context in shelf.contexts]
            sources += [("copied-seed", pair.name, pair.answer) for pair in shelf.pairs]
        for rule, name, source in sources:
            found = copy_of(text, source)
            in_a_row = found.longest >= self.words
            if not in_a_row and found.pieces < max(MORE * self.words, self.share * text.length):
                continue
            if sample.kind == "grounded" and copy_of(text, given).longest >= found.longest:
                continue  # what the sample's own passage has is not copied from the seed
            count = found.longest if in_a_row else found.pieces
            reason = f"its {part} has {count} words {'in a row ' if in_a_row else ''}of {name}: {found.shown}"
            return rejected(rule, reason, score=count, threshold=self.words, partner=name)
        return None


@dataclass(frozen=True)
class SeedPair:
    """One pair of a seed example, as it is compared."""

    name: str
    question: Words
    answer: Words
    text: str


@dataclass(frozen=True)
class Shelf:
    """A leaf's seed examples, ready to be compared."""

    pairs: tuple[SeedPair, ...]
    contexts: tuple[tuple[str, Words], ...]
    runs: frozenset[int]  # of ten words, of all contexts and answers


known_seeds: dict[int, tuple[tuple[Seed, ...], Shelf]] = {}  # by identity: to hash seeds would take longer


def shelved(seeds: tuple[Seed, ...]) -> Shelf:
    found = known_seeds.get(id(seeds))
    if found is None or found[0] is not seeds:
        if len(known_seeds) >= KEPT:
            known_seeds.clear()
        pairs = tuple(seed_pairs(seeds))
        contexts = tuple((f"seed {seed.number}, context", cut(seed.context)) for seed in seeds if seed.context)
        texts = [*(context for _, context in contexts), *(pair.answer for pair in pairs)]
        shelf = Shelf(pairs, contexts, frozenset(key for text in texts for key in text.runs(PIECE).tolist()))
        found = known_seeds[id(seeds)] = seeds, shelf
    return found[1]


def seed_pairs(seeds: tuple[Seed, ...]) -> Iterator[SeedPair]:
    for seed in seeds:
        for number, pair in enumerate(seed.pairs, start=1):
            name = f"seed {seed.number}" + (f", question {number}" if len(seed.pairs) > 1 else "")
            yield SeedPair(name, cut(pair.question), cut(pair.answer), f"{pair.question}\n{pair.answer}")


def other_subject(one: str, other: str, *, by_words: bool) -> bool:
    """Whether each of two texts has a number, a name or, `by_words`, a content word that the other lacks altogether."""
    mine, theirs = marks(one, by_words), marks(other, by_words)
    return bool(mine - all_of(other) and theirs - all_of(one)) or negations(one) != negations(other)


@lru_cache(maxsize=512)
def marks(text: str, by_words: bool) -> frozenset[str]:
    return numbers(text) | names(text) | frozenset(content_words(text) if by_words else ())


@lru_cache(maxsize=512)
def all_of(text: str) -> frozenset[str]:
    return frozenset(cut(text).words) | numbers(text, ordinals=True) | frozenset(content_words(text))


def negations(text: str) -> int:
    return sum(word in NEGATIONS for word in words(text).words)


@dataclass(frozen=True)
class Copy:
    """How much of a text stands in another, in words."""

    longest: int = 0  # in a row
    pieces: int = 0  # in runs of ten and more
    shown: str = ""


def copy_of(text: Words, source: Words) -> Copy:
    if min(text.length, source.length) < PIECE:
        return Copy()
    met = np.isin(text.runs(PIECE), source.runs(PIECE))
    if not met.any():
        return Copy()
    begins, ends = text.stretches(PIECE)
    places = np.flatnonzero(met)
    longest, pieces, before = (0, 0, 0), 0, 0
    for together in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
        begin, end = int(begins[together[0]]), int(ends[together[-1]])
        pieces += text.measure(max(begin, before), end)
        longest = max(longest, (text.measure(begin, end), begin, end))
        before = end
    length, begin, end = longest
    return Copy(length, pieces, quoted(" ".join(text.words[begin:end])))
