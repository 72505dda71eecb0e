"""A ledger as those read it who ask nothing: without its lock, without changing it, and without pydantic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import orjson

from instructlab_like.errors import InputError

OURS = 0x696C6B4C  # generation/ledger.py
NEWEST = 2

CALL = (
    "SELECT key, request, model, state, attempts, answer, error, kind, lost + (state = 'intended'), tokens_in, "
    "tokens_out, purpose FROM calls WHERE key = ?"
)
TOTALS = "SELECT model, SUM(attempts), SUM(tokens_in), SUM(tokens_out) FROM calls GROUP BY model ORDER BY model"
TOTALS_OF_1 = (
    "SELECT model, SUM(attempts), coalesce(SUM(json_extract(answer, '$.prompt_tokens')), 0), "
    "coalesce(SUM(json_extract(answer, '$.completion_tokens')), 0) FROM calls GROUP BY model ORDER BY model"
)


class InUseError(InputError):
    """A run holds the ledger."""


@dataclass(frozen=True)
class Call:
    """A call as the ledger has it. `text` is the answer's."""

    key: str
    model: str
    purpose: str
    messages: tuple[Mapping[str, str], ...]
    state: Literal["intended", "answered", "failed"]
    text: str | None
    finish_reason: str | None
    attempts: int
    lost: int  # of the attempts, under way when a run was killed
    tokens_in: int  # charged over all attempts
    tokens_out: int
    kind: str | None  # of the last failure
    error: str | None


@dataclass(frozen=True)
class Totals:
    calls: int  # attempts: each is a request in the server's log
    tokens_in: int
    tokens_out: int


class Books:
    """Open with `with`. Raises InUseError while a run holds the ledger, InputError for what is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: tuple[int, int, int] | None = None

    def __enter__(self) -> Books:
        if not self.path.is_file():
            raise InputError("there is no such ledger", where=str(self.path), fix="run ilk generate first")
        if self.log_size:
            self.settle()
        # `immutable` takes no lock, so that reading cannot keep a run from starting; `__exit__` notices if one did.
        self.before = self.stamp
        self.connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)
        try:
            with self.translated():
                if self.number("PRAGMA application_id") != OURS:
                    raise InputError("is no ledger", where=str(self.path), fix="move it out of the run")
                self.version = self.number("PRAGMA user_version")
            if self.version > NEWEST:
                what = f"was written by a newer version (format {self.version}, this one knows {NEWEST})"
                raise InputError(what, where=str(self.path), fix="upgrade instructlab-like")
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if error is None and self.stamp != self.before:
            raise self.in_use()

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Changes when a run writes to the ledger."""
        facts = self.path.stat()
        return facts.st_size, facts.st_mtime_ns, self.log_size

    @property
    def log_size(self) -> int:
        with suppress(FileNotFoundError):
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        return 0

    def settle(self) -> None:
        """Bring a log that a killed run left behind into the file, as the next run would."""
        with self.translated():
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=0)
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            finally:
                connection.close()

    def call(self, key: str) -> Call | None:
        with self.translated():
            row = self.connection.execute(CALL, (key,)).fetchone()
        if row is None:
            return None
        key, request, model, state, attempts, answer, error, kind, lost, tokens_in, tokens_out, purpose = row
        try:
            asked = orjson.loads(request) if request else {}
            told = orjson.loads(answer) if answer else {}
            messages = tuple(asked.get("messages", ()))
            text, finish_reason = told.get("text"), told.get("finish_reason")
        except (ValueError, AttributeError) as damage:
            fix = "restore the file, or start another run"
            raise InputError(f"call {key} is damaged", where=str(self.path), fix=fix) from damage
        return Call(
            key=key,
            model=model,
            purpose=purpose,
            messages=messages,
            state=state,
            text=text,
            finish_reason=finish_reason,
            attempts=attempts,
            lost=lost,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            kind=kind,
            error=error,
        )

    def keys(self, beginning: str) -> list[str]:
        """The call keys that begin so, in order."""
        with self.translated():
            query = "SELECT key FROM calls WHERE key >= ? AND key < ? ORDER BY key"
            return [key for (key,) in self.connection.execute(query, (beginning, f"{beginning}\U0010ffff"))]

    def sizes(self) -> dict[str, int]:
        """The characters of each call that a flow made, by its key."""
        query = "SELECT key, length(request) + coalesce(length(answer), 0) FROM calls WHERE purpose = 'flow'"
        with self.translated():
            return dict(self.connection.execute(query))

    def totals(self) -> dict[str, Totals]:
        """What all calls came to, by the teacher's identity."""
        with self.translated():
            rows = self.connection.execute(TOTALS if self.version > 1 else TOTALS_OF_1).fetchall()
        return {model: Totals(*counts) for model, *counts in rows}

    def number(self, query: str) -> int:
        return int(self.connection.execute(query).fetchone()[0])

    def in_use(self) -> InUseError:
        return InUseError("a run is using this ledger", where=str(self.path), fix="wait for it to end")

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            changed = self.before is not None and self.stamp != self.before
            if changed or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise self.in_use() from error
            fix = "restore it from a copy, or start another run"
            raise InputError(f"cannot be read as a ledger: {error}", where=str(self.path), fix=fix) from error
