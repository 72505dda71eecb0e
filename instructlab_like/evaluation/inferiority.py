"""Whether what the base could do was kept: a checkpoint may be worse by a stated margin, and has to show no more."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal

from instructlab_like.evaluation.discovery import q_values
from instructlab_like.evaluation.effect import ALPHA, ONE_SIDED, Paired, average, difference, paired_p, powered
from instructlab_like.records import Record


class NonInferiority(Record):
    """One row of what had to be kept. Either end of `delta` is a one-sided 95 % bound, so both span 90 %.

    kept: the lower end lies above -margin. lost: the upper end lies below -margin; or the drop is real (q < 0.05, the
    upper end below 0) and its best estimate beyond the margin. undecided: neither, or too few items or clusters, when q
    is None.
    """

    name: str  # a leaf, a branch, "base/<kind>", or "base" for the mean over the kinds
    n: int
    clusters: int
    base: float
    tuned: float
    delta: tuple[float, float, float]  # low, mid, high
    margin: float
    q: float | None = None  # of no difference, among the rows of one checkpoint (Benjamini-Hochberg)
    verdict: Literal["kept", "lost", "undecided"]

    @property
    def wanted(self) -> int | None:
        """About how many items would show that it was kept, if the difference stays; None where it would not."""
        low, mid, _ = self.delta
        if self.verdict != "undecided" or mid <= -self.margin:
            return None
        return max(10 * ceil(self.n * ((mid - low) / (mid + self.margin)) ** 2 / 10), self.n + 1)


def kept_rows(
    named: Sequence[tuple[str, Sequence[Paired]]], *, margin: float, enough: int
) -> tuple[NonInferiority, ...]:
    """A row for each name from the scores of its leaves, which count equally."""
    tested = [name for name, groups in named if powered(_items(groups), _clusters(groups), enough)]
    chances = [paired_p(groups) for name, groups in named if name in tested]
    levels = dict(zip(tested, q_values(chances), strict=True))
    return tuple(_row(name, groups, margin, levels.get(name)) for name, groups in named)


def _row(name: str, groups: Sequence[Paired], margin: float, level: float | None) -> NonInferiority:
    low, mid, high = delta = average([difference(group, ONE_SIDED) for group in groups])
    verdict: Literal["kept", "lost", "undecided"] = "undecided"
    if level is not None and low > -margin:
        verdict = "kept"
    elif level is not None and (high < -margin or (level < ALPHA and high < 0 and mid < -margin)):
        verdict = "lost"
    return NonInferiority(
        name=name,
        n=_items(groups),
        clusters=_clusters(groups),
        base=_mean([group.base for group in groups]),
        tuned=_mean([group.tuned for group in groups]),
        delta=delta,
        margin=margin,
        q=level,
        verdict=verdict,
    )


def _mean(scores: Sequence[Sequence[float]]) -> float:
    return sum(sum(part) / len(part) for part in scores) / len(scores)


def _items(groups: Sequence[Paired]) -> int:
    return sum(len(group.base) for group in groups)


def _clusters(groups: Sequence[Paired]) -> int:
    return sum(group.count for group in groups)
