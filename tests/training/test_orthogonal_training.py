"""Training by orthogonal subspaces: as hard to stop as LoRA, and what it cannot be together with is said at once."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lora_forks import LoraForks

from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.models import load_adapter, load_base

ROOT = Path(__file__).parents[2]
OSF = {"lora": {}, "osf": {"effective_rank": 0.5}}
FILES = ("adapter/adapter_model.safetensors", "losses.jsonl", "heldout.jsonl", "samples.jsonl", "choice.jsonl")
KILLS = 4


def test_what_one_number_of_threads_began_another_ends_with_the_same_bytes(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    """A decomposition's bits depend on them, where a matrix is wide enough."""
    base = ROOT / "training" / "base" / "model"
    phases = [{"name": "knowledge", "epochs": 1, "learning_rate": 1e-3}]
    told = OSF | {"model": str(base), "phases": phases, "save_every": 1, "batch_tokens": 128, "row_tokens": 128}
    with LoraForks() as forks:
        code, printed, points = forks.run(arguments("straight", **told))
        assert code == 0, printed
        second = [place for place, point in enumerate(points, start=1) if point == "step"][1]
        assert forks.run(arguments("killed", **told), at=second)[0] == -signal.SIGKILL
        code, printed, _ = forks.run(arguments("killed", **told | {"threads": 2}))
        assert code == 0, printed
        assert "goes on after step 1" in printed
    straight, killed = ((tmp_path / out / FILES[0]).read_bytes() for out in ("straight", "killed"))
    assert straight == killed


def test_killed_at_any_point_it_comes_to_the_same_bytes(arguments: Callable[..., list[str]], tmp_path: Path) -> None:
    told = OSF | {"save_every": 2, "batch_tokens": 64, "row_tokens": 64}

    def files(out: str) -> list[bytes]:
        return [(tmp_path / out / name).read_bytes() for name in FILES]

    with LoraForks() as forks:
        code, printed, points = forks.run(arguments("straight", **told))
        assert code == 0, printed
        steps = [place for place, point in enumerate(points, start=1) if point == "step"]
        rng = random.Random(2)
        for kill, at in enumerate((steps[len(steps) // 2], steps[-2], *rng.sample(range(1, len(points)), KILLS - 2))):
            code, printed, _ = forks.run(arguments(f"killed{kill}", **told), at=at)
            assert code == -signal.SIGKILL, printed
            code, printed, _ = forks.run(arguments(f"killed{kill}", **told))
            assert code == 0, printed
            assert files(f"killed{kill}") == files("straight"), at


def test_every_checkpoint_is_an_adapter_of_the_base(
    train: Callable[..., int], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the way, after each phase and at the end: nothing that evaluates or merges need know how it was trained."""
    assert train("out", **OSF, trackers=[]) == 0
    printed = capsys.readouterr().out
    assert "orthogonal subspaces (OSF) on all-linear" in printed
    assert "the first 50% of each matrix's directions" in printed
    ids = torch.arange(1, 31)[None]
    found = []
    for name in ("checkpoints/knowledge", "adapter"):
        folder = tmp_path / "out" / name
        model = load_adapter(load_base(str(base), torch.float32)[0], folder, "it")
        with torch.no_grad():
            found.append(model(input_ids=ids).logits)
        assert json.loads((folder / checkpoint.CONFIG).read_bytes())["peft_type"] == "LORA"
        assert "at right angles to the first 50% of each matrix (OSF)" in (folder / checkpoint.CARD).read_text()
    with torch.no_grad():
        plain = load_base(str(base), torch.float32)[0](input_ids=ids).logits
    assert not torch.allclose(found[0], plain, atol=1e-3)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"lora": {"rank": 8}}, "both osf and lora are set"),
        ({"lora": {}, "quantize": "nf4"}, "with osf, quantize cannot be nf4"),
        ({"lora": {}, "shard": True}, "with osf, shard cannot be True"),
        ({"lora": {}, "weight_decay": 0.1}, "with osf, weight_decay cannot be 0.1"),
        ({"lora": {}, "fused_lora": "on"}, "the adapter is no LoRA"),
        ({"lora": {}, "float8": "on"}, "osf takes the base's matrices apart"),
        ({"lora": {}, "compile": "on"}, "osf projects gradients"),
        ({"lora": {}, "osf": {"effective_rank": 1.0}}, "1.0 is neither a share between 0 and 1 nor"),
        ({"lora": {}, "osf": {"effective_rank": 0}}, "0 is neither a share"),
        ({"lora": {}, "osf": {"effective_rank": True}}, "True is neither a share"),
        ({"lora": {}, "osf": {"effective_rank": "0.5"}}, "'0.5' is neither a share"),
        ({"lora": {}, "osf": {"effective_rank": []}}, "holds nothing"),
        ({"lora": {}, "osf": {"effective_rank": 0.001}}, "OSF would hold nothing back"),
        ({"lora": {}, "osf": {"targets": "("}}, "train.osf.targets"),
        ({"lora": {}, "osf": {"effective_rank": 5000}}, "nothing is left to train"),
        ({"lora": {}, "osf": {"effective_rank": [0.5, 5000]}}, "give all of them in one unit"),
        ({"lora": {}, "osf": {"effective_rank": [0.5, 0.25]}}, "falls from one phase to the next"),
        ({"lora": {}, "osf": {"effective_rank": [0.5]}}, "has 1 entries for 2 phases"),
        ({"lora": {}, "osf": {"effective_rank": [3, 5000]}}, "nothing is left to train"),
    ],
)
def test_what_it_cannot_be_together_with_is_one_line(
    train: Callable[..., int], capsys: pytest.CaptureFixture[str], told: dict[str, object], says: str
) -> None:
    assert train("out", **OSF | told) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err


def test_computing_layers_again_and_the_loss_in_chunks_change_nothing(
    train: Callable[..., int], tmp_path: Path
) -> None:
    assert train("plain", **OSF) == 0
    assert train("switched", **OSF, recompute="full", loss="chunked") == 0
    plain, switched = (
        [json.loads(line)["loss"] for line in (tmp_path / out / "losses.jsonl").read_text().splitlines()]
        for out in ("plain", "switched")
    )
    assert switched == pytest.approx(plain, rel=1e-4)
