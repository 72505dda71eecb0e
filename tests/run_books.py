"""What a run's ledger says, beside what the server's log says of the same calls; the run is left as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server import Entry, TeacherServer

from instructlab_like.filters.inspect import PASSED
from instructlab_like.records import Sample, Verdict, Waterfall
from instructlab_like.stages import manifest
from instructlab_like.workspace import Run, read_records

CALLS = (
    "SELECT key, request, state, kind, attempts, lost + (state = 'intended'), tokens_in, tokens_out, purpose FROM calls"
)
Asked = tuple[object, ...]  # what tells one request from another: messages and sampling


@dataclass(frozen=True)
class Books:
    """A ledger as it stands: calls and tokens over all attempts, and the calls by state."""

    calls: int
    lost: int  # of them, under way when a run ended
    lost_probes: int  # of those, the ones of a probe
    tokens: tuple[int, int]
    committed: Mapping[str, Asked]  # by call key
    failed: Counter[str]  # by kind
    probed: frozenset[Asked] = frozenset()  # what was asked to learn what the server can do
    probed_digests: frozenset[str] = frozenset()  # as in the server's log


def books(run: Run) -> Books:
    """Read a copy, with the log that a killed process leaves beside it; nothing in it counts as a ledger, too."""
    with tempfile.TemporaryDirectory() as folder:
        for path in run.folder.glob(f"{run.ledger.name}*"):
            shutil.copy(path, folder)
        connection = sqlite3.connect(Path(folder) / run.ledger.name)
        try:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone()
            rows = connection.execute(CALLS).fetchall() if known else []
        finally:
            connection.close()
    return Books(
        calls=sum(row[4] for row in rows),
        lost=sum(row[5] for row in rows),
        lost_probes=sum(row[5] for row in rows if row[8] == "probe"),
        tokens=(sum(row[6] for row in rows), sum(row[7] for row in rows)),
        committed={row[0]: asked(json.loads(row[1])) for row in rows if row[2] == "answered" and row[8] == "flow"},
        failed=Counter(row[3] for row in rows if row[2] == "failed" and row[8] == "flow"),
        probed=frozenset(asked(json.loads(row[1])) for row in rows if row[8] == "probe"),
        probed_digests=frozenset(hashlib.sha256(row[1].encode()).hexdigest() for row in rows if row[8] == "probe"),
    )


def asked(request: Mapping[str, object]) -> Asked:
    """The same for a request as it was sent and as a ledger keeps it, where sampling stands apart."""
    told = {**request, **request.get("sampling", {})}
    messages = tuple((message["role"], message["content"]) for message in told["messages"])
    return (messages, *(told.get(name) for name in ("temperature", "max_tokens", "seed")))


def assert_nothing_vanished(run: Run) -> None:
    """Every sample is in the dataset once, or a verdict says why not; and the counts in run.yaml say the same."""
    samples = [*read_records(run.samples, Sample), *replaced(run)]
    told = manifest.read(run)
    made = {sample.id: sample.lineage.leaf for sample in samples}
    assert len(made) == len(samples), "a sample was made twice"
    rejected = assert_balanced(run)
    kept = made.keys() - rejected
    anew = {sample.id for sample in replaced(run)}
    for leaf in told.counts:
        assert leaf.made == sum(path == leaf.leaf and sample not in anew for sample, path in made.items())
        assert leaf.kept == sum(made[sample] == leaf.leaf for sample in kept)
    rows = [json.loads(line) for path in sorted(run.dataset.rglob("*.jsonl")) for line in path.open(encoding="utf-8")]
    assert {row["sample"] for row in rows if row.get("leaf") != "replay"} == kept


def replaced(run: Run) -> list[Sample]:
    """The samples that filters put in the place of others."""
    return list(read_records(run.replaced, Sample)) if run.replaced.is_file() else []


def assert_balanced(run: Run) -> set[str]:
    """made = kept + rejected at each phase, by the waterfall and by the verdicts alike; returns what was rejected.

    After the flows, each sample has one verdict that speaks for all filters, or one that rejects it.
    """
    verdicts = list(read_records(run.verdicts, Verdict))
    assert all(verdict.reason for verdict in verdicts)
    whole = Waterfall.model_validate_json(run.waterfall.read_bytes())
    rejections = Counter(verdict.filter for verdict in verdicts if not verdict.keep)
    rules = Counter((verdict.filter, verdict.rule, verdict.leaf) for verdict in verdicts if not verdict.keep)
    assert {(one.filter, one.rule, one.leaf): one.rejected for one in whole.rules} == dict(rules)
    assert manifest.read(run).phases == whole.phases
    left: int | None = None
    for phase in whole.phases:
        assert phase.made == phase.kept + phase.rejected
        assert phase.rejected == rejections[phase.filter]
        if phase.phase == "generation":
            assert phase.kept == sum(verdict.keep for verdict in verdicts if verdict.filter == phase.filter)
        else:
            assert left is None or phase.made == left
            left = phase.kept + phase.added
    rejected = [verdict.subject for verdict in verdicts if not verdict.keep]
    passed = [verdict.subject for verdict in verdicts if verdict.filter == PASSED]
    assert len(passed) == len(set(passed))
    assert not set(rejected).intersection(passed)
    assert left is None or left == len(passed)
    return set(rejected)


def received(server: TeacherServer, since: int = 0) -> list[Asked]:
    """Every request from the given one on."""
    return [asked(json.loads(body)) for body in server.bodies[since:]]


def told(entries: Sequence[Entry]) -> tuple[int, int]:
    """The tokens of replies that were sent whole: those that a client can know of."""
    whole = [entry for entry in entries if entry.told]
    return sum(entry.prompt_tokens for entry in whole), sum(entry.completion_tokens for entry in whole)
