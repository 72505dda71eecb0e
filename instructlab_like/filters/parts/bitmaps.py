"""Which of very many texts may share enough tokens with another: an upper bound that costs a nanosecond a pair.

A text's bitmap has a bit for each of its tokens, flipped by every token that falls on it. So two bitmaps differ in no
more bits than the texts have tokens that the other lacks (Sandes, Teodoro and Melo 2020, "Bitmap filter").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Bits = NDArray[np.uint64]  # one row for each word of the bitmaps, one column a text
Text = str | Sequence[int]  # one character, or one number, a token
Limits = Callable[[int, int], Counts]  # see `Shelf.near`

WORD = 64  # bits
WIDEST = 64  # words of a bitmap
CHUNK = 1 << 15  # texts looked at in one go: what of them is read stays in a processor's cache
MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(31), np.uint64(20))


def width(cls: int) -> int:
    """Words of a bitmap for texts whose lengths have `cls` binary digits: four bits a token or more."""
    return min(WIDEST, max(1, (1 << cls) // 16))


class Tokens:
    """The tokens of some texts, as numbers."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.lengths: Counts = np.array([len(text) for text in texts], dtype=np.int64)
        self.rows: Counts = np.repeat(np.arange(len(texts), dtype=np.int64), self.lengths)
        self.slots = self.spread(np.concatenate([numbers(text) for text in texts]))
        self.made: dict[int, Bits] = {}

    def spread(self, flat: Counts) -> Bits:
        """A place in the widest bitmap for each token; its second occurrence in a text is another token."""
        order = np.lexsort((flat, self.rows))
        starts = np.ones(len(flat), dtype=bool)
        starts[1:] = (np.diff(self.rows[order]) != 0) | (np.diff(flat[order]) != 0)
        at = np.arange(len(flat), dtype=np.int64)
        occurrences = np.empty_like(flat)
        occurrences[order] = at - np.maximum.accumulate(np.where(starts, at, 0))
        step, factor, fold, shift = MIX
        mixed = (flat.astype(np.uint64) + occurrences.astype(np.uint64) * step) * factor
        mixed ^= mixed >> fold
        return ((mixed * step) >> shift) % np.uint64(WORD * WIDEST)

    def bitmaps(self, words: int) -> Bits:
        """Of all texts, so many words each."""
        if words not in self.made:
            slots = self.slots % np.uint64(WORD * words)
            bits = np.zeros((words, len(self.lengths)), dtype=np.uint64)
            place = (slots // np.uint64(WORD)).astype(np.int64)
            np.bitwise_xor.at(bits, (place, self.rows), np.uint64(1) << (slots % np.uint64(WORD)))
            self.made[words] = bits
        return self.made[words]


def numbers(text: Text) -> Counts:
    """The tokens of a text, each of which is a character or a number."""
    if isinstance(text, str):
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    return np.array(text, dtype=np.int64)


def by_class(tokens: Tokens, chosen: Counts) -> Iterator[tuple[int, Counts]]:
    """The chosen ones of the texts by length class."""
    classes = np.frexp(tokens.lengths[chosen])[1]
    for cls in np.unique(classes).tolist():
        yield cls, chosen[classes == cls]


class Shelf:
    """Texts of one class by length (1, 2-3, 4-7, …), each with a number, in the order in which they were put here."""

    def __init__(self, cls: int) -> None:
        self.cls = cls
        self.count = 0
        self.bits: Bits = np.empty((width(cls), 256), dtype=np.uint64)
        self.lengths: Counts = np.empty(256, dtype=np.int64)
        self.numbers: Counts = np.empty(256, dtype=np.int64)

    def put(self, tokens: Tokens, chosen: Counts, numbers: Counts) -> None:
        """The chosen ones of the texts, all of this class, under these numbers."""
        end = self.count + len(chosen)
        if end > len(self.numbers):
            more = max(end, 2 * len(self.numbers)) - len(self.numbers)
            self.bits = np.pad(self.bits, ((0, 0), (0, more)))
            self.lengths, self.numbers = np.pad(self.lengths, (0, more)), np.pad(self.numbers, (0, more))
        self.bits[:, self.count : end] = tokens.bitmaps(width(self.cls))[:, chosen]
        self.lengths[self.count : end] = tokens.lengths[chosen]
        self.numbers[self.count : end] = numbers
        self.count = end

    def near(self, tokens: Tokens, chosen: Counts, limits: Limits) -> Iterator[tuple[int, Counts]]:
        """For the chosen ones of the texts, the numbers of those here whose bitmaps differ in less than the limit.

        `limits(length, class)` holds the limit for each length of the class, from its least; 0: never.
        """
        if not self.count:
            return
        bits, least = tokens.bitmaps(width(self.cls)), 1 << (self.cls - 1)
        kind = np.uint8 if len(bits) * WORD < 256 else np.uint16  # holds the most bits that may differ
        by_length = chosen[np.argsort(tokens.lengths[chosen], kind="stable")]
        for start in range(0, self.count, CHUNK):
            here = slice(start, min(start + CHUNK, self.count))
            shown, offsets = self.bits[:, here], self.lengths[here] - least
            odd, some = np.empty(shown.shape[1], dtype=np.uint64), np.empty(shown.shape[1], dtype=kind)
            differ, close = np.empty_like(some), np.empty(shown.shape[1], dtype=bool)
            length = 0
            for text in by_length.tolist():
                if tokens.lengths[text] != length:
                    length = int(tokens.lengths[text])
                    allowed = np.minimum(limits(length, self.cls), np.iinfo(kind).max).astype(kind)
                    limit, possible = allowed.take(offsets), bool(allowed.any())
                if not possible:
                    continue
                np.bitwise_count(np.bitwise_xor(shown[0], bits[0, text], out=odd), out=differ)
                for word in range(1, len(bits)):
                    np.bitwise_count(np.bitwise_xor(shown[word], bits[word, text], out=odd), out=some)
                    np.add(differ, some, out=differ)
                if np.less(differ, limit, out=close).any():
                    yield text, self.numbers[here][close]
