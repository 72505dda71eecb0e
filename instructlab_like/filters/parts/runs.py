"""Runs of words that texts have in common to the letter, compared by hashes that are the same in every process."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from instructlab_like.records import MARKS, UNSPACED

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int64]

HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
SIGN = r"[+/×÷=<>^%]|[-−](?=\s?\d)"  # of arithmetic; other dashes are typography, as are stars that do not multiply
BETWEEN = r"[^\w+*/×÷=<>^%]*"
TIMES = re.compile(rf"((?:\d|\b[^\W_]){BETWEEN})\*(?={BETWEEN}(?:\d|[^\W_]\b))")
BREAK = r"[\n|!?\"“”«»„「」。]|[.:](?!\w)"
LETTER = rf"[^\W{UNSPACED}]"
PIECE = re.compile(rf"{LETTER}+(?:[{MARKS}]+{LETTER}*)*|[{UNSPACED}]|{SIGN}|{BREAK}")
NEGATIVE = re.compile(r"-\s?\d")
SIGNS = frozenset("+/×÷=<>^%-−")
ASCII_SIGNS = "+/=<>^%"
# How ASCII text is made even: "!" for every break but a full stop and a colon, "|" for the end of a line.
BREAKING = {"?": "!", "!": "!", '"': "!", "\n": "|", "|": "|"}
EVEN = bytes(
    ord(BREAKING.get(sign, sign.lower() if sign.isalnum() or sign in f"_.:{ASCII_SIGNS}" else " "))
    for sign in map(chr, [*range(128), *range(128)])
)
PLAIN = bytes(code for code in range(128) if chr(code) not in f"{ASCII_SIGNS}-*")
# What English texts often have besides ASCII, as it is read otherwise.
TYPOGRAPHY = str.maketrans(dict.fromkeys("“”„«»", '"') | dict.fromkeys("‘’–—•\u00a0", " ") | {"…": "..."})
INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF))
LINE, PARAGRAPH = 2, 3  # levels of breaks; 1: a sentence, or a quotation
LEVELS = dict.fromkeys('!?"“”«»„「」。.:', 1) | {"\n": LINE, "|": LINE}
BREAKS = frozenset(LEVELS)
ZERO = bytes(8)
LABEL = 2  # words before a colon that may be a label: "Q:", "User 2:"; as may one short word before a full stop
QUOTED = 80  # characters
KEPT = 1 << 17  # words whose hashes are remembered
NONE: Hashes = np.zeros(0, np.uint64)


known_words: dict[str, bytes] = {}


def hashed(found: Iterable[str]) -> Hashes:
    """Zero, and then a hash of each word."""
    words = list(found)
    try:
        joined = b"".join(map(known_words.__getitem__, words))
    except KeyError:
        if len(known_words) >= KEPT:
            known_words.clear()
        new = [word for word in words if word not in known_words]
        known_words.update(
            (word, blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()) for word in new
        )
        joined = b"".join(map(known_words.__getitem__, words))
    return np.frombuffer(ZERO + joined, np.uint64)


class Powers:
    """Powers of an odd number modulo 2**64, and of its inverse."""

    def __init__(self, of: int) -> None:
        self.of = of
        self.up: Hashes = np.ones(1, np.uint64)
        self.down: Hashes = np.ones(1, np.uint64)

    def need(self, count: int) -> None:
        if len(self.up) < count:
            size = 1 << (count - 1).bit_length()
            self.up, self.down = rising(self.of, size), rising(pow(self.of, -1, 1 << 64), size)


def rising(of: int, size: int) -> Hashes:
    factors = np.full(size, of, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


POWERS = Powers(0x9E3779B97F4A7C15)


def summed(values: Hashes) -> Hashes:
    """Of which `rolled` is made: sums of the values times powers. The first value is zero."""
    POWERS.need(len(values))
    sums: Hashes = (values * POWERS.up[: len(values)]).cumsum()
    return sums


def rolled(sums: Hashes, begins: Places, ends: Places) -> Hashes:
    """A hash of each stretch of what was summed; equal stretches have equal ones, wherever they stand."""
    found: Hashes = (sums[ends] - sums[begins]) * POWERS.down[begins]
    return found


def windows(sums: Hashes, size: int) -> Hashes:
    """The same of every stretch of so many values."""
    count = len(sums) - size
    if count <= 0:
        return NONE
    found: Hashes = (sums[size:] - sums[:count]) * POWERS.down[:count]
    return found


class Words(NamedTuple):
    """A text's words: case folded, without punctuation; characters one by one in scripts without spaces."""

    words: tuple[str, ...]
    breaks: tuple[tuple[int, int], ...]  # between them: how many words come before it, and its level
    sums: Hashes  # of the words' hashes
    lengths: NDArray[np.int64] | None  # up to each word, in half words; None: each is a whole one

    @property
    def length(self) -> int:
        """In words; two characters of a script without spaces count as one."""
        return len(self.words) if self.lengths is None else int(self.lengths[-1]) // 2

    def runs(self, size: int) -> Hashes:
        """A hash of each run of so many words, in order; none of a shorter text."""
        return windows(self.sums, size) if self.lengths is None else rolled(self.sums, *self.stretches(size))

    def stretches(self, size: int) -> tuple[Places, Places]:
        """Where each run of so many words begins, and ends."""
        if self.lengths is None:
            begins = np.arange(max(0, len(self.words) - size + 1))
            return begins, begins + size
        ends = np.searchsorted(self.lengths, self.lengths[:-1] + 2 * size)
        ends = ends[ends <= len(self.words)]
        return np.arange(len(ends)), ends

    def whole(self) -> Hashes:
        """A hash of all words; none of a text without any."""
        return self.sums[-1:] if self.words else NONE

    def segments(self, least: int) -> list[tuple[int, int]]:
        """Where the paragraphs, lines and sentences of at least so many words begin and end; not the whole text."""
        if not self.breaks:
            return []
        found: dict[tuple[int, int], None] = {}
        begins = [0, 0, 0]  # of the sentence, line and paragraph
        for place, level in (*self.breaks, (len(self.words), PARAGRAPH)):
            for smaller in range(level):
                if self.measure(begins[smaller], place) >= least:
                    found[begins[smaller], place] = None
                begins[smaller] = place
        found.pop((0, len(self.words)), None)
        return list(found)

    def measure(self, begin: int, end: int) -> int:
        return end - begin if self.lengths is None else int(self.lengths[end] - self.lengths[begin]) // 2

    def parts(self, stretches: list[tuple[int, int]]) -> Hashes:
        """A hash of each stretch."""
        if not stretches:
            return NONE
        begins, ends = np.array(stretches).T
        return rolled(self.sums, begins, ends)


def cut(text: str) -> Words:
    """The words of a text."""
    even = text if text.isascii() else text.translate(TYPOGRAPHY)
    tokens, unspaced = (tokens_of_ascii(even), False) if even.isascii() else tokens_of(text)
    found: list[str] = []
    breaks: list[tuple[int, int]] = []
    begin = 0
    for place in [place for place, token in enumerate(tokens) if not token.isalnum()]:
        found += tokens[begin:place]
        piece = tokens[place]
        for token in piece if len(piece) == 1 else PIECE.findall(piece):
            if token in BREAKS:
                mark(token, found, breaks)
            else:
                found.append(token)
        begin = place + 1
    found += tokens[begin:]
    return Words(tuple(found), tuple(breaks), summed(hashed(found)), half_words(found) if unspaced else None)


words = lru_cache(maxsize=32)(cut)  # filters run one after the other on the same few texts


def tokens_of(text: str) -> tuple[list[str], bool]:
    """Words, signs and breaks, and whether some of them are characters of a script without spaces."""
    folded = multiplied(unicodedata.normalize("NFKC", text).translate(INVISIBLE).casefold())
    return PIECE.findall(folded), HAS_UNSPACED.search(folded) is not None


def tokens_of_ascii(text: str) -> list[str]:
    """The same by far faster, but for full stops and other breaks that hang on words."""
    data = text.encode("ascii")
    signs = data.translate(None, PLAIN)
    if (b"-" in signs and NEGATIVE.search(text)) or (b"*" in signs and TIMES.search(text)):
        return tokens_of(text)[0]
    even = data.translate(EVEN)
    if b"|" in even:
        even = even.replace(b"|", b" | ")
    for code in set(signs.translate(None, b"-*")):
        even = even.replace(bytes([code]), bytes([32, code, 32]))
    return even.decode("ascii").split()


def multiplied(folded: str) -> str:
    """Stars that multiply as such; others are typography."""
    return TIMES.sub(r"\1×", folded).replace("*", " ") if "*" in folded else folded


def mark(sign: str, found: list[str], breaks: list[tuple[int, int]]) -> None:
    """Add a break; after a label the line, or the paragraph, begins anew."""
    level = LEVELS[sign]
    place = len(found)
    last, before = breaks[-1] if breaks else (0, PARAGRAPH)
    if level == before == LINE and last == place:
        level = PARAGRAPH  # an empty line
    if (sign == ":" and 0 < place - last <= LABEL) or (sign == "." and place == last + 1 and len(found[-1]) < 3):
        level = max(level, before)
    if breaks and last == place:
        breaks[-1] = place, max(level, before)
    else:
        breaks.append((place, level))


def half_words(found: list[str]) -> Places:
    lengths = np.zeros(len(found) + 1, np.int64)
    np.cumsum([1 if len(word) == 1 and HAS_UNSPACED.match(word) else 2 for word in found], out=lengths[1:])
    return lengths


def squeezed(found: Iterable[str]) -> str:
    """The letters and digits of words, without what parts them."""
    return "".join([word for word in found if word not in SIGNS]).replace("_", "")


def quoted(text: str) -> str:
    """A text as a reason shows it: on one line, and not much of it."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= QUOTED else line[: QUOTED - 1] + '…'}”"
