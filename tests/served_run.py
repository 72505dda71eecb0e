"""A run whose adapter was trained on the tiny base for a moment, with the base's own tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from merged_run import finished_run
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.models import weights_id
from instructlab_like.workspace import Run, find

BASE = find("training/base/model")
TAUGHT = [
    ("Which boat is red?", "The Gull is red."),
    ("When was the Tern built?", "In 1922."),
    ("Who keeps the key of the quay?", "Ann keeps it."),
    ("What is shut on Monday?", "The quay."),
]


def trained_run(folder: Path) -> Run:
    """A run in runs/default of `folder`, with the tiny base beside it in `base`."""
    shutil.copytree(BASE, folder / "base")
    run = finished_run(folder, "base")
    shutil.rmtree(run.adapter)
    train(run.adapter, folder / "base")
    return run


def train(adapter: Path, base: Path, **told: object) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base)
    options = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | told
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(plain, LoraConfig(**options))  # type: ignore[arg-type]
    turns = [[{"role": "user", "content": one}, {"role": "assistant", "content": other}] for one, other in TAUGHT]
    batch = tokenizer(
        [tokenizer.apply_chat_template(told, tokenize=False) for told in turns],
        return_tensors="pt",
        padding=True,
        add_special_tokens=False,
    )
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-2)
    for _ in range(30):
        model(**batch, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    checkpoint.write(
        adapter,
        checkpoint.Adapter.of(model),
        tokenizer,
        base=Reference("./base", None),
        weights_id=weights_id(model.get_base_model()),
        inputs="x",
        card="",
    )


def adapted(folder: Path) -> tuple[object, object]:
    """Base and adapter as transformers and peft have them, in float32."""
    torch.set_num_threads(1)
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "runs/default/5-training/adapter").eval()
    return model, AutoTokenizer.from_pretrained(folder / "base")
