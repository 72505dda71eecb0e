"""What a run costs: CPU seconds, and how far its memory rose at most."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
def measured() -> Iterator[None]:
    """Print the cost of what is done inside as a line of JSON. Linux only: the peak is set back first."""
    CLEAR.write_text("5")
    before, cpu, wall = _megabytes("VmRSS"), time.process_time(), time.perf_counter()
    yield
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    print(json.dumps({**spent, "growth": _megabytes("VmHWM") - before}), flush=True)


def _megabytes(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
