"""Rejects what a judge of another model family finds wrong, unfaithful, incomplete or unclear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.judge import MeasuredJudge
from instructlab_like.filters.parts.replies import Scale, because, graded, only
from instructlab_like.records import Sample

SCALE = Scale(1, 5)
REASONS = {"accurate": "claims", "faithful": "support", "complete": "gaps", "clear": "wording"}  # told before the score
UNGROUNDED = tuple(name for name in REASONS if name != "faithful")


class Critic(MeasuredJudge):
    """Rejects samples that a judge scores below a threshold on any of four criteria: that the answer is accurate, that
    the passage bears it out (where there is one), that nothing asked is missing, and that it is clear.

    The judge's reasons come before its scores, and the lowest score decides. A reply without a score, or with one that
    is not on the scale, rejects as `no-judgement`. How far this judge can be trusted is measured each time on pairs
    with planted faults; what a fault of another kind would do is not known.
    """

    version: ClassVar[int] = 1
    at_least: Annotated[int, Field(ge=1, le=5)] = 4
    """The lowest score, of 1 to 5, that each criterion needs."""

    def asks(self, sample: Sample) -> Sequence[Ask]:
        variables = {"question": sample.question, "answer": sample.answer}
        if sample.context is None:
            return (Ask(template="judge/critic-freeform.j2", variables=variables),)
        if sample.kind == "knowledge":
            about = {"passage": sample.context, **variables}
            return (Ask(template="judge/critic-knowledge.j2", variables=about),)
        return (Ask(template="judge/critic-grounded.j2", variables={"context": sample.context, **variables}),)

    def judge(self, sample: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        reply = only(replies)
        criteria = UNGROUNDED if sample.context is None else tuple(REASONS)
        scores = graded(reply, ((name, SCALE) for name in criteria))
        if isinstance(scores, Judgement):
            return scores
        worst = min(scores, key=lambda name: scores[name])
        score = scores[worst]
        if score >= self.at_least:
            told = ", ".join(f"{name} {each:g}" for name, each in scores.items())
            return kept(f"{told} of {SCALE.high}", score=score, threshold=self.at_least)
        told = f"{worst} is {score:g} of {SCALE.high}, less than {self.at_least}{because(reply, REASONS[worst])}"
        return rejected(f"not-{worst}", told, score=score, threshold=self.at_least)
