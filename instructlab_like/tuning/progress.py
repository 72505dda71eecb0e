"""What is seen while a phase trains: a board on a terminal, else a line now and then. Imports without torch.

The steps only add numbers up. The board is drawn by a thread of its own, the less often the more a drawing costs.
"""

from __future__ import annotations

import math
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from instructlab_like import console

LINE_EVERY = 5.0  # seconds between lines where they stay
WINDOW = 60.0  # seconds over which the speed is taken
MARK_EVERY = 1.0  # seconds between two marks of that window
DRAW_FASTEST, DRAW_SLOWEST = 0.5, 5.0  # seconds between two drawings
DRAW_SHARE = 1 / 2000  # of the time, that drawing may take
CURVE = 32  # cells of the loss curve
BAR = 24  # cells of the bar
FLAT = 0.01  # nats; differences below are not worth a curve
BLOCKS = "▁▂▃▄▅▆▇█"


def resident() -> int:
    """Bytes of memory that this process holds; where there is no /proc (macOS), the most that it ever held."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(pages) * resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a phase holds: its steps, and the tokens that they read."""

    name: str
    steps: int
    tokens: int


class Progress:
    """Told of every step of every phase; shown while a phase is under way, by the process that is `main`."""

    def __init__(
        self,
        phases: Sequence[Extent],
        *,
        main: bool = True,
        memory: Callable[[], int] = resident,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.main, self.memory, self.clock = main, memory, clock
        self._to_come = {phase.name: phase for phase in phases}
        self._reset(Extent("", 1, 0), 0)

    def _reset(self, phase: Extent, begun: int) -> None:
        self.name, self.steps, self.done = phase.name, phase.steps, begun
        self.after = sum(later.tokens for later in self._to_come.values())
        self.made = self.tokens = 0  # steps and tokens of this phase and process
        self.loss = self.norm = self.rate = math.nan  # of the last step
        self.checkpoint: tuple[int, float] | None = None  # the step of the last one, and when it was written
        self._since = self._all = (0.0, 0)  # nats and learnt tokens: since the last line, of all steps
        self._curve = [(0.0, 0)] * min(CURVE, phase.steps)
        self._began = self._said = self.clock()
        self._marks = deque([(self._began, 0)])  # moments, and the tokens by then
        self._live = False

    # --- told by the loop ---

    def skipped(self, name: str) -> None:
        """A phase was finished before."""
        self._to_come.pop(name, None)

    @contextmanager
    def phase(self, name: str, begun: int = 0) -> Iterator[None]:
        """Show a phase, of which `begun` steps were made by an earlier process, until it ends."""
        self._reset(self._to_come.pop(name), begun)
        if not self.main:
            yield
            return
        with console.board() as board:
            self._live = not isinstance(board, console.Lines)
            with self._drawn(board) if self._live else nullcontext():
                yield

    def step(
        self, done: int, nats: float, learnt: int, *, tokens: int, rate: float = math.nan, norm: float = math.nan
    ) -> None:
        """Step `done` is over: the sum of its losses over so many learnt tokens, and all tokens that were read."""
        self.done, self.rate, self.norm = done, rate, norm
        self.made += 1
        self.tokens += tokens
        self.loss = nats / learnt if learnt else math.nan
        if math.isfinite(self.loss):  # one step without a loss must not hide all others
            self._since = (self._since[0] + nats, self._since[1] + learnt)
            self._all = (self._all[0] + nats, self._all[1] + learnt)
            cell = max(0, done - 1) * len(self._curve) // self.steps
            before = self._curve[cell]
            self._curve[cell] = (before[0] + nats, before[1] + learnt)
        now = self.clock()
        if now - self._marks[-1][0] >= MARK_EVERY:
            self._marks.append((now, self.tokens))
            while len(self._marks) > 2 and now - self._marks[1][0] >= WINDOW:
                self._marks.popleft()
        if self.main and self._due(now):
            console.say(self.line())
            self._said, self._since = now, (0.0, 0)

    def saved(self, step: int) -> None:
        """A checkpoint of this step is on the disk."""
        self.checkpoint = (step, self.clock())

    # --- read by whoever shows it ---

    def speed(self) -> float:
        """Tokens a second, lately."""
        since, before = self._marks[0]
        return (self.tokens - before) / max(self.clock() - since, 1e-9)

    def left(self) -> float | None:
        """Seconds until the phase is over; None before there is anything to go by."""
        return (self.clock() - self._began) / self.made * (self.steps - self.done) if self.made else None

    def left_of_all(self) -> float | None:
        """Seconds until all phases are over, taking later ones to be as fast as this one, token for token."""
        own, passed = self.left(), self.clock() - self._began
        return None if own is None or not self.tokens else own + self.after * passed / self.tokens

    def line(self) -> str:
        """All that matters on one line; the loss is the mean since the last such line."""
        own, whole = self.left(), self.left_of_all()
        told = f"{self.name}  step {self.done:,}/{self.steps:,}  loss {figure(mean(self._since))}"
        told += f"  {self.speed():,.0f} tokens/s"
        told += f"  {span(own)} left" if own is not None else ""
        return told + (f", {span(whole)} with later phases" if self.after and whole is not None else "")

    def rows(self) -> list[str]:
        """The board."""
        made = round(self.done / self.steps * BAR)
        own, whole = self.left(), self.left_of_all()
        left = f"{span(own)} left" if own is not None else "time left: not known yet"
        left += f", {span(whole)} with later phases" if self.after and whole is not None else ""
        used = self.memory()
        saved = "none yet"
        if self.checkpoint:
            step, moment = self.checkpoint
            saved = f"step {step:,}, {span(self.clock() - moment)} ago"
        return [
            f"{self.name}  step {self.done:,}/{self.steps:,}  {'━' * made}{'─' * (BAR - made)}  {left}",
            f"loss        {figure(self.loss)} now, {figure(mean(self._all))} mean  {curve(self._curve)}",
            f"step        learning rate {small(self.rate)}, gradient norm {figure(self.norm)}",
            f"speed       {self.speed():,.0f} tokens/s" + (f", memory {size(used)}" if used else ""),
            f"checkpoint  {saved}",
        ]

    # --- shown ---

    @contextmanager
    def _drawn(self, board: console.Board) -> Iterator[None]:
        ended = threading.Event()
        drawer = threading.Thread(target=self._draw, args=(board, ended), daemon=True)
        drawer.start()
        try:
            yield
        finally:
            ended.set()
            drawer.join()

    def _due(self, now: float) -> bool:
        """Whether a line is said now; beside a board only the last one is, which stays when the board goes."""
        often = self.made == 1 or now - self._said >= LINE_EVERY
        return self.done >= self.steps or (often and not self._live)

    def _draw(self, board: console.Board, ended: threading.Event) -> None:
        drawn = 0
        while True:
            before = time.thread_time()
            board.show(self.rows())
            cost = time.thread_time() - before
            drawn += 1
            pause = cost / DRAW_SHARE if drawn > 1 else DRAW_FASTEST  # the first one loads what drawing needs
            if ended.wait(min(max(pause, DRAW_FASTEST), DRAW_SLOWEST)):
                return


# --- figures ----------------------------------------------------------------------------------------------------


def mean(summed: tuple[float, int]) -> float:
    total, count = summed
    return total / count if count else math.nan


def figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def small(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2e}"


def span(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def curve(cells: list[tuple[float, int]]) -> str:
    """The means of the cells that have any, between the lowest and the highest."""
    means = [mean(cell) for cell in list(cells) if cell[1]]
    low, high = min(means, default=0.0), max(means, default=0.0)
    scale = (len(BLOCKS) - 1) / max(high - low, FLAT)
    return "".join(BLOCKS[round((value - low) * scale)] for value in means)
