"""Rejects pairs with leftovers of the prompt that made them, or of the answer they were cut from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.asked import asks_for
from instructlab_like.filters.parts.phrasebook import Phrases, phrasebook
from instructlab_like.filters.parts.wording import Reading, quoted, read, without_quotes
from instructlab_like.records import Sample

CLEAN = kept("no leftover of a prompt")
PLAIN, SLIGHT, CLOSING = 0.9, 0.35, 0.15  # weights


class Sign(NamedTuple):
    """What speaks for a leftover, and how much."""

    rule: str
    part: str
    weight: float
    found: str


class Leftovers(SampleFilter):
    """Rejects what is left of generating: announced pairs ("Here are three questions"), labels ("Generated question:"),
    the prompt's own words ("seed example", "in the same style as the examples", "the answer should be based on the
    document", "[END]", unfilled placeholders), a model thinking aloud about "the user", and grades ("Score: 2/2"). In
    English, and the commonest of them in German, French, Spanish, Portuguese, Italian, Dutch, Russian, Chinese and
    Japanese.

    Signs are weighed: 0.9 for these, 0.35 for what may be plain speech ("As requested"), 0.15 for courtesies at the end
    ("I hope this helps"), which are style and decide nothing at the default threshold; the score is 1 - the product of
    (1 - weight). What is quoted, or stands in code, does not count; nor questions, grades or prompts in the answer
    where the question asks for such. "Sure, here is a recipe" is how assistants talk, and is kept.
    """

    version: ClassVar[int] = 2

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Score from which on a pair has leftovers; 0.3 rejects "As requested", 0.15 courtesies, too."""

    def judge(self, sample: Sample) -> Judgement:
        asked, answered = read(sample.question), read(sample.answer)
        signs = [*signs_in_question(asked), *signs_in_answer(answered, sample.question)]
        if not signs:
            return CLEAN
        doubt = 1.0
        for sign in signs:
            doubt *= 1 - sign.weight
        score = round(1 - doubt, 3)
        if score < self.threshold:
            return kept("no leftover by its score", score=score, threshold=self.threshold)
        strongest = max(signs, key=lambda sign: sign.weight)
        what = f"{SAYS[strongest.rule]} in the {strongest.part}: {quoted(strongest.found)}"
        return rejected(strongest.rule, what, score=score, threshold=self.threshold)


BOOK = phrasebook("leftovers")
SAYS = {
    "announced-pair": "a generated pair is announced",
    "grade": "a grade, or a judge's words,",
    "prompt-words": "words of a prompt",
    "slight-leftover": "words that may be of a prompt",
    "courtesy": "a courtesy",
}
QUESTION = (("pairs_question", "announced-pair"), ("grading", "grade"), ("prompt", "prompt-words"))
ANSWER = (
    ("pairs_answer", "announced-pair", "asks_pairs"),
    ("grading", "grade", "asks_grading"),
    ("prompt", "prompt-words", "asks_prompt"),
    ("prompt_answer", "prompt-words", "asks_prompt"),
)


def signs_in_question(asked: Reading) -> Iterator[Sign]:
    for phrases in BOOK.spoken_in(asked):
        text = without_quotes(asked.text)
        for section, rule in QUESTION:
            found = found_in(phrases, section, asked, text)
            if found and not exempt(section, text, found[0]):
                yield Sign(rule, "question", PLAIN, found[0])
        if phrases.search("slight_question", asked, text):
            for found in phrases["slight_question"].finditer(text):
                yield Sign("slight-leftover", "question", SLIGHT, found[0])


def found_in(phrases: Phrases, section: str, reading: Reading, text: str) -> re.Match[str] | None:
    """The first phrase of the section in the text as it stands, or else with its lines run together."""
    found = phrases.search(section, reading, text)
    return found or (phrases.search(section, reading, " ".join(text.split())) if "\n" in text else None)


def asks(section: str, question: str) -> bool:
    """Whether the question asks for what would be a leftover otherwise, in any language."""
    return any(phrases[section].search(question) for phrases in BOOK.languages)


def signs_in_answer(answered: Reading, question: str) -> Iterator[Sign]:
    for phrases in BOOK.spoken_in(answered):
        text = without_quotes(answered.text)
        for section, rule, wanted in ANSWER:
            found = found_in(phrases, section, answered, text)
            if found and not asks(wanted, read(question).text):
                yield Sign(rule, "answer", PLAIN, found[0])
        slight = phrases.search("slight_answer", answered, text)
        if slight and not asks_for(question, "writing"):
            yield Sign("slight-leftover", "answer", SLIGHT, slight[0])
        closing = phrases.search("closing", answered, text)
        if closing:
            yield Sign("courtesy", "answer", CLOSING, closing[0])


def exempt(section: str, text: str, found: str) -> bool:
    """Whether a question speaks about grades or prompts, rather than being left of one."""
    if section == "pairs_question":
        return False
    rest = text.replace(found, " ", 1)
    return asks("asks_grading" if section == "grading" else "asks_prompt", rest)
