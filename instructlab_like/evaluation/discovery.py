"""Verdicts of many leaves at once: of those called better or worse, at most one in twenty by chance.

Benjamini & Hochberg (1995) over the exact p of all rows that have enough items and clusters; which those are does not
hang on any score. A row is better or worse where its own 95 % interval excludes 0 and its q is below 0.05. Intervals
stay those of one row by itself: among the rows picked out because they look best, a few more than one in twenty miss.
"""

from __future__ import annotations

from collections.abc import Sequence

from instructlab_like.evaluation.effect import ALPHA, powered, verdict
from instructlab_like.records import Effect


def q_values(chances: Sequence[float]) -> list[float]:
    """For each p the lowest rate of false discoveries at which it would be one; in the order given."""
    found = [1.0] * len(chances)
    lowest = 1.0
    ranked = sorted(range(len(chances)), key=lambda index: chances[index], reverse=True)
    for above, index in enumerate(ranked):
        lowest = min(lowest, chances[index] * (len(chances) / (len(chances) - above)))
        found[index] = lowest
    return found


def controlled(effects: Sequence[Effect], *, enough: int) -> tuple[Effect, ...]:
    """The effects with their q among each other, and verdicts by q; those on too few items stay as they are."""
    tested = [one for one in effects if powered(one.n, one.clusters, enough)]
    levels = dict(zip(map(id, tested), q_values([one.p for one in tested]), strict=True))
    return tuple(_judged(one, levels[id(one)]) if id(one) in levels else one for one in effects)


def _judged(effect: Effect, level: float) -> Effect:
    return effect.model_copy(update={"q": level, "effect": verdict(effect, sure=level < ALPHA)})
