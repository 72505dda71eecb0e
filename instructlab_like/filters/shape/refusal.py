"""Rejects answers that decline to answer, and answers in which a program excuses itself for being one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.asked import asks_for
from instructlab_like.filters.parts.phrasebook import Phrases, phrasebook
from instructlab_like.filters.parts.wording import Reading, own_words, quoted, read, sentence_around
from instructlab_like.records import Sample

NO_SIGN = kept("no sign of a refusal")
SALUTATION = re.compile(
    r"\W*(?:dear|to whom|sehr geehrte|liebe[rs]?|ch[eè]re?s?|querid|estimad|se[ñn]or|madame|monsieur|prezad|car[oa]\b"
    r"|gentil|beste|geachte|drog[ai]|szanown|sevgili|sayın|уважаем|дорог|亲爱|尊敬|拝啓|عزيز|प्रिय"
    r"|(?:hi|hello|hey|hallo|bonjour|hola|ciao) [^\s!.,]{2,20},)",
    re.IGNORECASE,
)
OPENING = 260  # characters in which a refusal has shown itself
MACHINE, REQUEST, DECLINES, LATER, REGRET = 0.9, 0.8, 0.6, 0.25, 0.3  # weights of the signs, below


class Sign(NamedTuple):
    """What speaks for a refusal, and how much."""

    rule: str
    weight: float
    found: str
    task: bool = False  # its sentence can only be about what the model was asked for


class Refusal(SampleFilter):
    """Rejects refusals and "as an AI" leftovers in English, German, French, Spanish, Portuguese, Italian, Dutch,
    Polish, Turkish, Russian, Chinese, Japanese, Korean, Arabic and Hindi.

    Signs are weighed: a program that speaks of itself, its training or its rules (0.9), declining what was asked
    ("I can't help with that request", 0.8 at the start, 0.6 later), declining to give or do something (0.6, 0.25), and
    besides these regret at the start (0.3). The score is 1 - the product of (1 - weight). What the answer quotes, and
    what is said in a dialogue, does not count. Where the question asks how to decline, or for words that somebody says,
    only a program that speaks of itself counts, and nothing does if the question is about such programs; where it asks
    for a letter, a story or the like, what declines it counts if that can only be the task.

    It cannot know whether the refusal was right: a set that is to teach refusals wants a higher threshold, or not this
    filter.
    """

    version: ClassVar[int] = 2

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Score from which on an answer is a refusal."""

    def judge(self, sample: Sample) -> Judgement:
        reading = read(sample.answer)
        spoken = BOOK.spoken_in(reading)
        if not spoken:
            return NO_SIGN
        signs = signs_in(spoken, reading, own_words(reading.text))
        if not signs:
            return NO_SIGN
        signs = expected(sample, signs)
        score = weighed(signs)
        if score < self.threshold:
            return kept("no refusal by its score", score=score, threshold=self.threshold)
        strongest = max(signs, key=lambda sign: sign.weight)
        what = f"{SAYS[strongest.rule]}: {quoted(strongest.found)}"
        return rejected(strongest.rule, what, score=score, threshold=self.threshold)


BOOK = phrasebook("refusal")
SAYS = {
    "as-a-machine": "the answer speaks as a program about itself",
    "declines-request": "the answer declines the request",
    "declines": "the answer declines",
    "regret": "the answer only regrets",
}


def signs_in(spoken: list[Phrases], reading: Reading, answer: str) -> list[Sign]:
    """All signs of a refusal in the answer, of each kind and language the strongest."""
    return [sign for phrases in spoken for sign in signs_of(phrases, reading, answer)]


def signs_of(phrases: Phrases, reading: Reading, answer: str) -> Iterator[Sign]:
    machine = phrases.search("machine", reading, answer)
    if machine:
        yield Sign("as-a-machine", MACHINE, machine[0])
    first = phrases.search("declines", reading, answer)
    declined = [declining(phrases, answer, found) for found in phrases["declines"].finditer(answer)] if first else []
    if declined:
        yield max(declined, key=lambda sign: sign.weight)
    if machine or declined:
        regret = phrases["regret"].search(answer[:OPENING])
        if regret:
            yield Sign("regret", REGRET, regret[0])


def declining(phrases: Phrases, answer: str, found: re.Match[str]) -> Sign:
    """The sign that declines: more if the sentence names what was asked, less if it stands late in the answer."""
    sentence = sentence_around(answer, found.start(), found.end())
    task = phrases["task"].search(sentence) is not None
    if phrases["request"].search(sentence):
        return Sign("declines-request", REQUEST if found.start() < OPENING else DECLINES, found[0], task)
    return Sign("declines", DECLINES if found.start() < OPENING else LATER, found[0], task)


def expected(sample: Sample, signs: list[Sign]) -> list[Sign]:
    """The signs less those that are an answer to what the question asks for."""
    question = sample.question
    about_programs, addressed = asks_for(question, "program"), asks_for(question, "addressed")
    if addressed or asks_for(question, "decline") or asks_for(question, "speech") or holds_refusal(question):
        return [] if about_programs or addressed else [sign for sign in signs if sign.rule == "as-a-machine"]
    if not asks_for(question, "writing"):
        return signs
    if SALUTATION.match(sample.answer):
        return []
    return [sign for sign in signs if sign.task or (sign.rule == "as-a-machine" and not about_programs)]


def holds_refusal(question: str) -> bool:
    """Whether the question has a refusal in it, to be translated, rewritten or explained."""
    reading = read(question)
    text = " ".join(reading.text.split())
    return any(sign.weight >= DECLINES for sign in signs_in(BOOK.spoken_in(reading), reading, text))


def weighed(signs: list[Sign]) -> float:
    doubt = 1.0
    for sign in signs:
        doubt *= 1 - sign.weight
    return round(1 - doubt, 3)
