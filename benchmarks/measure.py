"""How every benchmark measures: arms interleaved, repeated, medians, ratios to the first arm, which is the floor."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping

REPEATS = 5


def cpu_seconds() -> float:
    """User and system CPU of this process and of children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def compare(arms: Mapping[str, Callable[[], object]], *, repeats: int = REPEATS) -> dict[str, float]:
    """Median CPU seconds of each arm, run in turns; prints them as ratios to the first."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            before = cpu_seconds()
            arm()
            found[name].append(cpu_seconds() - before)
    medians = {name: statistics.median(values) for name, values in found.items()}
    floor = next(iter(medians.values()))
    for name, value in medians.items():
        spread = f"{min(found[name]):.3f}–{max(found[name]):.3f}"
        print(f"  {name:<44} {value:8.3f} CPU s ({spread})  {value / floor:6.2f} × the first", flush=True)
    return medians
