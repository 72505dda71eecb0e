"""What is compared: the floor, this project's own command, and each peer in an environment of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.peers import environments
from benchmarks.peers.scripts.job import CONCURRENCY, TIMEOUT
from benchmarks.peers.workload import MARK, words

SCRIPTS = Path(__file__).parent / "scripts"
OURS = Path(__file__).parent / "ours"
MODEL = "test-teacher"
PEERS = ("distilabel", "sdg-hub", "data-designer")
RUN = "two-steps"
LEAVES, SEEDS = 10, 16
ATTRIBUTION = """Title of work: Bridges
Link to work: -
Revision: 1
License of the work: CC-BY-4.0
Creator names: Ann
"""


@dataclass(frozen=True)
class Arm:
    """A command that makes samples, and where they are then. `command` gets a folder that is kept between two runs."""

    name: str
    command: Callable[[Path, str, int, bool], Sequence[str]] = field(repr=False)  # folder, URL, samples, checkpoints
    rows: Callable[[Path], list[str]] = field(repr=False)  # the finished rows, each as one text


def script(name: str, python: Path, file: str) -> Arm:
    def command(folder: Path, url: str, samples: int, checkpoints: bool) -> list[str]:
        told = ["--url", url, "--model", MODEL, "--samples", str(samples), "--folder", str(folder)]
        told += ["--rows", str(folder / "rows.jsonl"), *(["--checkpoints"] if checkpoints else [])]
        return [str(python), str(SCRIPTS / file), *told]

    def rows(folder: Path) -> list[str]:
        file = folder / "rows.jsonl"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    return Arm(name, command, rows)


def floor() -> Arm:
    return script("floor: bare aiohttp loop", Path(sys.executable), "floor.py")


def peer(name: str, folder: Path) -> Arm:
    """Raises UnavailableError where the peer cannot be installed."""
    python = environments.interpreter(name, folder)
    return script(f"{name} {environments.version(name)}", python, f"with_{name.replace('-', '_')}.py")


def ours(*, filters: bool = True) -> Arm:
    """The command as a user calls it, on a small tree of leaves. Without filters it does what the peers do."""

    def command(folder: Path, url: str, samples: int, _checkpoints: bool) -> list[str]:
        write_tree(folder / "taxonomy")
        recipe: dict[str, object] = {
            "prompts_per_leaf": samples // LEAVES,
            "teacher": {"url": url, "model": MODEL, "concurrency": CONCURRENCY, "timeout": TIMEOUT},
        }
        if not filters:
            recipe["filters"] = []
        (folder / "recipe.yaml").write_text(yaml.safe_dump({"generate": recipe}), encoding="utf-8")
        words = ["generate", "--run", RUN, "--taxonomy", "taxonomy", "--recipe", "recipe.yaml"]
        words += ["--flow", str(OURS / "two_steps.yaml")]
        return [sys.executable, "-m", "instructlab_like", *words]

    def rows(folder: Path) -> list[str]:
        files = sorted((folder / "runs" / RUN / "4-dataset").glob("**/*.jsonl"))
        return [row for file in files for row in file.read_text(encoding="utf-8").splitlines() if MARK.search(row)]

    return Arm(f"ilk generate{'' if filters else ', filters: []'}", command, rows)


def write_tree(taxonomy: Path) -> None:
    """Freeform skill leaves, with so many seeds that every prompt shows another choice of them."""
    for number in range(LEAVES):
        folder = taxonomy / "compositional_skills" / "bridges" / f"bridge_{number}"
        folder.mkdir(parents=True, exist_ok=True)
        seeds = [
            {"question": f"What is part {part} of bridge {number} called?", "answer": f"It is called {words(name, 6)}."}
            for part, name in enumerate(f"{number} {part}" for part in range(SEEDS))
        ]
        told = {"version": 3, "created_by": "ann", "task_description": f"bridge number {number}"}
        text = yaml.safe_dump({**told, "seed_examples": seeds}, sort_keys=False)
        (folder / "qna.yaml").write_text(text, encoding="utf-8")
        (folder / "attribution.txt").write_text(ATTRIBUTION, encoding="utf-8")
