"""What the user sees while a stage works: plain lines on standard output, and never more than 8 s of silence."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SILENCE = 8.0  # seconds without a line after which the current activity is named again

_last_line = time.monotonic()


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    global _last_line
    print(text, flush=True)
    _last_line = time.monotonic()


def warn(text: str) -> None:
    global _last_line
    print(text, file=sys.stderr, flush=True)
    _last_line = time.monotonic()


@contextmanager
def working(activity: str) -> Iterator[None]:
    """Name an activity that may be silent: its name is printed again whenever `SILENCE` has passed without a line."""
    done = threading.Event()
    started = time.monotonic()

    def beat() -> None:
        while not done.wait(0.5):
            if time.monotonic() - _last_line >= SILENCE:
                say(f"  … {activity} ({time.monotonic() - started:.0f} s)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
