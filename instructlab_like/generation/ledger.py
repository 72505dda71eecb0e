"""The ledger: every call to a teacher, intent before it is sent and answer before it is used. One SQLite file.

What `commit` returned from survives SIGKILL and power loss: write-ahead log, `synchronous=FULL`, one fsync per
transaction. Many answers may share a transaction; each is durable before its caller goes on. One run holds the
ledger at a time; SQLite's own exclusive lock says so, dies with the process, and needs no shared memory, so the
ledger also works on network home directories.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import ValidationError

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.records import Completion, Prompt, Record

VERSION = 1
OURS = 0x696C6B4C  # "ilkL": tells a ledger from any other SQLite file
SCHEMA = """
CREATE TABLE calls (
    key      TEXT PRIMARY KEY,  -- Prompt.key: the digest of `request`
    request  TEXT NOT NULL,     -- JSON: messages, model, sampling, yields, draw
    model    TEXT NOT NULL,     -- the teacher's identity
    state    TEXT NOT NULL CHECK (state IN ('intended', 'answered', 'failed')),
    attempts INTEGER NOT NULL,  -- times a teacher was asked, over all runs
    answer   TEXT,              -- JSON of the Completion
    error    TEXT,              -- why the last attempt failed
    intended REAL NOT NULL,     -- Unix time of the last intent
    finished REAL,              -- Unix time of the answer or the failure
    CHECK ((state = 'answered') = (answer IS NOT NULL))
) WITHOUT ROWID
"""
INTEND = """
INSERT INTO calls (key, request, model, state, attempts, intended) VALUES (?, ?, ?, 'intended', 1, ?)
ON CONFLICT (key) DO UPDATE SET state = 'intended', attempts = attempts + 1, intended = excluded.intended,
    error = NULL, finished = NULL WHERE state != 'answered'
"""
COMMIT = "UPDATE calls SET state = 'answered', answer = ?, error = NULL, finished = ? WHERE key = ? AND answer IS NULL"
FAIL = "UPDATE calls SET state = 'failed', error = ?, finished = ? WHERE key = ? AND answer IS NULL"


class Intent(Record):
    """About to ask this."""

    kind: Literal["intent"] = "intent"
    key: str
    request: str
    model: str


class Failure(Record):
    """A call whose last attempt failed."""

    kind: Literal["failure"] = "failure"
    key: str
    error: str


Entry = Intent | Completion | Failure


class Counts(Record):
    intended: int = 0  # sent, or about to be, when the last run ended
    answered: int = 0
    failed: int = 0


class Ledger:
    """Open with `with`; raises InputError for a file that is no ledger, is newer, or is in use by another run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Ledger:
        with self.translated():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                fix = "choose another folder for the run"
                raise InputError(f"cannot be made: {error.strerror}", where=str(self.path.parent), fix=fix) from error
            # One thread at a time, but not always the same one: call.py commits from a worker thread.
            self.connection = sqlite3.connect(self.path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            with self.translated():
                self.prepare()
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.translated():
            self.connection.close()

    def intend(self, *prompts: Prompt) -> None:
        """Record that these are about to be asked; what is answered already stays answered."""
        self.write(*map(intent, prompts))

    def commit(self, *completions: Completion) -> None:
        """Keep these answers for good; on return they are on disk. A call's first answer is the one that counts."""
        self.write(*completions)

    def fail(self, key: str, error: str) -> None:
        """Record why the last attempt at a call failed."""
        self.write(Failure(key=key, error=error))

    def write(self, *entries: Entry) -> None:
        """One transaction, all or nothing, on disk on return."""
        with self.translated(), self.transaction():
            for entry in entries:
                if isinstance(entry, Intent):
                    self.connection.execute(INTEND, (entry.key, entry.request, entry.model, time.time()))
                elif isinstance(entry, Completion):
                    self.finish(COMMIT, entry.model_dump_json(), entry.key)
                else:
                    self.finish(FAIL, entry.error, entry.key)

    def committed(self, key: str) -> Completion | None:
        """The answer to a call, if there is one."""
        with self.translated():
            row = self.connection.execute("SELECT answer FROM calls WHERE key = ?", (key,)).fetchone()
        if row is None or row[0] is None:
            return None
        try:
            return Completion.model_validate_json(row[0])
        except ValidationError as error:
            what = f"the answer to call {key} is damaged"
            raise InputError(what, where=str(self.path), fix="restore the file, or start another run") from error

    @property
    def failures(self) -> tuple[Failure, ...]:
        with self.translated():
            rows = self.connection.execute(
                "SELECT key, error FROM calls WHERE state = 'failed' ORDER BY key"
            ).fetchall()
        return tuple(Failure(key=key, error=error) for key, error in rows)

    @property
    def counts(self) -> Counts:
        with self.translated():
            rows = self.connection.execute("SELECT state, COUNT(*) FROM calls GROUP BY state").fetchall()
        return Counts.model_validate(dict(rows))

    def prepare(self) -> None:
        """Take the lock, check what kind of file this is, and make a new one into a ledger."""
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
            self.connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            tables = self.number("SELECT COUNT(*) FROM sqlite_master")
            version = self.number("PRAGMA user_version")
            if not tables:
                self.connection.execute(SCHEMA)
                self.connection.execute(f"PRAGMA application_id = {OURS}")
                self.connection.execute(f"PRAGMA user_version = {VERSION}")
            elif self.number("PRAGMA application_id") != OURS:
                raise InputError("is a database, but no ledger", where=str(self.path), fix="move it out of the run")
            elif version > VERSION:
                raise InputError(
                    f"was written by a newer version (format {version}, this one knows {VERSION})",
                    where=str(self.path),
                    fix="upgrade instructlab-like, or start another run",
                )

    def number(self, query: str) -> int:
        return int(self.connection.execute(query).fetchone()[0])

    def finish(self, statement: str, text: str, key: str) -> None:
        self.connection.execute(statement, (text, time.time(), key))
        if not self.connection.execute("SELECT 1 FROM calls WHERE key = ?", (key,)).fetchone():
            raise LookupError(f"call {key} was never intended")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's errors as the user may meet them; what is left is a bug of ours."""
        try:
            yield
        except sqlite3.Error as error:
            where = str(self.path)
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest a detail of it
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                fix = "wait for the other run to end, or name another run"
                raise InputError("another run is using this ledger", where=where, fix=fix) from error
            if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                fix = "make room on the disk, then run the same command again: what was committed is kept"
                raise StoppedError(f"the ledger cannot be written: {error}", where=where, fix=fix) from error
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                fix = "restore it from a copy, or start another run"
                raise InputError(f"is no ledger, or is damaged: {error}", where=where, fix=fix) from error
            if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                fix = "make the folder writable, or choose another folder for the run"
                raise InputError(f"the ledger cannot be opened: {error}", where=where, fix=fix) from error
            raise


def intent(prompt: Prompt) -> Intent:
    """A prompt as it is kept: exactly what its key is the digest of, so that a ledger proves itself."""
    request = {
        "messages": [message.model_dump() for message in prompt.messages],
        "model": prompt.lineage.model,
        "sampling": prompt.sampling.model_dump(),
        "yields": prompt.yields,
        "draw": prompt.lineage.draw,
    }
    return Intent(key=prompt.key, request=json.dumps(request, ensure_ascii=False), model=prompt.lineage.model)
