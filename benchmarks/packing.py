"""How full rows get and how fast; a training step on packed rows kept apart, against padded batches of eight."""

from __future__ import annotations

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from benchmarks.measure import compare, cpu_seconds
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.models import load_base
from instructlab_like.tuning.pack import fill, pack
from instructlab_like.tuning.separate import forward, keep_apart, lay
from instructlab_like.tuning.tokens import Encoded

SAMPLES = 64
ROW = 1024
BATCH = 8
FILL = 0.997  # at least
MANY, SECONDS = 100_000, 1.0  # samples packed, and CPU seconds that they may take


def main() -> None:
    torch.set_num_threads(1)
    for count, row in ((2_000, ROW), (MANY, ROW), (MANY, 8 * ROW)):
        fullness(log_normal(count), row)
    samples = chats()
    tokens = sum(len(sample.ids) for sample in samples)
    padded_cells = sum(max(map(length, batch)) * len(batch) for batch in batches(samples))
    rows = pack([length(sample) for sample in samples], ROW)
    print(f"  {tokens} tokens; padding adds {padded_cells / tokens - 1:.0%}, packing into {len(rows)} rows adds none")
    model = adapted()
    keep_apart(model.get_base_model(), torch.device("cpu"))
    plain = adapted()
    compare(
        {
            "packed rows, samples kept apart": lambda: packed_epoch(model, [[samples[i] for i in row] for row in rows]),
            f"padded batches of {BATCH}": lambda: padded_epoch(plain, samples),
        },
        repeats=3,
    )


def fullness(lengths: list[int], row: int) -> None:
    before = cpu_seconds()
    rows = pack(lengths, row)
    spent, full = cpu_seconds() - before, fill(lengths, len(rows), row)
    print(f"  {len(lengths):7,} samples into rows of {row:5,}: {len(rows):6,} rows, {full:.2%} full, {spent:.2f} CPU s")
    assert full >= FILL, f"rows are less than {FILL:.1%} full"
    assert len(lengths) < MANY or spent < SECONDS, f"packing takes longer than {SECONDS} s"


def batches(samples: list[Encoded]) -> list[list[Encoded]]:
    return [samples[start : start + BATCH] for start in range(0, len(samples), BATCH)]


def length(sample: Encoded) -> int:
    return len(sample.ids)


def log_normal(count: int) -> list[int]:
    """Lengths as of real chats: median 118 tokens, 20 to 800."""
    return np.random.default_rng(0).lognormal(np.log(118), 0.85, count).clip(20, 800).astype(int).tolist()


def chats() -> list[Encoded]:
    rng = np.random.default_rng(0)
    lengths = log_normal(SAMPLES)
    return [
        Encoded(
            sample=str(number),
            leaf="a",
            ids=rng.integers(5, 1500, size).astype(np.int64),
            trained=np.arange(size) >= size // 3,
        )
        for number, size in enumerate(lengths)
    ]


def adapted() -> PreTrainedModel:
    model, _ = load_base("training/base/model", torch.float32)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear"))


def packed_epoch(model: PreTrainedModel, rows: list[list[Encoded]]) -> None:
    for samples in rows:
        row = lay(samples, torch.device("cpu"))
        token_losses(forward(model, row), row.targets).mean().backward()
    model.zero_grad()


def padded_epoch(model: PreTrainedModel, samples: list[Encoded]) -> None:
    for batch in batches(samples):
        width = max(map(length, batch))
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        labels = torch.full((len(batch), width), -100)
        for number, sample in enumerate(batch):
            ids[number, : length(sample)] = torch.as_tensor(sample.ids)
            mask[number, : length(sample)] = 1
            labels[number, : length(sample)] = torch.where(
                torch.as_tensor(sample.trained), torch.as_tensor(sample.ids), -100
            )
        model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss.backward()
    model.zero_grad()
