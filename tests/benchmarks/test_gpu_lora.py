"""The GPU benchmark at toy size on a CPU, in a process of its own, and the parts that do not depend on a device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from benchmarks import gpu_lora
from benchmarks.gpu_lora import (
    ARMS,
    LARGE,
    TOY,
    Arm,
    Parity,
    build,
    full_rows,
    measured,
    mixed_rows,
    operations,
    sample,
)
from instructlab_like.tuning.attention import PACKED
from instructlab_like.tuning.switches import Switches

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def test_at_toy_size_every_arm_of_a_cpu_agrees_and_those_of_a_gpu_are_listed(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_lora", "--toy", "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert [arm["arm"] for arm in report["arms"]] == [arm.name for arm in ARMS]
    assert "toy size, no figure of any GPU" in done.stdout
    for arm, told in zip(ARMS, report["arms"], strict=True):
        if arm.cuda:
            assert (told["status"], told["why"]) == ("not run", "it needs a CUDA GPU")
            continue
        assert told["status"] == "measured", told["why"]
        assert [parity["dtype"] for parity in told["parity"]] == ["float32", "bfloat16"]
        assert all(parity["passed"] for parity in told["parity"])
        assert [speed["rows"] for speed in told["speed"]] == ["full", "log-normal"]
        for speed in told["speed"]:
            assert speed["tokens_per_second"] > 0
            assert speed["row_tokens"] == TOY.row
            assert speed["peak_gib"] is None
    assert report["probe_tflops"] > 0


def test_an_arm_that_fails_is_reported_with_its_reason() -> None:
    found = measured(Arm("broken", "no_such_attention", Switches()), TOY, CPU, 60.0)
    assert found.status == "failed"
    assert "no_such_attention" in found.why
    head = Arm("float8 on a CPU", PACKED, Switches(float8=True))
    assert measured(head, TOY, CPU, 60.0).status == "not run"
    assert measured(ARMS[0], TOY, CPU, 1.0).why == "the time for all arms is up"


def test_an_arm_that_does_not_agree_is_never_called_the_fastest() -> None:
    outcomes = [gpu_lora.Outcome("wrong", {}, "measured", "", (Parity("float32", 0.1, 0.1, passed=False),))]
    assert gpu_lora.verdict(outcomes, True) == "no arm was measured with results that agree with the plain ones"


def test_shorter_rows_are_taken_where_the_memory_does_not_hold_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def short_of_memory(_arm: Arm, size: gpu_lora.Size, _device: torch.device, _until: float) -> tuple[()]:
        tried.append(size.row)
        if size.row > TOY.row // 4:
            raise torch.OutOfMemoryError("out of memory")
        return ()

    monkeypatch.setattr(gpu_lora, "timed", short_of_memory)
    assert gpu_lora.in_memory(ARMS[0], TOY, CPU, 0.0) == ()
    assert tried == [TOY.row, TOY.row // 2, TOY.row // 4]


def test_the_large_shape_is_an_8b_llama_and_its_work_a_token_is_the_derived_one() -> None:
    with torch.device("meta"):
        model = LlamaForCausalLM(LARGE.config)
    assert model.num_parameters() == 8_030_261_248
    # 32.7 GFLOP a token of full 4,096 with the head on 60 %, 30.7 − 0.8 for documents of 512
    assert operations(LARGE.config, [sample(4096, 0, LARGE)]) / 4096 == pytest.approx(32.7e9, rel=0.003)
    assert operations(LARGE.config, [sample(512, 0, LARGE)] * 8) / 4096 == pytest.approx(29.85e9, rel=0.005)


def test_rows_are_the_same_every_time_and_hold_what_they_say() -> None:
    for made in (full_rows, mixed_rows):
        one, other = made(TOY), made(TOY)
        assert [[list(part.ids) for part in row] for row in one] == [[list(part.ids) for part in row] for row in other]
    assert all(sum(len(part.ids) for part in row) == TOY.row for row in full_rows(TOY))
    assert all(0.97 * TOY.row <= sum(len(part.ids) for part in row) <= TOY.row for row in mixed_rows(TOY))
    assert len({len(part.ids) for row in mixed_rows(TOY) for part in row}) > 5


def test_a_model_that_is_built_on_its_device_is_whole_and_the_same_each_time() -> None:
    one, other = (build(TOY.config, CPU, torch.float32, PACKED) for _ in range(2))
    assert not any(tensor.is_meta for tensor in [*one.parameters(), *one.buffers()])
    for own, twin in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(own, twin)
    fresh = LlamaForCausalLM(TOY.config).model.rotary_emb
    assert torch.equal(one.get_base_model().model.rotary_emb.inv_freq, fresh.inv_freq)
