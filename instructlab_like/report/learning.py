"""What training did to each leaf: how far its loss fell, what was forgotten since, which samples stand out. Pure.

Samples stand out by the robust z of Iglewicz and Hoaglin (1993): the distance of their last loss from their leaf's
median, in units of the leaf's own spread. Such a sample is hard to learn from the others: worth a look, wrong or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from statistics import median
from typing import TypeVar

from instructlab_like.dataset.mix import REPLAY
from instructlab_like.printable import escaped
from instructlab_like.records import LeafOrigin, Sample
from instructlab_like.report.wording import change
from instructlab_like.tuning.choice import Choice
from instructlab_like.tuning.measures import BASE, HeldOutLoss, LeafLoss, Rise, SampleLoss, rise

ENDS = 10  # the first and the last of so many parts of a leaf's training loss are compared
PEERS = 8  # samples of a leaf below which none of them stands out
FAR = 3.5  # robust z from which a sample stands out
NARROW = 0.05  # nats a token: no leaf's spread counts as smaller
NORMAL = 1.4826  # of the median absolute deviation, for it to estimate a standard deviation
OF_A_LEAF = 3  # most samples of a leaf that are named
NAMED = 20  # most samples that are named
QUOTED = 100  # characters of a question in a line

Point = tuple[str, int]  # phase and step
Key = TypeVar("Key")
One = TypeVar("One")


@dataclass(frozen=True)
class Source:
    """Where a leaf is written. `file` is below the workspace; commit and author are None outside Git."""

    file: str
    commit: str | None = None
    author: str | None = None

    def __str__(self) -> str:
        commit = self.commit[:12] if self.commit else None
        return " · ".join(part for part in (self.file, commit, self.author) if part)


NOWHERE = Source("")  # of leaves that the run's manifest does not know


@dataclass(frozen=True)
class LeafLearning:
    """A leaf's losses, in nats a token: in training at first and at last, on held-out rows before and after."""

    leaf: str
    source: Source
    tokens: int  # trained, over all steps
    first: float | None
    last: float | None
    held_out: Rise | None

    @property
    def drop(self) -> float:
        """How far its loss fell: on held-out rows where it has some, else in training."""
        if self.held_out:
            return -self.held_out.amount
        return self.first - self.last if self.first is not None and self.last is not None else 0.0


@dataclass(frozen=True)
class TeacherLearning:
    """The same of all samples that one teacher made."""

    teacher: str
    leaves: int
    tokens: int
    first: float | None
    last: float | None
    held_out: Rise | None


@dataclass(frozen=True)
class Forgotten:
    """A leaf once it was trained, or the base's own tasks, whose held-out loss rose in a phase, beyond chance."""

    leaf: str
    source: Source | None
    phase: str
    rise: Rise


@dataclass(frozen=True)
class Outlier:
    """A sample whose last loss is far above its leaf's."""

    sample: str
    leaf: str
    source: Source
    teacher: str
    phase: str
    loss: float
    usual: float  # the leaf's median
    z: float
    question: str = ""  # where the run does not hold the sample
    answer: str = ""


@dataclass(frozen=True)
class Learning:
    """`leaves` by how far their loss fell, the most first; `outliers` by how far they stand out."""

    leaves: tuple[LeafLearning, ...]
    teachers: tuple[TeacherLearning, ...]
    forgotten: tuple[Forgotten, ...]
    within_noise: int  # losses that rose as well, but no further than chance may take them
    outliers: tuple[Outlier, ...]
    outliers_all: int
    choices: tuple[Choice, ...]


def learning(
    *,
    losses: Sequence[LeafLoss],
    held_out: Sequence[HeldOutLoss],
    last_seen: Sequence[SampleLoss],
    choices: Sequence[Choice],
    origins: Sequence[LeafOrigin],
    samples: Iterable[Sample],
    taxonomy: str,
) -> Learning:
    """Put together what the files of 5-training say. `samples` are the run's own, `taxonomy` is the tree's folder."""
    tree = taxonomy.rstrip("/")
    sources = {one.path: Source(f"{tree}/{one.path}/qna.yaml", one.commit, one.author) for one in origins}
    own = [one for one in losses if one.leaf != REPLAY]
    ends = phase_ends(held_out, choices)
    risen = rises(held_out, ends, sources, since=first_phases(own))
    outliers = far_off(last_seen, sources)
    named = several_leaves(outliers)
    wanted = {one.sample for one in named}
    texts = {one.id: one for one in samples if one.id in wanted}
    return Learning(
        leaves=tuple(leaf_losses(own, held_out, ends, sources)),
        teachers=tuple(teacher_losses(own, held_out, ends)),
        forgotten=tuple(one for one in risen if (one.rise.least or 0) > 0),
        within_noise=sum((one.rise.least or 0) <= 0 for one in risen),
        outliers=tuple(with_text(one, texts) for one in named),
        outliers_all=len(outliers),
        choices=tuple(choices),
    )


def phase_ends(held_out: Sequence[HeldOutLoss], choices: Sequence[Choice]) -> list[Point]:
    """The baseline, then what went on from each phase; where nobody chose, what each phase ended on."""
    steps: dict[str, int] = {}
    for one in held_out:
        steps[one.phase] = max(one.step, steps.get(one.phase, 0))
    chosen = {choice.phase: choice.standing for choice in choices}
    ends = [chosen.get(phase, (phase, step)) for phase, step in steps.items()]
    return list(dict.fromkeys(ends))


def leaf_losses(
    losses: Sequence[LeafLoss], held_out: Sequence[HeldOutLoss], ends: Sequence[Point], sources: Mapping[str, Source]
) -> list[LeafLearning]:
    """Every leaf that was trained, the largest drop first."""
    of_training = grouped((one.leaf, one) for one in losses)
    measured = grouped((one.group, one) for one in held_out)
    found = []
    for leaf, records in of_training.items():
        first, last = first_and_last(records)
        whole = between(measured.get(leaf, []), ends[:1], ends[-1:])
        tokens = sum(one.tokens for one in records)
        found.append(LeafLearning(leaf, sources.get(leaf, NOWHERE), tokens, first, last, whole))
    return sorted(found, key=lambda one: (-one.drop, one.leaf))


def teacher_losses(
    losses: Sequence[LeafLoss], held_out: Sequence[HeldOutLoss], ends: Sequence[Point]
) -> list[TeacherLearning]:
    """Every teacher that a row names, by name; none where there is one alone, for the leaves tell the same."""
    of_training = grouped((one.teacher, one) for one in losses if one.teacher)
    measured = grouped((one.teacher, one) for one in held_out if one.group != BASE)
    if len(of_training) < 2:
        return []
    found = []
    for teacher, records in sorted(of_training.items()):
        first, last = first_and_last(records)
        whole = between(measured.get(teacher, []), ends[:1], ends[-1:])
        leaves, tokens = len({one.leaf for one in records}), sum(one.tokens for one in records)
        found.append(TeacherLearning(teacher, leaves, tokens, first, last, whole))
    return found


def first_phases(losses: Sequence[LeafLoss]) -> dict[str, str]:
    """In which phase each leaf was trained first."""
    found: dict[str, str] = {}
    for one in losses:
        found.setdefault(one.leaf, one.phase)
    return found


def rises(
    held_out: Sequence[HeldOutLoss], ends: Sequence[Point], sources: Mapping[str, Source], *, since: Mapping[str, str]
) -> list[Forgotten]:
    """Every held-out loss that rose from one phase's end to the next, the furthest first.

    A leaf counts from the phase `since` which it was trained: what it was not taught, it cannot have forgotten.
    """
    phases = [phase for phase, _ in ends]
    found = []
    for group, records in grouped((one.group, one) for one in held_out).items():
        taught = 0 if group == BASE else phases.index(since[group]) if since.get(group) in phases else len(phases)
        for place, (before, after) in enumerate(pairwise(ends), start=1):
            moved = between(records, [before], [after])
            if place >= taught and moved and moved.amount > 0:
                found.append(Forgotten(group, sources.get(group), after[0], moved))
    return sorted(found, key=lambda one: (-one.rise.amount, one.leaf))


def between(records: Sequence[HeldOutLoss], before: Sequence[Point], after: Sequence[Point]) -> Rise | None:
    """How the loss of these groups moved; None where it was not measured at both points, or they are one."""
    first = [one for one in records if (one.phase, one.step) in before]
    second = [one for one in records if (one.phase, one.step) in after]
    return rise(first, second) if first and second and list(before) != list(after) else None


def first_and_last(records: Sequence[LeafLoss]) -> tuple[float, float]:
    """The mean training loss of the first and the last tenth of the records, in the order in which they were made."""
    steps = list(grouped(((one.phase, one.step), one) for one in records).values())
    some = ceil(len(steps) / ENDS)
    return mean(one for step in steps[:some] for one in step), mean(one for step in steps[-some:] for one in step)


def mean(records: Iterable[LeafLoss]) -> float:
    found = list(records)
    return sum(one.loss * one.tokens for one in found) / sum(one.tokens for one in found)


def far_off(last_seen: Sequence[SampleLoss], sources: Mapping[str, Source]) -> list[Outlier]:
    """The samples that stand out from their leaf in the phase that saw them last, the furthest first."""
    latest = {(one.leaf, one.sample): one for one in last_seen if one.leaf != REPLAY}
    found = []
    for (leaf, phase), peers in grouped(((one.leaf, one.phase), one) for one in latest.values()).items():
        if len(peers) < PEERS:
            continue
        usual = median(one.loss for one in peers)
        spread = max(NORMAL * median(abs(one.loss - usual) for one in peers), NARROW)
        for one in peers:
            z = (one.loss - usual) / spread
            if z >= FAR:
                source = sources.get(leaf, NOWHERE)
                found.append(Outlier(one.sample, leaf, source, one.teacher, phase, one.loss, usual, z))
    return sorted(found, key=lambda one: (-one.z, one.leaf, one.sample))


def several_leaves(outliers: Sequence[Outlier]) -> list[Outlier]:
    """The furthest, with no leaf among them more often than OF_A_LEAF times."""
    met: Counter[str] = Counter()
    found = []
    for one in outliers:
        met[one.leaf] += 1
        if met[one.leaf] <= OF_A_LEAF:
            found.append(one)
    return found[:NAMED]


def with_text(outlier: Outlier, texts: Mapping[str, Sample]) -> Outlier:
    """The outlier with the text of its sample, where the run holds it."""
    sample = texts.get(outlier.sample)
    return replace(outlier, question=sample.question, answer=sample.answer) if sample else outlier


# --- as lines ---------------------------------------------------------------------------------------------------


def lines(told: Learning, *, most: int = 10) -> Iterator[str]:
    """The tables for a terminal: at most so many leaves from either end of the ranking, and so many samples."""
    if not told.leaves:
        yield "no training losses"
        return
    shown = told.leaves if len(told.leaves) <= 2 * most else (*told.leaves[:most], *told.leaves[-most:])
    yield f"{'leaf':<40}  {'held-out loss':<16}  {'change':<15}  {'training loss':<16}  source"
    for place, one in enumerate(shown):
        if place == most < len(told.leaves) - most:
            yield f"… {len(told.leaves) - 2 * most:,} leaves between"
        yield row(one.leaf, one.held_out, one.first, one.last, str(one.source))
    for teacher in told.teachers:
        yield row(f"by {teacher.teacher}", teacher.held_out, teacher.first, teacher.last, f"{teacher.leaves} leaves")
    yield from forgotten_lines(told, most)
    yield from outlier_lines(told, most)


def forgotten_lines(told: Learning, most: int) -> Iterator[str]:
    if told.forgotten:
        yield ""
        yield "forgotten: held-out losses that rose in a later phase, beyond chance"
    for one in told.forgotten[:most]:
        yield row(one.leaf, one.rise, None, None, f"in {one.phase}  {one.source or ''}".rstrip())
    if len(told.forgotten) > most:
        yield f"… and {len(told.forgotten) - most:,} more"
    if told.within_noise:
        yield f"{told.within_noise:,} rose within what chance explains"


def outlier_lines(told: Learning, most: int) -> Iterator[str]:
    if not told.outliers:
        return
    yield ""
    yield f"samples that stand out: {told.outliers_all:,} with a last loss far above their leaf's"
    for one in told.outliers[:most]:
        text = " ".join(one.question.split())
        asked = f"  {text[:QUOTED]}{'…' if len(text) > QUOTED else ''}" if text else ""
        yield escaped(f"{one.sample[:12]}  {one.loss:.2f} where {one.usual:.2f} is usual, z {one.z:.1f}{asked}")
        yield escaped(f"{'':<12}  {one.leaf}  {one.source}".rstrip())


def row(name: str, moved: Rise | None, first: float | None, last: float | None, rest: str) -> str:
    held = f"{moved.before:.3f} → {moved.after:.3f}" if moved else "–"
    by = "" if not moved else change(moved.amount) + ("" if moved.error is None else f" ± {moved.error:.2f}")
    trained = f"{first:.3f} → {last:.3f}" if first is not None and last is not None else ""
    short = name if len(name) <= 40 else f"…{name[-39:]}"
    return escaped(f"{short:<40}  {held:<16}  {by:<15}  {trained:<16}  {rest}".rstrip())


def grouped(pairs: Iterable[tuple[Key, One]]) -> dict[Key, list[One]]:
    groups: dict[Key, list[One]] = {}
    for key, one in pairs:
        groups.setdefault(key, []).append(one)
    return groups
