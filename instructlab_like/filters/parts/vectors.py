"""Samples as hashed word vectors: sketched one by one, weighted by how rare a word is among those compared.

All weights are whole numbers small enough that every sum of products is exact: the same on every machine, in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from instructlab_like.filters.parts.runs import Places, hashed, windows, words
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

LEAF = 8  # bytes of a leaf's digest, at the beginning of a sketch
FEATURES = 1 << 16  # that words are hashed to
STEM = 6  # letters of a word that count: endings differ
MOST = 1024  # features of one sample
LENGTH = 1000  # of a vector; its square and all sums on the way stay below 2**24, where 32-bit floats are exact
DIMENSIONS = 1024  # of projected vectors
BLOCK = 4096  # sketches looked at together

Weights = NDArray[np.float64]
Similarity = NDArray[np.uint8]


def sketch(sample: Sample) -> bytes:
    """The digest of the leaf, then the features of question, answer and passage, each with how often it is there."""
    passage = sample.context if sample.kind == "grounded" and sample.context else ""
    found = np.concatenate([features(text) for text in (sample.question, sample.answer, passage)])
    kinds, counts = np.unique(found, return_counts=True)
    if len(kinds) > MOST:
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST])
        kinds, counts = kinds[chosen], counts[chosen]
    return leaf_key(sample.lineage.leaf) + np.stack([kinds, np.minimum(counts, 99)]).astype(np.uint16).tobytes()


def leaf_key(leaf: str) -> bytes:
    return blake2b(leaf.encode("utf-8", "surrogatepass"), digest_size=LEAF).digest()


def features(text: str) -> NDArray[np.uint64]:
    """Beginnings of words, and one for all numbers of a length; pairs of characters in scripts without spaces."""
    found = words(text)
    if found.lengths is not None:
        return windows(found.sums, 2) >> np.uint64(48)
    stems = ["0" * len(word) if word[0].isdigit() else word[:STEM] for word in found.words]
    return hashed(stems)[1:] >> np.uint64(48)


@dataclass(frozen=True)
class Counted:
    """The features of some samples, one after the other's, and where those of each begin; the last ends there too."""

    kinds: Places
    counts: Places
    begins: Places

    @classmethod
    def of(cls, sketches: Iterable[bytes]) -> Counted:
        both = [np.frombuffer(one, np.uint16, offset=LEAF).reshape(2, -1).astype(np.int64) for one in sketches]
        together = np.concatenate([np.zeros((2, 0), np.int64), *both], axis=1)
        return cls(together[0], together[1], np.cumsum([0, *(one.shape[1] for one in both)]))

    @property
    def rows(self) -> Places:
        return np.repeat(np.arange(len(self.begins) - 1), np.diff(self.begins))


def rarity(spread: Places, size: int) -> Weights:
    """A whole number for each feature that `spread` of so many samples have: 0 where all of them do."""
    found: Weights = np.rint(16 * np.log((1 + size) / (1 + spread)))
    return found


def weighed(counted: Counted, rare: Weights) -> Weights:
    """The weight of each feature in its sample: every sample's vector has nearly one length, in whole numbers."""
    often = np.rint(4 * (1 + np.log2(counted.counts)))
    raw = often * rare[counted.kinds]
    squares = np.bincount(counted.rows, raw * raw, minlength=len(counted.begins) - 1)
    lengths = np.sqrt(np.maximum(squares, 1))
    found: Weights = np.rint(raw * (LENGTH / lengths)[counted.rows])
    return found


def similarities(sketches: Sequence[bytes]) -> Similarity:
    """How alike each two of some samples are, from 0 to 255: the cosine of their projected vectors."""
    counted = Counted.of(sketches)
    size = len(sketches)
    weights = weighed(counted, rarity(np.bincount(counted.kinds, minlength=FEATURES), size))
    mixed = (counted.kinds.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    dimension = ((mixed >> np.uint64(40)) % np.uint64(DIMENSIONS)).astype(np.int64)
    signed = weights * np.where(mixed >> np.uint64(63), 1, -1)
    flat = np.bincount(counted.rows * DIMENSIONS + dimension, signed, minlength=size * DIMENSIONS)
    vectors = flat.reshape(size, DIMENSIONS)
    lengths = np.sqrt(np.maximum((vectors * vectors).sum(axis=1, keepdims=True), 1))
    even = np.rint(vectors * (LENGTH / lengths)).astype(np.float32)
    found = np.empty((size, size), np.uint8)
    for begin in range(0, size, BLOCK // 4):
        products = even[begin : begin + BLOCK // 4] @ even.T
        found[begin : begin + BLOCK // 4] = np.clip(products * np.float32(255 / LENGTH**2), 0, 255)
    np.fill_diagonal(found, 255)
    return found


def by_leaf(pool: Pool) -> dict[bytes, list[int]]:
    """The places of each leaf's samples, by the digest of its path."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for place in range(len(pool)):
        found[pool.sketch(place)[:LEAF]].append(place)
    return dict(sorted(found.items()))


def blocks(pool: Pool, places: Sequence[int]) -> Iterator[Counted]:
    """The features of the samples at some places, so many at a time."""
    for begin in range(0, len(places), BLOCK):
        yield Counted.of(map(pool.sketch, places[begin : begin + BLOCK]))
