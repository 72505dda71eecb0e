"""All that a report tells, as the files of a run hold it; the page and its twins choose what of it to show."""

from __future__ import annotations

from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Answer, Item, Leaf, LeafCounts, LeafOrigin, Record, Sample, Verdict, Waterfall
from instructlab_like.report.contribution import Contributions
from instructlab_like.report.learning import Learning
from instructlab_like.report.mix import Mix
from instructlab_like.tuning.measures import HeldOutLoss, LeafLoss


class TeacherCost(Record):
    """What all calls of a run to one teacher came to, as the teacher counted."""

    teacher: str  # its identity
    calls: int
    tokens_in: int
    tokens_out: int
    money: float | None  # None: its price is not known


class ReportFacts(Record):
    """What stages before the report have not made yet is empty or None; the page says so in its place."""

    run: str
    model: str  # the base, as the recipe names it
    commit: str | None = None  # of the taxonomy's repository
    created: str | None = None  # shown as it is; left out, the same run gives the same bytes
    versions: dict[str, str] = {}
    recipes: dict[str, str] = {}  # stage -> digest of its recipe with every default written out
    costs: tuple[TeacherCost, ...] = ()
    leaves: tuple[Leaf, ...]
    origins: tuple[LeafOrigin, ...] = ()
    counts: tuple[LeafCounts, ...] = ()
    shortfalls: dict[str, str] = {}  # leaf -> why it received no samples, or fewer than it might
    waterfall: Waterfall = Waterfall()
    mix: Mix | None = None  # how near the kept samples come to the recipe's target
    samples: tuple[Sample, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    summary: Summary | None = None
    items: tuple[Item, ...] = ()
    answers: tuple[Answer, ...] = ()
    losses: tuple[LeafLoss, ...] = ()
    held_out: tuple[HeldOutLoss, ...] = ()
    learning: Learning | None = None
    contributions: Contributions | None = None
