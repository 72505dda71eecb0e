"""The ledger: every call to a teacher, intent before it is sent and answer before it is used. One SQLite file.

What `write` returned from survives SIGKILL and power loss: write-ahead log, `synchronous=FULL`, one fsync per
transaction. Many entries may share a transaction; each is durable before its caller goes on. One run holds the
ledger at a time; SQLite's own exclusive lock says so, dies with the process, and needs no shared memory, so the
ledger also works on network home directories.

Its times are for people: nothing is decided by them, so a clock that is set does no harm.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import orjson

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.records import Completion, Prompt, Record

VERSION = 2
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
    kind     TEXT,              -- of the last failure: refused, rate_limit, server_error, …
    lost     INTEGER NOT NULL DEFAULT 0,  -- attempts under way when a run was killed: they may have been paid for
    tokens_in  INTEGER NOT NULL DEFAULT 0,  -- charged over all attempts
    tokens_out INTEGER NOT NULL DEFAULT 0,
    purpose  TEXT NOT NULL DEFAULT 'flow',  -- or 'probe': asked to learn what a server can do
    CHECK ((state = 'answered') = (answer IS NOT NULL))
)
"""
FROM_1 = (
    "ALTER TABLE calls ADD COLUMN kind TEXT",
    "ALTER TABLE calls ADD COLUMN lost INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN tokens_in INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN tokens_out INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN purpose TEXT NOT NULL DEFAULT 'flow'",
    "UPDATE calls SET tokens_in = coalesce(json_extract(answer, '$.prompt_tokens'), 0), "
    "tokens_out = coalesce(json_extract(answer, '$.completion_tokens'), 0) WHERE answer IS NOT NULL",
)
INTEND = """
INSERT INTO calls (key, request, model, state, attempts, intended, purpose) VALUES (?, ?, ?, 'intended', 1, ?, ?)
ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1, lost = lost + (state = 'intended'), state = 'intended',
    intended = excluded.intended, error = NULL, kind = NULL, finished = NULL WHERE state != 'answered'
"""
INTEND_AGAIN = """
INSERT INTO calls (key, request, model, state, attempts, intended, purpose) VALUES (?, ?, ?, 'intended', 1, ?, ?)
ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1, lost = lost + (state = 'intended'), state = 'intended',
    intended = excluded.intended, answer = NULL, error = NULL, kind = NULL, finished = NULL
"""
ANSWERED = "SELECT answer FROM calls WHERE key = ? AND answer IS NOT NULL"
COMMIT = (
    "UPDATE calls SET state = 'answered', answer = ?, error = NULL, kind = NULL, finished = ?, "
    "tokens_in = tokens_in + ?, tokens_out = tokens_out + ? WHERE key = ? AND answer IS NULL"
)
FAIL = (
    "UPDATE calls SET state = 'failed', error = ?, kind = ?, finished = ?, attempts = attempts - ?, "
    "tokens_in = tokens_in + ?, tokens_out = tokens_out + ? WHERE key = ? AND answer IS NULL"
)
UNSENT = (
    "DELETE FROM calls WHERE key = ? AND state = 'intended' AND attempts = 1",
    "UPDATE calls SET state = 'failed', attempts = attempts - 1, error = 'was not sent' "
    "WHERE key = ? AND state = 'intended'",
)


class Intent(NamedTuple):
    """About to ask this."""

    key: str
    request: str
    model: str
    purpose: str = "flow"


class Failure(NamedTuple):
    """A call whose last attempt failed, and what that attempt was charged."""

    key: str
    error: str
    kind: str = "refused"
    tokens_in: int = 0
    tokens_out: int = 0
    sent: bool = True  # False: it was known before that the teacher could not answer


class Unsent(NamedTuple):
    """An intent that came to nothing: no request left."""

    key: str


class Lookup(NamedTuple):
    """Nothing to record: is there an answer?"""

    key: str


Entry = Intent | Completion | Failure | Unsent | Lookup


class Counts(Record):
    intended: int = 0  # under way when the last run ended
    answered: int = 0
    failed: int = 0


class Spent(Record):
    """What all calls of the ledger came to, as the teachers counted."""

    calls: int = 0  # attempts: each is a request in the server's log
    lost: int = 0  # of them, under way when a run was killed
    tokens_in: int = 0
    tokens_out: int = 0


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
            # One thread at a time, but not always the same one: the journal commits from a thread of its own.
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

    def write(self, *entries: Entry) -> list[Completion | None]:
        """One transaction, all or nothing, on disk on return.

        For each intent and lookup the answer that the ledger holds already, if any: then nothing is intended. A call's
        first answer is the one that counts.
        """
        with self.translated(), self.transaction():
            return [self.enter(entry) for entry in entries]

    def enter(self, entry: Entry) -> Completion | None:
        execute = self.connection.execute
        if isinstance(entry, Intent):
            wanted = (entry.key, entry.request, entry.model, time.time(), entry.purpose)
            if entry.purpose == "probe":  # a question about the server as it is now: an old answer is none
                execute(INTEND_AGAIN, wanted)
                return None
            done = execute(INTEND, wanted).rowcount  # no row where the call is answered
            return None if done else self.committed(entry.key)
        if isinstance(entry, Lookup):
            return self.committed(entry.key)
        if isinstance(entry, Unsent):
            for statement in UNSENT:
                execute(statement, (entry.key,))
            return None
        if isinstance(entry, Failure):
            told = (entry.error, entry.kind, time.time(), not entry.sent, entry.tokens_in, entry.tokens_out, entry.key)
            done = execute(FAIL, told).rowcount
        else:
            answer = written(entry)
            tokens = (entry.prompt_tokens or 0, entry.completion_tokens or 0)
            done = execute(COMMIT, (answer, time.time(), *tokens, entry.key)).rowcount
        if not done and not execute("SELECT 1 FROM calls WHERE key = ?", (entry.key,)).fetchone():
            raise LookupError(f"call {entry.key} was never intended")
        return None

    def intend(self, *prompts: Prompt) -> None:
        """Record that these are about to be asked; what is answered already stays answered."""
        self.write(*map(intent, prompts))

    def commit(self, *completions: Completion) -> None:
        """Keep these answers for good; on return they are on disk."""
        self.write(*completions)

    def fail(self, key: str, error: str, kind: str = "refused") -> None:
        """Record why the last attempt at a call failed."""
        self.write(Failure(key, error, kind))

    def committed(self, key: str) -> Completion | None:
        """The answer to a call, if there is one."""
        with self.translated():
            row = self.connection.execute(ANSWERED, (key,)).fetchone()
        if row is None:
            return None
        try:
            return read(row[0])
        except (ValueError, TypeError, KeyError) as error:
            what = f"the answer to call {key} is damaged"
            raise InputError(what, where=str(self.path), fix="restore the file, or start another run") from error

    @property
    def failures(self) -> tuple[Failure, ...]:
        with self.translated():
            rows = self.connection.execute(
                "SELECT key, error, coalesce(kind, 'refused') FROM calls WHERE state = 'failed' ORDER BY key"
            ).fetchall()
        return tuple(Failure(*row) for row in rows)

    @property
    def counts(self) -> Counts:
        with self.translated():
            rows = self.connection.execute("SELECT state, COUNT(*) FROM calls GROUP BY state").fetchall()
        return Counts.model_validate(dict(rows))

    @property
    def spent(self) -> Spent:
        """Over all teachers; by one of them: `spent_by`."""
        return total(self.spent_by().values())

    def spent_by(self) -> dict[str, Spent]:
        """By the teacher's identity."""
        query = (
            "SELECT model, SUM(attempts), SUM(lost + (state = 'intended')), SUM(tokens_in), SUM(tokens_out) "
            "FROM calls GROUP BY model ORDER BY model"
        )
        with self.translated():
            rows = self.connection.execute(query).fetchall()
        return {
            model: Spent(calls=calls, lost=lost, tokens_in=tokens_in, tokens_out=tokens_out)
            for model, calls, lost, tokens_in, tokens_out in rows
        }

    def prepare(self) -> None:
        """Take the lock, check what kind of file this is, and make a new one, or one of format 1, into a ledger."""
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
            self.connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            tables = self.number("SELECT COUNT(*) FROM sqlite_master")
            version = self.number("PRAGMA user_version")
            if not tables:
                self.connection.execute(SCHEMA)
                self.connection.execute(f"PRAGMA application_id = {OURS}")
            elif self.number("PRAGMA application_id") != OURS:
                raise InputError("is a database, but no ledger", where=str(self.path), fix="move it out of the run")
            elif version > VERSION:
                raise InputError(
                    f"was written by a newer version (format {version}, this one knows {VERSION})",
                    where=str(self.path),
                    fix="upgrade instructlab-like, or start another run",
                )
            elif version == 1:
                for statement in FROM_1:
                    self.connection.execute(statement)
            if version != VERSION:
                self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def number(self, query: str) -> int:
        return int(self.connection.execute(query).fetchone()[0])

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
    return Intent(prompt.key, prompt.request, prompt.lineage.model)


def written(completion: Completion) -> str:
    told = (completion.key, completion.text, completion.finish_reason)
    names = ("key", "text", "finish_reason", "prompt_tokens", "completion_tokens")
    return orjson.dumps(
        dict(zip(names, (*told, completion.prompt_tokens, completion.completion_tokens), strict=True))
    ).decode()


def read(answer: str) -> Completion:
    """Checked field by field rather than by pydantic: a resumed run reads every answer."""
    told = orjson.loads(answer)
    return Completion(
        key=told["key"],
        text=told["text"],
        finish_reason=told["finish_reason"],
        prompt_tokens=told.get("prompt_tokens"),
        completion_tokens=told.get("completion_tokens"),
    )


def total(parts: Iterable[Spent]) -> Spent:
    spent: Sequence[Spent] = list(parts)
    return Spent(
        calls=sum(part.calls for part in spent),
        lost=sum(part.lost for part in spent),
        tokens_in=sum(part.tokens_in for part in spent),
        tokens_out=sum(part.tokens_out for part in spent),
    )
