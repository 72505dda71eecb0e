"""Rejects questions that their passage does not answer, and questions that nobody understands without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.judge import Judge
from instructlab_like.filters.parts.replies import Scale, because, graded, only
from instructlab_like.records import Sample

SCALE = Scale(0, 1)


class Answerable(Judge):
    """Rejects samples whose question, as a judge finds, cannot be answered from its passage alone, or cannot be
    understood by someone who does not see the passage.

    These are two questions to the judge, so that it cannot read the passage into the second; a question without a
    passage is asked the second alone, and a question about a text that is shown with it the first alone.
    """

    version: ClassVar[int] = 1
    self_contained: bool = True
    """Ask of questions without a shown text whether they can be understood by themselves."""

    def asks(self, sample: Sample) -> Sequence[Ask]:
        question = {"question": sample.question}
        found = []
        if sample.context is not None:
            found.append(Ask(template="judge/answerable.j2", variables={"passage": sample.context, **question}))
        if sample.kind != "grounded" and self.self_contained:
            found.append(Ask(template="judge/self-contained.j2", variables=question))
        return found

    def judge(self, sample: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        asked = [ask.template for ask in self.asks(sample)]
        if not asked:
            return not_applied("it has no passage, and need not stand alone")
        for number, template in enumerate(asked):
            reply = only(replies, number)
            first = template == "judge/answerable.j2"
            field, reason = ("answerable", "finding") if first else ("standalone", "reading")
            scores = graded(reply, ((field, SCALE),))
            if isinstance(scores, Judgement):
                return scores
            if scores[field] < SCALE.high:
                rule = "not-answerable" if first else "not-self-contained"
                what = "the passage alone does not answer it" if first else "it cannot be understood by itself"
                return rejected(rule, f"{what}{because(reply, reason)}", score=scores[field], threshold=SCALE.high)
        told = {
            "judge/answerable.j2": "the passage answers it",
            "judge/self-contained.j2": "it can be understood by itself",
        }
        return kept(", and ".join(told[template] for template in asked), score=float(SCALE.high), threshold=SCALE.high)
