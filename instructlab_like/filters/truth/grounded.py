"""Rejects knowledge answers with numbers and names that their passage does not have."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.claims import UNSPACED, Vocabulary, content_words, listed
from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.figure_support import unsupported
from instructlab_like.filters.parts.ordinary import language
from instructlab_like.filters.parts.proper import strangers
from instructlab_like.records import Sample

SKILL = not_applied("not about a passage: a skill")
NO_PASSAGE = not_applied("no passage to compare with")
GROUNDED = kept("the passage bears out its numbers and names")
FEWEST_WORDS = 15  # content words below which their share says nothing
JUDGES = "judge/"  # folder of the templates that ask for a judgement
WORD = re.compile(r"[^\W\d_]{5,}")


class Grounded(SampleFilter):
    """Looks up the numbers and the names of a knowledge sample's answer in the passage that it was made from.

    A number is borne out in any spelling ("1,200", "twelve hundred"; "12 March 1874", "March 12, 1874", "the 1870s"),
    in another unit, as a percentage or a fraction, rounded where the answer says so ("about 1.2 million" for
    1,203,411), and as a sum, difference or share where the question asks for one. The question's own numbers bear out
    only what it supposes ("if 30 people come"): a year that only the question names was made up with it.

    A name is borne out by passage or question: in another form ("German", "Germany"), by its initials ("UN", "J.
    Smith"), by what it is usually called otherwise. What opens a sentence is a name if it is no ordinary word. In
    German, whose nouns have capitals as well, only full names, names behind a title and places are sure; in scripts
    without capitals, foreign names in katakana or with dots.

    It cannot know whether the number or the name stands where it belongs, nor an invention in plain words: "porcelain"
    for "copper" passes. Only an answer of fifteen and more content words that shares next to none of them with passage
    and question is rejected for its words, and not if evidence was quoted for it or a judge has read it.

    Skills are not judged, for rewriting a text is their task; `skills` judges those with a passage too.
    """

    version: ClassVar[int] = 3

    numbers: bool = True
    """Every number must be in the passage."""
    names: bool = True
    """Every name must be in passage or question."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the answer's content words that passage or question must hold; 0 switches it off."""
    skills: bool = False
    """Judge skills with a passage as well, as for tasks that extract from it."""

    def judge(self, sample: Sample) -> Judgement:
        if sample.kind != "knowledge" and not (self.skills and sample.context):
            return SKILL
        passage = sample.context
        if not passage:
            return NO_PASSAGE
        if self.numbers and (invented := unsupported(sample.answer, passage, sample.question)):
            what = listed([figure.said for figure in invented])
            return rejected("unsupported-number", f"not in the passage: the number {what}")
        if self.names and (unknown := strangers(sample.answer, passage, sample.question)):
            what = listed(unknown)
            return rejected("unsupported-name", f"neither in the passage nor in the question: the name {what}")
        return self.words(sample, passage) or GROUNDED

    def words(self, sample: Sample, passage: str) -> Judgement | None:
        """The rejection of an answer that has next to no word of its passage, where no other witness has seen it."""
        if not self.threshold or sample.evidence is not None or _shares(sample.answer, passage, self.threshold):
            return None
        if any(turn.template.startswith(JUDGES) for turn in sample.lineage.turns):
            return None
        words = content_words(sample.answer)
        if len(words) < FEWEST_WORDS or UNSPACED.search(sample.answer):
            return None
        known, asked = vocabulary(passage), vocabulary(sample.question)
        missing = [word for word in words if word not in known and word not in asked]
        score = 1 - len(missing) / len(words)
        if score >= self.threshold or language(sample.answer) != language(passage):
            return None
        what = f"{len(missing)} of {len(words)} content words are not in the passage: {listed(missing)}"
        return rejected("unsupported-words", what, score=score, threshold=self.threshold)


def _shares(answer: str, passage: str, share: float) -> bool:
    """Whether so many of the answer's longer words stand in the passage just so, or there are too few to tell."""
    words = WORD.findall(answer)
    needed = max(2, share * len(words))
    if len(words) < FEWEST_WORDS:
        return True
    for word in words:
        needed -= word in passage
        if needed <= 0:
            return True
    return False


@lru_cache(maxsize=512)
def vocabulary(text: str) -> Vocabulary:
    return Vocabulary(text)
