"""Rejects knowledge answers that say what their passage does not."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.claims import Vocabulary, content_words, listed, names, numbers
from instructlab_like.filters import SampleFilter
from instructlab_like.records import Sample, Verdict


class Grounded(SampleFilter):
    """Compares the answer of a knowledge sample, word by word, with the passage it was made from.

    Every number of the answer must be in the passage (`1,200`, `1200` and "twelve hundred" are one; a number computed
    from the passage is therefore rejected), every capitalised name in the passage or the question, and `threshold` of
    the content words too. A word is supported by itself or by a word with the same first two thirds ("migrates",
    "migration"). The question's words count, since an answer may repeat them, but its numbers do not: a year that only
    the question names was made up with it. A paraphrase in other words than the passage's is rejected: lexical evidence
    cannot tell it from an invention.

    Skills are not judged: rewriting a text is their task. Score: the share of content words supported.
    """

    version: ClassVar[int] = 1

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of the answer's content words that passage or question must hold."""
    numbers: bool = True
    """Every number must be in the passage."""
    names: bool = True
    """Every capitalised name must be known; set to false for a language that capitalises its nouns."""

    def judge(self, sample: Sample) -> Verdict:
        if sample.kind != "knowledge":
            return self.keep(sample, "not about a passage: a skill")
        if sample.context is None:
            return self.keep(sample, "no passage to compare with")
        known = Vocabulary(f"{sample.context}\n{sample.question}")
        words = content_words(sample.answer)
        missing = [word for word in words if word not in known]
        score = 1 - len(missing) / len(words) if words else 1.0
        unknown = self.unknown(sample, known)
        if unknown:
            return self.reject(sample, unknown, score=score, threshold=self.threshold)
        if score < self.threshold:
            what = f"{len(missing)} of {len(words)} content words are not in the passage: {listed(missing)}"
            return self.reject(sample, what, score=score, threshold=self.threshold)
        reason = f"{len(words) - len(missing)} of {len(words)} content words are in the passage"
        return self.keep(
            sample, reason if words else "no content words to compare", score=score, threshold=self.threshold
        )

    def unknown(self, sample: Sample, known: Vocabulary) -> str | None:
        """The answer's numbers and names that nothing supports, as a reason."""
        if self.numbers and sample.context is not None:
            invented = numbers(sample.answer) - numbers(sample.context, ordinals=True)
            if invented:
                return f"not in the passage: the number {listed(sorted(invented))}"
        if self.names:
            strangers = [name for name in sorted(names(sample.answer)) if name not in known]
            if strangers:
                return f"neither in the passage nor in the question: the name {listed(strangers)}"
        return None
