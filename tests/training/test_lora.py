from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from instructlab_like.tuning import checkpoint

Train = Callable[..., int]
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training" / "lora.py"


def sha(out: Path) -> str:
    return hashlib.sha256((out / "adapter" / checkpoint.WEIGHTS).read_bytes()).hexdigest()


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def change(dataset: Path, phase: str, old: str, new: str) -> None:
    path = dataset / "data" / f"{phase}-train.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_two_runs_give_the_same_bytes(train: Train, tmp_path: Path) -> None:
    assert train("one") == 0
    assert train("other") == 0
    assert sha(tmp_path / "one") == sha(tmp_path / "other")
    for name in ("losses.jsonl", "plan.jsonl", "skipped.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_another_seed_gives_another_adapter(train: Train, tmp_path: Path) -> None:
    train("one", seed=0)
    train("other", seed=1)
    assert sha(tmp_path / "one") != sha(tmp_path / "other")


def test_what_is_planned_is_said_before_the_first_step(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train()
    said = capsys.readouterr().out
    plan, steps = said[: said.index("  step 1/")], said[said.index("  step 1/") :]
    for words in (
        "LoRA of rank 4, alpha 8, on all-linear: ",
        "cpu, float32, 1 process, 1 thread\n",
        "per-sample attention; packed and solo gradients agree",
        "by generation marks; only answers are learnt",
        "knowledge  24 samples",
        "learning rate 0.01, cosine, warm-up over 3%",
    ):
        assert words in plan
    assert "tokens/s" in steps


def test_one_process_says_that_nothing_is_cut_up(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(shard=True) == 0
    assert "1 process, so the base is not cut up (shard), 1 thread" in capsys.readouterr().out


def test_an_answer_is_learnt_and_its_leaf_s_loss_falls(train: Train, tmp_path: Path) -> None:
    phases = [{"name": "knowledge", "epochs": 30, "learning_rate": 2e-2}]
    assert train(phases=phases) == 0
    found = records(tmp_path / "out" / "losses.jsonl")
    for leaf in ("knowledge/flags0", "knowledge/flags1"):
        losses = [float(str(record["loss"])) for record in found if record["leaf"] == leaf]
        assert losses[-1] < 0.6 * losses[0]


def test_every_learnt_token_is_booked_on_its_leaf(train: Train, tmp_path: Path) -> None:
    train()
    found = records(tmp_path / "out" / "losses.jsonl")
    for plan in records(tmp_path / "out" / "plan.jsonl"):
        booked = sum(int(str(record["tokens"])) for record in found if record["phase"] == plan["phase"])
        assert booked == 2 * int(str(plan["trained_tokens"]))
    assert {record["leaf"] for record in found if record["phase"] == "skills"} == {"replay", "skills/sum"}


def test_skills_start_from_the_adapter_of_knowledge(train: Train, tmp_path: Path) -> None:
    frozen = [{"name": "knowledge", "epochs": 2, "learning_rate": 1e-2}, {"name": "skills", "learning_rate": 1e-30}]
    train(phases=frozen)
    knowledge, final = (
        load_file(tmp_path / "out" / place / checkpoint.WEIGHTS) for place in ("checkpoints/knowledge", "adapter")
    )
    assert all(torch.equal(tensor, final[name]) for name, tensor in knowledge.items())
    assert any(tensor.abs().max() > 1e-3 for name, tensor in final.items() if "lora_B" in name)


def test_an_interrupted_training_goes_on_to_the_same_bytes(
    train: Train,
    lora: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train("straight")
    steps = lora.run

    def interrupted(phase, *others):
        if phase.recipe.name == "skills":
            raise lora.Ended(signal.SIGINT)
        return steps(phase, *others)

    with monkeypatch.context() as patch:
        patch.setattr(lora, "run", interrupted)
        assert train("resumed") == 130
    assert not (tmp_path / "resumed" / "adapter").exists()
    capsys.readouterr()
    assert train("resumed") == 0
    said = capsys.readouterr().out
    assert "knowledge: trained before from the same inputs" in said
    assert "knowledge  step" not in said
    assert sha(tmp_path / "resumed") == sha(tmp_path / "straight")
    assert records(tmp_path / "resumed" / "losses.jsonl") == records(tmp_path / "straight" / "losses.jsonl")


def test_a_changed_phase_is_trained_again_and_those_before_it_are_not(
    train: Train, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    before = sha(tmp_path / "out")
    change(dataset, "skills", "plus 1?", "and 1?")
    capsys.readouterr()
    assert train() == 0
    said = capsys.readouterr().out
    assert "knowledge: trained before" in said
    assert "skills  step 1/" in said
    assert sha(tmp_path / "out") != before
    change(dataset, "knowledge", "Land", "Country")
    assert train() == 0
    assert "trained before" not in capsys.readouterr().out


@pytest.mark.parametrize("told", [{"clip": 0.5}, {"lora": {"rank": 2}}, {"seed": 3}, {"warmup": 0.5}])
def test_a_changed_recipe_trains_again(
    train: Train, told: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    capsys.readouterr()
    train(**told)
    assert "trained before" not in capsys.readouterr().out


def test_a_torn_checkpoint_is_named_and_made_again(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    before = sha(tmp_path / "out")
    weights = tmp_path / "out" / "checkpoints" / "knowledge" / checkpoint.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-8])
    capsys.readouterr()
    assert train() == 0
    said = capsys.readouterr().out
    assert f"{weights}: the checkpoint is torn" in said
    assert "skills: trained before" in said
    assert sha(tmp_path / "out") == before


def test_a_phase_without_samples_is_skipped_and_said(
    train: Train, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "data" / "skills-train.jsonl").write_text("", encoding="utf-8")
    assert train() == 0
    assert "skills     no samples: skipped" in capsys.readouterr().out
    assert not (tmp_path / "out" / "checkpoints" / "skills").exists()
    checkpoint.verify(tmp_path / "out" / "adapter")


def test_a_sample_longer_than_a_row_is_reported_by_its_leaf(
    train: Train, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(dataset, "skills", "23 plus 1?", "word " * 200)
    assert train() == 0
    assert "skipped    1 sample of skills/sum: longer than a row of 128 tokens" in capsys.readouterr().out
    (skipped,) = records(tmp_path / "out" / "skipped.jsonl")
    assert (skipped["phase"], skipped["sample"]) == ("skills", "skills23")


def test_a_loss_that_leaves_the_numbers_stops_the_phase(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = [{"name": "knowledge", "epochs": 9, "learning_rate": 1e20}]
    assert train(phases=phases) == 3
    assert "the loss left the finite numbers at step" in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert json.loads((tmp_path / "out" / "failure.json").read_bytes())["code"] == 3


@pytest.fixture
def call(lora: ModuleType, arguments: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the script with further options."""

    def ran(*options: str, out: str = "out", **told: object) -> int:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments(out, **told), *options])
        code: int = lora.main()
        return code

    return ran


def stopped(lora: ModuleType, call: Callable[..., int], monkeypatch: pytest.MonkeyPatch, **told: object) -> None:
    """A training that was stopped in its second phase, with checkpoints of it."""
    keep = lora.keep

    def ended(step: int, phase: object, *others: object) -> None:
        keep(step, phase, *others)
        if phase.recipe.name == "skills":  # type: ignore[attr-defined]
            raise lora.Ended(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(lora, "keep", ended)
        assert call(**told) == 128 + signal.SIGTERM


def test_a_dry_run_says_what_and_how_long_and_writes_nothing(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--dry-run") == 0
    said = capsys.readouterr().out
    assert "knowledge  24 samples" in said
    assert "memory     needs " in said
    assert "time       " in said
    assert "step 1/" not in said
    assert not (tmp_path / "out").exists()


def test_the_first_rows_are_shown_as_the_model_sees_them(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--show-batch", "2") == 0
    said = capsys.readouterr().out
    assert "row 2 of 2" in said
    assert "knowledge/flags1" in said
    assert "⟦" in said
    assert "cells empty" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--yes", "--restart"])
def test_a_stopped_training_does_not_go_on_with_other_data_unless_told_to(
    call: Callable[..., int],
    lora: ModuleType,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    stopped(lora, call, monkeypatch)
    change(dataset, "skills", "plus 1?", "and 1?")
    capsys.readouterr()
    assert call() == 2
    said = capsys.readouterr().err
    assert "cannot go on" in said
    assert "--restart" in said
    assert list((tmp_path / "out" / "checkpoints").glob("skills-*"))
    assert call(option) == 0
    kept = "knowledge: trained before from the same inputs" in capsys.readouterr().out
    assert kept is (option == "--yes")
    assert not list((tmp_path / "out" / "checkpoints").glob("skills-*"))
    assert call(out="fresh") == 0
    assert sha(tmp_path / "out") == sha(tmp_path / "fresh")


def test_a_checkpoint_of_another_build_or_of_more_processes_is_refused(
    call: Callable[..., int],
    lora: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped(lora, call, monkeypatch)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(lora.state, "build", lambda: "torch 9.9")
        assert call() == 2
    assert "and this is torch 9.9" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        found = lora.state.read
        patch.setattr(lora.state, "read", lambda folder: found(folder).model_copy(update={"processes": 8}))
        assert call() == 2
    assert "was saved by 8 processes, and this training has 1" in capsys.readouterr().err
    assert call() == 0


def test_a_phase_that_harms_what_is_protected_is_not_taken_and_stays_to_be_looked_at(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = [
        {"name": "knowledge", "epochs": 30, "learning_rate": 2e-2},
        {"name": "skills", "epochs": 20, "learning_rate": 5e-2},
    ]
    assert call(phases=phases, protect=["knowledge"], protect_margin=0.01) == 0
    said = capsys.readouterr().out
    assert "skills: no checkpoint goes on: each of 4 checkpoints harms what is protected" in said
    assert "VETO" in said
    out = tmp_path / "out"
    assert checkpoint.verify(out / "checkpoints" / "skills-vetoed")
    knowledge, final = (load_file(out / place / checkpoint.WEIGHTS) for place in ("checkpoints/knowledge", "adapter"))
    assert all(torch.equal(tensor, final[name]) for name, tensor in knowledge.items())


def test_a_disk_that_fills_beside_a_checkpoint_is_one_message_and_loses_nothing(
    train: Train,
    lora: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train("straight")

    def full(out: Path, histories: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "losses.jsonl"))

    with monkeypatch.context() as patch:
        patch.setattr(lora, "tell", full)
        assert train() == 3
    assert f"{tmp_path / 'out' / 'losses.jsonl'}: the disk is full" in capsys.readouterr().err
    assert train() == 0
    assert sha(tmp_path / "out") == sha(tmp_path / "straight")


@pytest.mark.parametrize("kind", [{"dora": True}, {"rslora": True}])
def test_other_kinds_of_lora_train_and_go_on_alike(
    call: Callable[..., int],
    lora: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: dict[str, bool],
) -> None:
    told = {"rank": 4, "alpha": 8, **kind}
    assert call(lora=told) == 0
    with monkeypatch.context() as patch:
        stopped(lora, lambda: call(out="again", lora=told), patch)
    assert call(out="again", lora=told) == 0
    assert sha(tmp_path / "again") == sha(tmp_path / "out")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"model": "no/such/model"}, "no such model folder"),
        ({"lora": {"targets": ["w_nothing"]}}, "w_nothing"),
        ({"epochs": 3}, "unknown option 'epochs'"),
        ({"clip": 0}, "clip: Input should be greater than 0"),
        ({"phases": [{"name": "skills"}, {"name": "skills"}]}, "named twice"),
        ({"row_tokens": 64, "phases": [{"name": "none"}]}, "phases.0.name"),
    ],
)
def test_a_wrong_recipe_is_one_message_and_code_2(
    train: Train, told: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(**told) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "→" in said
    assert "Traceback" not in said


def test_a_dataset_that_is_missing_or_empty_is_one_message_and_code_2(
    train: Train, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((dataset / "data").iterdir()):
        path.write_text("", encoding="utf-8")
    assert train() == 2
    assert "no training rows" in capsys.readouterr().err
    for path in sorted((dataset / "data").iterdir()):
        path.unlink()
    (dataset / "data").rmdir()
    assert train() == 2
    assert "there is no dataset here" in capsys.readouterr().err


def test_accelerate_launches_it_and_failures_come_through(
    arguments: Callable[..., list[str]], tmp_path: Path, train: Train
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    launch += ["--config_file", str(ROOT / "training" / "accelerate" / "cpu.yaml"), str(SCRIPT)]

    def launched(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*launch, *arguments], env=environment, capture_output=True, text=True, timeout=300)

    failed = launched(*arguments("out", model="no/such/model"))
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    assert json.loads((tmp_path / "out" / "failure.json").read_bytes())["code"] == 2
    done = launched(*arguments("out"))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out" / "failure.json").exists()
    train("here")
    assert sha(tmp_path / "out") == sha(tmp_path / "here")
