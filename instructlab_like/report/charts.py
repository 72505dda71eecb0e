"""Coordinates of the report's drawings. Pure; the template turns them into inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from instructlab_like.report.facts import LossPoint

WIDTH, HEIGHT = 320, 130  # of a loss curve, in its own units
LEFT, RIGHT, TOP, BOTTOM = 34, 314, 8, 112
POINTS = 200  # most points of a curve


@dataclass(frozen=True)
class Curve:
    """The loss of one phase: `line` is the points of an SVG polyline, `ticks` the labelled heights."""

    phase: str
    line: str
    first: float
    last: float
    lowest: float
    steps: int
    ticks: tuple[tuple[float, str], ...]


def curves(points: Sequence[LossPoint]) -> list[Curve]:
    """One curve per phase, all on one scale from 0 up, so that they can be compared."""
    by_phase: dict[str, dict[int, list[LossPoint]]] = {}
    for point in points:
        by_phase.setdefault(point.phase, {}).setdefault(point.step, []).append(point)
    means = {phase: [(step, _mean(steps[step])) for step in sorted(steps)] for phase, steps in by_phase.items()}
    top = _round_up(max((loss for losses in means.values() for _, loss in losses), default=1.0))
    return [_curve(phase, losses, top) for phase, losses in means.items()]


def _mean(points: Sequence[LossPoint]) -> float:
    return sum(point.loss * point.tokens for point in points) / (sum(point.tokens for point in points) or 1)


def _round_up(value: float) -> float:
    """The next of 0.1, 0.2, 0.5, 1, 2, 5, 10 …: a scale whose quarters are readable."""
    step = 0.1
    while True:
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10


def _curve(phase: str, losses: Sequence[tuple[int, float]], top: float) -> Curve:
    stride = ceil(len(losses) / POINTS)
    shown = [*losses[:-1:stride], losses[-1]]
    first, last = losses[0][0], losses[-1][0]
    across = (RIGHT - LEFT) / max(1, last - first)
    line = " ".join(f"{LEFT + across * (step - first):.1f},{_height(loss, top):.1f}" for step, loss in shown)
    values = [loss for _, loss in losses]
    ticks = tuple((_height(value, top), f"{value:g}") for value in (0.0, top / 2, top))
    return Curve(phase, line, values[0], values[-1], min(values), last, ticks)


def _height(loss: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * min(loss, top) / top
