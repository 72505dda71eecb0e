"""Rejects what was made before: the same question and answer, or the same question with another answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts.tokens import unmarked
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample, normalise, with_context

SIZE = 16  # bytes of a digest: that two texts of a set share one by chance is out of the question
PREFIX = 8  # of them by which samples are sorted


class ExactDuplicate(SetFilter):
    """Keeps the first in id order of samples with the same messages, over all leaves.

    Case, width, punctuation, spacing and the marks of lists and emphasis do not count; signs of arithmetic do.

    Also rejects a later sample that asks a kept sample's question and answers otherwise: trained side by side the two
    unteach each other, and nothing here tells which is right. For knowledge the question is compared normalised; for
    skills as it stands but for its spacing, since there case and punctuation may be what is asked about ("5 + 3",
    "5 - 3"). Where many answers are wanted to one prompt (a creative skill), switch `contradictions` off.

    It cannot know which of two answers is the better one, nor that two phrasings ask the same.
    """

    version: ClassVar[int] = 2

    contradictions: bool = True
    """Also reject the same question with another answer."""

    def sketch(self, sample: Sample) -> bytes:
        asked = with_context(sample.question, sample.context) if sample.kind == "grounded" else sample.question
        plain = normalise(unmarked(asked))
        question = f"knowledge\n{plain}" if sample.kind == "knowledge" else f"skill\n{' '.join(asked.split())}"
        return hashed(f"{plain}\n{normalise(unmarked(sample.answer))}") + hashed(question)

    def judge(self, pool: Pool, _around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        first: dict[bytes, int] = {}  # the places of kept samples, by the digest of all they say
        asked: dict[bytes, int] = {}  # and of their question
        for place in several(np.frombuffer(pool.sketches(), dtype=np.uint64).reshape(-1, 2 * SIZE // PREFIX)):
            sketch = pool.sketch(place)
            whole, question = sketch[:SIZE], sketch[SIZE:]
            if (same := first.get(whole)) is not None:
                partner = pool.sample(same).id
                yield place, rejected("copy", "same question, same answer", partner=partner)
            elif self.contradictions and (other := asked.get(question)) is not None:
                partner = pool.sample(other).id
                yield place, rejected("other-answer", "same question, other answer", partner=partner)
            else:
                first[whole] = asked[question] = place


def hashed(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def several(digests: npt.NDArray[np.uint64]) -> list[int]:
    """The places whose first or second digest begins like another's: few, so that each of them can be looked at."""
    found = np.zeros(len(digests), dtype=np.bool_)
    for beginnings in (digests[:, 0], digests[:, SIZE // PREFIX]):
        order = np.argsort(beginnings)
        ordered = beginnings[order]
        same = ordered[1:] == ordered[:-1]
        found[order[1:][same]] = True
        found[order[:-1][same]] = True
    return np.flatnonzero(found).tolist()
