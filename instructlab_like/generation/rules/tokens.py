"""The words of a sentence, and what they tell by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from instructlab_like.generation.rules.lexicon import (
    ADVERBS,
    BE,
    CLAUSE_OPENERS,
    MODAL,
    NOT_ADVERBS,
    PLURALS,
    POINTING,
    PREPOSITIONS,
    SINGULAR,
)
from instructlab_like.generation.sentences import Text

TOKEN = re.compile(r"[€$£]?\d+(?:[,.:]\d+)+[\w%°/–-]*|[,;:]|[^\s,;:]+")
STOPS = frozenset({",", ";", ":"})
JOINING = frozenset({"and", "or"})
SINGULAR_ENDINGS = ("ss", "us", "is", "'s", "’s")


@dataclass(frozen=True)
class Token:
    word: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        return self.word.lower()


def tokens(text: Text) -> list[Token]:
    return [Token(match.group(), match.start(), match.end()) for match in TOKEN.finditer(text.plain)]


def between(text: Text, part: Sequence[Token]) -> Text:
    """The text from the first to the last of some of its tokens."""
    return text[part[0].start : part[-1].end]


def adverb(token: Token) -> bool:
    word = token.lower
    return word in ADVERBS or (len(word) > 4 and word.endswith("ly") and word not in NOT_ADVERBS)


def plural(subject: Sequence[Token]) -> bool:
    """Whether a noun phrase takes "are": by "and", or by its head before "of" and other prepositions."""
    said = [token.lower for token in subject]
    if "and" in said:
        return True
    inner = (i for i, word in enumerate(said) if i and (word == "of" or word in PREPOSITIONS))
    head = said[: next(inner, len(said))]
    if not head or head[0] in SINGULAR:
        return False
    return head[-1] in PLURALS or (head[-1].endswith("s") and not head[-1].endswith(SINGULAR_ENDINGS))


def later_finite(words: Sequence[Token], start: int) -> bool:
    """Another "is", "was", … that no conjunction, comma or relative word accounts for."""
    for token in words[start:]:
        if token.word in STOPS or token.lower in CLAUSE_OPENERS | JOINING:
            return False
        if token.lower in BE | MODAL:
            return True
    return False


def pointing(text: str) -> bool:
    """Whether a text points outside itself: "this", "it", "the following"."""
    return any(word in POINTING for word in re.findall(r"[\w'’]+", text.lower()))
