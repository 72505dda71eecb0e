"""Which checkpoint of a phase goes on. Pure: held-out losses in, a choice with its reasons out.

Of the checkpoints that harm nothing protected, the one with the lowest held-out loss goes on: the mean over the leaves
trained so far, each counting once however many rows it has, so that a leaf with many samples outvotes none.

What is protected is held against what was there to lose: the untrained base, or, for a leaf that an earlier phase
trained, what that phase ended on. A checkpoint is vetoed where the loss of something protected rose by more than the
margin, and where chance does not explain that it rose at all: the lower end of the one-sided 95 % interval, paired over
samples, is above zero. The margin alone would veto noise; significance alone would veto what is too small to matter,
given samples enough. A branch is judged as one, all its samples together: fifty leaves judged one by one would veto
sound checkpoints by chance. Name a leaf to have it judged by itself. Where one sample is all there is, nothing can be
told from noise: no veto, and the choice says so.

Where every checkpoint is vetoed, none goes on: the phase's start does, and the choice says which came nearest, and how
far off it was. Protection that gave way when it was needed would be none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isclose
from statistics import fmean
from typing import Literal, TypeAlias

from instructlab_like.dataset.mix import REPLAY
from instructlab_like.records import Record
from instructlab_like.tuning.measures import BASE, BASELINE, HeldOutLoss, rise, under

Rule: TypeAlias = Literal["best", "last"]
Losses: TypeAlias = Mapping[str, Sequence[HeldOutLoss]]  # by group, one record for each teacher


class Protected(Record):
    """One protected name at one checkpoint, in nats a token over all its samples."""

    name: str  # a leaf, a branch, or "base"
    samples: int
    before: float
    after: float
    rise: float
    at_least: float | None  # lower end of its one-sided 95 % interval; None: a single sample shows no noise
    vetoed: bool


class Candidate(Record):
    """A checkpoint that might go on. `loss` is the mean over leaves; None: no leaf has held-out rows."""

    step: int
    loss: float | None
    protected: tuple[Protected, ...] = ()

    @property
    def vetoed(self) -> bool:
        return any(one.vetoed for one in self.protected)


class Choice(Record):
    """What goes on from a phase: the checkpoint of `step`; 0 is the adapter as it was when the phase began."""

    phase: str
    step: int
    rule: Rule
    why: str
    start: tuple[str, int]  # the phase and step that this phase began with; ("baseline", 0): a fresh adapter
    start_loss: float | None  # the mean over leaves there
    leaves: int  # that the mean is over
    unmeasured: tuple[str, ...]  # trained leaves without held-out rows, which have no say; replay is no leaf
    unjudged: tuple[str, ...]  # protected names without held-out rows, or with too few
    candidates: tuple[Candidate, ...]

    @property
    def standing(self) -> tuple[str, int]:
        """The phase and step whose adapter goes on."""
        return (self.phase, self.step) if self.step else self.start

    def lines(self) -> Iterator[str]:
        """The choice for a terminal."""
        what = f"step {self.step} goes on" if self.step else "no checkpoint goes on"
        yield f"{self.phase}: {what}: {self.why}"
        for one in self.candidates:
            mark = "→" if one.step == self.step else "✗" if one.vetoed else " "
            loss = "" if one.loss is None else f"held-out loss {one.loss:.4f} over {count(self.leaves, 'leaf')}"
            rises = [f"{kept.name} {kept.rise:+.4f}{' VETO' if kept.vetoed else ''}" for kept in one.protected]
            yield f"  {mark} step {one.step:<6} {'; '.join(filter(None, [loss, *rises]))}".rstrip()
        if self.unjudged:
            yield f"  protected, but with too few held-out rows to be judged: {', '.join(self.unjudged)}"
        if self.unmeasured:
            yield f"  {count(len(self.unmeasured), 'trained leaf')} without held-out rows: {few(self.unmeasured)}"


def choose(
    phase: str,
    steps: Sequence[int],
    measured: Sequence[HeldOutLoss],
    *,
    leaves: Collection[str],
    start: tuple[str, int] = (BASELINE, 0),
    earlier: Collection[str] = (),
    protect: Sequence[str] = (),
    margin: float,
    rule: Rule = "best",
) -> Choice:
    """Choose among a phase's checkpoints at `steps`, ascending.

    `measured`: every held-out record of the training so far, the baseline's and earlier phases' among them. `leaves`:
    those trained so far, this phase's included; `earlier`: those of them that phases before this one trained. `start`:
    `Choice.standing` of the phase before. "base" is protected wherever it was measured. `rule` "last": the last
    checkpoint that is not vetoed.
    """
    by_point = points(measured)
    now = {step: by_point.get((phase, step), {}) for step in steps}
    baseline, begun = by_point.get((BASELINE, 0), {}), by_point.get(start, {})
    groups = set(baseline)
    if any(set(losses) != groups for losses in (begun, *now.values())):
        raise ValueError(f"{phase}: its start and its checkpoints must be measured on the baseline's held-out groups")
    scored = sorted(groups & set(leaves))
    before = {group: (begun if group in earlier else baseline)[group] for group in groups}
    names = dict.fromkeys([*([BASE] if BASE in groups else []), *protect])
    candidates = tuple(
        Candidate(
            step=step,
            loss=mean(losses, scored),
            protected=tuple(one for name in names if (one := judge(name, before, losses, margin))),
        )
        for step, losses in now.items()
    )
    judged = {one.name for found in candidates for one in found.protected if one.at_least is not None}
    step, why = decide(candidates, rule, margin, start_loss := mean(begun, scored))
    return Choice(
        phase=phase,
        step=step,
        rule=rule,
        why=why,
        start=start,
        start_loss=start_loss,
        leaves=len(scored),
        unmeasured=tuple(sorted(set(leaves) - groups - {REPLAY})),
        unjudged=tuple(name for name in names if name not in judged),
        candidates=candidates,
    )


def judge(name: str, before: Losses, after: Losses, margin: float) -> Protected | None:
    """A protected name at one checkpoint; None where it has no held-out rows."""
    groups = sorted(group for group in before if under(group, name))
    if not groups:
        return None
    found = rise([one for group in groups for one in before[group]], [one for group in groups for one in after[group]])
    return Protected(
        name=name,
        samples=found.samples,
        before=found.before,
        after=found.after,
        rise=found.amount,
        at_least=found.least,
        vetoed=found.amount > margin and found.least is not None and found.least > 0,
    )


def decide(candidates: Sequence[Candidate], rule: Rule, margin: float, start_loss: float | None) -> tuple[int, str]:
    """The step that goes on, 0 for none, and why."""
    free = [one for one in candidates if not one.vetoed]
    if not free:
        return 0, refused(candidates, margin)
    gone = len(candidates) - len(free)
    vetoes = f"; {count(gone, 'checkpoint')} vetoed" if gone else ""
    last = free[-1]
    if rule == "last":
        return last.step, f"the last checkpoint{' that nothing vetoes' if gone else ''}, as the recipe says{vetoes}"
    best = min(reversed(free), key=lambda one: one.loss if one.loss is not None else 0.0)  # of equals the later
    if best.loss is None:
        return last.step, f"the last checkpoint, since no trained leaf has held-out rows to choose by{vetoes}"
    why = "the lowest held-out loss" if len(free) > 1 else "the only checkpoint that may"
    if start_loss is not None and best.loss > start_loss and not isclose(best.loss, start_loss):
        why += f", but higher than the {start_loss:.4f} the phase began with: on held-out rows it taught nothing"
    return best.step, why + vetoes


def refused(candidates: Sequence[Candidate], margin: float) -> str:
    """Why none of the candidates goes on, naming the one that came nearest."""
    nearest = min(candidates, key=lambda one: max(kept.rise for kept in one.protected if kept.vetoed))
    worst = max((kept for kept in nearest.protected if kept.vetoed), key=lambda kept: kept.rise)
    which = "the only checkpoint" if len(candidates) == 1 else f"each of {count(len(candidates), 'checkpoint')}"
    return (
        f"{which} harms what is protected, so the adapter stays as it was before this phase. "
        f"Step {nearest.step} came nearest: the held-out loss of {worst.name} rose from "
        f"{worst.before:.4f} to {worst.after:.4f} nats a token ({worst.rise:+.4f}, at least {worst.at_least:+.4f}; "
        f"{margin:g} is allowed). Give a lower learning rate, more replay, or a wider protect_margin"
    )


def points(measured: Sequence[HeldOutLoss]) -> dict[tuple[str, int], dict[str, list[HeldOutLoss]]]:
    """The records by phase and step, then by group."""
    found: dict[tuple[str, int], dict[str, list[HeldOutLoss]]] = {}
    for one in measured:
        found.setdefault((one.phase, one.step), {}).setdefault(one.group, []).append(one)
    return found


def mean(losses: Losses, groups: Sequence[str]) -> float | None:
    """The mean over groups of their loss, in nats a token."""
    return fmean(loss_of(losses[group]) for group in groups) if groups else None


def loss_of(records: Sequence[HeldOutLoss]) -> float:
    """The loss of one group, all teachers together, in nats a token."""
    return sum(one.loss * one.tokens for one in records) / sum(one.tokens for one in records)


def count(number: int, thing: str) -> str:
    plural = thing.removesuffix("f") + "ves" if thing.endswith("leaf") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
