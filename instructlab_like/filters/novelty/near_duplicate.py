"""Rejects near copies of other samples, without touching questions that are merely alike."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, not_applied, rejected
from instructlab_like.filters.parts.changes import Text, about_another, apart, share
from instructlab_like.filters.parts.shelves import SLOTS, Shelves, signature
from instructlab_like.filters.parts.tokens import features, spoken
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

HEAD, MARK = 4, 4  # bytes of a sketch: the number of words, what stands for the leaf; then the signature
SKETCH = HEAD + MARK + SLOTS
VARIED = 0xFFFFFFFF  # in place of the number of words: made by rules or a simulation
WORDS = 200_000  # of texts in memory
ON_PURPOSE = not_applied("varied on purpose by rules or a simulation")
Share = Annotated[float, Field(ge=0, le=1)]


class NearDuplicate(SetFilter):
    model_config = {"frozen": False, "extra": "allow"}
    version: ClassVar[int] = 2

    similarity: Share = 0.7
    part_similarity: Share = 0.5
    signature: Share = 0.45
    min_words: Annotated[int, Field(ge=1)] = 12
    within: Literal["set", "leaf"] = "set"
    model_free: bool = False

    def sketch(self, sample: Sample) -> bytes:
        if sample.lineage.method in ("rules", "simulation") and not self.model_free:
            return VARIED.to_bytes(HEAD, "little") + bytes(MARK + SLOTS)
        passage = (sample.context or "") if sample.kind == "grounded" else ""
        words = spoken(f"{sample.question}\n{sample.answer}\n{passage}")
        head = len(words).to_bytes(HEAD, "little")
        if len(words) < self.min_words:
            return head + bytes(MARK + SLOTS)
        return head + self.mark(sample) + signature(features(words))

    def mark(self, sample):
        if self.within == "set":
            return bytes(MARK)
        return hashlib.blake2b(sample.lineage.leaf.encode(), digest_size=MARK).digest()

    def judge(self, pool: Pool, _around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        table = np.frombuffer(pool.sketches(), dtype=np.uint8).reshape(-1, SKETCH)
        counts = np.ascontiguousarray(table[:, :HEAD]).view("<u4")[:, 0]
        compared = np.flatnonzero((counts != VARIED) & (counts >= self.min_words))
        groups = np.ascontiguousarray(table[compared, HEAD : HEAD + MARK]).view("<u4")[:, 0]
        shelves = Shelves(table[compared, HEAD + MARK :], groups)
        texts = Texts(pool)
        self.stat = [0, 0, 0]
        for block in shelves.blocks():
            kept = np.ones(len(block), dtype=bool)
            later, earlier, same = shelves.alike(block, self.signature)
            told = {}
            for one, other in zip(later.tolist(), earlier.tolist()):
                self.stat[0] += 1
                if one in told or (other >= block.start and not kept[other - block.start]):
                    continue
                self.stat[1] += 1
                score = self.copied(texts.get(int(compared[one])), texts.get(int(compared[other])))
                if score is not None:
                    kept[one - block.start] = False
                    told[one] = (other, score)
            shelves.put(block, kept)
            for one, (other, score) in told.items():
                self.stat[2] += 1
                yield (
                    int(compared[one]),
                    rejected(
                        "near-copy",
                        "x",
                        score=score,
                        threshold=self.similarity,
                        partner=texts.get(int(compared[other])).id,
                    ),
                )

    def copied(self, one: Text, other: Text) -> float | None:
        if apart(one.marks, other.marks): return None
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            if share(mine.tokens, theirs.tokens) < self.part_similarity:
                return None
        score = share(one.tokens, other.tokens)
        if score < self.similarity or about_another(one, other):
            return None
        return score


class Texts:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.held: OrderedDict[int, Text] = OrderedDict()
        self.words = 0

    def get(self, number: int) -> Text:
        if (known := self.held.get(number)) is not None:
            self.held.move_to_end(number)
            return known
        found = self.held[number] = Text.of(self.pool.sample(number))
        self.words += len(found.tokens)
        while self.words > WORDS:
            self.words -= len(self.held.popitem(last=False)[1].tokens)
        return found
