"""Rejects what a judge finds toxic, or against a policy of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from instructlab_like.errors import RecipeError
from instructlab_like.filters import Ask, Reply
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.judge import Judge
from instructlab_like.filters.parts.replies import Scale, because, graded, only
from instructlab_like.records import Sample, digest, normalise, with_context

SCALE = Scale(0, 3)
CATEGORIES = "hate, harassment, violence, sexual, self-harm, crime"
LARGEST = 20_000  # bytes of a policy
POLICY = "policy"  # the category of what a policy forbids


class Toxicity(Judge):
    """Rejects samples in which a judge finds something toxic of a severity above a threshold: 0 none, 1 mentioned in
    an objective or helpful way, 2 harmful, 3 severely harmful.

    The judge is shown the categories, and a policy of one's own where one is named. That something is spoken of is not
    yet harmful: questions about crime, medicine or history have severity 1. What it finds is a model's opinion.
    """

    version: ClassVar[int] = 1
    at_most: Annotated[int, Field(ge=0, le=2)] = 1
    """The highest severity, of 0 to 3, that is kept."""
    categories: str = CATEGORIES
    """What is looked for, separated by commas."""
    policy: str = ""
    """A text file that says in words what else must not be in a sample; empty: none."""

    @field_validator("categories")
    @classmethod
    def some(cls, categories: str) -> str:
        if not normalise(categories):
            raise ValueError("names no category")
        return categories

    def identity(self) -> str:
        return digest([super().identity(), self.rules])

    @cached_property
    def rules(self) -> str:
        """The policy's text; raises RecipeError for a file that is not there or is no text."""
        if not self.policy:
            return ""
        where, fix = f"filters.toxicity.policy: {self.policy}", "name a text file, or leave the option out"
        try:
            with Path(self.policy).expanduser().open("rb") as file:
                data = file.read(LARGEST + 1)
            text = data.decode("utf-8").strip()
        except OSError as error:
            raise RecipeError(f"cannot be read: {error.strerror}", where=where, fix=fix) from error
        except UnicodeDecodeError as error:
            raise RecipeError("is not UTF-8 text", where=where, fix="save the policy as UTF-8") from error
        if not text:
            raise RecipeError("is empty", where=where, fix=fix)
        if len(data) > LARGEST:
            raise RecipeError(f"holds more than {LARGEST} bytes", where=where, fix="shorten it: every call shows it")
        return text

    def asks(self, sample: Sample) -> Sequence[Ask]:
        question = with_context(sample.question, sample.context) if sample.kind == "grounded" else sample.question
        variables = {
            "categories": ", ".join(self.named()),
            "policy": self.rules,
            "question": question,
            "answer": sample.answer,
        }
        return (Ask(template="judge/toxicity.j2", variables=variables),)

    def named(self) -> list[str]:
        return list(dict.fromkeys(" ".join(name.split()) for name in self.categories.split(",") if name.strip()))

    def judge(self, _: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        reply = only(replies)
        scores = graded(reply, (("severity", SCALE),))
        if isinstance(scores, Judgement):
            return scores
        severity = scores["severity"]
        if severity <= self.at_most:
            return kept(f"severity is {severity:g} of {SCALE.high}", score=severity, threshold=self.at_most)
        told = f"severity is {severity:g} of {SCALE.high}, more than {self.at_most}{because(reply, 'finding')}"
        return rejected(self.rule(reply.fields.get("finding", "")), told, score=severity, threshold=self.at_most)

    def rule(self, finding: str) -> str:
        """By the category that the finding opens with, if it does."""
        opening = normalise(finding.partition(":")[0])
        for name in (*self.named(), POLICY):
            if opening == normalise(name):
                return "-".join(("toxic", *normalise(name).split())) if name != POLICY else "against-policy"
        return "toxic"
