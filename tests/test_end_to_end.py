"""The whole line on the starter taxonomy and the tiny base, as `make demo` runs it, and what it promises."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Item, Row, Sample, Verdict, ngrams, normalise
from instructlab_like.stages import manifest
from instructlab_like.workspace import Run, read_records

ROOT = Path(__file__).parents[1]
SILENCE = 20.0  # seconds; the promise is 10, a busy machine gets some slack


def speak(*words: str, cwd: Path, threads: int = 2) -> tuple[str, float]:
    """Run ilk; returns what it printed and the longest time between two lines, in seconds."""
    child = subprocess.Popen(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    assert child.stdout is not None
    lines, longest, last = [], 0.0, time.monotonic()
    for line in child.stdout:
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        lines.append(line)
    assert child.wait(timeout=60) == 0, "".join(lines)
    return "".join(lines), longest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str, float]]:
    folder = tmp_path_factory.mktemp("demo")
    printed, silence = speak("all", "--run", "demo", cwd=folder)
    yield Run(folder / "runs" / "demo"), printed, silence
    shutil.rmtree(folder)


def test_the_tuned_model_learned_the_leaves(demo: tuple[Run, str, float]) -> None:
    found = Summary.model_validate_json(demo[0].summary.read_bytes())
    tuned = found.checkpoints[0].overall_trained_effect
    assert tuned is not None
    assert tuned.tuned >= 0.60
    assert tuned.tuned - tuned.base >= 0.40
    assert tuned.tuned_interval[0] > tuned.base_interval[1]


def test_the_base_forgot_little_of_its_own_tasks(demo: tuple[Run, str, float]) -> None:
    found = Summary.model_validate_json(demo[0].summary.read_bytes())
    assert found.base.forgetting is not None
    assert found.checkpoints[0].forgetting is not None
    assert found.base.forgetting - found.checkpoints[0].forgetting <= 0.10


def test_leaves_without_samples_are_named_with_the_reason(demo: tuple[Run, str, float]) -> None:
    run, printed, _ = demo
    empty = [leaf.leaf for leaf in manifest.read(run).counts if not leaf.kept]
    assert len(empty) == 2
    for leaf in empty:
        assert f"{leaf}: no samples: " in printed


def test_there_is_a_sign_of_life_all_along(demo: tuple[Run, str, float]) -> None:
    assert demo[2] < SILENCE


def test_every_sample_that_was_made_was_kept_or_rejected(demo: tuple[Run, str, float]) -> None:
    run = demo[0]
    made = [sample.id for sample in read_records(run.samples, Sample)]
    phases = manifest.read(run).phases
    assert phases[0].made == len(made)
    for earlier, later in pairwise(phases):
        assert earlier.made == earlier.kept + earlier.rejected
        assert later.made == earlier.kept + earlier.added
    verdicts = list(read_records(run.verdicts, Verdict))
    rejected = {verdict.subject for verdict in verdicts if not verdict.keep}
    assert phases[-1].kept == len(set(made) - rejected)
    assert all(verdict.reason for verdict in verdicts)


def test_nothing_held_out_was_met_in_generation_or_training(demo: tuple[Run, str, float]) -> None:
    run = demo[0]
    asked: set[str] = set()
    written: set[str] = set()
    sources: set[str] = set()
    for item in read_records(run.evaluation / "items.jsonl", Item):
        if item.leaf.startswith("base/"):
            continue
        asked.add(normalise(item.question))
        sources.add(item.source)
        if item.source in ("heldout", "closed-book", "open-book"):
            written.add(item.question)
    eights = {gram for question in written for gram in ngrams(question) if len(gram) == 8}
    passed = kept(run)
    texts = [sample.question for sample in read_records(run.samples, Sample) if sample.id in passed]
    for path in (run.dataset / "data").glob("*.jsonl"):
        for row in read_records(path, Row):
            texts += [message.content for message in row.messages if message.role == "user"]
    assert sources >= {"heldout", "simulation", "closed-book"}
    assert not asked & {normalise(text) for text in texts}
    assert not eights & {gram for text in texts for gram in ngrams(text)}


def kept(run: Run) -> set[str]:
    verdicts = list(read_records(run.verdicts, Verdict))
    return {v.subject for v in verdicts} - {v.subject for v in verdicts if not v.keep}


def test_running_again_does_nothing(demo: tuple[Run, str, float]) -> None:
    run = demo[0]
    before = fingerprint(run.folder)
    printed, _ = speak("all", "--run", "demo", cwd=run.folder.parents[1])
    for stage in ("generate", "train", "evaluate", "report"):
        assert f"{stage}: up to date" in printed
    assert fingerprint(run.folder) == before


def test_a_second_run_gives_the_same_bytes(demo: tuple[Run, str, float], tmp_path: Path) -> None:
    """The dataset's, and those of an adapter trained for one short phase twice."""
    run = demo[0]
    (tmp_path / "short.yaml").write_text(SHORT)
    digests = []
    for name in ("one", "two"):
        speak("generate", "--run", name, cwd=tmp_path)
        speak("train", "--run", name, "--recipe", "short.yaml", cwd=tmp_path)
        made = Run(tmp_path / "runs" / name)
        assert fingerprint(made.dataset) == fingerprint(run.dataset)
        digests.append(hashlib.sha256((made.adapter / "adapter_model.safetensors").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


SHORT = """
train:
  phases: [{name: skills, epochs: 0.1, learning_rate: 1.0e-3}]
  row_tokens: 256
  batch_tokens: 1024
"""


def test_why_tells_a_samples_whole_story(demo: tuple[Run, str, float]) -> None:
    run = demo[0]
    sample = next(sample for sample in read_records(run.samples, Sample) if sample.lineage.chunk)
    printed, _ = speak("why", sample.id, "--run", "demo", cwd=run.folder.parents[1])
    for part in (sample.question, sample.lineage.leaf, sample.lineage.chunk, "evidence", "sift/"):
        assert part in printed


def test_the_report_is_one_page_that_loads_nothing(demo: tuple[Run, str, float]) -> None:
    text = demo[0].report.read_text()
    assert "<script" not in text
    assert "src=" not in text
    assert "velmouth" in text


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".sqlite-wal", ".sqlite-shm")
    )
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
