"""A small workspace in Git, and runs made in it with a teacher that the tests serve."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from leaf_files import commit_all, git, knowledge, skill, write_leaf
from server import TeacherServer

from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.stages.generating.generate import generate
from instructlab_like.workspace import Run

TIDES = "knowledge/sea/tides"
SUMS = "compositional_skills/sums"
REFUSALS = "compositional_skills/refusals"
SECRET = "Quellwasserzeichen"  # stands in everything that comes of the leaf REFUSALS, and nowhere else
DOCUMENT = "".join(
    f"# Harbour {number}\n\nThe tide at harbour {number} rises {number + 2} metres in the month of March each year.\n\n"
    for number in range(4)
)


def make_workspace(folder: Path) -> Path:
    """Three leaves in a repository; returns the taxonomy."""
    root = folder / "taxonomy"
    leaf = write_leaf(root, TIDES, knowledge(repo=".", commit="HEAD", patterns=["*.md"]))
    (leaf / "tides.md").write_text(DOCUMENT)
    write_leaf(root, SUMS, skill())
    seeds = [
        {"question": f"Refuse request {number} of {SECRET} politely?", "answer": f"{SECRET}, thank you, no {number}."}
        for number in range(5)
    ]
    refusals = {"version": 3, "created_by": "ann", "task_description": "Refuse.", "seed_examples": seeds}
    write_leaf(root, REFUSALS, refusals)
    git(folder, "init", "--quiet")
    commit_all(folder)
    return root


def recipe(taxonomy: Path, server: TeacherServer, **told: object) -> GenerateRecipe:
    teacher = TeacherRecipe(url=server.url, model="m", retries=0, price_in=1.0, price_out=2.0)
    options: dict[str, object] = {
        "taxonomy": str(taxonomy),
        "flows": ("knowledge-simple", "freeform-simple", "rules"),
        "teacher": teacher,
        "prompts_per_leaf": 4,
        "test_share": 0.3,
        **told,
    }
    return GenerateRecipe.model_validate(options)


def made(folder: Path, name: str, told: GenerateRecipe) -> Run:
    run = Run(folder / "runs" / name)
    generate(run, told)
    return run


def copied(run: Run, name: str) -> Run:
    """The run under another name, file times and all."""
    folder = run.folder.with_name(name)
    shutil.copytree(run.folder, folder)
    return Run(folder)


def bytes_of(folder: Path) -> bytes:
    """Every byte of every file below a folder, and of the files' names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)


def calls(run: Run) -> dict[str, tuple[object, ...]]:
    """The ledger's rows by call key."""
    with sqlite3.connect(run.ledger) as connection:
        rows = connection.execute("SELECT key, state, attempts, answer, tokens_in, tokens_out, purpose FROM calls")
        found = {key: tuple(rest) for key, *rest in rows}
    connection.close()
    return found
