"""Rows of a JSONL file by id: sorted entries of one size in a file of their own, searched without reading the rows.

An index is derived. One that is missing, damaged, or not of the rows as they now stand is made again from them, and
what it points at is looked at before it is believed. It costs 20 bytes a row.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from instructlab_like.errors import InputError, position
from instructlab_like.workspace import replacing

MAGIC = b"ilkindx1"
HEADER = 40  # magic, size of the rows, number of entries, fingerprint of the rows
KEY = 14  # characters of an id in an entry: 56 bits of a digest
OFFSET = 6  # bytes of a row's position
ENTRY = KEY + OFFSET
SORTED = 200_000  # entries at a time: 13 MB
BLOCK = 4_096  # entries read at a time
PROBES = 16  # places at which a fingerprint looks into the rows
PROBE = 4_096  # bytes at each

Ids = Callable[[bytes], Sequence[str]]  # under which a row is found; raises ValueError for what is no such row


class IndexWriter:
    """Takes entries in any order and writes them sorted, in bounded memory; `scratch` is where it may spill them."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.entries: list[bytes] = []
        self.runs: list[Sorted] = []
        self.spilled: BinaryIO | None = None

    def add(self, id: str, offset: int) -> None:
        """The row that begins at byte `offset` goes by this id."""
        self.entries.append(key_of(id) + offset.to_bytes(OFFSET, "big"))
        if len(self.entries) == SORTED:
            self.spill()

    def finish(self, rows: BinaryIO, size: int, at: Path) -> None:
        """Write the index of the first `size` bytes of `rows` to `at`; whole, or not at all."""
        with replacing(at, durable=False) as index:
            self.write(rows, size, index)
            tie(index, rows)

    def write(self, rows: BinaryIO, size: int, index: BinaryIO) -> None:
        if self.spilled is not None:
            self.spill()
        self.entries.sort()
        count = len(self.entries) + sum(run.end - run.begin for run in self.runs) // ENTRY
        index.write(header(rows, size, count))
        index.write(b"".join(self.entries))
        for block in merged(self.runs):
            index.write(block)

    def spill(self) -> None:
        if self.spilled is None:
            self.spilled = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 (`close` does)
        self.entries.sort()
        begin = self.spilled.seek(0, os.SEEK_END)
        end = begin + self.spilled.write(b"".join(self.entries))
        self.spilled.flush()
        self.runs.append(Sorted(self.spilled, begin, end))
        self.entries = []

    def close(self) -> None:
        self.entries, self.runs = [], []
        if self.spilled is not None:
            self.spilled.close()


class Sorted:
    """Entries in order between two places of a file, a block of them in memory."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self.file, self.begin, self.end = file, begin, end
        self.block: list[bytes] = []

    def fill(self) -> bool:
        """Read on once the block is used up; false at the end."""
        if not self.block:
            data = os.pread(self.file.fileno(), min(BLOCK * ENTRY, self.end - self.begin), self.begin)
            self.begin += len(data)
            self.block = [data[at : at + ENTRY] for at in range(0, len(data), ENTRY)]
        return bool(self.block)

    def take(self, most: bytes) -> list[bytes]:
        """The block's entries up to and including `most`."""
        count = bisect_right(self.block, most)
        taken, self.block = self.block[:count], self.block[count:]
        return taken


def merged(runs: Sequence[Sorted]) -> Iterator[bytes]:
    """All entries of sorted runs in order, a block of each run in memory at a time."""
    while runs := [run for run in runs if run.fill()]:
        most = min(run.block[-1] for run in runs)
        yield b"".join(sorted(entry for run in runs for entry in run.take(most)))


class RowWriter:
    """Lines of a file as they are written, and the ids by which they are found."""

    def __init__(self, file: BinaryIO, index: IndexWriter) -> None:
        self.file, self.index = file, index
        self.offset = 0

    def write(self, line: bytes, *ids: str) -> None:
        """A line with its end, under these ids."""
        for id in ids:
            self.index.add(id, self.offset)
        self.offset += self.file.write(line)


@contextmanager
def writing(rows: Path, at: Path) -> Iterator[RowWriter]:
    """Write the rows of a file and their index to `at`; whole, or not at all."""
    rows.parent.mkdir(parents=True, exist_ok=True)
    with replacing(rows) as file, closing(IndexWriter(rows.parent)) as index:
        writer = RowWriter(file, index)
        yield writer
        file.flush()
        index.finish(file, writer.offset, at)


class Index:
    """The rows of a file by id, as they stand when it is opened; open with `with`.

    A run may replace the file meanwhile, or still be writing to it: what is read is what stood there at the opening.
    """

    def __init__(self, rows: Path, at: Path, ids: Ids) -> None:
        self.path, self.at, self.ids = rows, at, ids

    def __enter__(self) -> Index:
        try:
            self.rows: BinaryIO = self.path.open("rb")
        except FileNotFoundError as error:
            fix = "run the stage that writes it first"
            raise InputError("there is no such file", where=str(self.path), fix=fix) from error
        try:
            self.entries = opened(self.at, self.rows) or self.made()
        except BaseException:
            self.rows.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rows.close()
        self.entries.close()

    def find(self, beginning: str) -> list[bytes]:
        """The rows of which an id begins so, by id and then in the order of the file."""
        try:
            return self.looked_up(beginning)
        except ValueError:
            self.entries.close()
            self.entries = self.made()
        try:
            return self.looked_up(beginning)
        except ValueError as error:
            fix = "wait for what writes to it to end"
            raise InputError("changed while it was read", where=str(self.path), fix=fix) from error

    def keys(self, beginning: str) -> Iterator[str]:
        """The different ids that begin so, in order, each cut to `KEY` characters."""
        last = b""
        for entry in self.matching(beginning):
            if entry[:KEY] != last:
                last = entry[:KEY]
                yield last.rstrip(b"\0").decode("utf-8", "surrogateescape")

    def looked_up(self, beginning: str) -> list[bytes]:
        rows = []
        for entry in self.matching(beginning):
            line = self.line(int.from_bytes(entry[KEY:], "big"))
            ids = self.ids(line)
            if not any(key_of(id) == entry[:KEY] for id in ids):
                raise ValueError("the index names another row")
            if any(key_of(id) == entry[:KEY] and id.startswith(beginning) for id in ids):
                rows.append(line)
        return rows

    def line(self, offset: int) -> bytes:
        self.rows.seek(max(0, offset - 1))
        if offset and self.rows.read(1) != b"\n":
            raise ValueError("no row begins here")
        return self.rows.readline()

    def matching(self, beginning: str) -> Iterator[bytes]:
        """The entries whose key begins as `beginning` does."""
        wanted = beginning.encode("utf-8", "surrogatepass")[:KEY]
        for number in range(self.first(wanted), self.count, BLOCK):
            data = os.pread(self.entries.fileno(), BLOCK * ENTRY, HEADER + number * ENTRY)
            for at in range(0, len(data), ENTRY):
                if not data.startswith(wanted, at):
                    return
                yield data[at : at + ENTRY]

    def first(self, wanted: bytes) -> int:
        """The number of the first entry that is not below `wanted`."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if os.pread(self.entries.fileno(), KEY, HEADER + middle * ENTRY) < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    @property
    def count(self) -> int:
        return (os.fstat(self.entries.fileno()).st_size - HEADER) // ENTRY

    def made(self) -> BinaryIO:
        """The index made out of the rows, and kept for the next time where the folder can be written."""
        scratch = self.path.parent if os.access(self.path.parent, os.W_OK) else Path(tempfile.gettempdir())
        index = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (`__exit__` closes it)
        with closing(IndexWriter(scratch)) as writer:
            writer.write(self.rows, self.scan(writer), index)
        index.seek(0)
        with suppress(OSError), replacing(self.at, durable=False) as kept:
            shutil.copyfileobj(index, kept)
            tie(kept, self.rows)
        return index

    def scan(self, writer: IndexWriter) -> int:
        """Add every row; returns the bytes of them. A last line without an end is still being written."""
        self.rows.seek(0)
        offset = 0
        for number, line in enumerate(self.rows, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                for id in self.ids(line) if line.strip() else ():
                    writer.add(id, offset)
            except ValueError as error:
                fix = "the file was changed by hand or by another version; ilk generate writes it anew"
                what = f"is no row of this file: {error}"
                raise InputError(what, where=position(self.path, number), fix=fix) from error
            offset += len(line)
        return offset


def cut(id: str) -> str:
    """An id as `Index.keys` gives it."""
    return key_of(id).rstrip(b"\0").decode("utf-8", "surrogateescape")


def key_of(id: str) -> bytes:
    return id.encode("utf-8", "surrogatepass")[:KEY].ljust(KEY, b"\0")


def tie(index: BinaryIO, rows: BinaryIO) -> None:
    """Give a written index the time of its rows: equal times tie them, and keep clocks out of its bytes."""
    index.flush()
    times = os.fstat(rows.fileno())
    os.utime(index.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))


def header(rows: BinaryIO, size: int, count: int) -> bytes:
    return MAGIC + size.to_bytes(8, "big") + count.to_bytes(8, "big") + fingerprint(rows, size)


def fingerprint(rows: BinaryIO, size: int) -> bytes:
    """Of some of the rows' bytes, from all over the file: enough to tell two files that agree in size and time."""
    found = hashlib.sha256()
    for probe in range(PROBES):
        found.update(os.pread(rows.fileno(), PROBE, probe * max(0, size - PROBE) // (PROBES - 1)))
    return found.digest()[:16]


def opened(at: Path, rows: BinaryIO) -> BinaryIO | None:
    """The index file at `at` if it is one of these rows."""
    try:
        index = at.open("rb")
    except OSError:
        return None
    facts, found = os.fstat(rows.fileno()), os.fstat(index.fileno())
    count = max(0, found.st_size - HEADER) // ENTRY
    fresh = found.st_size == HEADER + count * ENTRY and found.st_mtime_ns == facts.st_mtime_ns
    if fresh and os.pread(index.fileno(), HEADER, 0) == header(rows, facts.st_size, count):
        return index
    index.close()
    return None
