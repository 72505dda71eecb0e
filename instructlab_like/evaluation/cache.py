"""Answers kept on disk by what decides them, so that a second evaluation generates only what is new."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from instructlab_like.errors import InputError, StoppedError


class Cache:
    """Texts by key in one SQLite file; without a path nothing is kept. What was put survives a kill."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path or ":memory:")
        try:
            self.db.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise InputError(f"is no cache of answers: {error}", where=str(path), fix="delete this file") from error

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.db.close()

    def get(self, keys: Iterable[str]) -> dict[str, str]:
        found = {}
        for key in keys:
            row = self.db.execute("SELECT text FROM answers WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = row[0]
        return found

    def put(self, texts: Mapping[str, str]) -> None:
        """Commit all of them at once. Raises StoppedError when they cannot be written."""
        try:
            with self.db:
                self.db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", texts.items())
        except sqlite3.OperationalError as error:
            fix = "free space or memory, end other runs of the same name, and run the same command again"
            raise StoppedError(f"answers cannot be kept: {error}", where=str(self.path), fix=fix) from error
