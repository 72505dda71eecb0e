"""Faults planted in good samples without a model, so that a judge can be judged; only the answers differ."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from instructlab_like.claims import FIGURE, UNSPACED, names, numbers
from instructlab_like.filters.parts.agreement import length, likeness
from instructlab_like.records import Sample, digest, normalise

ALIKE = 0.3  # from here on another answer may be right, too
FEWEST_WORDS = 8  # of an answer that is cut off
NOT_SAID = re.compile(r" not\b(?! only)| nicht\b(?! nur)|(?<!\bca)(?<!\bwo)n['’]t\b", re.IGNORECASE)
DENIED = (
    (
        re.compile(r"\b(is|are|was|were|can|will|must|should|may|could|would|has been|have been)\b(?! not|n['’])"),
        r"\1 not",
    ),
    (re.compile(r"\b(ist|sind|wird|werden|kann|können|muss|müssen|darf|dürfen|wurde|wurden)\b(?! nicht)"), r"\1 nicht"),
    (re.compile(r"\b(es|son|está|están|era|fue|puede|pueden|debe|deben)\b"), r"no \1"),
    (re.compile(r"\b(est|sont|était|peut|peuvent|doit|doivent)\b(?! pas)"), r"n'\1 pas"),
    (re.compile("(是|可以|会)"), r"不\1"),
)
STRANGERS = ("Marlow", "Benedikt", "Okafor", "Lindqvist", "Tamura", "Harrow", "Castellane", "Vesterby")


@dataclass(frozen=True, slots=True)
class Planted:
    """A sample, and the same with a fault."""

    good: Sample
    bad: Sample
    fault: str


Fault = Callable[[Sample, Sequence[Sample], random.Random], str | None]  # the faulty answer, if there can be one


def planted(samples: Sequence[Sample]) -> list[Planted]:
    """A pair of each sample in which a fault can be planted; of those that can, the one that is rarest so far."""
    found: list[Planted] = []
    times: Counter[str] = Counter()
    for good in samples:
        rng = random.Random(good.id)
        others = [one for one in samples if one.lineage.leaf == good.lineage.leaf and one is not good]
        for fault in sorted(FAULTS, key=lambda name: times[name]):
            answer = FAULTS[fault](good, others, rng)
            if answer is None or normalise(answer) == normalise(good.answer):
                continue
            told = {"id": digest([good.id, fault, answer])[:32], "answer": answer, "evidence": None}
            found.append(Planted(good, good.model_copy(update=told), fault))
            times[fault] += 1
            break
    return found


def number_changed(good: Sample, _: Sequence[Sample], rng: random.Random) -> str | None:
    """One digit is another one, and the number stands neither in the question nor in the passage."""
    found = [match for match in FIGURE.finditer(good.answer) if len(match[0]) < 16]
    known = numbers(f"{good.question}\n{good.context or ''}\n{good.answer}")
    rng.shuffle(found)
    for match in found:
        places = [place for place, character in enumerate(match[0]) if character.isdigit()]
        place = rng.choice(places)
        digits = [digit for digit in "123456789" if digit != match[0][place]]
        rng.shuffle(digits)
        for digit in digits:
            changed = f"{match[0][:place]}{digit}{match[0][place + 1 :]}"
            if not numbers(changed) & known and numbers(changed) != numbers(match[0]):
                return f"{good.answer[: match.start()]}{changed}{good.answer[match.end() :]}"
    return None


def other_answer(good: Sample, others: Sequence[Sample], rng: random.Random) -> str | None:
    """The answer to another question of the leaf."""
    far = [other.answer for other in others if likeness(good.answer, other.answer).score < ALIKE]
    return rng.choice(far) if far else None


def negated(good: Sample, _: Sequence[Sample], __: random.Random) -> str | None:
    """The first statement says the contrary."""
    if NOT_SAID.search(good.answer):
        return NOT_SAID.sub("", good.answer, count=1)
    for verb, denied in DENIED:
        if verb.search(good.answer):
            return verb.sub(denied, good.answer, count=1)
    return None


def name_swapped(good: Sample, others: Sequence[Sample], rng: random.Random) -> str | None:
    """A name is that of another sample of the leaf, or of a stranger."""
    own = names(good.answer)
    known = normalise(f"{good.question}\n{good.context or ''}\n{good.answer}").split()
    if not own:
        return None
    theirs = [name.title() for other in others for name in sorted(names(other.answer)) if name not in known]
    old = rng.choice(sorted(own))
    new = rng.choice(theirs or [name for name in STRANGERS if name.casefold() not in known])
    return re.sub(rf"(?i:(?<!\w){re.escape(old)}(?!\w))", new, good.answer)


def truncated(good: Sample, _: Sequence[Sample], rng: random.Random) -> str | None:
    """It breaks off in the middle of a sentence."""
    if length(good.answer) < FEWEST_WORDS:
        return None
    if UNSPACED.search(good.answer):
        return good.answer[: max(4, round(len(good.answer) * rng.uniform(0.35, 0.6)))].rstrip("。，、！？ ")
    words = list(re.finditer(r"\S+", good.answer))
    last = words[max(2, round(len(words) * rng.uniform(0.35, 0.6))) - 1]
    return good.answer[: last.end()].rstrip(".,;:!? ")


FAULTS: dict[str, Fault] = {
    "number changed": number_changed,
    "name swapped": name_swapped,
    "negated": negated,
    "other answer": other_answer,
    "cut off": truncated,
}
