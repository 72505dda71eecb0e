"""Ledgers joined, and calls removed from one for good. Asks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from instructlab_like.generation.ledger import Ledger

_JOIN = (
    # What is in both cost twice. An attempt that was under way is either dropped here or doubled: it is lost.
    "UPDATE calls SET attempts = calls.attempts + o.attempts, tokens_in = calls.tokens_in + o.tokens_in, "
    "tokens_out = calls.tokens_out + o.tokens_out, "
    "lost = calls.lost + o.lost + (calls.state = 'intended' OR o.state = 'intended') "
    "FROM other.calls AS o WHERE o.key = calls.key",
    # The first answer counts; an answer is better than a failure, and that than nothing.
    "UPDATE calls SET state = o.state, answer = o.answer, error = o.error, kind = o.kind, finished = o.finished "
    "FROM other.calls AS o WHERE o.key = calls.key AND calls.state != 'answered' "
    "AND (o.state = 'answered' OR (calls.state = 'intended' AND o.state = 'failed'))",
    "INSERT OR IGNORE INTO calls (key, request, model, state, attempts, answer, error, intended, finished, kind, lost, "
    "tokens_in, tokens_out, purpose) SELECT key, request, model, state, attempts, answer, error, intended, finished, "
    "kind, lost, tokens_in, tokens_out, purpose FROM other.calls",
)
# One row a teacher keeps what removed calls had cost: the books stay those of the server.
_KEEP_COST = """
INSERT INTO calls (key, request, model, state, attempts, intended, error, kind, lost, tokens_in, tokens_out, purpose)
SELECT 'forgotten:' || model, '', model, 'failed', SUM(attempts), 0, 'forgotten', 'forgotten',
    SUM(lost + (state = 'intended')), SUM(tokens_in), SUM(tokens_out), 'forgotten'
FROM calls WHERE key IN (SELECT key FROM doomed) GROUP BY model
ON CONFLICT (key) DO UPDATE SET attempts = attempts + excluded.attempts, lost = lost + excluded.lost,
    tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out
"""


def join(into: Path, others: Sequence[Path]) -> None:
    """Bring the calls of other ledgers into one; the answer of the first that has one counts, and costs add up.

    Raises InputError for a ledger that a run is using.
    """
    for other in others:
        with Ledger(other):  # so that it is of this version, and nobody writes to it
            pass
    with Ledger(into) as ledger, ledger.translated():
        for other in others:
            ledger.connection.execute("ATTACH ? AS other", (str(other),))
            with ledger.transaction():
                for statement in _JOIN:
                    ledger.connection.execute(statement)
            ledger.connection.execute("DETACH other")


def keys_of(ledger: Ledger) -> set[str]:
    """The calls that flows made."""
    with ledger.translated():
        rows = ledger.connection.execute("SELECT key FROM calls WHERE purpose = 'flow'").fetchall()
    return {key for (key,) in rows}


def erase(ledger: Ledger, keys: Iterable[str]) -> int:
    """Remove calls so that no byte of them stays in the file; what they had cost is kept. Returns how many there were.

    Erasing again what an interruption left half erased finishes it.
    """
    execute = ledger.connection.execute
    with ledger.translated():
        execute("PRAGMA secure_delete = ON")
        execute("PRAGMA temp_store = MEMORY")
        execute("CREATE TEMP TABLE doomed (key TEXT PRIMARY KEY) WITHOUT ROWID")
        try:
            with ledger.transaction():
                ledger.connection.executemany("INSERT OR IGNORE INTO doomed VALUES (?)", ((key,) for key in keys))
                execute(_KEEP_COST)
                gone = execute("DELETE FROM calls WHERE key IN (SELECT key FROM doomed)").rowcount
        finally:
            execute("DROP TABLE doomed")
        # Rows that were changed earlier have left copies of themselves in free space, which only VACUUM clears.
        execute("VACUUM")
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return gone
