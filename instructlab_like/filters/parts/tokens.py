"""A text as its copies are looked for: folded words in order; where no space parts words, single characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import compress, count
from operator import add, ne
from typing import NamedTuple

from instructlab_like.filters.parts.lexicon import FUNCTION, HAN_FUNCTION, NEGATIONS, NUMBER_WORDS, SIGNS

# Scripts that put no spaces between words: Thai to Burmese, Khmer, kana, Han.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[+*/×÷=<>^%]|[-−](?=\s?\d)")
SIGN = re.compile(r"[+*/=<>^%]|-\s?\d")
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]+")
EDGES = re.compile(r"^[^\S\n]*[*+>=•–-]+(?=\s|$)|[^\S\n][*_]+[^\S\n]*$", re.MULTILINE)
EMPHASIS = re.compile(r"(?<![\w)\]*])[*_]{1,3}(?=[^\s*_])|(?<=[^\s*_])[*_]{1,3}(?![\w(\[*])")
CODED = re.compile(r"[a-z][A-Z]|\w_\w")
HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
DENIAL = re.compile("ない|なく|なかっ|なけれ|ません|ずに")
HIRAGANA = re.compile("[\u3040-\u309f]")

SAID = bytes(code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)) * 2
FOLDED = SAID.lower()
# A number or a word with a capital, but for one that opens a sentence.
MARK = re.compile(rb" (?<=[^.?!:] )\(?([A-Z0-9]\w+|\d)")
CLOSED = frozenset(".!?:;\n-–—•*#>|…。！？")  # after one of these a capital opens a sentence
OPENING = " \t\"'“”‘’«»„([{_"
LONG = 5  # letters of a word that says something by itself
GRAMMAR, NUMBER, NEGATION, CONTENT, CHARACTER = 1, 2, 4, 8, 16  # of a word; the last: of one of several signs
TWINS = (b"\1", b"\2", b"\3")
NOUNS = 0.22  # share of words with a capital from which on capitals mark nouns, or titles, and no names


class Spoken(NamedTuple):
    """The folded words of a text, those that say something by themselves, and its marks: numbers and names."""

    words: list[bytes]
    telling: list[bytes]
    marks: list[bytes]
    length: int  # in words, of which two characters of a script without spaces make one

    def features(self) -> list[bytes]:
        """What its signature is made of: runs of two words, telling words, and marks, which count several times."""
        words, telling, marks, _ = self
        return [*map(add, words, words[1:]), *telling, *[mark + twin for mark in marks for twin in TWINS]] or words


def unmarked(text: str) -> str:
    """The text without the marks of lists, quotations and emphasis, which would pass for signs of arithmetic, and
    without characters that nobody sees."""
    if "*" in text or "_" in text or "\n" in text or not text[:1].isalnum():
        text = EMPHASIS.sub("", EDGES.sub("", text))
    return text if text.isascii() else UNSEEN.sub("", text)


def spoken(text: str) -> Spoken:
    """Read a text quickly, for its sketch; for what it means when texts are compared there is `Part`."""
    if "_" in text or not text.isascii():
        text = unmarked(text)
    if text.isascii():
        data = text.encode("ascii")
        words = data.translate(FOLDED).split()
        return Spoken(words, [word for word in words if len(word) >= LONG], MARK.findall(data), len(words))
    tokens = TOKEN.findall(unicodedata.normalize("NFKC", text))
    folded = [word.casefold() for word in tokens]
    alone = [word for word in folded if is_unspaced(word)]
    telling = [word for word in folded if len(word) >= LONG or (is_unspaced(word) and is_content(word))]
    high = [] if alone else [word for word in tokens if word[0].isdigit() or word[0].isupper()]
    return Spoken(encoded(folded), encoded(telling), encoded(high), len(folded) - len(alone) // 2)


def encoded(words: list[str]) -> list[bytes]:
    return [word.encode("utf-8", "surrogatepass") for word in words]


class Part:
    """A question, an answer or a passage: its words as they are written and folded, and what they are."""

    def __init__(self, text: str) -> None:
        text = unmarked(text)
        self.text = text if text.isascii() else unicodedata.normalize("NFKC", text)
        if text.isascii() and not SIGN.search(text):
            data = text.encode("ascii")
            self.written = data.translate(SAID).decode("ascii").split()
            self.tokens = data.translate(FOLDED).decode("ascii").split()
        else:
            self.written = TOKEN.findall(self.text)
            self.tokens = [word.casefold() for word in self.written]

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(self.tokens)

    @cached_property
    def length(self) -> int:
        """In words, of which two characters of a script without spaces make one."""
        return len(self.tokens) - (sum(map(is_unspaced, self.tokens)) // 2 if self.has_unspaced else 0)

    def named(self, places: Iterable[int]) -> set[str]:
        """Of the words there those with a capital that is not there because they open a sentence."""
        high = [place for place in places if self.written[place] != self.tokens[place]]
        return {self.tokens[place] for place in high if place in self.capitals} if high else set()

    def coded(self, places: Iterable[int]) -> set[str]:
        """Of the words there those that are names out of code: createServer, create_server."""
        return {self.tokens[place] for place in places if CODED.search(self.written[place])}

    @cached_property
    def capitals(self) -> frozenset[int]:
        """The places of words with a capital that is not there because they open a sentence."""
        found, end = [], 0
        for place in compress(count(), map(ne, self.written, self.tokens)):
            word = self.written[place]
            begin = self.text.find(word, end)
            end = begin + len(word)
            if len(word) > 1 and self.tokens[place] not in FUNCTION:
                before = self.text[max(0, begin - 12) : begin].rstrip(OPENING)
                if word[1:] != word[1:].lower() or (before and before[-1] not in CLOSED):
                    found.append(place)
        return frozenset(found)

    @cached_property
    def has_unspaced(self) -> bool:
        return not self.text.isascii() and HAS_UNSPACED.search(self.text) is not None

    @cached_property
    def denials(self) -> int:
        """How often a Japanese ending says no."""
        return 0 if self.text.isascii() else len(DENIAL.findall(self.text))


def is_unspaced(word: str) -> bool:
    return len(word) == 1 and word > "\u0e00" and HAS_UNSPACED.match(word) is not None


@lru_cache(maxsize=1 << 16)
def kind(word: str) -> int:
    """What a folded word is, as far as it can be told from itself."""
    if not word.isalpha() and ("_" in word.strip("_") or word in SIGNS or any(map(str.isdigit, word))):
        return NUMBER  # or a name out of code, which is as particular
    if word in NUMBER_WORDS:
        return NUMBER
    if word in NEGATIONS:
        return NEGATION
    if len(word) == 1:
        plain = not is_unspaced(word) or word in HAN_FUNCTION or HIRAGANA.match(word)
        return GRAMMAR if plain else CHARACTER
    return CONTENT if len(word) > 3 and word not in FUNCTION else GRAMMAR


def is_content(word: str) -> bool:
    """Whether a word carries matter: neither number, nor negation, nor grammar."""
    return kind(word) >= CONTENT
