"""The samples that a filter over the whole set is given, in the order of ids, each with its sketch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from instructlab_like.records import Sample


class Pool(ABC):
    """Samples by place; a sample is read when it is looked at, and gone when it is let go."""

    scratch: Path | None = None  # folder for what does not fit into memory; None: where temporary files go
    memory: Path | None = None  # folder of this filter's own, for what may be of use when few samples are new

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def sample(self, place: int) -> Sample: ...

    @abstractmethod
    def sketch(self, place: int) -> bytes: ...

    @abstractmethod
    def sketches(self) -> bytes:
        """All sketches one after the other; for filters whose sketches are of one size."""

    @abstractmethod
    def key(self, place: int) -> bytes:
        """Sixteen bytes that stand for the sample and all that its sketch was made of."""


class Held(Pool):
    """A pool of samples in memory."""

    def __init__(self, samples: Sequence[Sample], sketches: Sequence[bytes]) -> None:
        self.held, self.drawn = samples, sketches

    def __len__(self) -> int:
        return len(self.held)

    def sample(self, place: int) -> Sample:
        return self.held[place]

    def sketch(self, place: int) -> bytes:
        return self.drawn[place]

    def sketches(self) -> bytes:
        return b"".join(self.drawn)

    def key(self, place: int) -> bytes:
        return bytes.fromhex(self.held[place].id)[:16]
