"""Rejects a teacher's near copies of its own samples, without touching questions that are merely alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from rapidfuzz.distance import Indel
from rensa import RMinHash

from instructlab_like.claims import content_words, names, numbers
from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.records import Sample, Verdict, normalise

BANDS, ROWS, SHINGLE = 32, 4, 3  # 128 permutations over runs of three words
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

    def judge(self, samples: Sequence[Sample], _around: Surroundings, /) -> list[Verdict]:
        shelves: dict[tuple[object, ...], list[Text]] = defaultdict(list)
        return [self.place(sample, shelves) for sample in samples]

    def place(self, sample: Sample, shelves: dict[tuple[object, ...], list[Text]]) -> Verdict:
        """The sample's verdict; when it is kept and comparable it goes on the shelves for those that follow."""
        if sample.lineage.method != "teacher" and not self.model_free:
            return self.keep(sample, f"varied on purpose by {sample.lineage.method}")
        text = Text.of(sample)
        if len(text.sequence) < self.min_words:
            return self.keep(sample, f"shorter than {self.min_words} words")
        keys = list(text.bands())
        candidates = {other.id: other for key in keys for other in shelves[key]}
        alike = [(score, other) for other in candidates.values() if (score := self.compare(text, other)) is not None]
        if alike:
            score, nearest = min(alike, key=lambda pair: (-pair[0], pair[1].id))
            reason = "a few words away from another sample of its leaf"
            return self.reject(sample, reason, score=score, threshold=self.similarity, partner=nearest.id)
        for key in keys:
            shelves[key].append(text)
        return self.keep(sample, "no near copy in its leaf")

    def compare(self, one: Text, other: Text) -> float | None:
        """The share of words that agree if `one` is a copy of `other`, else None."""
        agreeing = sum(a == b for a, b in zip(one.signature, other.signature, strict=True))
        if agreeing < self.signature * len(one.signature) or one.negations != other.negations:
            return None
        if one.marks - other.words and other.marks - one.words:
            return None
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            if Indel.normalized_similarity(mine, theirs) < self.part_similarity:
                return None
        score = Indel.normalized_similarity(one.sequence, other.sequence)
        return score if score >= self.similarity else None


@dataclass(frozen=True)
class Text:
    """A sample as it is compared: its words by part, its signature, and what marks its subject."""

    id: str
    leaf: str
    parts: tuple[list[str], ...]  # words of question, answer, passage
    sequence: list[str]  # the parts in one
    words: frozenset[str]  # with numbers in their one spelling
    marks: frozenset[str]
    negations: int
    signature: list[int]

    @classmethod
    def of(cls, sample: Sample) -> Text:
        passage = (sample.context or "") if sample.kind == "grounded" else ""
        parts = tuple(normalise(text).split() for text in (sample.question, sample.answer, passage))
        words = [word for part in parts for word in part]
        whole = "\n".join((sample.question, sample.answer, passage))
        subject = frozenset(content_words(sample.question)) & frozenset(content_words(sample.answer))
        sketch = RMinHash(num_perm=BANDS * ROWS, seed=1)
        sketch.update([" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))])
        return cls(
            id=sample.id,
            leaf=sample.lineage.leaf,
            parts=parts,
            sequence=words,
            words=frozenset(words) | numbers(whole, ordinals=True),
            marks=numbers(whole) | names(whole) | subject,
            negations=sum(word in NEGATIONS for word in words),
            signature=sketch.digest(),
        )

    def bands(self) -> Iterator[tuple[object, ...]]:
        for band in range(BANDS):
            yield self.leaf, band, *self.signature[band * ROWS : (band + 1) * ROWS]
