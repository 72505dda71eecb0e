"""A run's JSONL files while they grow: in order of arrival as walks end, in the order of the plan once all have."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from instructlab_like.workspace import dump

HELD = 1 << 20  # bytes kept back before they are written


class Rows:
    """One file. Open with `with`; what was there before is gone at once, since it is derived from the ledger.

    Of each walk only its place in the file is kept in memory. `settle` puts the file in order, whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers = array("Q")
        self.starts = array("Q")
        self.size = 0

    def __enter__(self) -> Rows:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = self.path.open("wb", buffering=HELD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def add(self, number: int, values: Iterable[object]) -> None:
        """The rows of walk `number`, which has none yet."""
        data = b"".join(map(dump, values))
        if data:
            self.numbers.append(number)
            self.starts.append(self.size)
            self.file.write(data)
            self.size += len(data)

    def show(self) -> None:
        """Let readers see what was added so far."""
        self.file.flush()

    def settle(self) -> None:
        """Put the rows in the order of their walks."""
        self.file.flush()
        scratch = self.path.with_name(f".{self.path.name}.ordered")
        with self.path.open("rb") as read, scratch.open("wb", buffering=HELD) as written:
            for start, end in self.pieces():
                read.seek(start)
                written.write(read.read(end - start))
            written.flush()
            os.fsync(written.fileno())
        scratch.replace(self.path)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Where the rows of each walk lie, by the walks' numbers."""
        order = sorted(range(len(self.numbers)), key=self.numbers.__getitem__)
        for index in order:
            end = self.starts[index + 1] if index + 1 < len(self.starts) else self.size
            yield self.starts[index], end
