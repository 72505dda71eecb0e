"""An epoch of this project's own training, by the functions that training/lora.py calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from measured import measured
from peft import LoraConfig, get_peft_model

from instructlab_like.recipe import PhaseRecipe
from instructlab_like.tuning.loss import LossBook, token_losses
from instructlab_like.tuning.models import load_base
from instructlab_like.tuning.phases import Phase
from instructlab_like.tuning.separate import forward, keep_apart, lay
from instructlab_like.tuning.tokens import Encoded


def main(folder: Path, row_tokens: int) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    model, _ = load_base(str(folder / "model"), torch.float32)
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    separation = keep_apart(model, accelerator.device, lora=lora, longest=row_tokens)
    adapted = get_peft_model(model, lora)
    prepared = accelerator.prepare_model(adapted)
    parameters = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    samples = tuple(chats(folder / "chats.jsonl"))
    phase = Phase(0, PhaseRecipe(name="knowledge", epochs=1), samples, row_tokens, 1, separation.packs, 0)
    book = LossBook(samples, {sample.sample: "teacher" for sample in samples})
    prepared.train()
    with measured():
        optimizer = accelerator.prepare_optimizer(torch.optim.AdamW(parameters, lr=2e-4))
        for step, batch in enumerate(phase.batches(), start=1):
            trained = sum(int(sample.trained.sum()) for row in batch for sample in row)
            book.begin(step, batch)
            for held in batch:
                row = lay(held, accelerator.device)
                losses = token_losses(forward(prepared, row), row.targets)
                accelerator.backward(losses.sum() / trained)
                book.add(held, row.owners, losses)
            book.settle()
            accelerator.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()


def chats(path: Path) -> list[Encoded]:
    found = []
    for number, line in enumerate(path.read_text().splitlines()):
        told = json.loads(line)
        trained = np.array(told["labels"]) >= 0
        found.append(Encoded(str(number), f"leaf {number % 10}", np.array(told["input_ids"]), trained))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
