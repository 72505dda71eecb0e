"""`ilk check` on a tree of 1,000 leaves of some 10 KB: cold, unchanged, one leaf changed; start-up told apart."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measure import cpu_seconds

LEAVES = 1_000
SEEDS = 10
REPEATS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tree"
        leaves = [write_leaf(root, number) for number in range(LEAVES)]
        size = sum(leaf.stat().st_size for leaf in leaves) // LEAVES
        print(f"  {LEAVES} leaves of {size:,} bytes")
        os.environ["ILK_CACHE"] = str(Path(scratch) / "cache")
        cold = seconds("check", str(root))
        times: dict[str, list[float]] = {"start-up": [], "unchanged": [], "one changed": [], "that one alone": []}
        for turn in range(REPEATS):
            changed = leaves[turn * LEAVES // REPEATS]
            times["start-up"].append(seconds("--version"))
            times["unchanged"].append(seconds("check", str(root)))
            touch(changed, turn)
            times["one changed"].append(seconds("check", str(root)))
            touch(changed, turn + REPEATS)
            times["that one alone"].append(seconds("check", str(changed.parent)))
            seconds("check", str(root))
        medians = {name: statistics.median(found) for name, found in times.items()}
        print(f"  {'cold':<16} {cold:8.3f} CPU s, {1000 * (cold - medians['start-up']) / LEAVES:.2f} ms a leaf")
        for name, median in medians.items():
            above = median - medians["start-up"]
            print(f"  {name:<16} {median:8.3f} CPU s  {above:8.3f} above start-up", flush=True)


def write_leaf(root: Path, number: int) -> Path:
    folder = root / "compositional_skills" / f"field_{number % 20}" / f"topic_{number}"
    folder.mkdir(parents=True)
    seeds = [
        {
            "question": f"What would you say to customer {seed} of shop {number}, who asks for the time?",
            "answer": " ".join(
                f"It is {part} past {seed} in shop {number}, and the bell rings twice." for part in range(15)
            ),
        }
        for seed in range(SEEDS)
    ]
    values = {
        "version": 3,
        "created_by": "ann",
        "task_description": f"Answer in shop {number}.",
        "seed_examples": seeds,
    }
    (folder / "attribution.txt").write_text(
        "Title of work: Shop talk\nLink to work: -\nRevision: 1\nLicense of the work: CC-BY-4.0\nCreator names: Ann\n"
    )
    leaf = folder / "qna.yaml"
    leaf.write_text(yaml.safe_dump(values, sort_keys=False, width=100))
    return leaf


def touch(leaf: Path, number: int) -> None:
    leaf.write_text(leaf.read_text().replace("created_by: ann", f"created_by: ann{number}", 1))


def seconds(*words: str) -> float:
    before = cpu_seconds()
    done = subprocess.run([sys.executable, "-m", "instructlab_like", *words], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.stdout.decode()[-500:])
    return cpu_seconds() - before
