"""`ilk generate` as a command, without a teacher: peak memory and CPU at few and at many samples of one tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

LEAVES = 100
SIZES = (1_000, 200_000)  # samples
PHRASINGS = (
    "A crate on quay {place} holds {{{{ boxes }}}} boxes of {{{{ eggs }}}} eggs each. How many eggs are there?",
    "Quay {place}: {{{{ boxes }}}} boxes with {{{{ eggs }}}} eggs in each of them. How many eggs is that?",
    "How many eggs stand on quay {place}, if there are {{{{ boxes }}}} boxes of {{{{ eggs }}}} eggs?",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for number in range(LEAVES):
            write_leaf(root / "taxonomy", number)
        peaks = {}
        for samples in SIZES:
            peaks[samples], seconds = measured(root, samples)
            print(f"  {samples:>7} samples: peak of {peaks[samples]:.0f} MB, {seconds:.1f} CPU s", flush=True)
        print(f"  growth: {peaks[SIZES[-1]] - peaks[SIZES[0]]:.0f} MB")


def write_leaf(root: Path, number: int) -> None:
    """A freeform skill whose simulation has 270,000 different questions."""
    folder = root / "compositional_skills" / f"harbour_{number % 20}" / f"quay_{number}"
    folder.mkdir(parents=True)
    seeds = [{"question": f"What are {n} boxes of six eggs?", "answer": f"{n * 6} eggs"} for n in range(2, 7)]
    task = f"Say how many eggs stand on quay {number}."
    qna = {"version": 3, "created_by": "ann", "task_description": task, "seed_examples": seeds}
    simulation = {
        "parameters": {name: {"kind": "integer", "low": 2, "high": 301} for name in ("boxes", "eggs")},
        "questions": [phrasing.format(place=number) for phrasing in PHRASINGS],
        "answer": "{{ boxes * eggs }} eggs",
    }
    for name, value in (("qna.yaml", qna), ("simulation.yaml", simulation)):
        (folder / name).write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")


def measured(root: Path, samples: int) -> tuple[float, float]:
    """Peak resident memory in MB and CPU seconds of one command, children included."""
    recipe = root / f"{samples}.yaml"
    told = {"generate": {"flows": ["simulation"], "samples_per_simulation": samples // LEAVES}}
    recipe.write_text(yaml.safe_dump(told), encoding="utf-8")
    command = ["generate", "--recipe", recipe.name, "--run", f"of_{samples}"]
    child = subprocess.Popen(
        [sys.executable, "-m", "instructlab_like", *command],
        cwd=root,
        env=os.environ | {"ILK_CACHE": str(root / "cache")},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"ilk generate ended with {child.returncode}")
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return used.ru_maxrss / scale, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
