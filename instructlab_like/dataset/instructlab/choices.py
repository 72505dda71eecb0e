"""Multiple-choice questions out of a leaf's test samples: the wrong choices are right answers to other questions."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from instructlab_like.dataset.instructlab.lines import ChoiceLine
from instructlab_like.generation.rules.values import value
from instructlab_like.records import Sample, normalise

WRONG = 3  # choices beside the right one
LONG = 4  # words beyond which a phrase is like other long ones only
LONGEST = 12  # and beyond which it is a sentence
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
DIGITS = {word: str(number) for number, word in enumerate(NUMBERS)}
ARTICLE = re.compile(r"(?i)(?:an?|the) ")
VERDICTS = frozenset({"yes", "no", "true", "false"})


def choices(tests: Sequence[Sample], known: Sequence[Sample], *, subject: str, seed: int) -> list[ChoiceLine]:
    """A question of four choices for each test sample that has enough wrong ones among the answers of `known`.

    A wrong choice has the right one's shape, and as long as there are such, an article where that has one; it shares
    all its words with no other choice, and nowhere in the leaf answers the same question. What is drawn follows from
    the seed, the sample's id and the answers, whatever their order.
    """
    if not tests:
        return []
    answers = {normalise(sample.answer): sample.answer for sample in sorted(known, key=lambda sample: sample.id)}
    by_shape: dict[str, list[str]] = defaultdict(list)
    for key in sorted(answers):
        by_shape[shape(answers[key])].append(answers[key])
    right: dict[str, set[str]] = defaultdict(set)
    for sample in known:
        right[normalise(sample.question)].add(sample.answer)
    found = []
    for sample in tests:
        rng = random.Random(f"choices {seed} {sample.id}")
        candidates = by_shape[shape(sample.answer)]
        drawn = rng.sample(candidates, len(candidates))
        drawn.sort(key=lambda answer: bool(ARTICLE.match(answer)) != bool(ARTICLE.match(sample.answer)))
        wrong = distinct(drawn, right[normalise(sample.question)] | {sample.answer})
        if len(wrong) < WRONG:
            continue
        shown = [sample.answer, *wrong]
        rng.shuffle(shown)
        place = shown.index(sample.answer)
        found.append(ChoiceLine(question=sample.question, choices=tuple(shown), answer=place, subject=subject))
    return found


def distinct(candidates: Sequence[str], right: set[str]) -> list[str]:
    """The first of the candidates that can be told from every right answer and from one another."""
    taken = [said(answer) for answer in right]
    wrong: list[str] = []
    for candidate in candidates:
        words = said(candidate)
        if words and not any(words <= others or others <= words for others in taken):
            taken.append(words)
            wrong.append(candidate)
        if len(wrong) == WRONG:
            break
    return wrong


def said(text: str) -> frozenset[str]:
    """What an answer says, so that "12 boats" and "twelve boats", or "gas" and "by gas", count as one."""
    return frozenset(DIGITS.get(word, word) for word in normalise(text).split())


def shape(text: str) -> str:
    """What kind of answer it is: of a person, a year, a length, …; phrases also by whether they are long."""
    if normalise(text) in VERDICTS:
        return "verdict"
    words = len(text.split())
    if words > LONGEST:
        return "sentence"
    kind = value(text.strip().rstrip(".")).kind
    if kind != "phrase":
        return kind
    return "long phrase" if words > LONG else "short phrase"
