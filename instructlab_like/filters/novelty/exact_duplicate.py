"""Rejects what was made before: the same question and answer, or the same question with another answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from instructlab_like.digests import Fingerprints
from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample, normalise


class ExactDuplicate(SetFilter):
    """Keeps the first in id order of samples with one duplicate key (the normalised messages), over all leaves.

    Also rejects a later sample that asks a kept sample's question and answers otherwise: trained side by side the two
    unteach each other, and nothing here tells which is right. For knowledge the question is compared normalised; for
    skills as it stands but for its spacing, since there case and punctuation may be what is asked about ("5 + 3",
    "5 - 3"). Where many answers are wanted to one prompt (a creative skill), switch `contradictions` off.
    """

    version: ClassVar[int] = 1

    contradictions: bool = True
    """Also reject the same question with another answer."""

    def sketch(self, _sample: Sample) -> bytes:
        return b""

    def judge(self, pool: Pool, _around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        first, asked = Fingerprints(), Fingerprints()  # the places of kept samples, by duplicate and by question key
        for place in range(len(pool)):
            sample = pool.sample(place)
            key, question = duplicate_key(sample), question_key(sample)
            if same := known(first, key, pool, duplicate_key):
                yield place, rejected("copy", "same question, same answer", partner=same.id)
            elif self.contradictions and (other := known(asked, question, pool, question_key)):
                yield place, rejected("other-answer", "same question, other answer", partner=other.id)
            else:
                first.add(key, place)
                if self.contradictions:
                    asked.add(question, place)


def known(places: Fingerprints, key: str, pool: Pool, key_of: Callable[[Sample], str]) -> Sample | None:
    """The sample that was kept under this very key."""
    return next((found for place in places.find(key) if key_of(found := pool.sample(place)) == key), None)


def duplicate_key(sample: Sample) -> str:
    return sample.duplicate_key


def question_key(sample: Sample) -> str:
    question = sample.messages[0].content
    return f"knowledge {normalise(question)}" if sample.kind == "knowledge" else f"skill {' '.join(question.split())}"
