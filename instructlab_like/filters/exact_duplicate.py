"""Rejects what was made before: the same question and answer, or the same question with another answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.records import Sample, Verdict, normalise


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

    def judge(self, samples: Sequence[Sample], _around: Surroundings, /) -> list[Verdict]:
        first: dict[str, Sample] = {}
        asked: dict[str, Sample] = {}
        verdicts: list[Verdict] = []
        for sample in samples:
            key, question = sample.duplicate_key, question_key(sample)
            if key in first:
                verdicts.append(self.reject(sample, "same question, same answer", partner=first[key].id))
            elif self.contradictions and question in asked:
                verdicts.append(self.reject(sample, "same question, other answer", partner=asked[question].id))
            else:
                first[key] = sample
                asked.setdefault(question, sample)
                verdicts.append(self.keep(sample, "the first of its kind"))
        return verdicts


def question_key(sample: Sample) -> str:
    question = sample.messages[0].content
    return f"knowledge {normalise(question)}" if sample.kind == "knowledge" else f"skill {' '.join(question.split())}"
