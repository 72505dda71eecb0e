"""How long a teacher took to answer, out of the ledger: from the intent before a call to the commit of its answer."""

from __future__ import annotations

from collections.abc import Collection

from instructlab_like.generation.ledger import Ledger


def latencies(ledger: Ledger, keys: Collection[str]) -> dict[str, float]:
    """Seconds by call key for those of `keys` that were answered at the first attempt of a run."""
    query = "SELECT key, finished - intended FROM calls WHERE state = 'answered' AND attempts = 1"
    with ledger.translated():
        rows = ledger.connection.execute(query).fetchall()
    return {key: max(0.0, seconds) for key, seconds in rows if key in keys}
