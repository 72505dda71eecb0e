"""A run as `ilk train` leaves it, around a tiny base and an adapter with values drawn at random."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_chat_model import make_tokenizer
from transformers import AutoModelForCausalLM

from instructlab_like.recipe import GenerateRecipe, LoraRecipe, TrainRecipe
from instructlab_like.records import LeafCounts, LeafOrigin
from instructlab_like.stages import manifest
from instructlab_like.stages.manifest import Manifest
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.models import reference, weights_id
from instructlab_like.workspace import Run

LEAVES = ("knowledge/flags/north", "compositional_skills/sums")


def adapted(base: Path, *, seed: int = 1, scale: float = 0.3, **told: object) -> PeftModel:
    """The base with a fresh adapter that changes what it says."""
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | told
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**options))  # type: ignore[arg-type]
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data.normal_(0, scale)
        elif parameter.requires_grad:  # a module that is trained whole
            parameter.data += scale * torch.randn_like(parameter) / 10
    return model.eval()


def write_adapter(folder: Path, base: Path, *, name: str = "", **told: object) -> PeftModel:
    """Write such an adapter as training does; `name` is the base's in its configuration."""
    model = adapted(base, **told)  # type: ignore[arg-type]
    own = model.get_base_model()
    checkpoint.write(
        folder,
        checkpoint.Adapter.of(model),
        make_tokenizer(),
        base=Reference(name, None) if name else reference(str(base), own),
        weights_id=weights_id(own),
        inputs="x",
        card="",
    )
    return model


def row(phase: str, leaf: str, number: int) -> dict[str, object]:
    messages = [
        {"role": "user", "content": f"How much is {number} plus {number}?"},
        {"role": "assistant", "content": f"It is {2 * number}."},
    ]
    told = {"messages": messages, "phase": phase, "leaf": leaf, "sample": f"{leaf}{number}"}
    return told if leaf == "replay" else told | {"method": "rules", "model": "rules/1"}


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


def finished_run(folder: Path, base: str, **told: object) -> Run:
    """A run in runs/default of `folder`, which the recipe's `base` is relative to."""
    run = Run(folder / "runs" / "default")
    origins = [
        LeafOrigin(path=leaf, blob="b" * 40, commit="c" * 40, author="Ann | Lee", dirty=False) for leaf in LEAVES
    ]
    manifest.write(
        run,
        Manifest(
            commit="c" * 40,
            leaves=tuple(origins),
            counts=tuple(LeafCounts(leaf=leaf, made=6, kept=6) for leaf in LEAVES),
            generate=GenerateRecipe(),
            train=TrainRecipe(model=base, lora=LoraRecipe(rank=4, alpha=8), threads=1),
            inputs={"generate": "x", "train": "x"},
        ),
    )
    data = run.dataset / "data"
    write_rows(data / "knowledge-train.jsonl", [row("knowledge", LEAVES[0], number) for number in range(5)])
    repeated = [row("skills", LEAVES[0], 0), row("skills", "replay", 7)]
    write_rows(data / "skills-train.jsonl", [*repeated, *(row("skills", LEAVES[1], number) for number in range(4))])
    write_rows(data / "test.jsonl", [row("skills", leaf, number + 20) for leaf in LEAVES for number in range(3)])
    (run.dataset / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Data\n")
    write_adapter(run.adapter, folder / base, name=f"./{base}", **told)
    return run
