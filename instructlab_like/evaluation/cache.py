"""Answers and likelihoods kept on disk by what decides them, so that a second evaluation asks only what is new."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from instructlab_like.errors import InputError, StoppedError

TEXTS = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
NATS = "CREATE TABLE IF NOT EXISTS nats (key TEXT PRIMARY KEY, nats REAL) WITHOUT ROWID"  # NULL: not a number


class Cache:
    """Texts and nats by key in one SQLite file; without a path nothing is kept. What was put survives a kill."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.db = sqlite3.connect(path or ":memory:")
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error
        try:
            for table in (TEXTS, NATS):
                self.db.execute(table)
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise self._unusable(error) from error

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.db.close()

    def get(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: str(text) for key, text in self._found("SELECT text FROM answers WHERE key = ?", keys)}

    def put(self, texts: Mapping[str, str]) -> None:
        """Commit all of them at once. Raises StoppedError when they cannot be written."""
        self._write("INSERT OR REPLACE INTO answers VALUES (?, ?)", texts.items())

    def get_nats(self, keys: Iterable[str]) -> dict[str, float]:
        """The very floats that were put."""
        found = self._found("SELECT nats FROM nats WHERE key = ?", keys)
        return {key: math.nan if nats is None else float(nats) for key, nats in found}

    def put_nats(self, nats: Mapping[str, float]) -> None:
        """Commit all of them at once. Raises StoppedError when they cannot be written."""
        self._write("INSERT OR REPLACE INTO nats VALUES (?, ?)", nats.items())

    def _found(self, query: str, keys: Iterable[str]) -> Iterator[tuple[str, str | float | None]]:
        for key in keys:
            try:
                row = self.db.execute(query, (key,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from error
            if row:
                yield key, row[0]

    def _unusable(self, error: sqlite3.DatabaseError) -> InputError:
        return InputError(f"is no cache of answers: {error}", where=str(self.path), fix="delete this file")

    def _write(self, statement: str, rows: Iterable[tuple[str, str | float]]) -> None:
        try:
            with self.db:
                self.db.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            fix = "free space or memory, end other runs of the same name, and run the same command again"
            raise StoppedError(f"answers cannot be kept: {error}", where=str(self.path), fix=fix) from error
