"""ROUGE-L as the package rouge-score computes it, float for float, for many pairs of texts at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from instructlab_like.filters.parts.bitmaps import Counts, Text
from instructlab_like.records import normalise

CHARACTERS = 0x110000  # as many tokens have a character of their own
LATIN = re.compile("[a-z0-9]+")
# Scripts that put no spaces between words (Thai, Lao, Burmese, Khmer, kana, Han) count by the character.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
OTHER = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def tokens(text: str) -> list[str]:
    """Those of rouge-score, without stemming: runs of a-z and 0-9 in the lower-cased text.

    Of a text most of whose letters and digits are others, rouge-score would see what little is left. Its tokens are
    the words as `normalise` gives them, or the single characters of a script without spaces.
    """
    lowered = text.lower()
    found: list[str] = LATIN.findall(lowered)
    if lowered.isascii() or 2 * sum(map(len, found)) >= sum(map(str.isalnum, lowered)):
        return found
    return OTHER.findall(normalise(text))


class Vocabulary(dict[str, int]):
    """A number for each token, in the order in which they are met."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self)
        return number

    def encode(self, words: Sequence[str]) -> Text:
        """The words as a text of one character each, which is compared quickest, or of numbers that mean the same."""
        numbers = [self[word] for word in words]
        if len(self) > CHARACTERS and max(numbers, default=0) >= CHARACTERS:
            return numbers
        return "".join(map(chr, numbers))


def f_measure(common: Counts, one: Counts, other: Counts) -> NDArray[np.float64]:
    """Of texts of these lengths with a longest common subsequence of `common`, above 0; rounded as rouge-score does."""
    precision, recall = common / one, common / other
    measure: NDArray[np.float64] = 2 * precision * recall / (precision + recall)
    return measure


def rouge_l(one: Text, other: Text) -> float:
    common = LCSseq.similarity(one, other)
    if not common:
        return 0.0
    precision, recall = common / len(one), common / len(other)
    return 2 * precision * recall / (precision + recall)


def shared(threshold: float, text: Text, others: Sequence[Text]) -> Counts:
    """The lengths of the longest common subsequences; some are 0 where the F-measure cannot be above the threshold."""
    least = int(threshold * len(text) / (2 - threshold))  # whatever the length of the other
    found = process.cdist([text], others, scorer=LCSseq.similarity, dtype=np.uint32, score_cutoff=least)
    return np.asarray(found[0], dtype=np.int64)


@lru_cache(maxsize=512)
def limits(threshold: float, length: int, cls: int) -> Counts:
    """In how many bits the bitmaps of a text and of each length of the class must differ for an F-measure at most the
    threshold; 0: it is never above.

    To be above it, the texts must share `fewest` tokens. Then they differ in no more than their lengths less these.
    """
    lengths = np.arange(1 << (cls - 1), 1 << cls, dtype=np.int64)
    fewest = np.maximum(1, np.floor(threshold * (length + lengths) / 2).astype(np.int64) - 1)
    one = np.full_like(lengths, length)
    for _ in range(3):  # from one below what exact arithmetic gives to one above
        fewest += f_measure(fewest, one, lengths) <= threshold
    possible = fewest <= np.minimum(length, lengths)
    return np.where(possible, length + lengths - 2 * fewest + 1, 0)
