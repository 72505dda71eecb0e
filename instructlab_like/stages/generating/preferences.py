"""Preference pairs of a run: in a file without a name until it is known which of their samples are kept."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import orjson

from instructlab_like.records import Preference, plain
from instructlab_like.stock import id_bytes
from instructlab_like.workspace import dump, replacing


class Preferences:
    """Pairs as walks end; of each walk only its place in the file is in memory. Open with `with`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file: BinaryIO | None = None
        self.numbers = array("Q")  # of the walks
        self.places = array("Q", [0])  # where each walk's pairs begin, and the last one's end

    def __enter__(self) -> Preferences:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, number: int, pairs: Iterable[Preference]) -> None:
        """The pairs of walk `number`, which has none yet."""
        data = b"".join(dump(plain(pair)) for pair in sorted(pairs, key=lambda pair: pair.chosen))
        if not data:
            return
        if self.file is None:
            self.file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (`__exit__` closes it)
        self.file.write(data)
        self.numbers.append(number)
        self.places.append(self.places[-1] + len(data))

    def write(self, path: Path, kept: Container[bytes]) -> None:
        """Write those whose better answer is kept, in the order of their walks; none: there is no such file."""
        lines = (line for line in self.lines() if id_bytes(orjson.loads(line)["chosen"]) in kept)
        first = next(lines, None)
        if first is None:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as file:
            file.write(first)
            file.writelines(lines)

    def lines(self) -> Iterator[bytes]:
        if self.file is None:
            return
        for index in sorted(range(len(self.numbers)), key=self.numbers.__getitem__):
            self.file.seek(self.places[index])
            yield from self.file.read(self.places[index + 1] - self.places[index]).splitlines(keepends=True)
