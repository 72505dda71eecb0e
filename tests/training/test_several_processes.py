"""Several processes, with a whole base each or one that is cut up among them, train what one process does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from instructlab_like.recipe import TrainRecipe
from instructlab_like.stages.training.train import Place, launcher
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.measures import HeldOutLoss, LeafLoss
from instructlab_like.workspace import read_records

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training" / "lora.py"
TOLD = {
    "lora": {"rank": 4, "alpha": 8},
    "phases": [{"name": name, "epochs": 3, "learning_rate": 1e-3} for name in ("knowledge", "skills")],
}


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


def in_two(options: list[str], script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run a script in two processes on the CPU."""
    there = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": there}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, str(script), *options], env=environment, capture_output=True, text=True, timeout=300
    )


def expect_same(one: Path, other: Path) -> None:
    """Losses to five places of ten, of what was trained and of what was held out."""
    for name, kind in (("losses.jsonl", LeafLoss), ("heldout.jsonl", HeldOutLoss)):
        pairs = list(zip(read_records(one / name, kind), read_records(other / name, kind), strict=True))
        assert pairs
        for mine, theirs in pairs:
            assert mine.loss == pytest.approx(theirs.loss, rel=1e-5), name
            assert (mine.tokens, mine.step) == (theirs.tokens, theirs.step)


ORTHOGONAL = {"lora": {}, "osf": {"effective_rank": 0.5}}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "2 processes, 1 thread"),
        ({"shard": True}, "2 processes, the base cut up over them"),
        (ORTHOGONAL, "orthogonal subspaces"),
    ],
    ids=["whole", "cut-up", "orthogonal"],
)
def test_two_processes_train_what_one_does(
    told: dict[str, object], said: str, arguments: Callable[..., list[str]], train: Callable[..., int], tmp_path: Path
) -> None:
    done = in_two(arguments("two", **TOLD | told))
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert train("one", **TOLD | told | {"shard": False}) == 0
    plans = [(tmp_path / out / "plan.jsonl").read_text() for out in ("one", "two")]
    assert plans[0] == plans[1]
    plan = json.loads(plans[0].splitlines()[0])
    assert plan["rows"] * plan["epochs"] % 2 == 1, "the last step must leave one process without a row"
    one, two = (load_file(tmp_path / out / "adapter" / checkpoint.WEIGHTS) for out in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-4)
    expect_same(tmp_path / "one", tmp_path / "two")


def test_two_machines_train_what_one_does(
    arguments: Callable[..., list[str]], train: Callable[..., int], tmp_path: Path
) -> None:
    """As accelerate starts them, each by a command of its own, on the CPU."""
    config = ROOT / "training" / "accelerate" / "several_machines.yaml"
    told = TrainRecipe(machines=2, threads=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = arguments("two", machines=2, **TOLD)
    started = [
        subprocess.Popen(
            [*launcher(config, told, Place(rank, "127.0.0.1", port)), *options],
            env=os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (1, 0)
    ]
    (helped, trouble), (spoke, more) = (process.communicate(timeout=300) for process in started)
    assert [process.returncode for process in started] == [0, 0], trouble + more
    assert "2 processes" in spoke
    assert "step" not in helped
    assert train("one", **TOLD) == 0
    expect_same(tmp_path / "one", tmp_path / "two")


def test_processes_that_do_not_find_each_other_are_stopped(
    train: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert train("alone") == 2
    assert "2 processes were started, and this one knows of 1" in capsys.readouterr().err


@pytest.mark.parametrize("shard", [False, True], ids=["whole", "cut-up"])
def test_two_processes_that_were_stopped_go_on_to_the_same_bytes(
    shard: bool,
    arguments: Callable[..., list[str]],
    train: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopping = tmp_path / "stopping.py"
    stopping.write_text(STOPPING.format(script=str(SCRIPT)), encoding="utf-8")
    stopped = in_two(arguments("resumed", shard=shard), stopping)
    assert "  skills: goes on" not in stopped.stdout
    assert stopped.returncode != 0
    (state,) = (tmp_path / "resumed" / "checkpoints").glob("skills-*")
    assert json.loads((state / "state.json").read_bytes())["processes"] == 2
    assert train("resumed", shard=shard) == 2
    (refusal,) = (line for line in capsys.readouterr().err.splitlines() if "was saved by 2 processes" in line)
    assert "this training has 1" in refusal
    resumed = in_two(arguments("resumed", shard=shard))
    assert resumed.returncode == 0, resumed.stderr
    assert "skills: goes on after step" in resumed.stdout
    straight = in_two(arguments("straight", shard=shard))
    assert straight.returncode == 0, straight.stderr
    for name in ("adapter/adapter_model.safetensors", "losses.jsonl", "heldout.jsonl", "samples.jsonl", "choice.jsonl"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
