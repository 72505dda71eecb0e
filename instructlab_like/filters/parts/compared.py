"""Pairs of samples that have been compared, kept in a file from one run to the next: that is what takes longest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructlab_like.workspace import replacing

KEY = 16  # bytes of a sample's key
MAGIC = b"compared pairs 2\n"
Places = npt.NDArray[np.int32]
Pairs = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
NONE: Pairs = np.empty(0, dtype=np.int64)


class Compared:
    """The scores of pairs of places, found again by the keys of their samples.

    Not a number: compared, and no copy; below zero: a copy, though something speaks against it.

    A file that is missing, damaged, or of other options counts as empty.
    """

    def __init__(self, path: Path | None, identity: str, keys: bytes) -> None:
        self.path, self.identity = path, bytes.fromhex(identity)
        self.keys = np.frombuffer(keys, dtype=f"S{KEY}")
        self.pairs, self.scores = NONE, np.empty(0, dtype=np.float64)  # known from before, in order
        self.told: dict[int, float] = {}  # of this run
        self.stored = 0
        if path is not None:
            self.load(path)

    def load(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError:
            return
        body = data[len(MAGIC) + 64 :]
        if data[: -len(body)] != self.head(body) or len(body) < 16:
            return
        count, pairs = np.frombuffer(body, dtype="<u8", count=2).tolist()
        if len(body) != 16 + count * KEY + pairs * 16:
            return
        now = self.places(np.frombuffer(body, dtype=f"S{KEY}", count=count, offset=16))
        entries = np.frombuffer(body, dtype="<u4", count=2 * pairs, offset=16 + count * KEY)
        scores = np.frombuffer(body, dtype="<f8", count=pairs, offset=len(body) - 8 * pairs)
        if pairs and int(entries.max()) >= count:
            return
        one, other = now[entries[::2]], now[entries[1::2]]
        there = (one >= 0) & (other >= 0)
        found = (np.maximum(one, other)[there] << 32) | np.minimum(one, other)[there]
        order = np.argsort(found)
        self.pairs, self.scores, self.stored = found[order], scores[there][order], pairs

    def head(self, body: bytes) -> bytes:
        return MAGIC + self.identity + hashlib.sha256(body).digest()

    def places(self, keys: npt.NDArray[np.bytes_]) -> Pairs:
        """Where the samples with these keys are now; -1 for those that are gone."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int64)
        order = np.argsort(self.keys)
        at = np.minimum(np.searchsorted(self.keys, keys, sorter=order), len(order) - 1)
        found: Pairs = np.where(self.keys[order[at]] == keys, order[at], -1)
        return found

    def look_up(self, later: Places, earlier: Places) -> tuple[npt.NDArray[np.bool_], Scores]:
        """Which of the pairs are known, and their scores."""
        if not len(self.pairs):
            return np.zeros(len(later), dtype=np.bool_), np.zeros(len(later))
        wanted = (later.astype(np.int64) << 32) | earlier
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        return self.pairs[at] == wanted, self.scores[at]

    def score(self, one: int, other: int) -> float | None:
        """The same of a single pair, in whatever order; None: not known."""
        known, scores = self.look_up(
            *(np.array([place], dtype=np.int32) for place in (max(one, other), min(one, other)))
        )
        return float(scores[0]) if known[0] else None

    def tell(self, one: int, other: int, score: float) -> None:
        pair = max(one, other) << 32 | min(one, other)
        if pair not in self.told:
            self.told[pair] = score

    def save(self) -> None:
        """Keep what was looked at in this run, unless it is what the file holds."""
        told = np.fromiter(self.told, dtype=np.int64, count=len(self.told))
        if self.path is None or (len(told) == self.stored and np.isin(told, self.pairs, assume_unique=True).all()):
            return
        samples, entries = np.unique(np.stack((told >> 32, told & 0xFFFFFFFF), axis=1), return_inverse=True)
        counts = np.array([len(samples), len(told)], dtype="<u8")
        scores = np.fromiter(self.told.values(), dtype="<f8", count=len(told))
        body = b"".join(part.tobytes() for part in (counts, self.keys[samples], entries.astype("<u4"), scores))
        with replacing(self.path, durable=False) as file:
            file.write(self.head(body))
            file.write(body)
