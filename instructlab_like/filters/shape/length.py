"""Rejects questions, answers and passages that are too short or too long to be taught."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.records import Sample

UNSPACED = "぀-ヿ㐀-䶿一-鿿"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
Count = Annotated[int, Field(ge=0)]


class Length(SampleFilter):
    """Rejects by words, and by characters for what hides in few words. One word is an answer ("1874").

    A word is a run of letters and digits, a single kana or Han character, or, in a text without either, whatever
    stands between spaces ("+" is one). The passage counts where it is trained: in grounded samples. The upper limits
    keep a row of question, answer and passage below some 4,000 tokens. Score and threshold are of the limit that
    decided; for a kept sample the score is the number of words of the answer.
    """

    version: ClassVar[int] = 1

    min_question_words: Count = 2
    """Fewest words of a question."""
    max_question_words: Count = 400
    """Most words of a question."""
    min_answer_words: Count = 1
    """Fewest words of an answer."""
    max_answer_words: Count = 800
    """Most words of an answer."""
    min_context_words: Count = 5
    """Fewest words of the passage of a grounded sample."""
    max_context_words: Count = 1500
    """Most words of the passage of a grounded sample."""
    max_characters: Count = 16000
    """Most characters of question, answer and passage each."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for part in ("question", "answer", "context"):
            low, high = self.limits(part)
            if low > high:
                raise ValueError(f"min_{part}_words is {low}, above max_{part}_words, {high}")
        return self

    def limits(self, part: str) -> tuple[int, int]:
        """Fewest and most words of a part."""
        match part:
            case "question":
                return self.min_question_words, self.max_question_words
            case "answer":
                return self.min_answer_words, self.max_answer_words
            case _:
                return self.min_context_words, self.max_context_words

    def judge(self, sample: Sample) -> Judgement:
        parts = {"question": sample.question, "answer": sample.answer}
        if sample.kind == "grounded" and sample.context is not None:
            parts["context"] = sample.context
        for part, text in parts.items():
            words, (low, high) = words_in(text), self.limits(part)
            if words < low:
                return rejected(
                    "too-short", f"{part} has {counted(words)}, at least {low} wanted", score=words, threshold=low
                )
            if words > high:
                return rejected(
                    "too-long", f"{part} has {counted(words)}, at most {high} allowed", score=words, threshold=high
                )
            if len(text) > self.max_characters:
                what = f"{part} has {len(text)} characters, at most {self.max_characters} allowed"
                return rejected("too-long", what, score=len(text), threshold=self.max_characters)
        lengths = ", ".join(f"{part} {counted(words_in(text))}" for part, text in parts.items())
        return kept(lengths, score=words_in(sample.answer))


def words_in(text: str) -> int:
    return len(WORD.findall(text)) or len(text.split())


def counted(words: int) -> str:
    return "1 word" if words == 1 else f"{words} words"
