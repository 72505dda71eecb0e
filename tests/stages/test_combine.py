"""`ilk combine`: the gate decides what is written, and every mistake is said before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from merged_run import LEAVES, finished_run, write_adapter
from tiny_chat_model import save_base

from instructlab_like.errors import GateError, InputError
from instructlab_like.evaluation import summary
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item
from instructlab_like.stages import manifest
from instructlab_like.stages.training import combine as stage
from instructlab_like.tuning import checkpoint
from instructlab_like.workspace import Run, write_records

QUESTIONS = 40


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose base is said to have answered nothing rightly; its adapters answer at random."""
    monkeypatch.chdir(tmp_path)
    save_base(tmp_path / "base")
    run = finished_run(tmp_path, "base")
    for number in (1, 2):
        write_adapter(tmp_path / f"part{number}", tmp_path / "base", seed=number, name="base")
    evaluated(run, right=False)
    return run


def evaluated(run: Run, *, right: bool) -> None:
    items = [
        Item(id=f"{leaf}{n}", leaf=leaf, question=f"{n}?", answer=f"{n}!", source="heldout", metric="exact")
        for leaf in LEAVES
        for n in range(QUESTIONS)
    ]
    said = [Answer(item=one.id, model="base", text="", score=float(right)) for one in items]
    write_records(run.evaluation / "items.jsonl", items)
    write_records(run.evaluation / "answers.jsonl", said)
    recipe = EvaluateRecipe(threads=1, max_new_tokens=2, batch=8)
    both = [*said, *(one.model_copy(update={"model": "tuned"}) for one in said)]
    made = manifest.read(run)
    summary.write(run.summary, summary.summarise(items, both, enough=recipe.enough, leaves=made.counts))
    manifest.write(run, made.model_copy(update={"evaluate": recipe}))


def parts(run: Run) -> list[Path]:
    folder = run.folder.parent.parent
    return [folder / "part1", folder / "part2"]


def test_it_is_written_with_what_was_measured(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.combine(run, tmp_path / "both", parts(run), weights=(0.5, 0.5))
    checkpoint.verify(tmp_path / "both")
    printed = capsys.readouterr().out
    assert "rank 8" in printed
    for name in ("combined", "1: ", "2: "):
        assert name in printed
    assert "linear of 0.5 ×" in (tmp_path / "both" / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"base", "both", "part1", "part2", "runs"}


def test_one_that_is_worse_is_not_written(run: Run, tmp_path: Path) -> None:
    evaluated(run, right=True)
    with pytest.raises(GateError, match="nothing was written") as told:
        stage.combine(run, tmp_path / "both", parts(run))
    assert LEAVES[0] in str(told.value)
    assert not (tmp_path / "both").exists()
    assert not list(tmp_path.glob(".both*"))


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"adapters": 1}, "--adapter"),
        ({"weights": (1.0,)}, "--weight"),
        ({"weights": (1.0, float("nan"))}, "--weight"),
        ({"weights": (float("inf"), 1.0)}, "--weight"),
        ({"weights": (0.0, 0.0)}, "--weight"),
        ({"density": 0.0}, "--density"),
        ({"density": float("nan")}, "--density"),
        ({"density": 1.5}, "--density"),
        ({"rank": 0}, "--rank"),
    ],
)
def test_mistakes_are_named(run: Run, tmp_path: Path, told: dict[str, object], where: str) -> None:
    adapters = parts(run)[: told.pop("adapters", 2)]  # type: ignore[misc]
    with pytest.raises(InputError) as error:
        stage.combine(run, tmp_path / "both", adapters, **told)  # type: ignore[arg-type]
    assert error.value.where == where


def test_a_run_without_questions_cannot_judge(run: Run, tmp_path: Path) -> None:
    run.summary.unlink()
    with pytest.raises(InputError, match="no questions yet"):
        stage.combine(run, tmp_path / "both", parts(run))


def test_an_adapter_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such adapter folder") as told:
        stage.combine(run, tmp_path / "both", [parts(run)[0], tmp_path / "nowhere"])
    assert told.value.where == str(tmp_path / "nowhere")


def test_a_folder_below_a_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no folder") as told:
        stage.combine(run, tmp_path / "file" / "both", parts(run))
    assert told.value.where == str(tmp_path / "file")


def test_a_folder_that_is_there_is_left_alone(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        stage.combine(run, tmp_path / "base", parts(run))
