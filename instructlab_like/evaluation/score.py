"""How right an answer is, from 0 to 1. Pure, and there is always a score: an empty answer has 0."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `ilk export --for lm-eval` writes this file for those who have nothing else of this package
    from instructlab_like.records import Item

ARTICLES = frozenset({"a", "an", "the"})
SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
DIGITS = {word: str(number) for number, word in enumerate(SMALL.split())}
# Unlike `records.normalise`, a number keeps its sign and its decimals: -5 is not 5, and 3.5 is not "3 5".
# Scripts without spaces (Thai, Lao, Burmese, Khmer, Japanese, Chinese) are compared sign by sign; vowel signs that
# Unicode counts as marks belong to their words.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
WORD = re.compile(
    rf"(?:(?<!\w)-)?\d+(?:,\d{{3}}(?!\d))*(?:\.\d+)?[^\W{UNSPACED}]*|[{UNSPACED}]|(?:[^\W{UNSPACED}]|[{MARKS}])+"
)
NUMBER = re.compile(r"(?:(?<![\w.])-)?(?<![\d.])\d+(?:,\d{3}(?!\d))*(?:\.\d+)?")


def score(item: Item, text: str) -> float:
    """The score of `text` as an answer to `item`, by the item's own metric; the best over all accepted answers."""
    right = (item.answer, *item.accept)
    if item.metric == "exact":
        return max(exact(answer, text) for answer in right)
    if item.metric == "f1":
        return max(f1(answer, text) for answer in right)
    if item.metric == "number":
        return max(number(answer, text) for answer in right)
    if item.metric == "contains":
        return max(contains(answer, text) for answer in right)
    raise ValueError(f"{item.metric}: is not told from the text alone")


def words(text: str) -> tuple[str, ...]:
    """What is compared: folded words, small numbers as digits, no thousands separators, no article in front."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2212", "-")
    found = [DIGITS.get(word, word.replace(",", "")) for word in WORD.findall(folded)]
    return tuple(found[1:] if len(found) > 1 and found[0] in ARTICLES else found)


def exact(answer: str, text: str) -> float:
    """1 if both say the same words; an answer without any word (`->`) is compared as it is written."""
    wanted = words(answer)
    if not wanted:
        return float(bool(answer.strip()) and answer.strip() == text.strip())
    return float(wanted == words(text))


def contains(answer: str, text: str) -> float:
    """1 if the answer's words stand in the text, whole, in order and side by side."""
    wanted, given = words(answer), words(text)
    if not wanted:
        return float(bool(answer.strip()) and answer.strip() in text)
    return float(any(given[at : at + len(wanted)] == wanted for at in range(len(given) - len(wanted) + 1)))


def number(answer: str, text: str) -> float:
    """1 if the last number of the text is the right one; one with decimals is rounded to those of the right one.

    An answer of several numbers ("1/2", "3:45") is compared with as many of the text's last.
    """
    wanted, given = _numbers(answer), _numbers(text)
    if not wanted or not given:
        return exact(answer, text)
    if len(given) < len(wanted):
        return 0.0
    room = Context(prec=len(text) + len(answer))  # the default would refuse more than 28 digits
    pairs = zip(wanted, given[-len(wanted) :], strict=True)
    return float(
        all(
            (told.quantize(right, ROUND_HALF_UP, room) if right.as_tuple().exponent else told) == right
            for right, told in pairs
        )
    )


def f1(answer: str, text: str) -> float:
    """Harmonic mean of word precision and recall, articles apart (SQuAD 1.1, Rajpurkar et al. 2016)."""
    wanted, given = Counter(_telling(answer)), Counter(_telling(text))
    if not wanted:
        return exact(answer, text)
    shared = (wanted & given).total()
    return 2 * shared / (wanted.total() + given.total())


def _telling(text: str) -> list[str]:
    found = words(text)
    return [word for word in found if word not in ARTICLES] or list(found)


def _numbers(text: str) -> list[Decimal]:
    found = NUMBER.findall(unicodedata.normalize("NFKC", text).replace("\u2212", "-"))
    return [Decimal(digits.replace(",", "")) for digits in found]
