"""Many digests in little memory: put in order with their numbers, or found again by fingerprint."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

NUMBER = 4  # bytes of a number
HELD = 1 << 23  # bytes of entries in memory before they are written to a file
BUCKETS = 256  # by a key's first byte
FEWEST = 1 << 10  # slots of a table


class Sorter:
    """Keys of one size, each with a number below 2**32, given back by key and then by number; open with `with`.

    Keys are taken to be digests, or as evenly spread: a 256th of them is in memory at a time. `scratch` is the folder
    for what does not fit; None: where temporary files go.
    """

    def __init__(self, size: int, scratch: Path | None = None, *, held: int = HELD) -> None:
        self.size, self.scratch, self.most = size, scratch, held
        self.buckets = [bytearray() for _ in range(BUCKETS)]
        self.pieces: list[list[tuple[int, int]]] = [[] for _ in range(BUCKETS)]  # place and bytes in the file
        self.held = self.count = 0
        self.file: BinaryIO | None = None

    def __enter__(self) -> Sorter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()

    def __len__(self) -> int:
        return self.count

    def add(self, key: bytes, number: int) -> None:
        self.buckets[key[0]] += key + number.to_bytes(NUMBER, "big")
        self.count += 1
        self.held += self.size + NUMBER
        if self.held >= self.most:
            self.spill()

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        size = self.size
        for bucket in range(BUCKETS):
            for entry in self.entries(bucket):
                yield entry[:size], int.from_bytes(entry[size:], "big")

    def shared(self) -> Iterator[list[int]]:
        """The numbers under each key that has several, every number once and in order."""
        for bucket in range(BUCKETS):
            before, first, together = b"", 0, list[int]()
            for entry in self.entries(bucket):
                key, number = entry[: self.size], int.from_bytes(entry[self.size :], "big")
                if key != before:
                    if together:
                        yield together
                        together = []
                    before, first = key, number
                elif number != (together[-1] if together else first):
                    together = together or [first]
                    together.append(number)
            if together:
                yield together

    def entries(self, bucket: int) -> list[bytes]:
        data = b"".join([*self.spilled(bucket), self.buckets[bucket]])
        width = self.size + NUMBER
        return sorted([data[at : at + width] for at in range(0, len(data), width)])

    def spilled(self, bucket: int) -> Iterator[bytes]:
        if self.file is not None:
            for place, size in self.pieces[bucket]:
                yield os.pread(self.file.fileno(), size, place)

    def spill(self) -> None:
        if self.file is None:
            self.file = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 (`__exit__` closes it)
        for bucket, data in enumerate(self.buckets):
            if data:
                self.pieces[bucket].append((self.file.tell(), len(data)))
                self.file.write(data)
        self.file.flush()
        self.buckets = [bytearray() for _ in range(BUCKETS)]
        self.held = 0


class Fingerprints:
    """Numbers under the hashes of their keys, in 18 to 36 bytes each.

    Two keys may share a hash, so what is found is to be compared with what was looked for.
    """

    def __init__(self) -> None:
        self.count = 0
        self.clear(FEWEST)

    def clear(self, slots: int) -> None:
        self.mask = slots - 1
        self.hashes = array("q", bytes(8 * slots))
        self.numbers = array("I", bytes(4 * slots))  # one more than what was given; 0: the slot is free

    def find(self, key: object) -> Iterator[int]:
        wanted, hashes, numbers, mask = hash(key), self.hashes, self.numbers, self.mask
        at = wanted & mask
        while number := numbers[at]:
            if hashes[at] == wanted:
                yield number - 1
            at = (at + 1) & mask

    def add(self, key: object, number: int) -> None:
        self.count += 1
        if 3 * self.count > 2 * len(self.numbers):
            self.grow()
        self.put(hash(key), number + 1)

    def put(self, found: int, number: int) -> None:
        at = found & self.mask
        while self.numbers[at]:
            at = (at + 1) & self.mask
        self.hashes[at], self.numbers[at] = found, number

    def grow(self) -> None:
        before = zip(self.hashes, self.numbers, strict=True)
        self.clear(2 * len(self.numbers))
        for found, number in before:
            if number:
                self.put(found, number)
