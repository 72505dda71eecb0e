"""The only slow part: ask a teacher what the ledger does not hold yet. No barrier: an answer is kept as it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from instructlab_like.errors import IlkError, RefusedError, StoppedError, TeacherError
from instructlab_like.generation.ledger import Entry, Failure, Ledger, intent
from instructlab_like.records import Prompt
from instructlab_like.teachers import Teacher

MOST_REFUSALS = 8  # a teacher that refuses so many prompts before it answers one is told something wrong
GRACE = 10.0  # seconds for answers under way once the teacher has failed: they may be paid for


async def ask(
    prompts: Sequence[Prompt],
    teacher: Teacher,
    ledger: Ledger,
    *,
    concurrency: int,
    on_answer: Callable[[int, int], None],
) -> None:
    """Bring the answer to every prompt into the ledger; each call key is asked once, and never again.

    `on_answer(done, all)` is called after each commit and counts earlier runs' answers too. A prompt that the teacher
    refuses, being too long for it, say, is left in the ledger as a failure and the others go on. Raises StoppedError
    at the teacher's first other failure (its own retries are over by then): whatever was committed stays.
    """
    if strange := {prompt.lineage.model for prompt in prompts} - {teacher.identity}:
        raise ValueError(f"planned for {sorted(strange)}, asked of {teacher.identity}")
    calls = {prompt.key: prompt for prompt in prompts}
    waiting = deque(prompt for key, prompt in calls.items() if ledger.committed(key) is None)
    done, total = len(calls) - len(waiting), len(calls)
    journal = Journal(ledger)
    refused = 0

    async def worker() -> None:
        nonlocal done, refused
        while waiting:
            prompt = waiting.popleft()
            await journal.write(intent(prompt))
            try:
                completion = await teacher.answer(prompt)
            except IlkError as error:
                await journal.write(Failure(key=prompt.key, error=str(error)))
                refused += 1
                hopeless = not done and (refused >= MOST_REFUSALS or not waiting)
                if hopeless or not isinstance(error, RefusedError):
                    raise
                continue
            await journal.write(completion)
            done += 1
            on_answer(done, total)

    workers = [asyncio.create_task(worker()) for _ in range(min(concurrency, len(waiting)))]
    try:
        if workers:
            _, under_way = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            waiting.clear()
            if under_way:
                await asyncio.wait(under_way, timeout=GRACE)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await journal.settled()
    errors = [error for task in workers if not task.cancelled() and (error := task.exception())]
    if errors:
        raise resumable(min(errors, key=lambda error: isinstance(error, StoppedError)), done, total)


def resumable(error: BaseException, done: int, total: int) -> BaseException:
    """The teacher's failure with what it leaves behind; other errors speak for themselves."""
    if not isinstance(error, StoppedError):
        return error
    kept = f"{done} of {total} answers are in the ledger"
    fix = f"{error.fix}; then run the same command again: only the other {total - done} are asked"
    kind = TeacherError if isinstance(error, TeacherError) else StoppedError
    stopped = kind(f"{error.what} ({kept})", where=error.where, fix=fix)
    stopped.__cause__ = error
    return stopped


class Journal:
    """Writes to the ledger from a thread, so that the disk never holds up the answers; waiting entries share a commit.

    `write` returns when its entry is on disk. An entry once handed over is written even if its writer is cancelled.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.entries: list[tuple[Entry, asyncio.Future[None]]] = []
        self.writing: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.entries.append((entry, written))
        if self.writing is None or self.writing.done():
            self.writing = asyncio.create_task(self.drain())
        await written

    async def settled(self) -> None:
        """Wait until everything handed over is on disk."""
        if self.writing is not None:
            await self.writing

    async def drain(self) -> None:
        while self.entries:
            batch, self.entries = self.entries, []
            write = asyncio.to_thread(self.ledger.write, *(entry for entry, _ in batch))
            (error,) = await asyncio.gather(write, return_exceptions=True)
            for _, written in batch:
                if written.done():  # its writer was cancelled
                    continue
                if error:
                    written.set_exception(error)
                else:
                    written.set_result(None)
