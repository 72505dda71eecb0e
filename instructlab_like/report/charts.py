"""Coordinates of the report's drawings. Pure; the template turns them into inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from instructlab_like.tuning.measures import BASELINE, HeldOutLoss, LeafLoss

LEFT, RIGHT, TOP, BOTTOM = 34, 314, 8, 112  # of a loss curve, in a drawing of 320 × 130
POINTS = 200  # most points of a curve
SPARK_WIDE, SPARK_HIGH, SPARK_POINTS = 96, 22, 48  # of a leaf's curve in a table, without a scale

Height = tuple[float, str]  # of a labelled line
Losses = Sequence[tuple[int, float]]  # step and nats a token, by step


@dataclass(frozen=True)
class Curve:
    """The loss of one phase: `line` is the points of an SVG polyline, `ticks` the labelled heights."""

    phase: str
    line: str
    first: float
    last: float
    lowest: float
    steps: int
    ticks: tuple[Height, ...]


@dataclass(frozen=True)
class LeafCurve:
    """One leaf's loss over all phases, laid end to end: a line a phase, dots where its held-out rows were measured."""

    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    bounds: tuple[tuple[float, str], ...]  # where each phase begins, and its name
    ticks: tuple[Height, ...]
    steps: int
    first: float
    last: float
    held_out: tuple[float, float] | None  # first and last
    spark: str  # the same line in small


def curves(points: Sequence[LeafLoss]) -> list[Curve]:
    """One curve per phase, all on one scale from 0 up, so that they can be compared."""
    means = by_phase(points)
    top = _round_up(max((loss for losses in means.values() for _, loss in losses), default=1.0))
    return [_curve(phase, losses, top) for phase, losses in means.items()]


def leaf_curves(points: Sequence[LeafLoss], held_out: Sequence[HeldOutLoss]) -> dict[str, LeafCurve]:
    """Each trained leaf's curve, all over the same steps, each on a scale of its own from 0 up."""
    ends: dict[str, int] = {}
    own: dict[str, list[LeafLoss]] = {}
    for point in points:
        ends[point.phase] = max(point.step, ends.get(point.phase, 0))
        own.setdefault(point.leaf, []).append(point)
    starts, steps = {BASELINE: 0}, 0
    for phase, end in ends.items():
        starts[phase], steps = steps, steps + end
    measured: dict[str, list[HeldOutLoss]] = {}
    for one in held_out:
        measured.setdefault(one.group, []).append(one)
    return {
        leaf: _leaf_curve(by_phase(mine), _held(measured.get(leaf, ()), starts), starts, steps)
        for leaf, mine in own.items()
    }


def by_phase(points: Sequence[LeafLoss]) -> dict[str, list[tuple[int, float]]]:
    """The mean over tokens at each step of each phase."""
    found: dict[str, dict[int, list[LeafLoss]]] = {}
    for point in points:
        found.setdefault(point.phase, {}).setdefault(point.step, []).append(point)
    return {phase: [(step, _mean(steps[step])) for step in sorted(steps)] for phase, steps in found.items()}


def _mean(points: Sequence[LeafLoss] | Sequence[HeldOutLoss]) -> float:
    return sum(point.loss * point.tokens for point in points) / (sum(point.tokens for point in points) or 1)


def _held(records: Sequence[HeldOutLoss], starts: Mapping[str, int]) -> list[tuple[int, float]]:
    """The held-out loss by step over all phases, all teachers together; of two at one step the later."""
    found: dict[tuple[str, int], list[HeldOutLoss]] = {}
    for one in records:
        if one.phase in starts:
            found.setdefault((one.phase, one.step), []).append(one)
    return sorted({starts[phase] + step: _mean(group) for (phase, step), group in found.items()}.items())


def _round_up(value: float) -> float:
    """The next of 0.1, 0.2, 0.5, 1, 2, 5, 10 …: a scale whose quarters are readable."""
    step = 0.1
    while isfinite(value):
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10
    return 1.0  # training that ran away has no scale


def _curve(phase: str, losses: Losses, top: float) -> Curve:
    first, last = losses[0][0], losses[-1][0]
    across = (RIGHT - LEFT) / max(1, last - first)
    line = " ".join(f"{LEFT + across * (step - first):.1f},{_height(loss, top):.1f}" for step, loss in _thinned(losses))
    values = [loss for _, loss in losses]
    return Curve(phase, line, values[0], values[-1], min(values), last, _ticks(top))


def _leaf_curve(phases: Mapping[str, Losses], held: Losses, starts: Mapping[str, int], steps: int) -> LeafCurve:
    values = [loss for losses in phases.values() for _, loss in losses]
    top = _round_up(max((loss for loss in (*values, *(loss for _, loss in held)) if isfinite(loss)), default=1.0))
    across = (RIGHT - LEFT) / max(1, steps)
    placed = {phase: [(starts[phase] + step, loss) for step, loss in losses] for phase, losses in phases.items()}
    small = _thinned([pair for losses in placed.values() for pair in losses], SPARK_POINTS)
    return LeafCurve(
        lines=tuple(
            " ".join(f"{LEFT + across * step:.1f},{_height(loss, top):.1f}" for step, loss in _thinned(losses))
            for losses in placed.values()
        ),
        dots=tuple((LEFT + across * step, _height(loss, top)) for step, loss in held),
        bounds=tuple((LEFT + across * starts[phase], phase) for phase in starts if phase != BASELINE),
        ticks=_ticks(top),
        steps=steps,
        first=values[0],
        last=values[-1],
        held_out=(held[0][1], held[-1][1]) if held else None,
        spark=" ".join(
            f"{1 + (SPARK_WIDE - 2) * step / max(1, steps):.0f},"
            f"{SPARK_HIGH - 2 - (SPARK_HIGH - 4) * _share(loss, top):.1f}"
            for step, loss in small
        ),
    )


def _thinned(losses: Losses, most: int = POINTS) -> Losses:
    stride = ceil(len(losses) / most)
    return [*losses[:-1:stride], losses[-1]]


def _ticks(top: float) -> tuple[Height, ...]:
    return tuple((_height(value, top), f"{value:g}") for value in (0.0, top / 2, top))


def _height(loss: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * _share(loss, top)


def _share(loss: float, top: float) -> float:
    return min(loss, top) / top if isfinite(loss) else 1.0
