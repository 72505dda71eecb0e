"""Rejects questions and answers in another language than their leaf's seed examples."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from instructlab_like.filters import LeafFacts, LeafFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.asked import asks_for
from instructlab_like.filters.parts.languages import NAMES, main_language, named, other_language, telling_words
from instructlab_like.filters.parts.wording import read
from instructlab_like.records import Sample, Seed

AS_SEEDS = kept("in the language of the seed examples, as far as it can be told")
NO_SEEDS = not_applied("the leaf has no seed examples whose language can be told")
NAMED = not_applied("the question names a language")
AS_ASKED = kept("in the language that its flow asked for, as far as it can be told")
UNTOLD = not_applied("its flow asked for a language that cannot be told")
SURE = 3  # different words that only the expected language has, and the share of them, that need no second look
SURE_SHARE = 0.08


class Language(LeafFilter):
    """Rejects a question in none of the languages of the leaf's seed questions, and an answer in none of those of its
    seed answers. Seed examples may be in several.

    Told by script and function words, for 44 languages; close relatives (Danish and Norwegian, Czech and Slovak,
    Serbian and Croatian, Indonesian and Malay) are not told apart. Code, formulas, names and short texts are not
    judged, nor is a sample whose question names a language, or asks for a translation. Not applied to samples of
    unknown leaves. Where an axis of the flow is called `language`, the language that it names is the one.
    """

    version: ClassVar[int] = 1

    min_words: Annotated[int, Field(ge=3)] = 5
    """Fewest different words, names not counted, that are judged; two characters of Chinese or Japanese make one."""

    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        wanted = (sample.lineage.params or {}).get("language")
        if sample.lineage.method == "teacher" and wanted and (code := named(str(wanted))):
            return self.as_asked(sample, code)
        told = self.as_seeds(sample, leaf)
        return UNTOLD if sample.lineage.method == "teacher" and wanted and not told.keep else told

    def as_asked(self, sample: Sample, language: str) -> Judgement:
        """Whether a sample is in the language that its flow asked for."""
        for part, text in (("question", sample.question), ("answer", sample.answer)):
            if other := other_language(text, frozenset((language,)), self.min_words):
                found = NAMES.get(other[0], "another language")
                what = f"the {part} is in {found}, and {NAMES[language]} was asked for"
                return rejected("other-language", what, score=round(other[1], 3))
        return AS_ASKED

    def as_seeds(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        seeds = languages_of(leaf)
        if not seeds.questions and not seeds.answers:
            return NO_SEEDS
        for part, text, expected in (
            ("question", sample.question, seeds.questions),
            ("answer", sample.answer, seeds.answers),
        ):
            if not expected or surely(text, seeds.telling[part]):
                continue
            other = other_language(text, expected, self.min_words)
            if other:
                return NAMED if asks_for(sample.question, "language") else differs(part, *other, expected)
        return AS_SEEDS


def differs(part: str, language: str, share: float, expected: frozenset[str]) -> Judgement:
    found = NAMES.get(language, "another language")
    what = f"the {part} is in {found}, the seed examples in {listed(expected)}"
    return rejected("other-language", what, score=round(share, 3))


class SeedLanguages(NamedTuple):
    questions: frozenset[str]
    answers: frozenset[str]
    telling: dict[str, frozenset[str]]  # of question and answer: words that only the one language has


KNOWN: dict[int, tuple[tuple[Seed, ...], SeedLanguages]] = {}  # by identity of the seeds, which are kept with it
MOST_KNOWN = 1024


def languages_of(leaf: LeafFacts) -> SeedLanguages:
    """The languages of the leaf's seed examples; looked up by identity, for the same facts come with every sample."""
    known = KNOWN.get(id(leaf.seeds))
    if known is None or known[0] is not leaf.seeds:
        if len(KNOWN) >= MOST_KNOWN:
            KNOWN.clear()
        known = KNOWN[id(leaf.seeds)] = (leaf.seeds, told_by(leaf.seeds))
    return known[1]


def told_by(seeds: tuple[Seed, ...]) -> SeedLanguages:
    asked = [pair.question for seed in seeds for pair in seed.pairs]
    answered = [pair.answer for seed in seeds for pair in seed.pairs]
    questions = languages_in(asked) or languages_in([*asked, *answered])
    answers = languages_in(answered)  # of answers in a word or two no language is told, and none is wanted
    telling = {
        part: telling_words(next(iter(found))) if len(found) == 1 else frozenset[str]()
        for part, found in (("question", questions), ("answer", answers))
    }
    return SeedLanguages(questions, answers, telling)


def languages_in(texts: list[str]) -> frozenset[str]:
    """The language of the texts together, and those of single texts that are in another."""
    together = main_language(texts)
    alone = {main_language([text]) for text in texts}
    return frozenset({together, *alone} - {""}) if together else frozenset()


def surely(text: str, telling: frozenset[str]) -> bool:
    """Whether enough words of the text are in the expected language alone, and no letters of another script in it."""
    reading = read(text)
    hits = len(telling & reading.words)
    return hits >= SURE and hits >= SURE_SHARE * len(reading.words) and not reading.scripts


def listed(languages: frozenset[str]) -> str:
    return " and ".join(sorted(NAMES.get(language, language) for language in languages))
