"""However a step's tokens are parted into rows, and rows among processes, the step is the same."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny_chat_model import make_model, make_tokenizer

from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.loss import LeafLoss, LossBook
from instructlab_like.tuning.separate import keep_apart
from instructlab_like.tuning.tokens import Encoded
from instructlab_like.workspace import read_records

ROOT = Path(__file__).parents[2]


def sample(length: int, first: int) -> Encoded:
    ids = np.random.default_rng(length).integers(5, 300, length)
    return Encoded(f"s{length}", f"leaf{length % 2}", ids, np.arange(length) >= first)


class Process:
    """One of several processes, without the exchange: its own part of the gradient stays its own."""

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes = index, count
        self.device = torch.device("cpu")
        self.no_sync = contextlib.nullcontext

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()


@pytest.fixture
def gradient(lora: ModuleType) -> Callable[..., torch.Tensor]:
    def of(batch: list[list[Encoded]], index: int = 0, count: int = 1) -> torch.Tensor:
        model = make_model()
        keep_apart(model, torch.device("cpu"))
        config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        torch.manual_seed(0)
        adapted = get_peft_model(model, config)
        trainee = lora.Trainee(
            "tiny", Reference("./tiny", None), "id", adapted, adapted, make_tokenizer(), Process(index, count)
        )
        lora.backward(1, batch, trainee, LossBook([sample for row in batch for sample in row], {}))
        return torch.cat([parameter.grad.flatten() for parameter in trainee.parameters])

    return of


def test_two_rows_with_accumulation_are_one_row_without(gradient: Callable[..., torch.Tensor]) -> None:
    long, short, other = sample(30, 3), sample(7, 6), sample(12, 4)
    one_row = gradient([[long, short, other]])
    torch.testing.assert_close(gradient([[long], [short, other]]), one_row, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradient([[short], [other], [long]]), one_row, rtol=1e-4, atol=1e-7)
    assert float(one_row.norm()) > 1e-3


@pytest.mark.parametrize("count", [2, 3])
def test_the_mean_over_processes_is_the_gradient_of_one(gradient: Callable[..., torch.Tensor], count: int) -> None:
    batch = [[sample(30, 3)], [sample(7, 6), sample(9, 2)], [sample(12, 4)], [sample(21, 20)]]
    parts = torch.stack([gradient(batch, index, count) for index in range(count)])
    torch.testing.assert_close(parts.mean(0), gradient(batch), rtol=1e-4, atol=1e-7)


def test_two_processes_train_what_one_does(
    arguments: Callable[..., list[str]], train: Callable[..., int], tmp_path: Path
) -> None:
    phases = [{"name": name, "epochs": 3, "learning_rate": 1e-3} for name in ("knowledge", "skills")]
    told = {"lora": {"rank": 4, "alpha": 8}, "phases": phases}
    done = in_two(ROOT / "training" / "lora.py", arguments("two", **told))
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stdout
    assert train("one", **told) == 0
    plans = [(tmp_path / out / "plan.jsonl").read_text() for out in ("one", "two")]
    assert plans[0] == plans[1]
    plan = json.loads(plans[0].splitlines()[0])
    assert plan["rows"] * plan["epochs"] % 2 == 1, "the last step must leave one process without a row"
    one, two = (load_file(tmp_path / out / "adapter" / checkpoint.WEIGHTS) for out in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-4)
    for alone, shared in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert alone.loss == pytest.approx(shared.loss, rel=1e-4)
        assert alone.model_copy(update={"loss": shared.loss}) == shared


STOPPING = """
import importlib.util, signal, sys
spec = importlib.util.spec_from_file_location("training_lora", {script!r})
lora = importlib.util.module_from_spec(spec)
sys.modules["training_lora"] = lora
spec.loader.exec_module(lora)
keep = lora.keep
def ended(step, phase, *others):
    keep(step, phase, *others)
    if phase.recipe.name == "skills":
        raise lora.Ended(signal.SIGTERM)
lora.keep = ended
sys.exit(lora.main())
"""


def test_two_processes_that_were_stopped_go_on_to_the_same_bytes(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    stopping = tmp_path / "stopping.py"
    stopping.write_text(STOPPING.format(script=str(ROOT / "training" / "lora.py")), encoding="utf-8")
    stopped = in_two(stopping, arguments("resumed"))
    assert "  skills: goes on" not in stopped.stdout
    assert stopped.returncode != 0
    (state,) = (tmp_path / "resumed" / "checkpoints").glob("skills-*")
    assert json.loads((state / "state.json").read_bytes())["processes"] == 2
    resumed = in_two(ROOT / "training" / "lora.py", arguments("resumed"))
    assert resumed.returncode == 0, resumed.stderr
    assert "skills: goes on after step" in resumed.stdout
    straight = in_two(ROOT / "training" / "lora.py", arguments("straight"))
    assert straight.returncode == 0, straight.stderr
    for name in ("adapter/adapter_model.safetensors", "losses.jsonl", "heldout.jsonl", "samples.jsonl", "choice.jsonl"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name


def in_two(script: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a script in two processes on the CPU."""
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, str(script), *options], env=environment, capture_output=True, text=True, timeout=300
    )


def losses(out: Path) -> list[LeafLoss]:
    return list(read_records(out / "losses.jsonl", LeafLoss))
