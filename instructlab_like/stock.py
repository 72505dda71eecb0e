"""Samples that stay in their run's file: read when they are looked at, in the order of their ids."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar, overload

import orjson
from pydantic import ValidationError

from instructlab_like.digests import Sorter
from instructlab_like.errors import InputError, explain
from instructlab_like.records import Sample

ID = 16  # bytes of a sample's id, which is half a SHA-256
BUFFER = 1 << 16  # bytes read at a time where samples lie side by side

Kind = TypeVar("Kind")
parse = Sample.model_validate_json


class Stock(Sequence[Sample]):
    """The samples of a JSONL file in id order, but for those whose ids are in `without`; open with `with`.

    Twelve bytes of each are in memory. The file must not change meanwhile.
    """

    def __init__(self, path: Path, without: Collection[bytes] = ()) -> None:
        self.path, self.without = path, without

    def __enter__(self) -> Stock:
        self.file = self.path.open("rb")
        self.descriptor = self.file.fileno()
        try:
            self.starts, self.order = self.scan()
        except BaseException:
            self.file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def scan(self) -> tuple[array[int], array[int]]:
        """Where each line begins and the last one ends, and the lines' numbers in the order of their ids."""
        starts, end = array("Q"), 0
        with Sorter(ID, self.path.parent) as found, self.path.open("rb", buffering=BUFFER) as lines:
            for number, line in enumerate(lines):
                starts.append(end)
                end += len(line)
                key = id_bytes(orjson.loads(line)["id"])
                if key not in self.without:
                    found.add(key, number)
            starts.append(end)
            return starts, array("I", (number for _, number in found))

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return Some(self, range(len(self))[place])
        try:
            return parse(self.raw(place))
        except ValidationError as error:
            fix = "leave a run's files alone while it is being made"
            where = f"{self.path}:{self.order[place] + 1}"
            raise InputError("; ".join(explain(error)), where=where, fix=fix) from error

    def raw(self, place: int) -> bytes:
        """The line as it stands in the file."""
        line = self.order[place]
        start = self.starts[line]
        return os.pread(self.descriptor, self.starts[line + 1] - start, start)


class Some(Sequence[Kind]):
    """Those of a sequence at the given places, looked up there when they are wanted."""

    def __init__(self, of: Sequence[Kind], places: Iterable[int]) -> None:
        self.of, self.places = of, places if isinstance(places, range) else array("I", places)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Kind: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Kind]: ...
    def __getitem__(self, place: int | slice) -> Kind | Sequence[Kind]:
        if isinstance(place, slice):
            return Some(self.of, self.places[place])
        return self.of[self.places[place]]

    def __iter__(self) -> Iterator[Kind]:
        return map(self.of.__getitem__, self.places)


def id_bytes(id: str) -> bytes:
    """A sample's id in half the room."""
    return bytes.fromhex(id)
