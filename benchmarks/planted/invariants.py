"""Planted changes of meaning in translations: written by hand, with another number, name or denial by rule."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count as counting
from pathlib import Path

from benchmarks.planted import Case, Floors
from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.filters.parts.planting import DENIED, STRANGERS
from instructlab_like.filters.parts.translation_words import NUMERALS
from instructlab_like.records import Lineage, Pair, Sample, Seed, digest

FLOORS = Floors(recall=0.9, precision=0.95)

PAGE = Path(__file__).with_name("translations.txt")
LEAF = "compositional_skills/planted/translations"
NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "pl": "Polish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
}
FIGURE = re.compile(r"\d+(?:[.,:  ]\d+)*")
DENIAL = re.compile(r"\b(?:not|never|none|cannot|no|nicht|nie|kein\w*|pas|jamais|aucun|n|nunca|ninguno|nigdy)\b")
# How a denial is taken out of a text: a pattern, and what stands in its place.
SAID: dict[str, tuple[tuple[str, str], ...]] = {
    "en": ((r"\bcannot\b", "can"), (r" (?:not|never)\b", ""), (r"\bno (?=more|[a-z])", ""), (r"\bnone\b", "some")),
    "de": ((r" (?:nicht|nie)\b", ""), (r"\bkeiner\b", "einer"), (r"\bkein(e[nmr]?)?\b", r"ein\1")),
    "fr": ((r"\bne? ([^,.;]*?) (?:pas|jamais)\b", r"\1"), (r"\bn['’]([^,.;]*?) (?:pas|jamais)\b", r"\1")),
    "es": ((r"\bno (?=\w)", ""), (r"\bnunca ", ""), (r"\bninguno\b", "uno")),
    "it": ((r"\bnon ", ""),),
    "nl": ((r" (?:niet|nooit)\b", ""), (r"\bgeen\b", "een")),
    "pt": ((r"\bnão ", ""),),
    "pl": ((r"\b(?:nie|nigdy nie) (?=\w)", ""),),
}
MORE_DENIED = (
    (re.compile(r"\b(jest|są|była|było|może|mogą|kosztuje|mieszka|potrzebują|przyjeżdża|zabiera|ma)\b"), r"nie \1"),
    (re.compile(r"\b(kommt|trägt|kostet|kosten|ergeben|baute|öffnet|hat|leben|ging)\b"), r"\1 nicht"),
    (re.compile(r"\b(cuestan|llega|lleva|mide|hay|tiene|construyó|dejó)\b"), r"no \1"),
    (re.compile(r"\b(coûtent|coûte|arrive|porte|mesure|compte|font)\b"), r"ne \1 pas"),
    (re.compile(r"\b(costs?|arrives|carries|opens|live|has)\b"), r"does not \1"),
)


@dataclass(frozen=True)
class Translation:
    number: int  # of its seed example
    source: str
    target: str
    names: tuple[str, ...]  # as they stand in the translation
    original: tuple[str, str]
    question: str
    answer: str


@cache
def translations() -> tuple[Translation, ...]:
    return tuple(read(PAGE.read_text(encoding="utf-8")))


def read(text: str) -> Iterator[Translation]:
    blocks = [block.splitlines() for block in re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip().split("\n\n")]
    for number, (source, question, answer, *rows) in enumerate(blocks, start=1):
        for row in rows:
            target, names, asked, told = row.split("|")
            found = () if names == "-" else tuple(names.split())
            yield Translation(number, source, target, found, (question, answer), asked, told)


def around() -> Surroundings:
    originals = {one.number: one.original for one in translations()}
    seeds = tuple(
        Seed(number=number, line=number, pairs=(Pair(question=question, answer=answer),))
        for number, (question, answer) in originals.items()
    )
    return Surroundings(leaves={LEAF: LeafFacts(path=LEAF, seeds=seeds)})


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """The translations as they are, and each with one change in question or answer, over and over."""
    made = 0
    for turn in counting():
        for one in translations():
            for kind in (None, *PLANT):
                texts = (one.question, one.answer) if kind is None else changed(one, kind, rng)
                if texts is None:
                    continue
                if made == count:
                    return
                made += 1
                name = kind or f"{one.source} to {one.target}"
                yield Case(name, (sample(one, *texts, turn=turn, kind=kind),), bad=kind is not None)


def changed(one: Translation, kind: str, rng: random.Random) -> tuple[str, str] | None:
    """Question and answer with a change in one of them, if there can be one."""
    texts = [one.question, one.answer]
    first = rng.randrange(2)
    for place in (first, 1 - first):
        text = PLANT[kind](texts[place], one, rng)
        if text is not None and text != texts[place]:
            texts[place] = text
            return texts[0], texts[1]
    return None


def sample(one: Translation, question: str, answer: str, *, turn: int, kind: str | None) -> Sample:
    told = [one.number, one.target, question, answer, turn, kind]
    lineage = Lineage(
        leaf=LEAF, leaf_blob="0" * 40, method="teacher", model="http:planted", flow="translate", seed=one.number,
        params={"language": NAMES[one.target]},
    )  # fmt: skip
    return Sample(id=digest(told)[:32], kind="freeform", question=question, answer=answer, lineage=lineage)


# --- what is changed, by rule -----------------------------------------------------------------------------------


def digit(text: str, one: Translation, rng: random.Random) -> str | None:
    """One digit of one number is another, and the new number stands nowhere in the pair."""
    known = set(re.findall(r"\d+", f"{one.question} {one.answer} {' '.join(one.original)}"))
    found = list(FIGURE.finditer(text))
    rng.shuffle(found)
    for match in found:
        place = rng.choice([at for at, character in enumerate(match[0]) if character.isdigit()])
        for new in rng.sample("123456789", 9):
            changed = f"{match[0][:place]}{new}{match[0][place + 1 :]}"
            if new != match[0][place] and not set(re.findall(r"\d+", changed)) <= known:
                return f"{text[: match.start()]}{changed}{text[match.end() :]}"
    return None


def numeral(text: str, one: Translation, rng: random.Random) -> str | None:
    """A number in words is another one."""
    known = NUMERALS[one.target]
    there = {word for word in re.findall(r"[^\W\d_]+", text.casefold()) if 2 <= known.get(word, 0) < 100}
    if not there:
        return None
    old = rng.choice(sorted(there))
    taken = {known[word] for word in re.findall(r"[^\W\d_]+", text.casefold()) if word in known}
    taken |= {NUMERALS[one.source].get(word, 0) for word in re.findall(r"[^\W\d_]+", " ".join(one.original).casefold())}
    taken |= {int(found) for found in re.findall(r"\d+", " ".join((*one.original, text)))}
    others = [word for word, value in known.items() if like(value, known[old]) and value not in taken]
    return re.sub(rf"(?i)\b{old}\b", rng.choice(sorted(others)), text) if others else None


def like(value: int, old: int) -> bool:
    """Whether a number word can stand where another stood: below ten, below twenty, or a ten."""
    return value > 2 and [value < 10, value < 20, value < 100] == [old < 10, old < 20, old < 100]


def swapped(text: str, one: Translation, rng: random.Random) -> str | None:
    """A name is another one."""
    there = [name for name in one.names if re.search(rf"\b{name}\b", text)]
    if not there:
        return None
    others = [name for name in strangers(one) if name[:3].casefold() not in {mine[:3].casefold() for mine in one.names}]
    return re.sub(rf"\b{rng.choice(there)}\b", rng.choice(others), text)


def dropped(text: str, one: Translation, rng: random.Random) -> str | None:
    """A name is not there."""
    there = [name for name in one.names if re.search(rf"\b{name} ?", text)]
    return re.sub(rf"\b{rng.choice(there)}\b ?", "", text) if there else None


def strangers(one: Translation) -> list[str]:
    others = {name for other in translations() for name in other.names if other.number != one.number}
    said = " ".join((*one.original, one.question, one.answer))
    return sorted(name for name in {*others, *STRANGERS} if name not in said)


def denied(text: str, one: Translation, _: random.Random) -> str | None:
    """A denial is taken out; in a text without one, a verb is denied."""
    said = text.casefold()
    if not DENIAL.search(said):
        for pattern, instead in (*DENIED, *MORE_DENIED):
            if one.target in languages_of(instead) and pattern.search(text):
                return pattern.sub(instead, text, count=1)
        return None
    for pattern, instead in SAID[one.target]:
        found = list(re.finditer(pattern, text))
        if len(found) == 1:
            return re.sub(pattern, instead, text)
    return None


def languages_of(instead: str) -> tuple[str, ...]:
    """In which language a rule denies, by the word that it puts in."""
    words = {"nicht": "de", "nie ": "pl", "no ": "es", "pas": "fr", "not": "en"}
    return tuple(code for word, code in words.items() if word in instead)


PLANT = {
    "digit changed": digit,
    "numeral changed": numeral,
    "name swapped": swapped,
    "name dropped": dropped,
    "denied": denied,
}
