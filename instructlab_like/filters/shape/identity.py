"""Rejects answers in which a model names itself, its maker or its training, or in which the teacher's name turns up."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.asked import asks_for
from instructlab_like.filters.parts.families import PATTERNS, bare, families
from instructlab_like.filters.parts.phrasebook import Phrases, phrasebook
from instructlab_like.filters.parts.wording import own_words, quoted, read
from instructlab_like.records import Sample

NAMELESS = kept("no model names itself")


class Identity(SampleFilter):
    """Rejects answers that give a model away: it names itself ("I am Qwen") or its maker ("I was trained by OpenAI"),
    speaks of itself as a program ("my training data"), or the answer has the name of the teacher that wrote it where
    neither question, passage nor leaf has. In English, German, French, Spanish, Portuguese, Italian, Dutch, Polish,
    Turkish, Russian, Chinese, Japanese, Korean, Arabic and Hindi.

    What is said about models, as of others, is kept, and so are names that people, animals, stars and winds have,
    unless the answer tells of a program; what is quoted; and what somebody says in a dialogue, a story or a role that
    the question asks for. It knows the names in its list, and cannot know new ones but the teacher's own.
    """

    version: ClassVar[int] = 2

    allowed: str = ""
    """Names of models and makers, with commas, that may be named: those that the tuned model shall give for its own."""

    @cached_property
    def allows(self) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in self.allowed.split(",") if name.strip())

    def judge(self, sample: Sample) -> Judgement:
        reading = read(sample.answer)
        spoken = BOOK.spoken_in(reading)
        if spoken:
            told = told_by(sample.question, spoken, own_words(reading.text))
            if told and not any(name in told.found for name in self.allows):
                return rejected(told.rule, f"{SAYS[told.rule]}: {quoted(told.found)}")
        model = sample.lineage.model
        if model and sample.lineage.method == "teacher":
            found = teacher_named(model, reading.text)
            if found and found not in surroundings(sample) and found not in self.allows:
                return rejected("teacher-named", f"the answer has the teacher's name: {quoted(found)}")
        return NAMELESS


class Told(NamedTuple):
    rule: str
    found: str


BOOK = phrasebook("identity")
SAYS = {
    "names-itself": "a model names itself",
    "names-its-maker": "a model names its maker",
    "speaks-of-itself": "a model speaks of itself",
}
# Families that are words of their own: only with a version, or with what is said about models.
COMMON_TEXT = "llama granite phi command falcon claude mistral gemma nova arctic opt bloom yi grok kimi reka jamba"
COMMON_WORDS = frozenset(COMMON_TEXT.split())
VERSION = re.compile(r"[ -]?v?\d")


def told_by(question: str, spoken: list[Phrases], answer: str) -> Told | None:
    """What the answer tells of the model that wrote it, most telling first, and was not asked to."""
    found = next((told for phrases in spoken if (told := told_in(phrases, answer))), None)
    if not found:
        return None
    speech, writing = asks_for(question, "speech"), asks_for(question, "writing")
    if (speech or writing) and (asks_for(question, "program") or not has(spoken, "program", answer)):
        return None
    if speech and found.rule != "names-its-maker":
        return None
    plain = found.rule == "speaks-of-itself" and (
        asks_for(question, "addressed") or asks_for(question, "decline") or has(spoken, "project", read(question).text)
    )
    return None if plain else found


def has(spoken: list[Phrases], section: str, text: str) -> bool:
    return any(phrases[section].search(text) for phrases in spoken)


def told_in(phrases: Phrases, answer: str) -> Told | None:
    named = phrases["named"].search(answer)
    if named:
        return Told("names-itself", named[0])
    made = phrases["made"].search(answer)
    if made:
        return Told("names-its-maker", made[0])
    maybe = phrases["maybe"].search(answer)
    if maybe and phrases["trait"].search(answer[: maybe.start()] + " " + answer[maybe.end() :]):
        return Told("names-itself", maybe[0])
    machine = phrases["machine"].search(answer)
    return Told("speaks-of-itself", machine[0]) if machine else None


def surroundings(sample: Sample) -> str:
    return f"{sample.question} {sample.context or ''} {sample.lineage.leaf}".lower()


def teacher_named(model: str, answer: str) -> str | None:
    """The teacher's name as the answer has it: its full name, or its family's where that can be nothing else."""
    full, patterns = teacher(model)
    if full and full in answer:
        return full
    for common, pattern in patterns:
        for found in pattern.finditer(answer):
            if not common or VERSION.match(answer, found.end()):
                return found[0]
    return None


@lru_cache(maxsize=256)
def teacher(model: str) -> tuple[str, tuple[tuple[bool, re.Pattern[str]], ...]]:
    name = bare(model)
    full = name if len(name) > 6 and re.search(r"[a-z].*[-_].*\d|\d.*[-_].*[a-z]", name) else ""
    return full, tuple(
        (family in COMMON_WORDS, PATTERNS[family]) for family in sorted(families(model)) if family in PATTERNS
    )
