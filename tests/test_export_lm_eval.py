"""`ilk export --for lm-eval` as a user meets it: what is asked, files that stay whole, one message for each mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from ilk_process import file_digests
from leaf_files import commit_all, git
from test_export_command import LEAVES, ROOT, ilk, mistake

from instructlab_like.evaluation.items import item_id
from instructlab_like.records import Item
from instructlab_like.workspace import write_records

MARSH = "ilk_knowledge_nature_reserves_loomsey_marsh"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a taxonomy of two leaves and a run of it, not evaluated."""
    folder = tmp_path_factory.mktemp("made")
    for leaf in LEAVES:
        shutil.copytree(ROOT / "taxonomy" / leaf, folder / "leaves" / leaf)
    git(folder, "init", "--quiet")
    commit_all(folder)
    done = ilk("generate", "--taxonomy", "leaves", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(made, tmp_path / "here", symlinks=True)


def asked(folder: Path) -> dict[str, list[dict]]:
    """The rows of each task."""
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*.jsonl"))
    }


def test_the_questions_that_evaluate_would_ask_are_written(made: Path, tmp_path: Path) -> None:
    done = ilk("export", tmp_path / "out", "--for", "lm-eval", cwd=made)
    assert done.returncode == 0, done.stderr
    found = asked(tmp_path / "out")
    held = yaml.safe_load((made / "leaves" / LEAVES[0] / "heldout.yaml").read_text())["questions"]
    written = {(row["prompt"], row["answer"]) for row in found[MARSH]}
    assert {(one["question"], str(one["answer"])) for one in held} <= written  # rules may make more of the documents
    assert len(found["ilk_compositional_skills_office_filing_file_label"]) >= 60  # fresh draws of its simulation
    assert [name for name in found if name.startswith("ilk_base_")]
    samples = (made / "runs/default/2-samples.jsonl").read_text().splitlines()
    assert {row["prompt"] for row in found[MARSH]}.isdisjoint(json.loads(line)["question"] for line in samples)


def test_the_questions_that_were_evaluated_are_written_where_there_are_any(here: Path) -> None:
    one = Item(
        id=item_id("a/b", "Which?", None),
        leaf="a/b",
        source="mmlu",
        question="Which?",
        answer="y",
        metric="choice",
        options=("x", "y"),
    )
    graded = one.model_copy(update={"id": "2", "question": "Judge.", "metric": "judge", "options": ()})
    write_records(here / "runs/default/6-evaluation/items.jsonl", [one, graded])
    shutil.rmtree(here / "leaves")  # which is not needed then
    done = ilk("export", "out", "--for", "lm-eval", "--prefix", "mine", cwd=here)
    assert done.returncode == 0, done.stderr
    assert [(name, [row["id"] for row in rows]) for name, rows in asked(here / "out").items()] == [
        ("mine_a_b", [one.id])
    ]
    assert "a/b: questions left out: 1, for a judge" in done.stdout + done.stderr


def test_the_same_run_gives_the_same_bytes_again_and_elsewhere(made: Path, tmp_path: Path) -> None:
    for name in ("a", "b/c", "a"):
        assert ilk("export", tmp_path / name, "--for", "lm-eval", cwd=made).returncode == 0
    assert file_digests(tmp_path / "a") == file_digests(tmp_path / "b/c")
    assert ilk("export", tmp_path / "a", "--for", "lm-eval", "--prefix", "v2", cwd=made).returncode == 0
    assert not list((tmp_path / "a").glob("ilk*"))  # of the export before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("out", "--for", "lm_eval"), "did you mean 'lm-eval'?"),
        (("out", "--for", "lm-eval", "--prefix", "a b"), "prefix"),
        (("out", "--for", "lm-eval", "--prefix", "../x"), "prefix"),
        (("out", "--for", "lm-eval", "--suffix", "x"), "--suffix: the format 'lm-eval' has no such option"),
        (("out", "--for", "instructlab", "--prefix", "x"), "--prefix: the format 'instructlab' has no such option"),
        (("out", "--merged", "--prefix", "x"), "--prefix: is an option of --for"),
        (("full", "--for", "lm-eval"), "tasks.py: is there already, and no export wrote it"),
        (("out", "--for", "lm-eval", "--run", "none"), "there is no such run"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(here: Path, words: tuple[str, ...], told: str) -> None:
    (here / "full").mkdir()
    (here / "full" / "tasks.py").write_text("mine = 1\n")
    before = file_digests(here)
    assert told in mistake("export", *words, cwd=here)
    assert file_digests(here) == before


def test_a_taxonomy_that_moved_is_named(here: Path) -> None:
    (here / "leaves").rename(here / "tree")
    assert "there is no such taxonomy folder" in mistake("export", "out", "--for", "lm-eval", cwd=here)
    done = ilk("export", "out", "--for", "lm-eval", "--taxonomy", "tree", cwd=here)
    assert done.returncode == 0, done.stderr
