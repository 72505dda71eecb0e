"""Whether two answers to one question say the same, as far as it can be read off their surface."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from instructlab_like.claims import UNSPACED, content_words, listed, names, numbers
from instructlab_like.records import normalise

# A text that is one number, with its sign, unit or currency: "-12.5 kg", "$1,200", "x = 7", "7."
ONLY_NUMBER = re.compile(
    r"\s*(?:[A-Za-z]\s*=\s*)?[$€£¥]?\s*(?P<number>[-−+]?\s*[$€£¥]?\d[\d,'’\s]*(?:[.,]\d+)?)"
    r"\s*(?P<unit>[^\d.,\n]{0,24})\.?\s*"
)
YES_TEXT = "yes true correct ja oui sí si sim да 是 はい"
NO_TEXT = "no false incorrect wrong nein non não nao нет 不是 否 いいえ"
NEGATION_TEXT = "not no never cannot neither nor nicht kein keine keinen nie jamais nunca não нет не"
CONTRAST_TEXT = "but rather instead sondern sino mais mas"  # "not the keeper but the engineer"
YES, NO = frozenset(YES_TEXT.split()), frozenset(NO_TEXT.split())
NEGATIONS, CONTRASTS = frozenset(NEGATION_TEXT.split()), frozenset(CONTRAST_TEXT.split())
CONTRACTED = re.compile(r"n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How far one answer says what another says, from 0 to 1, and what decided it."""

    score: float
    told: str


def likeness(answer: str, other: str) -> Likeness:
    """Numbers must be the same, then names, then yes and no; then the words decide, in whatever order.

    A short answer that stands whole in a longer one is said by it. What is said in other words is not recognised.
    """
    if normalise(answer) == normalise(other) and normalise(answer):
        return Likeness(1.0, "they are the same")
    one, two = number_of(answer), number_of(other)
    if one is not None and two is not None:
        same = one == two
        return Likeness(float(same), f"{shown(one)} and {shown(two)} are {'the same' if same else 'two numbers'}")
    if (first := stance(answer)) and (second := stance(other)) and first != second:
        return Likeness(0.0, f"one says {first}, the other {second}")
    left, right = telling(answer), telling(other)
    short, long = (left, right) if left.total() <= right.total() else (right, left)
    if not short:
        return Likeness(0.0, "they share no word")
    if told := clash(answer, other):
        return Likeness(0.0, told)
    shared = (left & right).total()
    f1 = 2 * shared / (left.total() + right.total())
    within = (short & long).total() / short.total()
    if within == 1.0:
        return Likeness(1.0, "the one stands whole in the other")
    return Likeness(f1, f"of {left.total()} and {right.total()} words, both have {shared}")


def clash(answer: str, other: str) -> str:
    """In which number or name the two contradict each other; nothing if one only says less than the other."""
    for kind, one, two in (("number", numbers(answer), numbers(other)), ("name", names(answer), names(other))):
        if one and two and not (one <= two or two <= one):
            apart = f"{listed(sorted(one - two))} or {listed(sorted(two - one))}"
            if kind == "number" or not (one & two):
                return f"they differ in a {kind}: {apart}"
    if is_denial(answer) != is_denial(other) and set(content_words(answer)) & set(content_words(other)):
        return "one of them denies what the other says"
    return ""


def is_denial(text: str) -> bool:
    """Whether it says what is not so, and leaves it at that."""
    words = set(normalise(text).split())
    return (bool(NEGATIONS & words) or bool(CONTRACTED.search(text))) and not CONTRASTS & words


def stance(text: str) -> str:
    """Yes or no, where an answer opens with that."""
    first = normalise(text).split()[:1]
    return "yes" if first and first[0] in YES else "no" if first and first[0] in NO else ""


@lru_cache(maxsize=4096)
def number_of(text: str) -> Decimal | None:
    """The number that an answer is, whatever its unit; None for one that says more."""
    found = ONLY_NUMBER.fullmatch(text)
    if found is None or len(found["unit"].split()) > 2:
        return None
    digits = re.sub(r"[$€£¥'’\s]", "", found["number"]).replace("−", "-")
    if re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    try:
        return Decimal(digits.replace(",", "."))
    except InvalidOperation:
        return None


def shown(number: Decimal) -> str:
    return format(number.normalize(), "f")


def telling(text: str) -> Counter[str]:
    """The words that carry an answer; of one that has none of these, all its words."""
    found = Counter(content_words(text)) + Counter(numbers(text))
    return found or Counter(normalise(text).split())


def length(text: str) -> int:
    """In words; scripts without spaces count each two characters as one."""
    unspaced = sum(len(run) for run in UNSPACED.findall(text))
    return len(UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2


def clusters(answers: Sequence[str], at_least: float) -> list[list[int]]:
    """The places of answers that say the same, largest first; each is compared with the first of a cluster."""
    found: list[list[int]] = []
    for place, answer in enumerate(answers):
        for cluster in found:
            if likeness(answers[cluster[0]], answer).score >= at_least:
                cluster.append(place)
                break
        else:
            found.append([place])
    return sorted(found, key=lambda cluster: (-len(cluster), cluster[0]))
