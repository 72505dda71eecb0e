"""What was found in a leaf, remembered by the digest of all that was looked at: what is unchanged is not checked again.

Losing it costs time only. It lies in the cache folder as `checks.sqlite`; a damaged one is begun anew.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from instructlab_like import __version__
from instructlab_like.workspace import PACKAGE, cache_dir

FULL = 200_000  # entries, about 100 MB: then the memory begins anew
_LOOKED_AT_BY = ("checking", "taxonomy", "generation", "confined", "scans")  # rooms whose code decides what is found


class Memory:
    """Values by key, across runs; use it in `with`. Without a place to write it remembers nothing."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or cache_dir()) / "checks.sqlite"
        self._new: dict[str, bytes] = {}
        self._store = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is None:
            return
        try:
            if self._new:
                with self._store:
                    if self._store.execute("SELECT count(*) FROM entries").fetchone()[0] > FULL:
                        self._store.execute("DELETE FROM entries")
                    self._store.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", self._new.items())
        except sqlite3.Error:
            pass  # another process writes, or the disk is full: the next run looks again
        finally:
            self._store.close()

    def get(self, key: str) -> bytes | None:
        if self._store is None:
            return None
        try:
            row = self._store.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            self._forget()
            return None
        if not row or not isinstance(row[0], bytes):
            return None
        sealed, value = row[0][:_SEAL], row[0][_SEAL:]
        return value if sealed == _seal(key, value) else None

    def put(self, key: str, value: bytes) -> None:
        self._new[key] = _seal(key, value) + value

    def _opened(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                store = sqlite3.connect(self._path, timeout=2.0)
                store.execute("PRAGMA journal_mode=WAL")
                store.execute("PRAGMA synchronous=NORMAL")
                store.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
                return store
            except sqlite3.OperationalError:
                return None  # locked, or not writable
            except (sqlite3.DatabaseError, OSError):
                self._discard()
        return None

    def _forget(self) -> None:
        """A damaged memory is given up for this run, and begun anew by the next."""
        if self._store is not None:
            self._store.close()
        self._store = None
        self._discard()

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            try:
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            except OSError:
                return


_SEAL = 16  # bytes before a value, by which one that was damaged is known


def _seal(key: str, value: bytes) -> bytes:
    return hashlib.sha256(key.encode() + value).digest()[:_SEAL]


def stamp() -> str:
    """What decides findings besides the leaf: this code (by its files, for a checkout changes) and what it calls."""
    told = [__version__, *(_installed(name) for name in ("yaml", "yamllint", "packaging"))]
    for room in ("", *_LOOKED_AT_BY):
        for folder, subfolders, names in os.walk(PACKAGE / room):
            subfolders[:] = subfolders if room else []
            for name in sorted(names):
                if name.endswith(".py"):
                    facts = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - hundreds of them, at every start
                    told.append(f"{folder}/{name} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(told)).encode("utf-8", "surrogateescape")).hexdigest()


def _installed(name: str) -> str:
    """Which build of a package is installed, without loading it."""
    found = find_spec(name)
    if found is None or found.origin is None:
        return name
    facts = os.stat(found.origin)  # noqa: PTH116
    return f"{found.origin} {facts.st_size} {facts.st_mtime_ns}"


def key(parts: Iterable[str], files: Mapping[str, bytes]) -> str:
    """A key that no other parts and files have."""
    whole = hashlib.sha256()
    for text in parts:
        data = text.encode("utf-8", "surrogateescape")
        whole.update(b"%d\0" % len(data) + data)
    for name, data in sorted(files.items()):
        whole.update(b"%d\0" % len(os.fsencode(name)) + os.fsencode(name) + hashlib.sha256(data).digest())
    return whole.hexdigest()
