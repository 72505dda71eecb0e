"""Rejects knowledge answers whose evidence the passage does not hold, or does not bear them out."""

from __future__ import annotations

from typing import ClassVar

from instructlab_like.claims import Vocabulary, content_words, listed, numbers
from instructlab_like.filters import SampleFilter
from instructlab_like.records import Sample, Verdict, normalise


class Evidence(SampleFilter):
    """Holds a knowledge sample to the words of its passage that it was asked to quote.

    Rejected is a sample whose evidence does not stand in the passage to the letter, white space aside; evidence without
    a word or a number in it; and an answer with a number that neither its evidence nor its question has, for a figure
    from elsewhere in the passage is the commonest way of answering beside the evidence. A sample made without evidence
    is rejected as well: this filter is for flows whose templates yield `evidence`.

    Skills are not judged: they have no passage to quote. Score: the share of the answer's content words that evidence
    or question hold; it decides nothing, since an answer may put a quotation in other words.
    """

    version: ClassVar[int] = 1

    numbers: bool = True
    """Every number of the answer must be in its evidence or its question."""

    def judge(self, sample: Sample) -> Verdict:
        if sample.kind != "knowledge":
            return self.keep(sample, "nothing to quote from: a skill")
        if sample.context is None:
            return self.keep(sample, "no passage to quote from")
        if sample.evidence is None:
            return self.reject(sample, "the evidence is not in the passage")
        start, end = sample.evidence
        evidence = sample.context[start:end]
        if not normalise(evidence):
            return self.reject(sample, "the evidence says nothing")
        score = supported(sample, evidence)
        if self.numbers:
            told = numbers(evidence, ordinals=True) | numbers(sample.question, ordinals=True)
            if missing := numbers(sample.answer) - told:
                what = f"neither in the evidence nor in the question: the number {listed(sorted(missing))}"
                return self.reject(sample, what, score=score)
        return self.keep(sample, f"quotes {end - start} of the passage's {len(sample.context)} characters", score=score)


def supported(sample: Sample, evidence: str) -> float:
    words = content_words(sample.answer)
    known = Vocabulary(f"{evidence}\n{sample.question}")
    return sum(word in known for word in words) / len(words) if words else 1.0
