"""Rejects questions, answers and passages that are too short or too long to be taught."""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.records import Sample

WITHIN = kept("within the limits")

UNSPACED = "぀-ヿ㐀-䶿一-鿿"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
Count = Annotated[int, Field(ge=0)]


class Length(SampleFilter):
    """Rejects by words, and by characters for what hides in few words. One word is an answer ("1874").

    A word is a run of letters and digits, a single kana or Han character, or, in a text without either, whatever
    stands between spaces ("+" is one). The passage counts where it is trained: in grounded samples. A sample without
    one may bring it along in its question, whose limit is then that of both. The upper limits keep a row of question,
    answer and passage below some 5,000 tokens. Score and threshold are of the limit that decided.
    """

    version: ClassVar[int] = 2

    min_question_words: Count = 2
    """Fewest words of a question."""
    max_question_words: Count = 400
    """Most words of a question that has its passage apart."""
    min_answer_words: Count = 1
    """Fewest words of an answer."""
    max_answer_words: Count = 1500
    """Most words of an answer."""
    min_context_words: Count = 5
    """Fewest words of the passage of a grounded sample."""
    max_context_words: Count = 1500
    """Most words of the passage of a grounded sample."""
    max_characters: Count = 16000
    """Most characters of question, answer and passage each."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for part, low, high in (
            ("question", self.min_question_words, self.max_question_words),
            ("answer", self.min_answer_words, self.max_answer_words),
            ("context", self.min_context_words, self.max_context_words),
        ):
            if low > high:
                raise ValueError(f"min_{part}_words is {low}, above max_{part}_words, {high}")
        return self

    def judge(self, sample: Sample) -> Judgement:
        bare = sample.context is None
        longest = self.max_question_words + (self.max_context_words if bare else 0)
        found = self.beyond("question", sample.question, self.min_question_words, longest)
        found = found or self.beyond("answer", sample.answer, self.min_answer_words, self.max_answer_words)
        if not found and sample.kind == "grounded" and sample.context is not None:
            found = self.beyond("context", sample.context, self.min_context_words, self.max_context_words)
        return found or WITHIN

    def beyond(self, part: str, text: str, low: int, high: int) -> Judgement | None:
        """Why a part is too short or too long; words are counted only where the characters leave it open."""
        if not has_words(text, low):
            what = f"{part} has {counted(words_in(text))}, at least {low} wanted"
            return rejected("too-short", what, score=words_in(text), threshold=low)
        most = (len(text) + 1) // 2 if text.isascii() else len(text)
        if most > high and (words := words_in(text)) > high:
            what = f"{part} has {counted(words)}, at most {high} allowed"
            return rejected("too-long", what, score=words, threshold=high)
        if len(text) > self.max_characters:
            what = f"{part} has {len(text)} characters, at most {self.max_characters} allowed"
            return rejected("too-long", what, score=len(text), threshold=self.max_characters)
        return None


def has_words(text: str, fewest: int) -> bool:
    """Whether a text has so many words; looks no further than it must."""
    if sum(1 for _ in islice(WORD.finditer(text), fewest)) == fewest:
        return True
    return words_in(text) >= fewest


def words_in(text: str) -> int:
    return len(WORD.findall(text)) or len(text.split())


def counted(words: int) -> str:
    return "1 word" if words == 1 else f"{words} words"
