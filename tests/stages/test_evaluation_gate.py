"""`ilk evaluate --gate` over the base of this repository: an adapter that does nothing passes, a ruinous one fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import torch
import yaml
from leaf_files import skill, write_leaf
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from instructlab_like.errors import GateError, InputError
from instructlab_like.evaluation.summary import read
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import evaluate
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, write_records

BASE = Path(__file__).parents[2] / "training" / "base"
LEAF = "compositional_skills/lists/recall"
ASKED = 30


def make_adapter(folder: Path, *, ruinous: bool) -> Path:
    """PEFT's own beginning changes nothing; with random weights at a large scale nothing of the base is left."""
    torch.manual_seed(0)
    config = LoraConfig(
        r=4,
        lora_alpha=64,
        target_modules="all-linear",
        init_lora_weights=not ruinous,
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(BASE / "model"),
    )
    get_peft_model(AutoModelForCausalLM.from_pretrained(BASE / "model"), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A taxonomy of one leaf whose held-out questions the base answers, and the base's own tasks, both small."""
    folder = tmp_path_factory.mktemp("gated")
    tasks = [orjson.loads(line) for line in (BASE / "anchors.jsonl").read_bytes().splitlines()]
    known = [task for task in tasks if task["kind"] == "recall"][:ASKED]
    questions = [{key: task[key] for key in ("question", "answer", "context")} for task in known]
    write_leaf(folder / "taxonomy", LEAF, skill(), heldout=yaml.safe_dump({"questions": questions}))
    others = [task for task in tasks if task["kind"] == "copying"][:ASKED]
    (folder / "tasks.jsonl").write_bytes(b"".join(orjson.dumps(task) + b"\n" for task in others))
    for name in ("idle", "ruinous"):
        make_adapter(folder / name, ruinous=name == "ruinous")
    return folder


def made(here: Path, name: str) -> Run:
    run = Run(here / "runs" / name)
    run.folder.mkdir(parents=True)
    manifest.write(run, Manifest(generate=GenerateRecipe(taxonomy=str(here / "taxonomy"))))
    write_records(run.samples, [])
    return run


def told(here: Path, adapter: str, **more: object) -> EvaluateRecipe:
    options = {"model": str(BASE / "model"), "checkpoints": (str(here / adapter),), "threads": 1, "max_new_tokens": 12}
    return EvaluateRecipe.model_validate({**options, "base_tasks": str(here / "tasks.jsonl"), **more})


def test_an_adapter_that_changes_nothing_passes(here: Path) -> None:
    run = made(here, "idle")
    evaluate(run, told(here, "idle"), gate=True)
    (checkpoint,) = read(run.summary).checkpoints
    assert [one.delta[1] for one in checkpoint.leaves] == [0.0]
    assert [row.name for row in checkpoint.kept] == ["base/copying"]


def test_a_ruinous_adapter_stops_the_gate_with_the_leaf_named(here: Path) -> None:
    run = made(here, "ruinous")
    recipe = told(here, "ruinous", protect=(LEAF,))
    evaluate(run, recipe)
    with pytest.raises(GateError) as caught:
        evaluate(run, recipe, gate=True)
    assert f"ruinous: {LEAF} is worse" in str(caught.value)
    assert "ruinous: base/copying lost more than 0.05" in str(caught.value)
    gate = read(run.summary).gate
    assert gate is not None
    assert f"ruinous: {LEAF} lost more than 0.05" in "\n".join(gate.reasons)
    (here / "recipe.yaml").write_text(yaml.safe_dump({"evaluate": recipe.model_dump(mode="json")}))
    command = [sys.executable, "-m", "instructlab_like", "evaluate", "--run", "ruinous", "--recipe", "recipe.yaml"]
    codes = {}
    for option in ("--gate", "--strict", None):
        words = [*command, option] if option else command
        done = subprocess.run(words, cwd=here, capture_output=True, text=True, timeout=300, check=False)
        assert "up to date" in done.stdout, done.stderr
        assert "Traceback" not in done.stderr
        codes[option] = done.returncode
    assert codes == {"--gate": 1, "--strict": 1, None: 0}


def test_a_gate_without_any_question_fails_and_says_so(here: Path, tmp_path: Path) -> None:
    write_leaf(tmp_path / "taxonomy", LEAF, skill())
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    manifest.write(run, Manifest(generate=GenerateRecipe(taxonomy=str(tmp_path / "taxonomy"))))
    write_records(run.samples, [])
    with pytest.raises(GateError, match="nothing was checked: no checkpoint has answered any question"):
        evaluate(run, told(here, "idle", base_tasks=""), gate=True)


def test_protecting_what_the_run_does_not_have_names_the_nearest(here: Path) -> None:
    run = made(here, "misspelt")
    with pytest.raises(InputError, match=r"protect: 'compositional_skills/lists/recal' is no leaf") as caught:
        evaluate(run, told(here, "idle", protect=("compositional_skills/lists/recal",)))
    assert caught.value.fix == f"did you mean {LEAF!r}?"
