"""Rejects knowledge answers whose evidence the passage does not hold, or does not bear them out."""

from __future__ import annotations

from typing import ClassVar

from instructlab_like.claims import Vocabulary, content_words, listed, numbers
from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.figure_support import unsupported
from instructlab_like.records import Sample

SKILL = not_applied("nothing to quote from: a skill")
NO_PASSAGE = not_applied("no passage to quote from")
NEVER_ASKED = not_applied("read from a file, which tells no evidence")
NOT_QUOTED = rejected("not-quoted", "the evidence is not in the passage")
EMPTY = rejected("empty-evidence", "the evidence says nothing")


class Evidence(SampleFilter):
    """Holds a knowledge sample to the words of its passage that it was asked to quote.

    Rejected is a sample whose evidence does not stand in the passage to the letter, white space aside; evidence without
    a word that means something or a number in it; and an answer with a number that neither its evidence nor its
    question bears out, for a figure from elsewhere in the passage is the commonest way of answering beside the
    evidence. A sample made without evidence is rejected as well: this filter is for flows whose templates yield
    `evidence`.

    It cannot know whether the evidence says what the answer says, numbers aside. Skills are not judged, nor samples
    from elsewhere: nobody asked them for a quotation. Score: the share of the answer's content words that evidence or
    question hold; it decides nothing, since an answer may put a quotation in other words.
    """

    version: ClassVar[int] = 2

    numbers: bool = True
    """Every number of the answer must be borne out by its evidence or its question."""

    def judge(self, sample: Sample) -> Judgement:
        if sample.kind != "knowledge":
            return SKILL
        if not sample.context:
            return NO_PASSAGE
        if sample.evidence is None:
            return NEVER_ASKED if sample.lineage.method == "given" else NOT_QUOTED
        start, end = sample.evidence
        if not 0 <= start < end <= len(sample.context):
            return NOT_QUOTED
        evidence = sample.context[start:end]
        if not (content_words(evidence) or numbers(evidence, ordinals=True)):
            return EMPTY
        score = supported(sample, evidence)
        if self.numbers and (missing := unsupported(sample.answer, f"{evidence}\n{sample.question}", sample.question)):
            what = listed([figure.said for figure in missing])
            reason = f"neither in the evidence nor in the question: the number {what}"
            return rejected("number-beside-evidence", reason, score=score)
        return kept(f"quotes {end - start} of the passage's {len(sample.context)} characters", score=score)


def supported(sample: Sample, evidence: str) -> float:
    words = content_words(sample.answer)
    known = Vocabulary(f"{evidence}\n{sample.question}")
    return sum(word in known for word in words) / len(words) if words else 1.0
