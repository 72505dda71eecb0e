"""What generation and training asked, and whether a question asks it again."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import numpy as np

from instructlab_like.filters.parts.runs import NONE, Hashes, cut
from instructlab_like.records import normalise

RUN = 8  # words in a row that two questions may not share


class Met:
    """Normalised user turns, passages included, as a run's samples and rows have them."""

    def __init__(self, asked: Collection[str]) -> None:
        self.asked = frozenset(asked)

    @cached_property
    def runs(self) -> Hashes:
        """A hash of each eight words in a row, sorted: sets of the words would take twenty times as much room."""
        return np.unique(np.concatenate([NONE, *(cut(text).runs(RUN) for text in self.asked)]))

    def shares(self, question: str) -> bool:
        """Whether the question was asked before, in these words or in eight of them in a row."""
        told = normalise(question)
        return told in self.asked or bool(np.isin(cut(told).runs(RUN), self.runs).any())
