"""All that a report tells, as the files of a run hold it; the page chooses what of it to show."""

from __future__ import annotations

from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Answer, Item, Leaf, LeafCounts, LeafOrigin, Record, Sample, Verdict, Waterfall


class LossPoint(Record):
    """The mean training loss of one leaf's tokens over the steps since the last such point."""

    phase: str
    step: int  # the last step counted, from 1
    leaf: str
    tokens: int
    loss: float  # nats a token


class ReportFacts(Record):
    """What stages before the report have not made yet is empty or None; the page says so in its place."""

    run: str
    model: str  # the base, as the recipe names it
    commit: str | None = None  # of the taxonomy's repository
    created: str | None = None  # shown as it is; left out, the same run gives the same bytes
    versions: dict[str, str] = {}
    leaves: tuple[Leaf, ...]
    origins: tuple[LeafOrigin, ...] = ()
    counts: tuple[LeafCounts, ...] = ()
    shortfalls: dict[str, str] = {}  # leaf -> why it received no samples, or fewer than it might
    waterfall: Waterfall = Waterfall()
    samples: tuple[Sample, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    summary: Summary | None = None
    items: tuple[Item, ...] = ()
    answers: tuple[Answer, ...] = ()
    losses: tuple[LossPoint, ...] = ()
