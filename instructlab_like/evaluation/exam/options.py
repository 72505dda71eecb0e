"""Wrong answers of the right kind, out of the same leaf, for a choice between four."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from instructlab_like.evaluation.exam.facts import Stated
from instructlab_like.evaluation.score import words
from instructlab_like.generation.rules.values import Kind, value
from instructlab_like.records import digest, normalise

OPTIONS = 4
# Kinds of which any two can be told apart by their value alone, whatever is asked about them.
COMPARABLE: frozenset[Kind] = frozenset(
    {"year", "date", "month", "day", "clock", "season", "century", "duration", "often", "temperature", "speed", "money",
     "length", "weight", "volume", "count"}
)  # fmt: skip
AMOUNTS: frozenset[Kind] = frozenset({"duration", "temperature", "speed", "money", "length", "weight", "volume"})
WHO = re.compile(r"(?:by )?(?:who|whom)\b(?! or what)", re.IGNORECASE)
WHERE = re.compile(r"where\b", re.IGNORECASE)
COLOUR = re.compile(r"what colour\b", re.IGNORECASE)
TELLING = 4  # letters of a word that two options may not share


class Rivals:
    """All facts and sentences of a leaf, from which options are taken and by which they are checked."""

    def __init__(self, found: Iterable[Stated], texts: Iterable[str]) -> None:
        self.found = tuple(found)
        self.texts = tuple(f" {normalise(text)} " for text in texts)
        self.slots: dict[tuple[str, ...], list[Stated]] = {}
        for one in self.found:
            self.slots.setdefault(slot(one), []).append(one)

    def options(self, stated: Stated, question: str, seed: int) -> tuple[str, ...] | None:
        """The answer and three others in an order drawn by the seed; None where the leaf has no three."""
        candidates = sorted(self._wrong(stated, question), key=lambda text: digest([seed, question, text]))
        chosen: list[str] = []
        for text in candidates:
            if all(distinct(text, other) for other in (stated.answer, *chosen)):
                chosen.append(text)
            if len(chosen) == OPTIONS - 1:
                return tuple(sorted((stated.answer, *chosen), key=lambda text: digest([seed, "order", question, text])))
        return None

    def _wrong(self, stated: Stated, question: str) -> Iterator[str]:
        """Answers to questions of the same kind that are surely none to this one."""
        around = [text for text in self.texts if any(f" {normalise(name)} " in text for name in names(stated))]
        near = (f" {normalise(question)} ", f" {normalise(stated.sentence)} ", *around)
        for other in dict.fromkeys(one.answer for one in self.slots[slot(stated)]):
            said = f" {normalise(other)} "
            if distinct(other, stated.answer) and not any(said in text for text in near):
                yield other


def slot(stated: Stated) -> tuple[str, ...]:
    """What can stand in the answer's place: a year, a number of metres, somebody, or what the same words ask for."""
    kind = value(stated.answer).kind
    asked = stated.fact.questions[0]
    if kind in AMOUNTS:
        unit = stated.answer.split()[-1].lower()
        return (kind, unit.rstrip("s"))
    if kind in COMPARABLE:
        return (kind,)
    if WHO.match(asked) and kind in ("person", "name"):
        return ("who", kind)
    if WHERE.match(asked):
        return ("where", kind)
    if COLOUR.match(asked):
        return ("colour",)
    bare = asked
    for name in names(stated):
        bare = bare.replace(name, "~")
    return (kind, normalise(bare))


def names(stated: Stated) -> Sequence[str]:
    """What the fact is about, the longer name first."""
    return (stated.subject.text, stated.subject.text.split(" of ", 1)[-1])


def distinct(one: str, other: str) -> bool:
    """Whether no word that tells something stands in both, and neither is a part of the other."""
    first, second = words(one), words(other)
    if not first or not second or _within(first, second) or _within(second, first):
        return False
    return not {word for word in first if len(word) >= TELLING} & set(second) or value(one).kind in COMPARABLE


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
