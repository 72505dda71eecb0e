"""An event loop whose clock stands still while anything happens and jumps to the next timer when nothing does.

Sockets on the loopback are real, so a client and a server in one loop can be tested over hours in no time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

UNDER_WAY = 0.003  # real seconds in which the kernel delivers what was sent on the loopback

Result = TypeVar("Result")


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, tells how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)  # for a thread
        ready = super().select(UNDER_WAY)
        if not ready:
            self.waited += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.waited


def run(coroutine: Coroutine[object, object, Result]) -> Result:
    """As asyncio.run does, in virtual time from 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
