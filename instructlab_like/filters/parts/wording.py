"""A text as the rules about wording read it: lower case, plain apostrophes, its words. Made once for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

SPACES = 128  # of ASCII: everything but letters, as one space each
LETTERS = bytes(ord(chr(code).lower()) if code >= SPACES or chr(code).isalpha() else 32 for code in range(256))
WORD = re.compile(r"[^\W\d_]+")
PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2019\u2018\u02bc\u00b4\uff07", "'"),
        **dict.fromkeys("\u00a0\u202f\u3000", " "),
        "Ａ": "A",
        "Ｉ": "I",
    }
)
# Scripts other than Latin; Greek letters are formulas more often than Greek.
OTHER_SCRIPT = re.compile("[\u0370-\u1cff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
SCRIPTS = (
    ("greek", "\u0370", "\u03ff"),
    ("cyrillic", "\u0400", "\u052f"),
    ("armenian", "\u0530", "\u058f"),
    ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u077f"),
    ("devanagari", "\u0900", "\u097f"),
    ("indic", "\u0980", "\u0dff"),
    ("thai", "\u0e00", "\u0e7f"),
    ("other", "\u0e80", "\u1cff"),
    ("kana", "\u3040", "\u30ff"),
    ("han", "\u3400", "\u9fff"),
    ("hangul", "\uac00", "\ud7af"),
)
# What somebody else says: between quotation marks, in code, or behind the mark of a quotation.
QUOTED = re.compile(
    r'"[^"\n]{2,400}"|“[^”\n]{2,400}”|„[^“”\n]{2,400}[“”]|«[^»\n]{2,400}»|»[^«\n]{2,400}«|「[^」\n]{2,400}」|『[^』\n]{2,400}』'
    r"|(?<![\w])'(?=[^\s'])(?:[^'\n]|'(?=\w)){2,400}?(?<=[^\s'])'(?!\w)"
    r"|```.*?(?:```|\Z)|^[ \t]*>[^\n]*",
    re.DOTALL | re.MULTILINE,
)
# Lines of a dialogue: a short name, a colon, what is said.
SPEAKER = re.compile(r"^[ \t*_>-]*[^\W\d_][\w .'’()-]{0,28}[*_]{0,2}[:：][ \t*_]*\S[^\n]*", re.MULTILINE)
LABELS = re.compile(r"^[ \t*_>-]*(?:note|answer|response|assistant|ai|bot|hinweis|antwort|réponse|respuesta)\b", re.I)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in lower case with plain apostrophes, its words, and its scripts other than Latin."""

    text: str
    words: frozenset[str]
    scripts: frozenset[str]


NO_SCRIPTS: frozenset[str] = frozenset()


@lru_cache(maxsize=64)
def read(text: str) -> Reading:
    """The text as rules read it. Words are runs of letters; "can't" is two."""
    if text.isascii():
        words = frozenset(text.encode("ascii").translate(LETTERS).decode("ascii").split())
        return Reading(text.lower(), words, NO_SCRIPTS)
    lower = text.translate(PLAIN).lower()
    return Reading(lower, frozenset(WORD.findall(lower)), scripts(lower) if OTHER_SCRIPT.search(lower) else NO_SCRIPTS)


def scripts(text: str) -> frozenset[str]:
    letters = [letter for letter in set(text) if letter >= "\u0370"]
    return frozenset(name for name, first, last in SCRIPTS if any(first <= letter <= last for letter in letters))


def own_words(text: str) -> str:
    """The text on one line without what it quotes and, in a dialogue, without what is said in it.

    A text that is one quotation as a whole is its own.
    """
    mine = QUOTED.sub(" ", text)
    if 3 * len(mine.split()) < len(text.split()) and len(QUOTED.findall(text)) == 1:
        mine = text
    lines = [line for line in SPEAKER.finditer(mine) if not LABELS.match(line[0])]
    if len(lines) > 1:
        for line in reversed(lines):
            mine = mine[: line.start()] + " " + mine[line.end() :]
    return " ".join(mine.split())


def sentence_around(text: str, start: int, end: int) -> str:
    """The sentence in which `start:end` lies."""
    left = max(text.rfind(mark, 0, start) for mark in ".!?。！？।؟") + 1
    right = min((at for mark in ".!?。！？।؟" if (at := text.find(mark, end)) >= 0), default=len(text))
    return text[left:right]


def quoted(found: str, *, longest: int = 70) -> str:
    """What was found, on one line, in quotation marks, cut if need be."""
    shown = " ".join(found.split())
    return f'"{shown if len(shown) <= longest else shown[: longest - 3] + "..."}"'


def without_quotes(text: str) -> str:
    """The text with what it quotes blanked out, line by line as it was."""
    return QUOTED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
