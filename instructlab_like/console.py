"""What the user sees while a stage works: plain lines on standard output, and never more than 8 s of silence."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from instructlab_like.printable import escaped

SILENCE = 8.0  # seconds without a line after which the current activity is named again
EVERY = 5.0  # seconds between two lines of progress, where they stay

_last_line = time.monotonic()
_aside = False


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    global _last_line
    print(text, file=sys.stderr if _aside else sys.stdout, flush=True)
    _last_line = time.monotonic()


@contextmanager
def aside(wanted: bool = True) -> Iterator[None]:
    """What is said meanwhile goes to standard error, since standard output is for a program."""
    global _aside
    before, _aside = _aside, wanted
    try:
        yield
    finally:
        _aside = before


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


class Board(Protocol):
    def show(self, rows: Sequence[str]) -> None:
        """Say how far the work is, in a few rows; may be called as often as one likes."""


class Lines:
    """A line now and then; where nothing changed, `working` speaks."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.shown: Sequence[str] = ()

    def show(self, rows: Sequence[str]) -> None:
        now = time.monotonic()
        if rows and rows != self.shown and now - self.last >= EVERY:
            self.last, self.shown = now, rows
            say(escaped(f"  {'; '.join(rows)}"))


@contextmanager
def board() -> Iterator[Board]:
    """Where progress is shown: in place on a terminal, else in plain lines; what others print stands above it."""
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        yield Lines()
        return
    from rich.console import Console  # on demand: takes longer to import than most commands run
    from rich.live import Live
    from rich.text import Text

    class Panel:
        def show(self, rows: Sequence[str]) -> None:
            global _last_line
            told = "\n".join(escaped(f"  {row}") for row in rows)
            live.update(Text(told, no_wrap=True, overflow="ellipsis"), refresh=True)
            _last_line = time.monotonic()

    with ExitStack() as stack:
        live = stack.enter_context(Live(console=Console(highlight=False), auto_refresh=False, transient=True))
        yield Panel()
