"""The command line as a user meets it: exit codes, messages, nothing but messages for a user's mistakes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def ilk(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def mistake(*words: str, cwd: Path) -> str:
    """What a wrong command prints; it ends with exit code 2 and shows no traceback."""
    found = ilk(*words, cwd=cwd)
    assert found.returncode == 2, found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    found = ilk("--help", cwd=tmp_path)
    assert found.returncode == 0
    made = ("init", "check", "diff", "new", "preview", "generate", "sift", "runs", "why", "export")
    for command in (*made, "train", "doctor", "evaluate", "ask", "report", "all"):
        assert f"\n  {command} " in found.stdout


def test_a_missing_taxonomy_is_named(tmp_path: Path) -> None:
    message = mistake("generate", "--taxonomy", "nowhere", cwd=tmp_path)
    assert "nowhere: there is no such taxonomy folder" in message
    assert "--taxonomy" in message


def test_an_unknown_option_of_a_recipe_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("generate:\n  chunk_wordz: 100\n")
    message = mistake("generate", "--recipe", "r.yaml", cwd=tmp_path)
    assert "r.yaml, generate: unknown option 'chunk_wordz'" in message
    assert "did you mean 'chunk_words'?" in message


def test_an_unknown_section_of_a_recipe_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("trian:\n  seed: 1\n")
    assert "did you mean 'train'?" in mistake("train", "--recipe", "r.yaml", cwd=tmp_path)


def test_a_wrong_value_in_a_recipe_is_shown(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("generate:\n  test_share: 2\n")
    message = mistake("generate", "--recipe", "r.yaml", cwd=tmp_path)
    assert "test_share" in message
    assert "2" in message


def test_a_recipe_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("generate:\n  seed: [1\n")
    assert "r.yaml:3:1" in mistake("generate", "--recipe", "r.yaml", cwd=tmp_path)


def test_a_broken_leaf_stops_before_anything_is_made(tmp_path: Path) -> None:
    leaf = tmp_path / "taxonomy" / "compositional_skills" / "broken"
    leaf.mkdir(parents=True)
    (leaf / "qna.yaml").write_text("version: 3\ncreated_by: x\nseed_examples: []\n")
    message = mistake("generate", cwd=tmp_path)
    assert "compositional_skills/broken/qna.yaml:" in message
    assert "task_description" in message
    assert not (tmp_path / "runs").exists()


def test_training_before_generating_says_what_comes_first(tmp_path: Path) -> None:
    assert "ilk generate" in mistake("train", cwd=tmp_path)


def test_evaluating_nothing_says_what_comes_first(tmp_path: Path) -> None:
    assert "ilk generate" in mistake("evaluate", cwd=tmp_path)


def test_a_report_of_nothing_says_what_comes_first(tmp_path: Path) -> None:
    assert "ilk generate" in mistake("report", cwd=tmp_path)


@pytest.mark.parametrize("words", [("frobnicate",), ("check", "--frobnicate"), ("why",)])
def test_wrong_words_end_with_usage(words: tuple[str, ...], tmp_path: Path) -> None:
    assert "Usage" in mistake(*words, cwd=tmp_path)


def test_a_teacher_that_is_down_is_resumable(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    found = ilk("generate", "--teacher", "http://127.0.0.1:9/v1", "--teacher-model", "m", cwd=tmp_path)
    assert found.returncode == 3, found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    assert "127.0.0.1:9" in found.stderr


def test_a_scaffolded_leaf_is_named_by_check_until_it_is_filled_in(tmp_path: Path) -> None:
    made = ilk("new", "knowledge/science/tides", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "taxonomy/knowledge/science/tides/qna.yaml" in made.stdout
    found = ilk("check", cwd=tmp_path)
    assert found.returncode == 2
    assert "taxonomy/knowledge/science/tides/qna.yaml:" in found.stdout


def test_check_speaks_json(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    found = ilk("check", "--format", "json", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert json.loads(found.stdout) == {"leaves": 8, "findings": []}


def test_check_names_a_simulation_that_cannot_be_drawn(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    leaf = next((tmp_path / "taxonomy").rglob("simulation.yaml"))
    leaf.write_text('parameters:\n  a: {kind: integer, low: 1, high: 9}\nquestions: ["{{ b }}?"]\nanswer: "{{ a }}"\n')
    found = ilk("check", str(leaf.parent), cwd=tmp_path)
    assert found.returncode == 2
    assert "'b' is no parameter" in found.stdout


def test_diff_names_the_seed_that_changed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "leaves"], check=True)
    leaf = tmp_path / "taxonomy/compositional_skills/office/post/parcel_class/qna.yaml"
    seed = re.search(r"answer: (\w+)", leaf.read_text())
    assert seed
    leaf.write_text(leaf.read_text().replace(seed.group(0), "answer: another", 1))
    found = ilk("diff", "--base", "HEAD", cwd=tmp_path)
    assert "compositional_skills/office/post/parcel_class" in found.stdout
    assert "seeds changed 1" in found.stdout
    assert "nonsense" in mistake("diff", "--base", "nonsense", cwd=tmp_path)


def test_a_changed_recipe_asks_before_it_redoes_a_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    assert ilk("generate", cwd=tmp_path).returncode == 0
    (tmp_path / "r.yaml").write_text("generate:\n  chunk_words: 100\n")
    message = mistake("generate", "--recipe", "r.yaml", cwd=tmp_path)
    assert "chunk_words: 200 → 100" in message
    assert "--yes" in message
    assert ilk("generate", "--recipe", "r.yaml", "--yes", cwd=tmp_path).returncode == 0


def test_a_dataset_without_rows_stops_training_with_the_reason(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "taxonomy", tmp_path / "taxonomy")
    leaf = "compositional_skills/writing/freeform/polite_refusal"
    assert ilk("generate", "--leaf", leaf, cwd=tmp_path).returncode == 0
    assert "no training rows" in mistake("train", cwd=tmp_path)
