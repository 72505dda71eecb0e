"""Switches of a step through training/lora.py: what is said, what is trained, and what is made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from instructlab_like.tuning import checkpoint, switches
from instructlab_like.tuning.compiled import compile_layers

Train = Callable[..., int]
PLAIN = {"lora": {"rank": 4, "alpha": 8}}
SWITCHED = PLAIN | {"loss": "chunked", "fused_lora": "on", "recompute": "selective"}


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter" / checkpoint.WEIGHTS)


def sha(out: Path) -> str:
    return hashlib.sha256((out / "adapter" / checkpoint.WEIGHTS).read_bytes()).hexdigest()


def losses(out: Path) -> list[tuple[object, ...]]:
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line)[name] for name in ("phase", "leaf", "step", "tokens", "loss")) for line in lines]


def test_a_switched_training_gives_the_plain_adapter_and_the_plain_losses_of_leaves(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("plain", **PLAIN) == 0
    assert "step       plain: " in capsys.readouterr().out
    assert train("switched", **SWITCHED) == 0
    said = capsys.readouterr().out
    assert "fused_lora: on (as the recipe says)" in said
    assert "the loss of the first samples is the plain one to" in said
    plain, switched = weights(tmp_path / "plain"), weights(tmp_path / "switched")
    for name, tensor in plain.items():
        torch.testing.assert_close(switched[name], tensor, rtol=2e-2, atol=2e-3)
    for one, other in zip(losses(tmp_path / "plain"), losses(tmp_path / "switched"), strict=True):
        assert one[:-1] == other[:-1]
        assert one[-1] == pytest.approx(other[-1], rel=1e-3)


def test_computing_activations_again_gives_the_same_bytes_with_dropout(train: Train, tmp_path: Path) -> None:
    for out in ("none", "selective", "full"):
        assert train(out, recompute=out) == 0
    assert sha(tmp_path / "none") == sha(tmp_path / "full") == sha(tmp_path / "selective")


def test_a_switch_that_changes_the_bits_trains_anew_and_one_that_does_not_goes_on(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    train(**PLAIN)
    capsys.readouterr()
    assert train(**PLAIN, recompute="full") == 0
    assert "knowledge: trained before from the same inputs" in capsys.readouterr().out
    assert train(**PLAIN, loss="chunked") == 0
    said = capsys.readouterr().out
    assert "trained before" not in said
    assert "knowledge  step 1/" in said


def test_two_switched_trainings_give_the_same_bytes(train: Train, tmp_path: Path) -> None:
    assert train("one", **SWITCHED) == 0
    assert train("other", **SWITCHED) == 0
    assert sha(tmp_path / "one") == sha(tmp_path / "other")


def test_what_cannot_be_is_one_line_and_nothing_is_loaded(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(float8="on") == 2
    said = capsys.readouterr()
    assert said.err.count("\n") <= 2
    assert "float8 needs a GPU of compute capability 8.9 or higher" in said.err
    assert not (tmp_path / "out" / "plan.jsonl").exists()


def test_a_dry_run_shows_the_switches(
    lora, arguments: Callable[..., list[str]], monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lora.py", *arguments(**SWITCHED), "--dry-run"])
    assert lora.main() == 0
    said = capsys.readouterr().out
    for words in (
        "step       compile: off",
        "recompute: selective (as the recipe says)",
        "loss: chunked",
        "float8: off",
    ):
        assert words in said


def test_compiled_layers_train_what_plain_ones_do(
    train: Train, lora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and split as for a device, without the code that a compiler would take minutes for."""
    monkeypatch.setattr(switches, "compile_layers", lambda base, **_: compile_layers(base, backend="aot_eager"))
    phases = [{"name": "skills", "epochs": 1, "learning_rate": 1e-3}]
    assert train("plain", **PLAIN, phases=phases) == 0
    assert train("compiled", **PLAIN, phases=phases, compile="on") == 0
    plain, compiled = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, rtol=2e-2, atol=2e-3)
