"""`replay` of a recipe: whatever `ilk` reads keeps old abilities alive, and what it cannot read ends the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from ilk_process import start_ilk

from instructlab_like.dataset.card import SKILLS
from instructlab_like.records import Row
from instructlab_like.workspace import Run, read_records

ROOT = Path(__file__).parents[1]
LEAF = "compositional_skills/office/filing/file_label"
ROWS = [{"user": f"Count on from {number}.", "assistant": str(number + 1), "system": ""} for number in range(40)]


def put(path: Path, rows: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def generate(folder: Path, replay: str, *words: str) -> tuple[int, str]:
    if not (folder / "leaves").exists():
        shutil.copytree(ROOT / "taxonomy" / LEAF, folder / "leaves" / LEAF)
    recipe = {"taxonomy": "leaves", "replay": replay, "samples_per_simulation": 60}
    (folder / "r.yaml").write_text(yaml.safe_dump({"generate": recipe}))
    with start_ilk("generate", "--recipe", "r.yaml", *words, cwd=folder) as child:
        printed, _ = child.communicate(timeout=300)
    return child.returncode, printed


def replayed(folder: Path) -> set[str]:
    rows = read_records(Run(folder / "runs/default").dataset / SKILLS, Row)
    return {row.messages[0].content for row in rows if row.leaf == "replay"}


def test_a_mixing_recipe_is_replayed_and_read_again_when_one_of_its_files_changes(tmp_path: Path) -> None:
    put(tmp_path / "mix/a.jsonl", ROWS)
    parts = [{"path": "a.jsonl", "sampling_size": 1.0}]
    (tmp_path / "mix/r.yaml").write_text(yaml.safe_dump({"datasets": parts}))
    code, printed = generate(tmp_path, "mix/r.yaml")
    assert code == 0, printed
    assert replayed(tmp_path) <= {str(row["user"]) for row in ROWS}
    assert replayed(tmp_path)
    assert "up to date" in generate(tmp_path, "mix/r.yaml")[1]
    put(tmp_path / "mix/a.jsonl", [row | {"user": f"Now {row['user']}"} for row in ROWS])
    code, printed = generate(tmp_path, "mix/r.yaml")
    assert code == 0, printed
    assert all(question.startswith("Now ") for question in replayed(tmp_path))


def test_an_exported_dataset_of_another_run_is_replayed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    put(old / "rows.jsonl", ROWS)
    assert generate(old, "rows.jsonl")[0] == 0
    for target, name in (("hf", "hf"), ("instructlab", "il/skills_train_msgs_gen.jsonl")):
        with start_ilk("export", name.split("/")[0], "--for", target, cwd=old) as child:
            child.communicate(timeout=300)
        code, printed = generate(tmp_path, f"old/{name}", "--yes")
        assert code == 0, printed
        assert replayed(tmp_path) & {str(row["user"]) for row in ROWS}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"user": "Who?", "assistant": "Ann."}\n{"user": "Who', "replay.jsonl:2:14: is not valid JSON"),
        (b'{"messages": [{"role": "human", "content": "x"}]}', "replay.jsonl:1: `messages[0].role` is 'human'"),
        (b'{"user": "Who?"}', "replay.jsonl:1: `assistant` is missing"),
        (b'{"user": "\xe9", "assistant": "x"}', "replay.jsonl:1:11: is not UTF-8"),
        (b"", "replay.jsonl: holds no row"),
    ],
)
def test_a_replay_file_that_cannot_be_read_ends_the_command_with_its_place(
    tmp_path: Path, data: bytes, told: str
) -> None:
    (tmp_path / "replay.jsonl").write_bytes(data)
    code, printed = generate(tmp_path, "replay.jsonl")
    assert code == 2, printed
    assert told in printed
    assert "Traceback" not in printed
