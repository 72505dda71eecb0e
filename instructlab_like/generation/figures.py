"""A figure that a user reads: how sure it is, what it rests on, and how it is put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from instructlab_like.records import Record

SIGNS = {"exact": "", "about": "≈ ", "at most": "≤ "}


class Figure(Record):
    value: int | float | None  # None: unknown
    bound: Literal["exact", "about", "at most", "unknown"]
    basis: str
    interval: tuple[float, float] | None = None  # 95 %

    @classmethod
    def unknown(cls, basis: str) -> Figure:
        return cls(value=None, bound="unknown", basis=basis)


def number(figure: Figure | None) -> str:
    """A figure without its basis: 1,234, ≈ 1,234 (1,100 to 1,400), ≤ 1,234, or "unknown"."""
    return told(figure, amount)


def duration(figure: Figure) -> str:
    return told(figure, span_of_time)


def span_of_time(seconds: float) -> str:
    """3 h 20 min, 5 min 10 s, 0.25 s."""
    if 0 < seconds < 1:
        return f"{seconds:.2g} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{left} s" if not hours else ""]
    return " ".join(filter(None, parts)) or "0 s"


def amount(value: float) -> str:
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:,.4f}"


def told(figure: Figure | None, put: Callable[[float], str], between: str = " to ") -> str:
    """A figure with its interval, if it has one; `put` writes a value."""
    if figure is None or figure.value is None:
        return "unknown"
    value = f"{SIGNS[figure.bound]}{put(figure.value)}"
    if figure.interval is None:
        return value
    low, high = map(put, figure.interval)
    return f"{value} ({low}{between}{high})"
