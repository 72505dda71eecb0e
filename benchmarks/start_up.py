"""`ilk --help` against an interpreter that starts and ends."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import compare


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    compare(
        {
            "python -c pass": lambda: run("-c", "pass"),
            "ilk --help": lambda: run("-m", "instructlab_like", "--help"),
            "import instructlab_like.records": lambda: run("-c", "import instructlab_like.records"),
        }
    )
