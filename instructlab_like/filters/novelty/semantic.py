"""Rejects what says, in other words, what an earlier sample says, as far as an encoder that the user names can tell."""

from __future__ import annotations

import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from instructlab_like.claims import names, numbers
from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, not_applied, rejected
from instructlab_like.filters.parts import encoders
from instructlab_like.filters.parts.sides import quoted
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample, digest, normalise

BLOCK, CHUNK = 128, 8192  # samples compared with so many kept ones at once
SLACK = 1e-4  # by which the quick cosine may be off; those above are computed anew
DIGITS = 6  # of a cosine; what two processors may compute differently stands behind them
NOUNS = 0.2  # share of different words with a capital from which on these are nouns, or titles, and no names
REMEMBERED = 1 << 14  # samples whose facts stay in memory
BY_METHOD = {method: not_applied(f"varied on purpose by {method}") for method in ("rules", "simulation")}
UNKNOWN = not_applied("the encoder knows none of its words")
Vectors = NDArray[np.float32]
Numbers = NDArray[np.int32]


class Semantic(SetFilter):
    """Rejects a sample whose vector has a cosine of at least `threshold` with that of a sample kept before it in id
    order. The encoder is a folder that the user names: a static encoder in model2vec's layout, or a sentence encoder.

    The threshold belongs to the encoder. With a static one, on questions and answers of 55 words of which some had
    their synonyms, sentences and frame changed, 0.98 found 4 % of these, 0.90 found 98.6 % at a precision of 0.98, and
    0.80 no more at a precision of 0.35: it took every question of the same frame for the same question. So try a
    threshold out (`ilk sift --what-if`) before it decides.

    Since encoders hardly tell numbers and names apart, two samples of which each states a number, or a name, that the
    other does not have are never the same (`facts`); in a text full of capitals, as German is, only numbers count. Nor
    do encoders tell "is" from "is not", and nothing here does.

    A question about a passage is the same only if question and passage both are; the lower cosine counts. The verdict
    names the closest sample, the earliest of equals.

    Not compared: samples that rules and simulations made, unless `model_free`, and those of which the encoder knows no
    word. Of a text longer than the encoder takes, its beginning is compared. Every pair is looked at, so time grows
    with the square: 40,000 samples in 256 dimensions take 10 s of one core, 200,000 four minutes.
    Vectors lie in a temporary file; of them little is in memory.
    """

    version: ClassVar[int] = 1

    encoder: str = ""
    """The encoder's folder; has to be named."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.90
    """The least cosine of two samples that say the same."""
    of: Literal["question", "answer", "both"] = "both"
    """What is compared; both: question and answer as one text."""
    within: Literal["set", "leaf"] = "set"
    """Compare with earlier samples of all leaves, or of its own leaf alone."""
    facts: bool = True
    """Never take two samples with different numbers or names for the same."""
    model_free: bool = False
    """Compare samples made by rules and simulations too."""

    def identity(self) -> str:
        told = self.model_dump(mode="json") | {"encoder": encoders.content(self.encoder)}
        return digest([self.name, self.version, told])

    def sketch(self, sample: Sample) -> bytes:
        """A `Sketch`; only how it was made, or that it is unknown, if it is not compared."""
        method = sample.lineage.method
        if method in BY_METHOD and not self.model_free:
            return method.encode()
        encoder, text = encoders.read(self.encoder), self.text(sample.question, sample.answer)
        passage = (sample.context or "") if sample.kind == "grounded" and self.of != "answer" else ""
        vectors = [encoder.encode(part) for part in ((text, passage) if passage else (text,))]
        if not all(vector.any() for vector in vectors):
            return b"unknown"
        facts = Facts.of(f"{text}\n{passage}") if self.facts else Facts()
        return Sketch(sample.lineage.leaf, facts, np.stack(vectors)).packed()

    def text(self, question: str, answer: str) -> str:
        return {"question": question, "answer": answer, "both": f"{question}\n{answer}"}[self.of]

    def judge(self, pool: Pool, _around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        groups: dict[tuple[str, int], array[int]] = defaultdict(lambda: array("L"))
        told: dict[int, tuple[int, float] | Judgement] = {}
        for place in range(len(pool)):
            if (sketch := Sketch.unpacked(pool.sketch(place))) is None:
                told[place] = BY_METHOD.get(pool.sketch(place).decode(), UNKNOWN)
            else:
                groups[sketch.leaf if self.within == "leaf" else "", len(sketch.vectors)].append(place)
        for places in groups.values():
            with Kept(pool, places, self.threshold) as kept:
                for start in range(0, len(places), BLOCK):
                    told.update(kept.take(places[start : start + BLOCK]))
        for place in sorted(told):
            found = told[place]
            yield place, found if isinstance(found, Judgement) else self.alike(pool.sample(found[0]), found[1])

    def alike(self, other: Sample, score: float) -> Judgement:
        reason = f"says the same as a kept sample: {quoted(self.text(other.question, other.answer))}"
        return rejected("same-meaning", reason, score=score, threshold=self.threshold, partner=other.id)


@dataclass(frozen=True)
class Facts:
    """What an encoder overlooks: the numbers and names that a text states, and all that it has of either."""

    stated: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> Facts:
        words, named = frozenset(normalise(text).split()), names(text)
        if len(named) > max(3, NOUNS * len(words)):
            named = frozenset()
        return cls(numbers(text) | named, words | numbers(text, ordinals=True))

    def differ(self, other: Facts) -> bool:
        """Whether each states what the other lacks; a text that merely says more does not differ."""
        return bool(self.stated - other.words and other.stated - self.words)


@dataclass(frozen=True)
class Sketch:
    """What is known of a sample: a vector of its text and, if it has one, of its passage."""

    leaf: str
    facts: Facts
    vectors: Vectors

    def packed(self) -> bytes:
        lines = (self.leaf, *(" ".join(sorted(words)) for words in (self.facts.stated, self.facts.words)))
        return b"\n".join((*(line.encode() for line in lines), b"%d" % len(self.vectors), self.vectors.tobytes()))

    @classmethod
    def unpacked(cls, data: bytes) -> Sketch | None:
        """None: there is no vector."""
        if b"\n" not in data:
            return None
        leaf, stated, words, count, vectors = data.split(b"\n", 4)
        facts = Facts(frozenset(stated.decode().split()), frozenset(words.decode().split()))
        return cls(leaf.decode(), facts, np.frombuffer(vectors, dtype=np.float32).reshape(int(count), -1))


class Kept:
    """The samples of a group that are kept so far, their vectors in a temporary file; open with `with`."""

    def __init__(self, pool: Pool, places: Sequence[int], threshold: float) -> None:
        self.pool, self.threshold = pool, threshold
        self.places = array("L")
        self.facts = lru_cache(maxsize=REMEMBERED)(lambda place: self.sketch(place).facts)
        self.shape = (len(places), *self.sketch(places[0]).vectors.shape)  # samples, vectors of each, dimensions

    def __enter__(self) -> Kept:
        self.file = tempfile.TemporaryFile(dir=self.pool.scratch)
        self.vectors: Vectors = np.memmap(self.file, dtype=np.float32, mode="w+", shape=self.shape)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self.vectors
        self.file.close()

    def sketch(self, place: int) -> Sketch:
        found = Sketch.unpacked(self.pool.sketch(place))
        assert found is not None
        return found

    def take(self, places: Sequence[int]) -> Iterator[tuple[int, tuple[int, float]]]:
        """Keep those that are new; of each other its place, that of the closest kept one, and their cosine."""
        block = np.stack([self.sketch(place).vectors for place in places])
        before = len(self.places)
        chunks = range(0, before, CHUNK)
        likely = split(len(places), [self.near(block, self.vectors[at : min(at + CHUNK, before)], at) for at in chunks])
        inside = split(len(places), [self.near(block, block, 0)])
        numbers: Numbers = np.full(len(places), -1, dtype=np.int32)  # of those of the block that are kept
        for at, place in enumerate(places):
            kept = numbers[inside[at][inside[at] < at]]
            if (found := self.closest(place, block[at], np.concatenate((likely[at], kept[kept >= 0])))) is not None:
                yield place, found
            else:
                numbers[at] = len(self.places)
                self.vectors[len(self.places)] = block[at]
                self.places.append(place)

    def near(self, block: Vectors, others: Vectors, first: int) -> Numbers:
        """The pairs whose cosines, reckoned quickly, may reach the threshold; the others are numbered from `first`."""
        least = np.minimum.reduce([block[:, part] @ others[:, part].T for part in range(self.shape[1])])
        pairs = np.argwhere(least >= self.threshold - SLACK).astype(np.int32)
        pairs[:, 1] += first
        return pairs

    def closest(self, place: int, vectors: Vectors, candidates: Numbers) -> tuple[int, float] | None:
        """The place of the closest kept one that says the same, and the cosine."""
        pieces = [candidates[start : start + CHUNK] for start in range(0, len(candidates), CHUNK)]
        exact = [(self.vectors[piece].astype(np.float64) * vectors).sum(axis=2).min(axis=1) for piece in pieces]
        cosines = np.minimum(1.0, np.round(np.concatenate([*exact, []]), DIGITS))
        for number in np.lexsort((candidates, -cosines)).tolist():
            if cosines[number] < self.threshold:
                break
            other = self.places[candidates[number]]
            if not self.facts(place).differ(self.facts(other)):
                return other, float(cosines[number])
        return None


def split(count: int, pairs: Sequence[Numbers]) -> list[Numbers]:
    """The second members of pairs by the first ones, which are below `count`."""
    both = np.concatenate([*pairs, np.empty((0, 2), dtype=np.int32)])
    both = both[np.argsort(both[:, 0], kind="stable")]
    return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, count)))
