"""`ilk why` in a run of a million samples and six million verdicts, against the same command in a run of ten."""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import cpu_seconds
from instructlab_like.index import Index, RowWriter, writing
from instructlab_like.records import Chunk, Lineage, Sample, Verdict, digest, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.lookup import IDS
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, dump

SAMPLES = int(os.environ.get("ILK_BENCH_SAMPLES", "1_000_000"))
FEW = 10
FILTERS = ("shape", "length", "grounded", "held_out", "exact_duplicate", "near_duplicate")
REPEATS = 21
LEAF = "knowledge/nature/tides"
TEXT = "The tide is 4 m high. "
CHUNK = Chunk(repo=".", commit="HEAD", document="tides.md", blob="b" * 40, start=0, end=len(TEXT), text=TEXT)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("ILK_BENCH_SCRATCH")) as scratch:
        few, many = Run(Path(scratch) / "few"), Run(Path(scratch) / "many")
        make(few, FEW)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = cpu(partial(make, many, SAMPLES))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        verdicts = len(FILTERS) * SAMPLES
        print(f"  {SAMPLES:,} samples, {verdicts:,} verdicts, {gigabytes(many):.1f} GB")
        print(f"  written with their indexes in {seconds:.0f} CPU s, memory grew by {grown:.0f} MB", flush=True)
        indexing(many)
        searching(few, many)


def make(run: Run, count: int) -> None:
    """A finished run whose samples come of the rules, one chunk, all kept."""
    manifest.write(run, Manifest(inputs={"generate": "done"}))
    run.plan.write_bytes(
        dump({"method": "rules", "flow": "rules", "leaf": LEAF, "leaf_blob": "a" * 40, "chunk": plain(CHUNK)})
    )
    with writing(run.samples, run.index(run.samples)) as rows:
        write_samples(rows, count)
    with writing(run.verdicts, run.index(run.verdicts)) as rows:
        write_verdicts(rows, count)
    (run.dataset / "data").mkdir(parents=True)
    with writing(run.test, run.index(run.test)) as rows:
        for number in range(0, count, 20):
            rows.write(dump({"sample": sample_id(number)}), sample_id(number))


def sample_id(number: int) -> str:
    return digest(number)[:32]


def write_samples(rows: RowWriter, count: int) -> None:
    lineage = Lineage(leaf=LEAF, leaf_blob="a" * 40, method="rules", model="rules/1", flow="rules", chunk=CHUNK.id)
    for made in range(count):
        sample = Sample(
            id=sample_id(made),
            kind="knowledge",
            question=f"How high is tide {made}?",
            answer=f"{made} metres, " * 20,
            context=CHUNK.text * 20,
            lineage=lineage,
        )
        rows.write(dump(sample.model_dump()), sample.id)


def write_verdicts(rows: RowWriter, count: int) -> None:
    for filter in FILTERS:
        verdict = plain(Verdict(subject="", leaf=LEAF, filter=filter, version=1, keep=True, reason="well formed"))
        for made in range(count):
            verdict["subject"] = sample_id(made)
            rows.write(dump(verdict), sample_id(made))


def indexing(run: Run) -> None:
    """What the index adds to writing, and what it costs to be made from rows that have none."""
    for path in (run.samples, run.verdicts):
        rows = len(FILTERS) * SAMPLES if path == run.verdicts else SAMPLES
        run.index(path).unlink()
        seconds = cpu(partial(opened, run, path))
        size = run.index(path).stat().st_size / 1e6
        told = f"{seconds:.1f} CPU s, {1e6 * seconds / rows:.1f} µs a row, {size:.0f} MB"
        print(f"  index of {path.name} made anew: {told}", flush=True)


def opened(run: Run, path: Path) -> None:
    with Index(path, run.index(path), IDS[path.name]):
        pass


def searching(few: Run, many: Run) -> None:
    """Whole commands in turns: start-up with `--help`, a run of ten, a run of a million; wall and CPU."""
    draw = random.Random(0)
    small = ["why", sample_id(3), "--run", str(few.folder)]
    arms = ("ilk --help", f"ilk why, {FEW} samples", f"ilk why, {SAMPLES:,} samples")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(REPEATS):
        large = ["why", sample_id(draw.randrange(SAMPLES)), "--run", str(many.folder)]
        for name, words in zip(arms, (["--help"], small, large), strict=True):
            found[name].append(command(words))
    for number, kind in enumerate(("wall", "CPU")):
        medians = [1000 * statistics.median(times[number] for times in found[name]) for name in arms]
        told = ", ".join(f"{name} {median:.0f} ms" for name, median in zip(arms, medians, strict=True))
        print(f"  {kind}: {told}")
        beyond = f"{medians[2] - medians[1]:.1f} ms beyond a run of {FEW}, {medians[2] - medians[0]:.1f} beyond --help"
        print(f"  {kind}: {beyond}")


def command(words: list[str]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    wall, cpu_before = time.perf_counter(), cpu_seconds()
    done = subprocess.run([sys.executable, "-m", "instructlab_like", *words], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.stdout.decode()[-500:])
    return time.perf_counter() - wall, cpu_seconds() - cpu_before


def cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def gigabytes(run: Run) -> float:
    return sum(path.stat().st_size for path in files(run)) / 1e9


def files(run: Run) -> Iterator[Path]:
    return (path for path in run.folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
