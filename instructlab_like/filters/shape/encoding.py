"""Rejects texts that were damaged on the way: broken, invisible and misread characters."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.code_blocks import outside_spans
from instructlab_like.filters.parts.mojibake import mojibake
from instructlab_like.filters.parts.sides import Fault, quoted, trained
from instructlab_like.filters.parts.wanted import CODE, ENCODING, about
from instructlab_like.records import Sample

INTACT = kept("no broken, invisible or misread character")

SPACES = str.maketrans(dict.fromkeys("\n\t\r\xa0\u2002\u2003\u2009\u200a\u202f\u3000\u2028\u2029", " "))
ENGLAND = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+")  # flags spelled in tags
ODD = re.compile(
    "(?P<control>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f])"
    "|(?P<surrogate>[\ud800-\udfff])"
    "|(?P<mark>\ufeff)"
    "|(?P<override>[\u202d\u202e])"
    "|(?P<direction>[\u200e\u200f\u061c\u202a-\u202c\u2066-\u2069])"
    "|(?P<joiner>[\u200c\u200d])"
    "|(?P<break>\u200b)"
    "|(?P<invisible>[\u00ad\u115f\u1160\u17b4\u17b5\u180e\u2060-\u2065\u206a-\u206f\u3164\uffa0\ufff9-\ufffc"
    "\U000e0000-\U000e007f])"
    "|(?P<private>[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd])"
    "|(?P<none>[\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff])"
)
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Tibetan, Burmese, Khmer
STACKED = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4,}")
BLANK = re.compile("[\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufffc]")  # count as printable, and show nothing
HIDDEN_SELECTORS = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef](?:(?<=[A-Za-z ].)|(?=[\ufe00-\ufe0f\U000e0100-\U000e01ef]))"
)

# Question marks in place of letters: in a contraction, as whole words, inside several words.
NEARBY = re.compile(r"\?[?a-zà-ÿ]")
CONTRACTION = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|has|have|had|ca|wo|would|could|should|ai)n\?{1,3}t"
    r"|(?:it|that|there|what|who|he|she|let|here)\?{1,3}s|(?:I|you|we|they)\?{1,3}(?:ll|ve|re|d|m))\b",
    re.IGNORECASE,
)
LOST_WORDS = re.compile(r"(?:^|[\s,.;:(])\?{2,}(?:[ ,.;:-]+\?+){2,}")
AROUND = "\"'“”‘’«»„().,;:!…*_"
# What stands around a question mark when only the space after it is missing.
SENTENCES_TEXT = """you it this that me there right ok okay not what why how who so do is are now then here too
we he she they u no yes and or but the an can if in my one good sure know mean think"""
SENTENCES = frozenset(SENTENCES_TEXT.split())
WILDCARD = re.compile(
    r"wildcard|regex|regular|pattern|\bglob|crossword|hangman|missing|fill|blank|placeholder|puzzle", re.I
)
QUOTED_PRINTABLE = re.compile(r"=[C-F][0-9A-F]=[89AB][0-9A-F]|=20\n|\b\w+=3D[\"\w]")
TERMINAL = re.compile(r"\[(?:\d{1,2};)*\d{1,2}m")


class Encoding(SampleFilter):
    """Rejects characters that nobody typed: U+FFFD, control characters, lone surrogates, marks of byte order, private
    and unassigned ones, zero-width and other invisible ones, marks that turn the direction of writing, heaps of
    accents; text read in a wrong encoding ("cafÃ©", also twice over, and from code pages of Cyrillic, Chinese and
    Japanese); letters that became question marks ("don?t"); the escapes of e-mail and of terminals.

    A joiner is right inside an emoji and in scripts that need it, a mark of direction where there is text from right
    to left, a space of no width in scripts that write none. Samples that speak of encodings may show misread text. A
    letter that was misread as another ordinary letter is not seen. Question and answer are looked at everywhere, also
    in code; of passages only those of grounded samples, since no other is trained.
    """

    version: ClassVar[int] = 2

    def judge(self, sample: Sample) -> Judgement:
        for part, text in trained(sample):
            if found := damaged(text, sample):
                rule, what = found
                return rejected(rule, f"{what} in the {part}")
        return INTACT


def damaged(text: str, sample: Sample) -> Fault | None:
    """The first damage of a text; ordinary text is let go after a look or two."""
    if not text.isascii() and (found := misread(text, sample)):
        return found
    if not (text.isprintable() or text.translate(SPACES).isprintable()) and (found := odd_character(text)):
        return found
    if "=" in text and (escape := QUOTED_PRINTABLE.search(text)) and not about(CODE, sample.question):
        return "quoted-printable", f"{quoted(escape)}, an escape of e-mail,"
    if "[0m" in text and (colour := TERMINAL.search(text)) and not about(CODE, sample.question):
        return "control-character", f"{quoted(colour)}, a colour of a terminal,"
    if (
        "?" in text
        and (text.count("?") > 1 or NEARBY.search(text))
        and (lost := question_marks(outside_spans(text)))
        and not discussed(sample)
    ):
        return "question-marks", f"{quoted(lost)}: question marks in place of letters"
    return None


def odd_character(text: str) -> Fault | None:
    for found in ODD.finditer(ENGLAND.sub("", text)):
        if fault := judged(found):
            return fault
    return None


def judged(found: re.Match[str]) -> Fault | None:
    """Whether a character that may be odd is so where it stands."""
    character, text, at = found[0], found.string, found.start()
    named = f"U+{ord(character):04X}"
    match found.lastgroup:
        case "control":
            return "control-character", f"broken character {named}"
        case "surrogate":
            return "lone-surrogate", f"half of a character, {named},"
        case "mark":
            return "byte-order-mark", f"a mark of byte order, {named},"
        case "override":
            return "bidi-control", f"{named}, which turns the direction of writing,"
        case "direction" if not RIGHT_TO_LEFT.search(text):
            return "bidi-control", f"{named}, a mark of the direction of writing,"
        case "joiner" if not joins(text, at):
            return "invisible-character", f"{named}, {name(character)},"
        case "break" if not UNSPACED.search(text):
            return "invisible-character", f"{named}, {name(character)},"
        case "invisible":
            return "invisible-character", f"{named}, {name(character)},"
        case "private":
            return "private-use", f"{named}, a character of private use,"
        case "none":
            return "noncharacter", f"{named}, which is no character,"
    return None


def joins(text: str, at: int) -> bool:
    """Whether a joiner stands in an emoji, or in a script whose letters take other forms side by side."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    emoji = "\u2190" <= before <= "\u2bff" or before == "\ufe0f" or before >= "\U0001f000"
    return bool(before and after) and (emoji or "\u0590" <= before <= "\u1cff")


def misread(text: str, sample: Sample) -> Fault | None:
    if "\ufffd" in text and not discussed(sample):
        return "replacement-character", "broken character U+FFFD"
    if blank := BLANK.search(text):
        return "invisible-character", f"U+{ord(blank[0]):04X}, {name(blank[0])},"
    if heap := STACKED.search(text):
        return "stacked-marks", f"{len(heap[0])} accents on one letter"
    if HIDDEN_SELECTORS.search(text):
        return "invisible-character", "a variation selector on nothing that varies"
    if (trace := mojibake(text)) and not discussed(sample):
        return "mojibake", f"{quoted(trace)}, text read in a wrong encoding,"
    return None


def question_marks(text: str) -> str | None:
    """Question marks that stand for letters."""
    if found := CONTRACTION.search(text) or LOST_WORDS.search(text):
        return found[0].strip()
    if text.count("?") >= 4 and 2 * text.count("?") >= len("".join(text.split())):
        return text
    words = text.split()
    inside = [word for word, after in zip(words, [*words[1:], ""], strict=False) if lost_letters(word, after)]
    lost = sum(lost_letters(word, "") for word in inside) + inside.count("?")
    at_ends = sum(word[-1] == "?" and after[:1].islower() for word, after in pairwise(words)) if inside else 0
    if lost + at_ends < 2 or WILDCARD.search(text):
        return None
    return ", ".join(inside[:3])


def lost_letters(word: str, after: str) -> int:
    """How many question marks stand in a word where a letter should; none where two words lack the space between.

    One by itself counts in front of a small letter: it was a dash.
    """
    if "?" not in word:
        return 0
    if word == "?":
        return int(after[:1].islower())
    pieces = word.strip(AROUND).rstrip("?").split("?")
    letters = [piece for piece in pieces if piece]
    if len(pieces) < 2 or not letters or not all(piece.isalnum() for piece in letters):
        return 0
    if {piece.casefold() for piece in letters} & SENTENCES or not all(map(str.islower, letters[1:])):
        return 0
    return len(pieces) - 1


def discussed(sample: Sample) -> bool:
    return about(ENCODING, sample.question) or about(ENCODING, sample.answer)


def name(character: str) -> str:
    return unicodedata.name(character, "an unnamed character").lower()
