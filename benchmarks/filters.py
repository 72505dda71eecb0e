"""The model-free chain over many pairs, as a run applies it: file in, verdicts out. CPU a pair, wall time, memory.

`python -m benchmarks filters` measures 20,000 pairs and, in several processes, 200,000; with ILK_FILTERS=1000000 a
million. Each pass is a process of its own, so that its memory is its own, too.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from instructlab_like.filters import Surroundings, expand
from instructlab_like.filters.sift import passed
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice
from instructlab_like.records import Lineage, Sample, digest, plain
from instructlab_like.stock import Stock
from instructlab_like.workspace import cores, dump

FEW, MANY = 20_000, int(os.environ.get("ILK_FILTERS", "200000"))
REPEATS = 3
WORDS = """
noun: harbour engine forest market river bridge colony winter valley signal garden mineral current vessel shelter \
library carriage orchard furnace lantern quarry meadow turbine archive canal beacon granary weaver cistern kiln
verb: carries shapes limits feeds covers divides protects weakens follows supports changes drives holds warms
kind: slow narrow early bitter steady heavy distant fragile bright shallow common hidden southern wooden
name: Orrin Vell Maraden Hartwick Tolby Senna Brask Quill Ostrey Lunde Carrow Wenlock Ashdown Tarn
"""
KNOWN = {line.partition(":")[0]: line.partition(":")[2].split() for line in WORDS.strip().splitlines()}
NOUNS, VERBS, KINDS, NAMES = (KNOWN[kind] for kind in ("noun", "verb", "kind", "name"))


def pairs(count: int) -> Iterator[Sample]:
    """Questions and answers of some 55 words, 0.5 kB; of twenty one a copy, one a near copy, one with a fault."""
    rng = random.Random(7)
    before: tuple[str, str] = ("", "")
    for number in range(count):
        question, answer = written(rng)
        match number % 20:
            case 5:
                question, answer = before
            case 11:
                question, answer = before[0], edited(rng, before[1])
            case 17:
                answer = f"{answer} <|im_end|>"
        before = question, answer
        id = digest([number, question, answer])[:32]
        lineage = Lineage(leaf=f"knowledge/of/leaf_{number % 50}", leaf_blob="0" * 40, method="teacher", model="http:m")
        yield Sample(id=id, kind="freeform", question=question, answer=answer, lineage=lineage)


def written(rng: random.Random) -> tuple[str, str]:
    noun, name = rng.choice(NOUNS), rng.choice(NAMES)
    question = (
        f"How does the {noun} of {name} {rng.choice(VERBS).rstrip('s')} the {rng.choice(KINDS)} {rng.choice(NOUNS)}?"
    )
    sentences = []
    for _ in range(4):
        clauses = [
            f"the {rng.choice(KINDS)} {rng.choice(NOUNS)} {rng.choice(VERBS)} a {rng.choice(KINDS)} {rng.choice(NOUNS)}"
            for _ in range(2)
        ]
        sentences.append(" while ".join(clauses).capitalize())
    return question, f"{'. '.join(sentences)}. Since {rng.randint(1500, 1999)} the {noun} of {name} has done so."


def edited(rng: random.Random, text: str) -> str:
    words = text.split()
    for place in rng.sample(range(len(words)), len(words) // 8):
        words[place] = rng.choice(NOUNS)
    return " ".join(words)


def one(path: str, processes: int, names: str) -> None:
    """One pass in this process; prints what it took."""
    filters = [FilterChoice(name=name) for name in names.split(",")] if names else DEFAULT_FILTERS
    size = 0

    def tell(_: int, line: bytes) -> None:
        nonlocal size
        size += len(line)

    begun, cpu = time.perf_counter(), cpu_seconds()
    with Stock(Path(path)) as stock:
        outcome = passed(stock, filters, Surroundings(), tell=tell, processes=processes)
        made, kept = len(stock), len(outcome.kept)
    told = {
        "made": made,
        "kept": kept,
        "wall": time.perf_counter() - begun,
        "cpu": cpu_seconds() - cpu,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "child_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(told))


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measured(path: Path, processes: int, names: str = "") -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.filters", str(path), str(processes), names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    names = [choice.name for choice in expand(DEFAULT_FILTERS)]
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few.jsonl", Path(folder) / "many.jsonl"
        write(few, FEW)
        print(f"  {FEW:,} pairs of 0.5 kB in one process, CPU a pair: the whole chain, and each filter alone")
        bare = statistics.median(measured(few, 1, "length")["cpu"] for _ in range(REPEATS)) / FEW
        whole = [measured(few, 1) for _ in range(REPEATS)]
        told(f"chain of {len(names)}", statistics.median(one["cpu"] for one in whole) / FEW, bare)
        for name in names:
            told(name, measured(few, 1, name)["cpu"] / FEW, bare)
        write(many, MANY)
        found = measured(many, cores())
        print(
            f"  {found['made']:,.0f} pairs, {cores()} processes: {found['wall']:.1f} s, {found['cpu']:.1f} CPU s, "
            f"{found['made'] / found['cpu']:,.0f} pairs a CPU second, at most {found['mb']:.0f} MB in one process and "
            f"{found['child_mb']:.0f} MB in each of the others; {found['kept']:,.0f} kept"
        )


def told(name: str, seconds: float, bare: float) -> None:
    print(
        f"    {name:<18} {1e6 * seconds:7.1f} µs  {1 / seconds:9,.0f} pairs a CPU second  "
        f"{seconds / bare:5.2f} × length alone"
    )


def write(path: Path, count: int) -> None:
    with path.open("wb") as file:
        for sample in pairs(count):
            file.write(dump(plain(sample)))


if __name__ == "__main__":
    one(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
