"""Every hostile or broken leaf of the corpus through `ilk check`, one process each: exit code, time, memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS, BYTES = 1.0, 200_000_000  # what one leaf may take


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "checking"))
    from corpus import CASES

    times: list[tuple[float, str]] = []
    memory: list[tuple[int, str]] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(CASES):
            folder = case.build(Path(scratch) / str(number))
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "instructlab_like", "check", str(folder), "--format", "json"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "ILK_CACHE": f"{scratch}/cache"},
            )
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            times.append((time.monotonic() - began, case.name))
            memory.append((usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), case.name))
            if os.waitstatus_to_exitcode(status) != 2 or said:
                wrong.append(case.name)
    print(f"  {len(CASES)} leaves: {len(CASES) - len(wrong)} end with exit code 2 and nothing on standard error")
    median = statistics.median(second for second, _ in times)
    print(f"  seconds: median {median:.2f}, most {max(times)[0]:.2f} ({max(times)[1]}), limit {SECONDS}")
    middle = statistics.median(size for size, _ in memory) / 1e6
    print(f"  MB: median {middle:.0f}, most {max(memory)[0] / 1e6:.0f} ({max(memory)[1]}), limit {BYTES / 1e6:.0f}")
    for name in wrong:
        print(f"  wrong: {name}")
