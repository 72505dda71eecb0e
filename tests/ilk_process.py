"""ilk as a user runs it, in a process of its own, and the books of the run that it wrote."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

from instructlab_like.records import Sample, Verdict
from instructlab_like.stages import manifest
from instructlab_like.workspace import Run, read_records

PATIENCE = 600.0  # seconds for one command


def start_ilk(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a command; what it prints comes through one pipe, and documents are cached in `cwd` alone."""
    return subprocess.Popen(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        env=os.environ | {"ILK_CACHE": str(cwd / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ilk(*words: str, cwd: Path) -> str:
    """What a command prints that ends well."""
    with start_ilk(*words, cwd=cwd) as child:
        try:
            printed, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    assert child.returncode == 0, printed
    return printed


def assert_nothing_is_lost(run: Run) -> None:
    """Made = kept + rejected at every filter, over the run and leaf by leaf, and every decision has its reason."""
    made = list(read_records(run.samples, Sample))
    verdicts = list(read_records(run.verdicts, Verdict))
    told = manifest.read(run)
    assert all(verdict.reason for verdict in verdicts)
    assert all(phase.made == phase.kept + phase.rejected for phase in told.phases)
    phases = [phase for phase in told.phases if phase.filter != "parse" and "/" not in phase.filter]
    by_flows = {verdict.subject for verdict in verdicts if "/" in verdict.filter and not verdict.keep}
    assert phases[0].made == len(made) - len(by_flows)
    assert all(later.made == earlier.kept + earlier.added for earlier, later in pairwise(phases))
    rejected = {verdict.subject for verdict in verdicts if not verdict.keep}
    assert {verdict.subject for verdict in verdicts if verdict.filter != "parse"} == {sample.id for sample in made}
    kept = [sample for sample in made if sample.id not in rejected]
    assert phases[-1].kept == len(kept)
    for count, samples in (("made", made), ("kept", kept)):
        by_leaf = Counter(sample.lineage.leaf for sample in samples)
        assert {leaf.leaf: getattr(leaf, count) for leaf in told.counts if getattr(leaf, count)} == by_leaf


def file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
