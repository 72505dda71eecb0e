"""A run of the small tree as tests drive it: its recipe, its command, and what it made when nothing happened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ilk_forks import Forks
from ilk_process import file_digests
from run_books import assert_nothing_vanished
from server import TeacherServer
from small_tree import write_tree

from instructlab_like.records import Sample
from instructlab_like.workspace import Run, read_records

KEY = "sk-Pl4nted+7Xq9/ZtWv3bN8rLm2cKdY5hJ6gFsA1eUoQ=="
COMMAND = ("generate", "--run", "t", "--recipe", "r.yaml")
SLOTS = 4
RECIPE = """
generate:
  flows: [{flows}]
  prompts_per_leaf: 2
  pairs_per_prompt: 2
  filters: [{{name: shape}}, {{name: exact_duplicate}}]
  teacher:
    model: m
    url: {url}
    key_env: PLANTED_KEY
    concurrency: {slots}
    retries: {retries}
    timeout: {timeout}
    patience: {patience}
"""


def recipe(
    url: str,
    *,
    flows: str = "knowledge, freeform",
    slots: int = SLOTS,
    retries: int = 8,
    timeout: float = 60.0,
    patience: float = 60.0,
) -> str:
    return RECIPE.format(url=url, flows=flows, slots=slots, retries=retries, timeout=timeout, patience=patience)


def workspace(folder: Path, text: str) -> Run:
    """A folder with the tree and the recipe in it; the run that `COMMAND` makes there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(folder / "taxonomy")
    (folder / "r.yaml").write_text(text, encoding="utf-8")
    return Run(folder / "runs" / "t")


def made_of(run: Run) -> dict[str, str]:
    """Digests of what is derived from the answers: plan, samples, verdicts, dataset; empty before there is one."""
    if not run.dataset.is_dir():
        return {}
    files = (run.plan, run.samples, run.verdicts)
    return file_digests(run.dataset) | {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class Unbroken:
    """A run to which nothing happened."""

    run: Run
    requests: int
    samples: dict[str, Sample]
    made: dict[str, str]


def unbroken_run(forks: Forks, folder: Path, flows: str = "knowledge, freeform") -> Unbroken:
    with TeacherServer() as server:
        run = workspace(folder, recipe(server.url, flows=flows))
        code, printed = forks.run(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
    assert code == 0, printed
    assert_nothing_vanished(run)
    samples = {sample.id: sample for sample in read_records(run.samples, Sample)}
    return Unbroken(run, server.requests, samples, made_of(run))
