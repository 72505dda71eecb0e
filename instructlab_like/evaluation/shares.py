"""Shares and correlations as they are told everywhere: with their 95 % interval and of how many."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from instructlab_like.evaluation.effect import estimate
from instructlab_like.records import Record


class Share(Record):
    """A mean of values in 0..1."""

    share: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float], clusters: Sequence[Hashable]) -> Share | None:
        """None for no values; those of one cluster rise and fall together."""
        if not values:
            return None
        low, share, high = estimate(values, clusters)
        return cls(share=share, low=low, high=high, n=len(values))

    def told(self) -> str:
        return f"{self.share:.2f} [{self.low:.2f}–{self.high:.2f}] of {self.n}"


class Correlation(Record):
    """A coefficient in -1..1, of agreement or of rank."""

    value: float
    low: float
    high: float
    n: int

    def told(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f} to {self.high:+.2f}] of {self.n}"
