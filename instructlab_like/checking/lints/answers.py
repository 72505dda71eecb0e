"""Answers of knowledge seeds that are not in their context, as far as words tell.

An answer that shares nothing with its context is an error if it brings a name or a year, or in a few words a thing,
that the context lacks. It is a warning where people may count, compute, translate, deny or say things in other
words; so is a number or a name in an answer that shares other words with its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from instructlab_like.checking.pairs import kind_of, seed_pairs
from instructlab_like.checking.spots import spot
from instructlab_like.checking.subject import Subject, Text, texts
from instructlab_like.claims import Vocabulary, content_words, listed, names, numbers
from instructlab_like.records import normalise
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import QNA

_DECIDED_TEXT = (
    "yes no true false correct incorrect right wrong ja nein oui non sí si não sim sì да нет はい いいえ 是 否"
)
_DECIDED = frozenset(_DECIDED_TEXT.split())
_GERMAN_TEXT = "der die das und ist nicht von mit ein eine den dem des im auf für"
_GERMAN = frozenset(_GERMAN_TEXT.split())  # where every noun is written like a name
_FEWEST_GERMAN = 5
_LONGEST = 20_000  # characters of a context or an answer that is looked at; the limits are far below
_SHOWN = 5
_LATIN = re.compile("[A-Za-z]{3}")
_FEW = 4  # words that name a thing rather than say something of it
_YEAR = re.compile(r"\b1[0-9]{3}\b|\b20[0-9]{2}\b")  # nobody computes one
_UNDECIDED = re.compile(
    r"\b(?:not?|none|nobody|nothing|never|neither|unknown|unclear|unspecified)\b|n['’]t\b", re.IGNORECASE
)
_PRONOUN = re.compile(r"\W*(?:it|they|he|she|we|this|that|these|those|there)\b", re.IGNORECASE)


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(QNA))
    sheet = subject.reading.sheets.get(QNA)
    if sheet is None or kind_of(subject) != "knowledge":
        return []
    about = " ".join(text.value[:_LONGEST] for text in texts(subject) if text.field in ("domain", "document_outline"))
    for pair in seed_pairs(subject):
        if pair.context and pair.answer and pair.question and _is_short(pair.context) and _is_short(pair.answer):
            asked = f"{about}\n{pair.question.value[:_LONGEST]}"
            _judge(pair.answer, pair.context.value, asked, sheet.text, found)
    return found.found


def _is_short(text: Text) -> bool:
    return len(text.value) <= _LONGEST


@dataclass(frozen=True, slots=True)
class _Said:
    """What a context says, as far as it is compared."""

    numbers: frozenset[str]
    beginnings: frozenset[str]  # whole words, and the first two to four characters of those that carry meaning
    vocabulary: Vocabulary
    capitalises: bool  # whether every noun is written like a name


@lru_cache(maxsize=1)
def _said(context: str) -> _Said:
    words = normalise(context).split()
    return _Said(
        numbers=numbers(context, ordinals=True),
        beginnings=frozenset(words) | {word[:end] for word in content_words(context) for end in (2, 3, 4)},
        vocabulary=Vocabulary(context),
        capitalises=len(_GERMAN.intersection(words)) >= _FEWEST_GERMAN,
    )


def _judge(answer: Text, context: str, asked: str, sheet_text: str, found: Findings) -> None:
    """`asked` is what the answer may take from elsewhere: the question, and what the leaf is about."""
    said = _said(context)
    if not _shares(answer.value, said):
        message = "no word and no number of this answer stands in its context"
        fix = "answer with what the context says, or give the context that says it"
        made_up = _is_plain_claim(answer.value, context, said)
        tell = found.error if made_up else found.warning
        tell(answer, "answer-not-in-context", message, fix=fix, field=answer.field)
        return
    strange = [*_strange_numbers(answer.value, said, asked), *_strange_names(answer.value, said, asked)]
    if strange:
        start = min((_start(answer.value, word) for word in strange[:_SHOWN]), default=0)
        message = f"the context does not hold {listed(strange)}"
        fix = "correct the answer or the context; leave it if the answer follows from the context"
        at = spot(sheet_text, answer, start, start + 1)
        found.warning(at, "claim-not-in-context", message, fix=fix, field=answer.field)


def _shares(answer: str, said: _Said) -> bool:
    """Whether a word or a number of the answer is in the context, in this form or one that begins alike."""
    words = content_words(answer)
    claimed = numbers(answer, ordinals=True)
    first = next(iter(normalise(answer).split()), "")
    if not (words or claimed) or first in _DECIDED or claimed & said.numbers:
        return True
    return any(word in said.beginnings or word[: _stem(word)] in said.beginnings for word in words)


def _is_plain_claim(answer: str, context: str, said: _Said) -> bool:
    """Whether an answer can hardly be another form of what the context says."""
    if _YEAR.search(answer):
        return True
    if bool(_LATIN.search(answer)) != bool(_LATIN.search(context)) or said.capitalises:
        return False
    if numbers(answer, ordinals=True) or _UNDECIDED.search(answer) or _DECIDED.intersection(normalise(answer).split()):
        return False
    return bool(names(answer)) or (not _PRONOUN.match(answer) and len(normalise(answer).split()) <= _FEW)


def _stem(word: str) -> int:
    """How many characters tell a word: in scripts without capitals, which pack more into each, fewer."""
    return 4 if word.upper() != word.lower() else 2


def _strange_numbers(answer: str, said: _Said, asked: str) -> list[str]:
    strange = numbers(answer) - said.numbers
    return sorted(strange - numbers(asked, ordinals=True)) if strange else []


def _strange_names(answer: str, said: _Said, asked: str) -> list[str]:
    """Names that are not known; a first name is if the surname behind it is."""
    strange = {name for name in names(answer) if name not in said.vocabulary}
    if not strange or said.capitalises:
        return []
    also = Vocabulary(asked)
    strange = {name for name in strange if name not in also}
    for first, last in re.findall(r"\b([^\W_]+) (?=([^\W_]+))", answer):
        if last[0].isupper() and (last.casefold() in said.vocabulary or last.casefold() in also):
            strange.discard(first.casefold())
    return sorted(strange)


def _start(answer: str, found: str) -> int:
    """Where a number or a name stands in the answer; at its beginning if it is spelled otherwise there."""
    if found[0].isdigit():
        figures = (match for match in re.finditer(r"\d[\d.,'’ ]*", answer) if found in numbers(match[0].strip(" .,")))
        figure = next(figures, None)
        return figure.start() if figure else 0
    word = re.search(rf"(?<![^\W_]){re.escape(found)}(?![^\W_])", answer, re.IGNORECASE)
    return word.start() if word else 0
