"""Rejects samples whose answer is not that of the majority when the question is answered many times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.agreement import clusters, length, likeness
from instructlab_like.filters.parts.judge import Judge
from instructlab_like.filters.parts.replies import only, quoted, unreadable
from instructlab_like.records import Sample, with_context


class Vote(Judge):
    """Rejects samples whose answer more than half of several drawn answers do not say, or on which no such majority
    agrees (self-consistency).

    Answers are compared as by `round_trip`, and longer ones not at all. A draw that cannot be read is a vote for
    nothing. A mistake that a model makes every time has a majority, too.
    """

    version: ClassVar[int] = 1
    draws: Annotated[int, Field(ge=3, le=63)] = 5
    """Answers that are drawn; an odd number."""
    at_least: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The lowest likeness, of 0 to 1, of two answers that are counted as the same."""
    longest: Annotated[int, Field(ge=1)] = 40
    """Words of the longest answer that is voted on."""

    @field_validator("draws")
    @classmethod
    def odd(cls, draws: int) -> int:
        if draws % 2 == 0:
            raise ValueError("is even, so that a vote may be tied")
        return draws

    def asks(self, sample: Sample) -> Sequence[Ask]:
        if not sample.answer.strip() or length(sample.answer) > self.longest:
            return ()
        asked = with_context(sample.question, sample.context)
        return (Ask(template="answer/vote.j2", variables={"question": asked}, draws=self.draws),)

    def judge(self, sample: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        answers = [reply.fields["answer"] for drawn in replies for reply in drawn if "answer" in reply.fields]
        if not answers:
            return unreadable(only(replies).failure or "answer was left out")
        found = clusters(answers, self.at_least)
        most = len(found[0])
        first = answers[found[0][0]]
        share, needed = most / self.draws, (self.draws + 1) / 2 / self.draws
        votes = f"{most} of {self.draws} draws say {quoted(first)}"
        if share < needed:
            told = f"no answer has a majority: {votes}, and {len(found) - 1} other answers were given"
            return rejected("no-majority", told, score=share, threshold=needed)
        agreed = likeness(sample.answer, first)
        if agreed.score < self.at_least:
            return rejected("outvoted", f"{votes}: {agreed.told}", score=agreed.score, threshold=self.at_least)
        return kept(votes, score=share, threshold=needed)
