"""What it costs to book every nat on its leaf: packed rows of a thousand leaves, with the book and without it."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from instructlab_like.tuning.loss import IntArray, LossBook, token_losses
from instructlab_like.tuning.models import load_base
from instructlab_like.tuning.pack import pack
from instructlab_like.tuning.separate import forward, keep_apart, lay
from instructlab_like.tuning.tokens import Encoded

LEAVES = 1000
SAMPLES = 4000
TEACHERS = 3
ROW = 1024
STEPS = 60
RECORD_EVERY = 10  # steps; a long phase has fifty records
CPU = torch.device("cpu")


def main() -> None:
    torch.set_num_threads(1)
    samples = chats()
    rows = steps(samples)
    print(f"  {LEAVES} leaves, {TEACHERS} teachers, rows of {ROW} with {sum(map(len, rows)) / len(rows):.0f} samples")
    model = adapted()
    book = LossBook(samples, {sample.sample: f"teacher {number % TEACHERS}" for number, sample in enumerate(samples)})
    step(model, rows[0], None, 0)  # what is made at the first call
    found: dict[str, list[float]] = {"without": [], "with": [], "alone": []}
    for number, row in enumerate(rows, start=1):
        arms: list[tuple[str, LossBook | None]] = [("without", None), ("with", book)]
        for name, kept in arms if number % 2 else arms[::-1]:  # which comes first takes turns
            before = time.process_time()
            losses, owners = step(model, row, kept, number)
            found[name].append(time.process_time() - before)
        before = time.process_time()
        enter(book, row, owners, losses, number)
        found["alone"].append(time.process_time() - before)
    ratios = sorted(one / other for one, other in zip(found["with"], found["without"], strict=True))
    floor, booked = statistics.median(found["without"]), statistics.mean(found["alone"])
    spread = f"{ratios[len(ratios) // 4]:.3f}–{ratios[3 * len(ratios) // 4]:.3f}"
    print(f"  a step without the book                      {floor * 1e3:8.2f} CPU ms")
    print(f"  a step with it                               {statistics.median(found['with']) * 1e3:8.2f} CPU ms")
    print(f"  ratio, median of {len(ratios)} pairs (middle half)       {statistics.median(ratios):8.3f} ({spread})")
    print(f"  the book's own calls, without a model        {booked * 1e3:8.2f} CPU ms, {booked / floor:.2%} of a step")


def step(
    model: PreTrainedModel, samples: list[Encoded], book: LossBook | None, number: int
) -> tuple[torch.Tensor, IntArray]:
    """The gradient of one row; gives its losses, and whose they are."""
    row = lay(samples, CPU)
    losses = token_losses(forward(model, row), row.targets)
    losses.mean().backward()
    model.zero_grad()
    if book:
        enter(book, samples, row.owners, losses, number)
    return losses.detach(), row.owners


def enter(book: LossBook, samples: list[Encoded], owners: IntArray, losses: torch.Tensor, number: int) -> None:
    """All that training asks of the book in a step."""
    book.begin(number, [samples])
    book.add(samples, owners, losses)
    book.settle()
    if number % RECORD_EVERY == 0:
        book.close(phase="skills", step=number)


def chats() -> list[Encoded]:
    """Short samples, so that a row holds many, each leaf with four."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(60), 0.5, SAMPLES), 16, 400).astype(int)
    return [
        Encoded(
            sample=f"{number:032x}",
            leaf=f"compositional_skills/folder_{number % LEAVES % 40}/leaf_{number % LEAVES}",
            ids=rng.integers(5, 1500, size).astype(np.int64),
            trained=np.arange(size) >= size // 3,
        )
        for number, size in enumerate(lengths)
    ]


def steps(samples: list[Encoded]) -> list[list[Encoded]]:
    """A packed row for each step, in shuffled order."""
    rows = pack([len(sample.ids) for sample in samples], ROW)
    order = np.random.default_rng(1).permutation(len(rows)).tolist()
    return [[samples[place] for place in rows[number]] for number in order[:STEPS]]


def adapted() -> PreTrainedModel:
    model, _ = load_base("training/base/model", torch.float32)
    keep_apart(model, CPU)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear"))


if __name__ == "__main__":
    main()
