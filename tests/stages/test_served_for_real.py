"""`ilk evaluate` of models behind llama.cpp's own server: end to end, and beside the same weights loaded here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import torch
import yaml
from gguf_file import write_gguf
from leaf_files import skill, write_leaf
from real_server import real_server
from transformers import AutoModelForCausalLM

from instructlab_like.evaluation.summary import read
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Answer
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import evaluate
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, find, read_records

BASE = find("training/base/model").resolve()
LEAF = "compositional_skills/lists/recall"
ASKED = 24


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of one leaf that the base can answer, with choices, and a second model of which nothing is left."""
    folder = tmp_path_factory.mktemp("served")
    tasks = [orjson.loads(line) for line in find("training/base/anchors.jsonl").read_bytes().splitlines()]
    known = [task for task in tasks if task["kind"] == "recall"][:ASKED]
    questions: list[dict[str, object]] = [
        {key: task[key] for key in ("question", "answer", "context")} for task in known
    ]
    names = sorted({str(task["answer"]) for task in known})
    for task in known[:6]:
        wrong = [name for name in names if name != task["answer"]][:3]
        choice = {"metric": "choice", "options": [task["answer"], *wrong], "question": f"{task['question']} Choose."}
        questions.append({key: task[key] for key in ("answer", "context")} | choice)
    write_leaf(folder / "taxonomy", LEAF, skill(), heldout=yaml.safe_dump({"questions": questions}))
    ruined = AutoModelForCausalLM.from_pretrained(BASE)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in ruined.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std())
    shutil.copytree(BASE, folder / "ruined")
    ruined.save_pretrained(folder / "ruined")
    return folder


def made(here: Path, name: str) -> Run:
    run = Run(here / "runs" / name)
    run.folder.mkdir(parents=True)
    manifest.write(run, Manifest(generate=GenerateRecipe(taxonomy="taxonomy")))
    run.samples.touch()
    return run


def answers(run: Run, model: str) -> list[Answer]:
    return [one for one in read_records(run.evaluation / "answers.jsonl", Answer) if one.model == model]


def test_two_served_models_are_evaluated_by_the_command(here: Path) -> None:
    run = made(here, "two")
    (here / "r.yaml").write_text("evaluate: {base_tasks: '', max_new_tokens: 12}")
    with (
        real_server(write_gguf(BASE, here / "base.gguf")) as base,
        real_server(write_gguf(here / "ruined", here / "ruined.gguf")) as ruined,
    ):
        words = ["evaluate", "--run", "two", "--recipe", "r.yaml", "--gate"]
        words += ["--model", f"sound@{base}", "--checkpoint", f"ruined@{ruined}"]
        command = [sys.executable, "-m", "instructlab_like", *words]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"ruined: {LEAF} is worse" in done.stderr
    found = read(run.summary)
    (checkpoint,) = found.checkpoints
    assert checkpoint.leaves[0].base > 0.5 > checkpoint.leaves[0].tuned
    assert {one.reason for one in found.non_scores} <= {"no option in its reply"}
    assert found.non_scores, "the base was never taught to choose by letters"


def test_the_same_weights_loaded_here_and_served_give_the_same_answers(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(here, "mixed")
    monkeypatch.chdir(here)
    options = {"model": str(BASE), "base_tasks": "", "max_new_tokens": 12, "threads": 1}
    with real_server(write_gguf(BASE, here / "again.gguf")) as url:
        evaluate(run, EvaluateRecipe.model_validate({**options, "checkpoints": (f"same@{url}",)}))
    near, far = answers(run, "base"), answers(run, "same")
    assert len(near) == ASKED + 6
    assert [one.model_copy(update={"model": "same"}) for one in near] == far
    assert len({one.text for one in near}) > ASKED / 2
    assert "base loaded here, checkpoints served" in capsys.readouterr().out
