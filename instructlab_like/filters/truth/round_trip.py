"""Rejects samples whose question gets another answer when it is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.agreement import length, likeness
from instructlab_like.filters.parts.judge import Judge
from instructlab_like.filters.parts.replies import only, quoted, unreadable
from instructlab_like.records import Sample


class RoundTrip(Judge):
    """Rejects samples whose question another model answers otherwise: with the passage before it, where there is one.

    Numbers must be the same, and so must names; of all else the share of words counts that both answers have. Longer
    answers are not asked again: two right ones need not share their words. What both models believe wrongly is kept.
    """

    version: ClassVar[int] = 1
    at_least: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The lowest likeness of the two answers, of 0 to 1."""
    longest: Annotated[int, Field(ge=1)] = 40
    """Words of the longest answer that is asked again."""

    def asks(self, sample: Sample) -> Sequence[Ask]:
        if not sample.answer.strip() or length(sample.answer) > self.longest:
            return ()
        if sample.context is None:
            return (Ask(template="answer/again.j2", variables={"question": sample.question}),)
        about = {"passage": sample.context, "question": sample.question}
        return (Ask(template="answer/again-from-passage.j2", variables=about),)

    def judge(self, sample: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        reply = only(replies)
        again = reply.fields.get("answer")
        if again is None:
            return unreadable(reply.failure or "answer was left out")
        found = likeness(sample.answer, again)
        told = f"asked again, the answer is {quoted(again)}: {found.told}"
        if found.score >= self.at_least:
            return kept(told, score=found.score, threshold=self.at_least)
        return rejected("other-answer", told, score=found.score, threshold=self.at_least)
