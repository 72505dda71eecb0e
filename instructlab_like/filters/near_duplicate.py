"""Rejects a teacher's near copies of its own samples, without touching questions that are merely alike."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import eq
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar

from pydantic import Field
from rapidfuzz.distance import Indel
from rensa import RMinHash

from instructlab_like.claims import content_words, names, numbers
from instructlab_like.digests import Sorter
from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.records import Sample, Verdict, normalise

BANDS, ROWS, SHINGLE = 32, 4, 3  # 128 permutations over runs of three words
SIGNATURE = BANDS * ROWS * array("I").itemsize  # bytes
BAND, MASK = 8, (1 << 64) - 1
WORDS = 100_000  # of texts in memory
NEGATIONS_TEXT = "not no never none neither nor without t cannot nicht kein keine nie pas jamais sans não nunca mai"
NEGATIONS = frozenset(NEGATIONS_TEXT.split())  # "t" is what normalising leaves of "isn't"
Share = Annotated[float, Field(ge=0, le=1)]


class NearDuplicate(SetFilter):
    """Rejects a sample that is a kept sample of its leaf with a few words changed; the first in id order stays.

    Candidates come from MinHash signatures over runs of three words, 32 bands of 4 rows, of which at least `signature`
    of the slots agree: settings that find pairs with one word in eight edited, to which the usual 16 bands of 8 are
    blind. A candidate is a copy when

    - `similarity` of its words agree in order (2 x longest common subsequence / words of both), and at least
      `part_similarity` of the question's, of the answer's and of the passage's each: one answer to two different
      questions is not a copy;
    - it says "not" as often; and
    - it does not speak of something else. It does when each of the two has a mark that the other lacks altogether:
      a number, a capitalised name, or a content word that stands in its question and its answer alike.

    Not compared at all: samples below `min_words`, where one word makes another question and exact duplicates are
    found anyway; and what rules and simulations made, since they phrase one question in several ways, or ask the same
    with other numbers, on purpose (`model_free` compares them too).

    Score and threshold: the share of words that agree.
    """

    version: ClassVar[int] = 1

    similarity: Share = 0.75
    """Share of words that agree in a copy."""
    part_similarity: Share = 0.5
    """The same, least, for question, answer and passage each."""
    signature: Share = 0.45
    """Share of signature slots that must agree for a pair to be looked at."""
    min_words: Annotated[int, Field(ge=1)] = 20
    """Samples with fewer words in question, answer and passage together are not compared."""
    model_free: bool = False
    """Compare samples made by rules and simulations too."""

    def judge(self, samples: Sequence[Sample], around: Surroundings, /) -> Iterator[Verdict]:
        for place, sample in enumerate(samples):
            if self.varied(sample):
                yield self.alone(sample)
            else:
                yield from self.compared(samples, place, around.scratch)
                return

    def compared(self, samples: Sequence[Sample], begin: int, scratch: Path | None) -> Iterator[Verdict]:
        """The verdicts from place `begin` on: all samples are sketched first, for bands that one sample alone has need
        not be remembered when they are compared.
        """
        places = range(begin, len(samples))
        with Sketches(scratch) as sketches:
            for place in places:
                sample = samples[place]
                words = [] if self.varied(sample) else Text.of(sample).sequence
                sketches.add(sample.lineage.leaf, words if len(words) >= self.min_words else [])
            shelves, texts = sketches.shelved(), Texts(samples, begin)
            for number, place in enumerate(places):
                sample = samples[place]
                yield self.place(sample, number, shelves, texts) if number in sketches else self.alone(sample)

    def varied(self, sample: Sample) -> bool:
        return sample.lineage.method != "teacher" and not self.model_free

    def alone(self, sample: Sample) -> Verdict:
        if self.varied(sample):
            return self.keep(sample, f"varied on purpose by {sample.lineage.method}")
        return self.keep(sample, f"shorter than {self.min_words} words")

    def place(self, sample: Sample, number: int, shelves: Shelves, texts: Texts) -> Verdict:
        """The sample's verdict; when it is kept it goes on the shelves for those that follow."""
        alike: list[tuple[float, Text]] = []
        if likely := shelves.alike(number, self.signature):
            mine = Text.of(sample)
            alike = [
                (score, other) for other in map(texts.get, likely) if (score := self.copied(mine, other)) is not None
            ]
        if alike:
            score, nearest = min(alike, key=lambda pair: (-pair[0], pair[1].id))
            reason = "a few words away from another sample of its leaf"
            return self.reject(sample, reason, score=score, threshold=self.similarity, partner=nearest.id)
        shelves.put(number)
        return self.keep(sample, "no near copy in its leaf")

    def compare(self, one: Text, other: Text) -> float | None:
        """The share of words that agree if `one` is a copy of `other`, else None."""
        return self.copied(one, other) if agree(one.signature, other.signature, self.signature) else None

    def copied(self, one: Text, other: Text) -> float | None:
        """The same where the signatures are known to agree; what takes longest to find out is asked last."""
        if one.leaf != other.leaf or one.negations != other.negations:
            return None
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            if Indel.normalized_similarity(mine, theirs) < self.part_similarity:
                return None
        score = Indel.normalized_similarity(one.sequence, other.sequence)
        if score < self.similarity or (one.marks - other.words and other.marks - one.words):
            return None
        return score


def agree(one: Sequence[int], other: Sequence[int], share: float) -> bool:
    """Whether so much of two signatures is the same."""
    same: int = sum(map(eq, one, other))
    return same >= share * len(one)


def sketch(words: Sequence[str]) -> list[int]:
    """The MinHash signature of the runs of words."""
    made = RMinHash(num_perm=BANDS * ROWS, seed=1)
    made.update([" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))])
    signature: list[int] = made.digest()
    return signature


@dataclass(frozen=True)
class Text:
    """A sample as it is compared: its words by part, and what marks its subject, found out when it is asked for."""

    id: str
    leaf: str
    question: str
    answer: str
    passage: str
    parts: tuple[list[str], ...]

    @classmethod
    def of(cls, sample: Sample) -> Text:
        passage = (sample.context or "") if sample.kind == "grounded" else ""
        parts = tuple(normalise(text).split() for text in (sample.question, sample.answer, passage))
        return cls(sample.id, sample.lineage.leaf, sample.question, sample.answer, passage, parts)

    @cached_property
    def sequence(self) -> list[str]:
        """The parts in one."""
        return [word for part in self.parts for word in part]

    @property
    def whole(self) -> str:
        return "\n".join((self.question, self.answer, self.passage))

    @cached_property
    def words(self) -> frozenset[str]:
        """With numbers in their one spelling."""
        return frozenset(self.sequence) | numbers(self.whole, ordinals=True)

    @cached_property
    def marks(self) -> frozenset[str]:
        subject = frozenset(content_words(self.question)) & frozenset(content_words(self.answer))
        return numbers(self.whole) | names(self.whole) | subject

    @cached_property
    def negations(self) -> int:
        return sum(word in NEGATIONS for word in self.sequence)

    @cached_property
    def signature(self) -> list[int]:
        return sketch(self.sequence)

    def bands(self) -> Iterator[tuple[object, ...]]:
        """The keys under which its copies are found."""
        for band in range(BANDS):
            yield self.leaf, band, *self.signature[band * ROWS : (band + 1) * ROWS]


class Texts:
    """Texts of samples by number, counted from place `begin`; those that were asked for last stay in memory."""

    def __init__(self, samples: Sequence[Sample], begin: int) -> None:
        self.samples, self.begin = samples, begin
        self.held: OrderedDict[int, Text] = OrderedDict()
        self.words = 0

    def get(self, number: int) -> Text:
        if (known := self.held.get(number)) is not None:
            self.held.move_to_end(number)
            return known
        found = self.held[number] = Text.of(self.samples[self.begin + number])
        self.words += len(found.sequence)
        while self.words > WORDS:
            self.words -= len(self.held.popitem(last=False)[1].sequence)
        return found


class Sketches:
    """The MinHash signatures of samples in a file, and their bands in order; open with `with`."""

    def __init__(self, scratch: Path | None) -> None:
        self.scratch = scratch
        self.bands = Sorter(BAND, scratch)
        self.leaves: dict[str, int] = {}
        self.slots = array("I")  # by number: one more than the signature's place in the file; 0: it has none
        self.count = 0

    def __enter__(self) -> Sketches:
        self.file = tempfile.TemporaryFile(dir=self.scratch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        self.bands.__exit__(kind, error, trace)

    def __contains__(self, number: int) -> bool:
        return self.slots[number] > 0

    def add(self, leaf: str, words: Sequence[str]) -> None:
        """Sketch the next sample; one without words is left out."""
        number = len(self.slots)
        self.slots.append(0)
        if not words:
            return
        signature = sketch(words)
        self.count += 1
        self.slots[number] = self.count
        self.file.write(array("I", signature).tobytes())
        of = self.leaves.setdefault(leaf, len(self.leaves))
        for band in range(BANDS):
            key = hash((of, band, *signature[band * ROWS : (band + 1) * ROWS]))  # of numbers: the same in every process
            self.bands.add((key & MASK).to_bytes(BAND, "big"), number)

    def signature(self, number: int) -> array[int]:
        found = array("I")
        found.frombytes(os.pread(self.file.fileno(), SIGNATURE, (self.slots[number] - 1) * SIGNATURE))
        return found

    def shelved(self) -> Shelves:
        """A shelf for each band that several samples have."""
        self.file.flush()
        begins = array("I", [0])
        spread = MASK // max(1, len(self.slots))  # keeps the order of numbers, and uses all of a key's first byte
        with Sorter(BAND, self.scratch) as pairs:
            for shelf, together in enumerate(self.bands.shared()):
                begins.append(begins[-1] + len(together))
                for number in together:
                    pairs.add((number * spread).to_bytes(BAND, "big"), shelf)
            return Shelves(self, begins, pairs, spread)


class Shelves:
    """Kept samples by the bands that they share with others."""

    def __init__(self, sketches: Sketches, begins: array[int], pairs: Sorter, spread: int) -> None:
        self.sketches = sketches
        self.begins = begins  # of each shelf in `members`
        self.members = array("I", bytes(4 * begins[-1]))
        self.filled = array("I", bytes(4 * (len(begins) - 1)))
        self.shelves = array("I")  # of one sample after the other
        self.of = array("I", [0])  # where those of each sample begin
        for key, shelf in pairs:
            number = int.from_bytes(key, "big") // spread
            while len(self.of) <= number:
                self.of.append(len(self.shelves))
            self.shelves.append(shelf)
        while len(self.of) <= len(sketches.slots):
            self.of.append(len(self.shelves))

    def on(self, number: int) -> array[int]:
        return self.shelves[self.of[number] : self.of[number + 1]]

    def alike(self, number: int, share: float) -> list[int]:
        """The samples on this one's shelves with whose signature so much of its own agrees."""
        candidates: set[int] = set()
        for shelf in self.on(number):
            begin = self.begins[shelf]
            candidates.update(self.members[begin : begin + self.filled[shelf]])
        if not candidates:
            return []
        mine = self.sketches.signature(number)
        return [other for other in sorted(candidates) if agree(mine, self.sketches.signature(other), share)]

    def put(self, number: int) -> None:
        for shelf in self.on(number):
            self.members[self.begins[shelf] + self.filled[shelf]] = number
            self.filled[shelf] += 1
