"""Rejects augmented samples that say something else than the seed example that they were made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import ClassVar

from instructlab_like.filters import LeafFacts, LeafFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.figure_support import borne_out, support
from instructlab_like.filters.parts.figures import figures
from instructlab_like.filters.parts.languages import main_language, named
from instructlab_like.filters.parts.opposites import opposed
from instructlab_like.filters.parts.ordinary import language
from instructlab_like.filters.parts.proper import strangers
from instructlab_like.filters.parts.sentences import TOKEN, Word, negates, word
from instructlab_like.filters.parts.translated import Text, lost_names, lost_numbers, new_names
from instructlab_like.filters.parts.translated import turned as turned_round
from instructlab_like.records import Pair, Sample, Seed

OTHER_FLOW = not_applied("made by another flow: it need not say the same as its seed example")
NO_SEED = not_applied("its seed example is not known, or is not the leaf's any more")
SAME = kept("numbers, names and negations are those of its seed example")
DIGITS = re.compile(r"(?<![\d.,])\d{1,15}(?![\d]|[.,]\d)")
LINED = re.compile(r"^[ \t]*(\d{1,3})[.)](?=\s)", re.MULTILINE)
# With a capital, behind a word with none or a comma: not where a sentence, a line or a quotation begins.
WITHIN = re.compile(r"(?<=[a-zà-ÿ,;0-9)] )[A-ZÀ-Þ][\w’'-]*[a-zà-ÿ][\w-]*")
COUNTING = 12
SHOWN = 3  # numbers or names in a reason
MORE, LESS = "has {} that its seed example has not: {}", "lacks {} of its seed example: {}"
# What denies without a word for "not".
DENYING = re.compile(
    r"\b(?:un(?:able|available|likely|willing|known|aware|clear)|impossible|incapable|lack\w*|fail\w*|refus\w+|declin\w+"
    r"|den(?:y|ies|ied)|absen\w+|miss(?:ing|es)|avoid\w*|prevent\w*|forb\w+|prohibit\w*|refrain\w*|stop\w*|except\w*"
    r"|otherwise|hardly|barely|scarcely|rarely|seldom|free of|instead of|rather than|other than|short of|closed|empty"
    r"|unmöglich|fehl\w+|verbot\w+|weiger\w+|manqu\w+|impossible|interdit\w*|imposible|falta\w*|prohibid\w*)\b",
    re.IGNORECASE,
)


class Invariants(LeafFilter):
    """Compares an augmented sample with the seed example that it puts otherwise: a paraphrase, a translation and a
    perturbed question must mean the same, and what means something else mostly shows in a number, a name or a "not".

    - `number`: a number of the seed example is missing, or one is there that the seed example does not bear out, in
      any spelling, unit or form.
    - `name`: likewise a name; in a translation a day or a month as well.
    - `negation`: one says "not" where the other does not, and nothing else in it turns the sense round; or a word
      stands in the place of its opposite.

    Questions are compared with the question, and answers with the answer, of the pair of the seed example that has most
    words in common with the sample. A name of the one may come up in the other, and a spelled number up to twelve may
    be new ("here are three animals").

    A sample in another language is compared as a translation; which language it is in, an axis of the flow called
    `language` says, or else its words. In English, German, French, Spanish, Italian, Portuguese, Dutch and Polish
    spelled numbers, days, months and denials are known; in others digits are compared, and names in Latin letters.
    Names may be inflected, and common places have a name in each language. Names are told by capitals inside sentences,
    in German, where every noun has one, only behind a title; so what a translation from English adds is not looked for,
    and between German and another script names are not compared. Spelled ordinals and fractions, a one, abbreviations
    and converted units are not compared either.

    It judges samples of some flows only, and knows nothing of a change of meaning in plain words ("the baker" for "the
    butcher").
    """

    version: ClassVar[int] = 2

    flow: str = "augment, translate"
    """Whose samples are to mean the same as their seed example: a flow's name, or several with commas."""
    names: bool = True
    """Names are compared."""
    negations: bool = True
    """Negations and opposites are compared."""

    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        if sample.lineage.flow not in [name.strip() for name in self.flow.split(",")]:
            return OTHER_FLOW
        pair = nearest(sample, leaf.seeds)
        if pair is None:
            return NO_SEED
        mine, theirs = languages(sample, pair, leaf.seeds)
        for what, own, other in (
            ("question", sample.question, pair.question),
            ("answer", sample.answer, pair.answer),
        ):
            if mine != theirs:
                found = self.translated(Text(own, mine), Text(other, theirs))
            else:
                found = self.changes(own, other, (sample.question, pair.question))
            for rule, why in found:
                return rejected(rule, f"the {what} {why}")
        return SAME

    def changes(self, mine: str, theirs: str, asked: tuple[str, str]) -> Iterator[tuple[str, str]]:
        """What the text has otherwise than the seed example's, by rule."""
        if more := strange_numbers(mine, theirs, counting=COUNTING):
            yield "number", MORE.format("numbers", listed(more))
        if lost := strange_numbers(theirs, mine):
            yield "number", LESS.format("numbers", listed(lost))
        alike = language(mine) == language(theirs)
        if self.names and alike:
            if strange := [*strangers(mine, theirs, asked[1]), *strange_capitals(mine, theirs)]:
                yield "name", MORE.format("names", listed(strange))
            if gone := [*strangers(theirs, mine, asked[0]), *strange_capitals(theirs, mine)]:
                yield "name", LESS.format("names", listed(gone))
        if self.negations:
            yield from turned(words(mine), words(theirs), (mine, theirs), alike=alike)

    def translated(self, mine: Text, theirs: Text) -> Iterator[tuple[str, str]]:
        """What a translation has otherwise, by rule."""
        if more := lost_numbers(mine, theirs):
            yield "number", MORE.format("numbers", listed(more))
        if gone := lost_numbers(theirs, mine):
            yield "number", LESS.format("numbers", listed(gone))
        if self.names and (more := new_names(mine, theirs)):
            yield "name", MORE.format("names", listed(more))
        if self.names and (gone := lost_names(theirs, mine)):
            yield "name", LESS.format("names", listed(gone))
        if self.negations and turned_round(mine, theirs):
            yield "negation", "denies what its seed example says, or says what it denies"


def languages(sample: Sample, pair: Pair, seeds: Sequence[Seed]) -> tuple[str, str]:
    """The languages of a sample and of the pair that it puts otherwise; the same where nothing says otherwise."""
    every = [text for seed in seeds for one in seed.pairs for text in (one.question, one.answer)]
    theirs = main_language([pair.question, pair.answer]) or main_language(every)
    if wanted := named(str((sample.lineage.params or {}).get("language", ""))):
        return wanted, theirs
    mine = main_language([sample.question, sample.answer])
    apart = language(f"{sample.question} {sample.answer}") != language(f"{pair.question} {pair.answer}")
    return (mine, theirs) if mine and theirs and apart else (theirs, theirs)  # two ways of telling, for few words


def strange_numbers(text: str, other: str, *, counting: int = 0) -> list[str]:
    """The numbers of a text that the other neither writes nor spells; what is only reckoned from it is another one.

    Spelled ones up to `counting` may be new: "here are three animals" counts what stands there.
    """
    known = support(other)
    found = [
        figure.said
        for figure in figures(text)
        if not borne_out(figure, known) and not (figure.word and figure.value <= counting)
    ]
    written = set(DIGITS.findall(other))
    counted = {str(number) for number in range(1, 1 + len(LINED.findall(text)))}  # of a list; a slip in it shows
    listing = set(LINED.findall(text)) == counted
    return found or [
        digits
        for digits in dict.fromkeys(DIGITS.findall(text))
        if digits not in written and Decimal(digits) not in known.values and not (listing and digits in counted)
    ]


def strange_capitals(text: str, other: str) -> list[str]:
    """Words with a capital within a sentence that the other text does not have, in whatever form; not in German."""
    if language(text) == "de":
        return []
    there = {one.stem for one in words(other)} | {part for one in words(other) for part in one.folded.split("-")}
    return [
        said
        for said in dict.fromkeys(WITHIN.findall(text))
        if word(said).stem not in there and not any(part in there for part in said.casefold().split("-"))
    ]


def nearest(sample: Sample, seeds: Sequence[Seed]) -> Pair | None:
    """The pair of its seed example with which the sample shares most words."""
    seed = next((one for one in seeds if one.number == sample.lineage.seed), None)
    if seed is None or not seed.pairs:
        return None
    own = {one.stem for one in words(f"{sample.question} {sample.answer}")}
    return max(seed.pairs, key=lambda pair: len(own & {one.stem for one in words(f"{pair.question} {pair.answer}")}))


def words(text: str) -> tuple[Word, ...]:
    return tuple(word(token) for token in TOKEN.findall(text))


def turned(
    mine: Sequence[Word], theirs: Sequence[Word], texts: tuple[str, str], *, alike: bool
) -> Iterator[tuple[str, str]]:
    """Whether one says the opposite of the other, as far as its words tell."""
    denials = [sum(negates(one, place) for place in range(len(one))) for one in (mine, theirs)]
    pair = exchanged(mine, theirs) if alike else None
    if denials[0] % 2 == denials[1] % 2:
        if pair and denials[0] == denials[1]:
            yield "negation", f"says {pair[0]!r} where its seed example says {pair[1]!r}"
        return
    softer = [len(DENYING.findall(text)) for text in texts]
    if pair or softer[0] != softer[1]:
        return  # "not open" for "closed", "is unable to" for "cannot"
    more = denials[0] > denials[1]
    yield "negation", "denies what its seed example says" if more else "says what its seed example denies"


def exchanged(mine: Sequence[Word], theirs: Sequence[Word]) -> tuple[str, str] | None:
    """A word and its opposite of which each text has the one that the other lacks."""
    own, other = {one.folded for one in mine if one.content}, {one.folded for one in theirs if one.content}
    stems = {one.stem for one in mine} & {one.stem for one in theirs}
    fresh = sorted(name for name in own - other if word(name).stem not in stems)
    gone = sorted(name for name in other - own if word(name).stem not in stems)
    return next(((one, two) for one in fresh for two in gone if opposed(one, two)), None)


def listed(found: Iterable[str]) -> str:
    texts = [repr(one) for one in found]
    return ", ".join(texts[:SHOWN]) + (" …" if len(texts) > SHOWN else "")
