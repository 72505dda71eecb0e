"""Rejects answers that say the opposite of their passage, of their question or of themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.sentences import (
    EXEMPT,
    FUNCTION,
    HEDGES,
    NEGATIONS,
    PRONOUNS,
    Sentence,
    Turned,
    negates,
    passage_sentences,
    sentences,
    turned,
)
from instructlab_like.records import Sample

CONSISTENT = kept("nothing in it says the opposite of something else, as far as words tell")
NOTHING = not_applied("no passage, and no yes or no")
MOST = 12  # sentences of an answer that are compared
FEWEST_SPACES = 2  # of an answer that says something of something
SHARED = 0.7  # of a sentence's words that carry meaning, for another to be about the same
SAME_CONTENT = 4  # words that carry meaning in two sentences of one answer
YES_NO = re.compile(
    r"\s*[*_\"]*(?P<word>yes|no|yeah|yep|nope|correct|true|false)\b[*_\"]*\s*[,.;:!–—-]*\s*", re.IGNORECASE
)
AFFIRMS = frozenset(("yes", "yeah", "yep", "correct", "true"))
ASKS = re.compile(
    r"(?:.*[.!:]\s+|\s*)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|must)\s+"
    r"(?P<rest>[^?]{4,200})\?\s*$",
    re.IGNORECASE | re.DOTALL,
)
OPEN = re.compile(r"\b(?:or|you|your|we|our|i|my|not|n['’]t|no|never|if|any|should|ever|only|mind)\b", re.IGNORECASE)
LIMITS_TEXT = """only but however although though except unless instead rather actually merely just partly
partially"""
LIMITS = frozenset(LIMITS_TEXT.split())
# Without one of these no sentence denies another: looked for first, since most texts have none.
DENIES = frozenset(f"{word}{mark}" for word in NEGATIONS for mark in ("", *",.;:!?)"))
BOTH_SIDES = re.compile(
    r"\b(?:opposite|negative|negat\w+|rewrite|contradict\w*|paradox\w*|examples?|sentences?|debate|arguments?"
    r"|translat\w+|poem|story|dialog\w*|lyrics?|song|convert|transform|grammar|pros|compare|contrast|true or false|joke"
    r"|riddle|antonyms?)\b",
    re.IGNORECASE,
)


class Contradiction(SampleFilter):
    """Compares each sentence of an answer with those of its passage, and with the answer's other sentences, and rejects
    the answer when one says the opposite of another in otherwise the same words.

    What counts: a denial ("is open", "is not open"); one word in the place of another that excludes it ("more", "less";
    "before", "after"; "north", "south"; "always", "never"; weekdays, months); another number in the same place; two
    names or two ends of a comparison in each other's place, or active for passive ("A was founded by B", "B was founded
    by A", "A founded B"); a yes or no before the opposite of what it says, or against a sentence of the passage that
    says what the question asks. In answers without a passage only this last, and plain denial of an own sentence.

    It cannot know a contradiction in other words, over several sentences, or by knowledge of the world, nor tell where
    hedges ("if", "some", "formerly") may make both true: there it keeps. Denials are known in English, German, French,
    Spanish, Italian, Portuguese and Dutch, all else in English. Skills are not compared with their passage, which they
    may be asked to turn round.
    """

    version: ClassVar[int] = 2

    passage: bool = True
    """Compare with the passage of a knowledge sample."""
    itself: bool = True
    """Compare the answer's sentences with each other, and its yes or no with what follows."""

    def judge(self, sample: Sample) -> Judgement:
        answer = sample.answer
        passage = sample.context if self.passage and sample.kind == "knowledge" else None
        told = YES_NO.match(answer) if answer[:12].lstrip(' *_"\n')[:1] in "yYnNcCtTfF" else None
        if self.itself and told is not None and (found := self_denied(sample.question, answer, told)):
            return rejected("yes-and-no", found)
        if passage:
            if told is not None and (against := answered_against(sample.question, told, passage)):
                return rejected("against-passage", f"says {told['word'].lower()}, but the passage: {short(against)}")
            said = answer[told.end() :] if told is not None else answer
            if (turn := turned_round(said, passage)) is not None:
                return rejected(turn.rule, f"{short(turn.said)} is in the passage: {short(turn.against)}")
        if self.itself and (turn := own_opposite(sample)) is not None:
            return rejected("self-contradiction", f"{short(turn.said)} goes against {short(turn.against)}")
        return CONSISTENT if passage or told is not None else NOTHING


def short(text: str) -> str:
    text = " ".join(text.split())
    return f'"{text if len(text) <= 120 else text[:119] + "…"}"'


def turned_round(answer: str, passage: str) -> Turned | None:
    """A sentence of the answer that turns one of the passage round, if no other sentence says it as it stands."""
    if answer in passage or answer.count(" ") < FEWEST_SPACES:
        return None
    told, joined = passage_sentences(passage)
    for number, claim in enumerate(sentences(answer)):
        if number == MOST:
            break
        if claim.joined in joined or len(claim.content) < 2:
            continue
        needed = min(SHARED * len(claim.content), len(claim.content) - 1)
        near = [other for other in told if len(claim.content & other.content) >= needed]
        found = [(how, other) for other in near if (how := turned(claim, other)) is not None]
        if found and not any(_says(claim, other) for other in near if other is not found[0][1]):
            return found[0][0]
    return None


def _says(claim: Sentence, other: Sentence) -> bool:
    """Whether a sentence of the passage holds all words of the claim, in this order, as often denied."""
    words = iter(one.stem for one in other.words)
    denied = [sum(negates(one.words, place) for place in range(len(one.words))) % 2 for one in (claim, other)]
    return denied[0] == denied[1] and all(one.stem in words for one in claim.words if one.folded not in FUNCTION)


def own_opposite(sample: Sample) -> Turned | None:
    """A sentence of the answer that denies another one of its paragraph."""
    answer = sample.answer
    if answer.count(".") < 2 or not denies(answer) or BOTH_SIDES.search(sample.question):
        return None
    for paragraph in answer.split("\n"):
        if paragraph.count(".") < 2 or ":" in paragraph or '"' in paragraph or "“" in paragraph:
            continue
        found = list(sentences(paragraph))[:MOST]
        for place, one in enumerate(found):
            for other in found[:place]:
                if len(one.content & other.content) < SAME_CONTENT:
                    continue
                how = turned(one, other, whole=True)
                if how is not None and how.rule == "denial":
                    return how
    return None


def denies(text: str) -> bool:
    folded = text.casefold()
    return "n't" in folded or "n’t" in folded or not DENIES.isdisjoint(folded.split())


def self_denied(question: str, answer: str, told: re.Match[str]) -> str:
    """What is said after a yes or a no that says the opposite; "" when nothing does, or nobody can tell."""
    asked = ASKS.match(question)
    if asked is None or OPEN.search(asked["rest"]):
        return ""
    first = next(iter(sentences(answer[told.end() :])), None)
    if first is None or first.said not in answer[told.end() : told.end() + len(first.said) + 4]:
        return ""
    sought = _content(asked["rest"])
    span = _span(sought, first)
    if span is None or any(one.folded in LIMITS or one.folded in HEDGES for one in first.words):
        return ""
    denied = any(negates(first.words, place) for place in range(*span))
    affirms = told["word"].lower() in AFFIRMS
    if affirms and denied:
        return f"{told['word']} goes before {short(first.said)}"
    extra = [one for one in first.words if one.folded not in FUNCTION and one.stem not in sought]
    if not affirms and not denied and not extra:
        return f"{told['word']} goes before {short(first.said)}"
    return ""


def _content(text: str) -> list[str]:
    sentence = next(iter(sentences(f"So {text}")), None)
    return [one.stem for one in sentence.words[1:] if one.folded not in FUNCTION] if sentence else []


def _span(sought: Sequence[str], sentence: Sentence) -> tuple[int, int] | None:
    """Where a sentence says all that was asked, in this order; its subject may have become a pronoun."""
    if len(sought) < 2:
        return None
    stems = [one.stem for one in sentence.words]
    pronoun = sentence.words[0].folded in PRONOUNS
    for skipped in range(len(sought) if pronoun else 1):
        wanted = sought[skipped:]
        if len(wanted) < (1 if pronoun and skipped else 2) or skipped > 3:
            break
        at, places = 0, []
        for key in wanted:
            if key not in stems[at:]:
                break
            at = stems.index(key, at)
            places.append(at)
            at += 1
        if len(places) == len(wanted):
            return (0 if pronoun else places[0]), places[-1] + 1
    return None


def answered_against(question: str, told: re.Match[str], passage: str) -> str:
    """The sentence of the passage that says what the question asks, where a yes or a no says the opposite."""
    asked = ASKS.match(question)
    if asked is None or OPEN.search(asked["rest"]):
        return ""
    sought = _content(asked["rest"])
    if len(sought) < 3:
        return ""
    affirms = told["word"].lower() in AFFIRMS
    found = ""
    for sentence in passage_sentences(passage)[0]:
        span = _span(sought, sentence)
        if span is None:
            continue
        inner = sentence.words[span[0] : span[1]]
        extra = [one for one in inner if one.folded not in FUNCTION and one.stem not in sought]
        if any(one.folded in HEDGES or one.folded in EXEMPT for one in sentence.words):
            return ""
        denied = sum(negates(sentence.words, place) for place in range(max(0, span[0] - 1), span[1]))
        if denied > 1 or len(extra) - denied > 1:
            return ""
        if bool(denied) != affirms:
            return ""  # said by one sentence, whatever others say
        found = found or sentence.said
    return found
