"""A base in 4 bits: its linear layers alone are, the adapter learns on them, and what cannot be had is said at once.

What needs bitsandbytes (the extra `qlora`) is skipped without it: importing it makes every import of peft slower, so
it is not among what tests install.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
import torch
from merged_run import finished_run
from safetensors.torch import load_file
from tiny_chat_model import save_base

from instructlab_like.errors import InputError
from instructlab_like.recipe import EvaluateRecipe, TrainRecipe
from instructlab_like.stages.evaluating.evaluate import students_of
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import train as stage
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.measures import LeafLoss
from instructlab_like.tuning.models import load_base
from instructlab_like.workspace import read_records

MODEL = str(Path(__file__).parents[2] / "training" / "base" / "model")  # bitsandbytes takes 64 columns at a time

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra qlora")


@needs_bitsandbytes
def test_linear_layers_are_in_four_bits_and_the_ends_are_not(base: Path) -> None:
    model, _ = load_base(str(base), torch.float32, quantized_on=torch.device("cpu"))
    plain, _ = load_base(str(base), torch.float32)
    kinds = {type(module).__name__ for name, module in model.named_modules() if name.endswith("_proj")}
    assert kinds == {"Linear4bit"}
    assert torch.equal(model.get_input_embeddings().weight, plain.get_input_embeddings().weight)
    own = sum(parameter.numel() * parameter.element_size() for parameter in model.model.layers.parameters())
    assert own < 0.16 * sum(parameter.numel() * 4 for parameter in plain.model.layers.parameters())


@needs_bitsandbytes
def test_an_adapter_learns_on_a_base_in_four_bits(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("nf4", model=MODEL, quantize="nf4") == 0
    (packed,) = (line for line in capsys.readouterr().out.splitlines() if "kept in 4 bits (nf4)" in line)
    assert train("plain", model=MODEL) == 0
    assert packed.replace("in 4 bits (nf4)", "as they are") in capsys.readouterr().out, "as many parameters"
    losses = list(read_records(tmp_path / "nf4" / "losses.jsonl", LeafLoss))
    assert losses[-1].loss < losses[0].loss
    digests = [checkpoint.verify(tmp_path / out / "adapter").inputs for out in ("nf4", "plain")]
    assert digests[0] != digests[1], "what was trained on a base in 4 bits is not taken for the other"
    adapter = load_file(tmp_path / "nf4" / "adapter" / checkpoint.WEIGHTS)
    assert {tensor.dtype for tensor in adapter.values()} == {torch.float32}
    assert train("nf4", model=MODEL, quantize="nf4") == 0
    assert "taken as it is" in capsys.readouterr().out


def test_without_bitsandbytes_it_is_said_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="bitsandbytes not installed") as told:
        stage.need_quantising(TrainRecipe(quantize="nf4"))
    assert "instructlab-like[qlora]" in told.value.fix
    stage.need_quantising(TrainRecipe())


def test_a_base_in_four_bits_is_not_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="not cut up"):
        stage.need_quantising(TrainRecipe(quantize="nf4", shard=True))


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_an_evaluation_says_that_the_base_is_not_in_four_bits_there(
    quantize: Literal["none", "nf4"],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_base(tmp_path / "base")
    run = finished_run(tmp_path, "base")
    recipe = TrainRecipe(model="base", quantize=quantize)
    students_of(run, Manifest(train=recipe, inputs={"train": stage.inputs_of(run, recipe)}), EvaluateRecipe())
    said = "evaluate: the base was in 4 bits in training (nf4); here it is asked as it is\n"
    assert capsys.readouterr().err == (said if quantize == "nf4" else "")
