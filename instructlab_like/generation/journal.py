"""The ledger's writer: a thread, so that the disk never holds up the answers; entries that wait share a commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from instructlab_like.errors import IlkError
from instructlab_like.generation.ledger import Entry, Ledger
from instructlab_like.records import Completion

MOST = 64  # turns of the event loop in one commit

Then = Callable[[Completion | None], None]


class Journal:
    """Open with `async with`; on the way out everything handed over is on disk, or `broken` says why it is not.

    `arrived` is called on the event loop, after each commit, with the callbacks that are due; they are not called
    here, so that whoever calls them can fail where failures are dealt with.
    """

    def __init__(self, ledger: Ledger, arrived: Callable[[list[tuple[Then, Completion | None]]], None]) -> None:
        self.ledger = ledger
        self.arrived = arrived
        self.entries: list[tuple[Entry, Then]] = []  # of this turn of the event loop
        self.batches: SimpleQueue[list[tuple[Entry, Then]] | None] = SimpleQueue()
        self.broken: BaseException | None = None

    async def __aenter__(self) -> Journal:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.Thread(target=self.keep, name="ledger", daemon=True)
        self.thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hand_over()
        self.batches.put(None)
        await asyncio.shield(asyncio.to_thread(self.thread.join))

    def enter(self, entry: Entry, then: Then) -> None:
        """Hand over an entry; `then` is due once it is on disk, with the answer that the ledger had, if any."""
        if not self.entries:
            self.loop.call_soon(self.hand_over)
        self.entries.append((entry, then))

    def hand_over(self) -> None:
        """All entries of one turn of the loop at once: waking the thread for each would cost more than writing it."""
        if self.entries:
            batch, self.entries = self.entries, []
            self.batches.put(batch)

    def keep(self) -> None:
        going = True
        while going:
            batches = [self.batches.get()]
            try:
                while len(batches) < MOST:
                    batches.append(self.batches.get_nowait())
            except Empty:
                pass
            going = None not in batches
            due = [item for batch in batches if batch is not None for item in batch]
            if due and self.broken is None:
                try:
                    held = self.ledger.write(*(entry for entry, _ in due))
                except (IlkError, OSError, LookupError, ValueError) as error:
                    self.broken = error
                    self.tell([])
                    continue
                self.tell([(then, answer) for (_, then), answer in zip(due, held, strict=True)])

    def tell(self, due: list[tuple[Then, Completion | None]]) -> None:
        try:
            self.loop.call_soon_threadsafe(self.arrived, due)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return
