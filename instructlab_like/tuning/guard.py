"""A training that goes wrong is stopped: losses that are no numbers, and losses that run away. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

REMEMBERED = 50  # steps that a loss is held against
NEEDED = 10  # of them before anything is called a spike
IN_A_ROW = 3  # steps that must spike one after another: one hard row is no divergence
HIGH = 0.95  # quantile of them: rows of one leaf may lie far above those of another, again and again
LEAST = 1.0  # nats above that below which nothing is a spike, however low it is


class Guard:
    """Watches the loss and the gradient's norm of each step. `recent` is all it remembers, for a checkpoint."""

    def __init__(self, recent: Sequence[float] = ()) -> None:
        self.recent = deque(recent, maxlen=REMEMBERED + IN_A_ROW)

    def trouble(self, loss: float, norm: float) -> str | None:
        """What is wrong with a step, before its update is made; `loss` in nats a token, `norm` before clipping."""
        if not math.isfinite(loss):
            return "the loss left the finite numbers"
        if not math.isfinite(norm):
            return "the gradient left the finite numbers"
        self.recent.append(loss)
        told = list(self.recent)
        calm, last = told[:-IN_A_ROW], told[-IN_A_ROW:]
        if len(calm) < NEEDED:
            return None
        usual = sorted(calm)[int(HIGH * (len(calm) - 1))]
        if min(last) > usual + max(usual, LEAST):
            high = ", ".join(f"{one:.2f}" for one in last)
            return f"the loss ran away: {high}, where {HIGH:.0%} lay below {usual:.2f}"
        return None
