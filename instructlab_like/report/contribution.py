"""What each contributed leaf did: its gain, its loss, its samples, what it cost, and what it did to others. Pure.

One row a leaf, with who brought it and when. Nothing is reckoned here: each figure stands in a file of the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from instructlab_like.evaluation.grading import agreement
from instructlab_like.evaluation.leave_one_out import NOTHING, LeftOut
from instructlab_like.evaluation.summary import CheckpointScore, PartEffect, Summary, judged_rows
from instructlab_like.records import Effect, LeafOrigin, Record
from instructlab_like.report.learning import LeafLearning

FORMAT = 1  # of the JSON; raised when a field changes its meaning or goes


class LeafCost(Record):
    """What the calls that a leaf needs came to; of one that other leaves need, too, each of them has the whole."""

    calls: int = 0  # requests, tries that failed included
    tokens_in: int = 0
    tokens_out: int = 0
    money: float | None = 0.0  # None: the price of a teacher that was asked is not known
    shared: int = 0  # of the calls, those that another leaf needs, too


class LossDrop(Record):
    """Nats a token at first and at last: on held-out rows where the leaf has some, else in training."""

    rows: Literal["held-out", "training"]
    before: float
    after: float
    error: float | None  # standard error of the drop, paired over samples
    samples: int | None  # None: of a training loss

    @property
    def drop(self) -> float:
        return self.before - self.after


class Contribution(Record):
    """What one leaf did. What no file of the run tells is None."""

    leaf: str
    commit: str | None
    author: str | None
    dirty: bool  # changed since that commit
    made: int
    kept: int
    shortfall: str | None  # why it received no samples, or fewer than it might
    gain: Effect | None  # on its own held-out items, from the base; None: it has none with a score
    parts: tuple[PartEffect, ...] = ()
    judged: Literal["judged", "judged in part"] | None = None  # whether a judge's grades are in the gain
    loss: LossDrop | None
    cost: LeafCost | None
    left_out: LeftOut | None = None


class Contributions(Record):
    """`checkpoint` and `base` are the models that gains are of; `total` is what the whole run was charged."""

    format: int = FORMAT
    run: str
    base: str
    checkpoint: str
    trained_here: bool  # the checkpoint is the run's own adapter
    enough: int  # items below which nothing is called
    agreement: str | None = None  # how far the judge can be trusted, to stand beside each judged number
    total: LeafCost | None
    leaves: tuple[Contribution, ...]
    another_seed: LeftOut | None = None  # nothing left out: what chance alone moves


def contributions(
    *,
    run: str,
    summary: Summary,
    checkpoint: CheckpointScore,
    trained_here: bool,
    enough: int,
    origins: Sequence[LeafOrigin],
    shortfalls: Mapping[str, str],
    learnt: Iterable[LeafLearning],
    costs: Mapping[str, LeafCost] | None,
    total: LeafCost | None,
    left_out: Iterable[LeftOut],
) -> Contributions:
    """Every leaf of the run, in the order of its manifest. `costs` None: what the leaves cost is not known."""
    by_origin = {one.path: one for one in origins}
    counts = {one.leaf: one for one in summary.samples}
    gains = {one.leaf: one for one in checkpoint.leaves}
    losses = {one.leaf: one for one in learnt}
    without = {one.leaf: one for one in left_out}
    wholly = {one.leaf for one in judged_rows(summary, checkpoint) if not isinstance(one, PartEffect)}

    def row(leaf: str) -> Contribution:
        origin, count = by_origin.get(leaf), counts.get(leaf)
        return Contribution(
            leaf=leaf,
            commit=origin.commit if origin else None,
            author=origin.author if origin else None,
            dirty=bool(origin and origin.dirty),
            made=count.made if count else 0,
            kept=count.kept if count else 0,
            shortfall=shortfalls.get(leaf),
            gain=gains.get(leaf),
            parts=tuple(one for one in checkpoint.parts if one.leaf == leaf),
            judged=judged(leaf, summary, wholly),
            loss=drop(losses[leaf]) if leaf in losses else None,
            cost=None if costs is None else costs.get(leaf, LeafCost()),
            left_out=without.get(leaf),
        )

    return Contributions(
        run=run,
        base=summary.base.name,
        checkpoint=checkpoint.name,
        trained_here=trained_here,
        enough=enough,
        agreement=agreement(summary.judge) if summary.judge else None,
        total=total,
        another_seed=without.get(NOTHING),
        leaves=tuple(row(leaf) for leaf in dict.fromkeys((*by_origin, *counts, *gains))),
    )


def judged(leaf: str, summary: Summary, wholly: Collection[str]) -> Literal["judged", "judged in part"] | None:
    """How much of a leaf's score a judge gave."""
    if summary.judge is None or leaf not in summary.judge.leaves:
        return None
    return "judged" if leaf in wholly else "judged in part"


def drop(learnt: LeafLearning) -> LossDrop | None:
    """How far a leaf's loss fell; None where it was measured at one end alone."""
    if learnt.held_out:
        moved = learnt.held_out
        return LossDrop(
            rows="held-out", before=moved.before, after=moved.after, error=moved.error, samples=moved.samples
        )
    if learnt.first is None or learnt.last is None:
        return None
    return LossDrop(rows="training", before=learnt.first, after=learnt.last, error=None, samples=None)


def chosen(told: Contributions, leaves: Sequence[str]) -> Contributions:
    """The same, of these leaves alone."""
    return told.model_copy(update={"leaves": tuple(one for one in told.leaves if one.leaf in leaves)})
