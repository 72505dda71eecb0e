"""Rejects answers that do not answer their question, as a judge finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.judge import Judge
from instructlab_like.filters.parts.replies import Scale, because, graded, only
from instructlab_like.records import Sample, with_context

SCALE = Scale(0, 2)


class Relevancy(Judge):
    """Rejects samples whose answer, as a judge finds, does not answer the question: 2 of 2 is all of it with nothing
    beside the point, 1 a part of it.

    The judge does not see the passage of a knowledge sample, for whether an answer is right is another question: a
    wrong answer to the right question is kept.
    """

    version: ClassVar[int] = 1
    at_least: Annotated[int, Field(ge=0, le=2)] = 2
    """The lowest score, of 0 to 2, that is kept."""

    def asks(self, sample: Sample) -> Sequence[Ask]:
        question = with_context(sample.question, sample.context) if sample.kind == "grounded" else sample.question
        return (Ask(template="judge/relevancy.j2", variables={"question": question, "answer": sample.answer}),)

    def judge(self, _: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        reply = only(replies)
        scores = graded(reply, (("relevancy", SCALE),))
        if isinstance(scores, Judgement):
            return scores
        score = scores["relevancy"]
        if score >= self.at_least:
            told = f"relevancy is {score:g} of {SCALE.high}"
            return kept(told, score=score, threshold=self.at_least)
        told = f"relevancy is {score:g} of {SCALE.high}, less than {self.at_least}{because(reply, 'fit')}"
        return rejected("beside-the-point", told, score=score, threshold=self.at_least)
