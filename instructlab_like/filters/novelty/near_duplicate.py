"""Rejects near copies of other samples, without touching questions that are merely alike."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from struct import Struct
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, not_applied, rejected
from instructlab_like.filters.parts.changes import Text, Told, compared, likeness
from instructlab_like.filters.parts.compared import Compared
from instructlab_like.filters.parts.shelves import HASHES, SLOTS, Places, Shelves, marked, signature
from instructlab_like.filters.parts.tokens import Spoken, spoken
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

HEAD = Struct("<I4s")  # of a sketch: the number of words and what stands for the leaf; then marks and signature
SKETCH = HEAD.size + HASHES.size + SLOTS
REST = bytes(SKETCH - HEAD.size)
ANY = bytes(4)
VARIED = 0xFFFFFFFF  # in place of the number of words
MOST = 8  # samples with which one is compared in full, the most alike first
WORDS = 200_000  # of texts in memory
PURPOSE = not_applied("varied on purpose: made by rules or a simulation")
FILE = "compared"
QUOTED = 60  # characters of a question in a reason
NONE = float("nan")
Share = Annotated[float, Field(ge=0, le=1)]


class NearDuplicate(SetFilter):
    """Rejects a sample that is a kept sample with a few words changed, left out, put in or moved; the first in id order
    stays.

    Candidates come from MinHash signatures over runs of two words, longer words, numbers and names (32 bands of 4
    rows), of which at least `signature` of the slots agree: settings that find pairs with one word in eight edited, to
    which the usual 16 bands of 8 are blind. A candidate is a copy when

    - `similarity` of its words agree in order (2 x longest common subsequence / words of both), and at least
      `part_similarity` of the question's, of the answer's and of the passage's each: one answer to two different
      questions is not a copy;
    - it does not speak of something else. It does when a number, a name, a word of which question and answer both
      speak, a negation or an opposite ("rises", "falls") stands in the place of another, and nearly all else is the
      same. Where many more words are edited, in ways that mean nothing, such a one counts as one of the edits.

    Words are those between spaces; in Chinese, Japanese, Thai and the like they are single characters.

    Not compared at all: samples below `min_words`, where one word makes another question and exact duplicates are
    found anyway; and what rules and simulations made, since they phrase one question in several ways, or ask the same
    with other numbers, on purpose (`model_free` compares them too).

    It cannot know what words mean: paraphrases pass, and a single word put in another's place passes for an edit where
    no list of opposites knows the two and the question stays the same. Where fifty kept samples and more share a band,
    that band is no sign of a copy any more, so a few copies among thousands in one mould may be missed.

    Score and threshold: the share of words that agree.
    """

    version: ClassVar[int] = 2

    similarity: Share = 0.75
    """Share of words that agree in a copy."""
    part_similarity: Share = 0.5
    """The same, least, for question, answer and passage each."""
    signature: Share = 0.45
    """Share of signature slots that must agree for a pair to be looked at."""
    min_words: Annotated[int, Field(ge=1)] = 12
    """Samples with fewer words in question, answer and passage together are not compared; two characters of a script
    without spaces count for a word."""
    within: Literal["set", "leaf"] = "set"
    """Compare all samples with one another, or those of each leaf."""
    model_free: bool = False
    """Compare samples made by rules and simulations too."""

    def sketch(self, sample: Sample) -> bytes:
        if sample.lineage.method in ("rules", "simulation") and not self.model_free:
            return HEAD.pack(VARIED, ANY) + REST
        read = read_quickly(sample)
        if read.length < self.min_words:
            return HEAD.pack(read.length, ANY) + REST
        leaf = ANY if self.within == "set" else hashlib.sha256(sample.lineage.leaf.encode()).digest()[: len(ANY)]
        return HEAD.pack(read.length, leaf) + marked(read.marks) + signature(read.features())

    def judge(self, pool: Pool, _around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        sketches = np.frombuffer(pool.sketches(), dtype=np.uint8).reshape(-1, SKETCH)
        lengths = column(sketches, 0, 4).view("<u4")[:, 0]
        compared = np.flatnonzero((lengths >= self.min_words) & (lengths < VARIED))
        few = not_applied(f"shorter than {self.min_words} words")
        place = 0
        for copy, told in self.copies(pool, sketches[compared], compared):
            yield from left_out(lengths, place, copy, self.min_words, few)
            yield copy, told
            place = copy + 1
        yield from left_out(lengths, place, len(lengths), self.min_words, few)

    def copies(
        self, pool: Pool, sketches: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, Judgement]]:
        """Those that are copies of a kept one, in order; `sketches` are of the samples at the `places`."""
        begin, end = HEAD.size, HEAD.size + HASHES.size
        marks, groups = column(sketches, begin, end).view("<u2"), column(sketches, 4, begin).view("<u4")[:, 0]
        shelves = Shelves(sketches[:, end:], marks, groups)
        path = pool.memory / FILE if pool.memory is not None else None
        keys = b"".join(map(pool.key, places.tolist())) if path else b""
        pairs = Pairs(self, shelves, Texts(pool, places), Compared(path, self.identity(), keys))
        for block in shelves.blocks():
            kept = np.ones(len(block), dtype=np.bool_)
            for one, other, score in self.decide(block, kept, shelves, pairs):
                partner = pool.sample(int(places[other]))
                reason = f"a few words away from another sample: {shown(partner.question)}"
                told = rejected("near-copy", reason, score=score, threshold=self.similarity, partner=partner.id)
                yield int(places[one]), told
            shelves.put(block, kept)
        pairs.memory.save()

    def decide(
        self, block: range, kept: npt.NDArray[np.bool_], shelves: Shelves, pairs: Pairs
    ) -> Iterator[tuple[int, int, float]]:
        """The copies of the block, each with the kept one that it is a copy of and their score; `kept` loses them."""
        later, earlier = shelves.alike(block, self.signature)
        before, seen = -1, 0
        for one, other, known in zip(later.tolist(), earlier.tolist(), pairs.known(later, earlier), strict=True):
            if one != before:
                before, seen = one, 0
            if seen == MOST or not kept[one - block.start] or not (other < block.start or kept[other - block.start]):
                continue
            seen += 1
            score = pairs.score(one, other, known)
            if score > 0 or (score < 0 and not pairs.is_another(one, other, score)):
                kept[one - block.start] = False
                yield one, other, abs(score)

    def compare(self, one: Text, other: Text) -> float | None:
        """The share of words that agree if one is a copy of the other, else None."""
        score = self.scored(one, other)
        return abs(score) if score == score else None

    def scored(self, one: Text, other: Text) -> float:
        """The same: below zero if something speaks against it, and no number if it is no copy."""
        if self.within == "leaf" and one.leaf != other.leaf:
            return NONE
        score = likeness(one, other, self.part_similarity)
        told = compared(*in_order(one, other)) if score >= self.similarity else Told.ANOTHER
        return {Told.COPY: score, Told.DOUBT: -score, Told.ANOTHER: NONE}[told]


def in_order(one: Text, other: Text) -> tuple[Text, Text]:
    """So that it does not matter which of them is called the one."""
    swapped = [part.tokens for part in other.parts] < [part.tokens for part in one.parts]
    return (other, one) if swapped else (one, other)


def read_quickly(sample: Sample) -> Spoken:
    if sample.kind == "grounded" and sample.context:
        return spoken(f"{sample.question}\n{sample.answer}\n{sample.context}")
    return spoken(f"{sample.question}\n{sample.answer}")


def shown(question: str) -> str:
    plain = " ".join(question.split())
    return f'"{plain}"' if len(plain) <= QUOTED else f'"{plain[:QUOTED].rstrip()}…"'


def column(sketches: npt.NDArray[np.uint8], begin: int, end: int) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(sketches[:, begin:end])


def left_out(
    lengths: npt.NDArray[np.uint32], begin: int, end: int, fewest: int, few: Judgement
) -> Iterator[tuple[int, Judgement]]:
    """Those from `begin` to before `end` that are not compared, with the reason."""
    some = lengths[begin:end]
    for place in np.flatnonzero((some < fewest) | (some == VARIED)).tolist():
        yield begin + place, PURPOSE if some[place] == VARIED else few


class Pairs:
    """What pairs of samples are to each other, looked up or found out."""

    def __init__(self, by: NearDuplicate, shelves: Shelves, texts: Texts, memory: Compared) -> None:
        self.by, self.shelves, self.texts, self.memory = by, shelves, texts, memory

    def known(self, later: Places, earlier: Places) -> list[float | None]:
        there, scores = self.memory.look_up(later, earlier)
        pairs = zip(there.tolist(), scores.tolist(), strict=True)
        return [score if is_known else None for is_known, score in pairs]

    def score(self, one: int, other: int, known: float | None) -> float:
        score = self.by.scored(self.texts.get(one), self.texts.get(other)) if known is None else known
        self.memory.tell(one, other, score)
        return score

    def looked_up(self, one: int, other: int) -> float:
        return self.score(one, other, self.memory.score(one, other))

    def is_another(self, one: int, other: int, score: float) -> bool:
        """Whether one that seems a copy of the other, with a doubt, is none of what is nearer to it: of another copy.

        So it is where the other was edited, and something stands nearer to both that speaks of something else.
        """
        for nearer in self.shelves.nearer(one, other)[:MOST]:
            mine = self.looked_up(one, nearer)
            if mine == mine:
                return False
            between = self.looked_up(nearer, other)
            if abs(between) > abs(score):
                return True
        return False


class Texts:
    """Texts of samples by number; those that were asked for last stay in memory."""

    def __init__(self, pool: Pool, places: npt.NDArray[np.int64]) -> None:
        self.pool, self.places = pool, places
        self.held: OrderedDict[int, Text] = OrderedDict()
        self.words = 0

    def get(self, number: int) -> Text:
        if (known := self.held.get(number)) is not None:
            self.held.move_to_end(number)
            return known
        found = self.held[number] = Text.of(self.pool.sample(int(self.places[number])))
        self.words += found.length
        while self.words > WORDS:
            self.words -= self.held.popitem(last=False)[1].length
        return found
