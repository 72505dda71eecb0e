"""A LoRA adapter as a GGUF file of its own, which llama.cpp puts on the base as it is served."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from peft import LoraConfig
from safetensors import safe_open

from instructlab_like.tuning.checkpoint import WEIGHTS
from instructlab_like.tuning.gguf.file import FLOATS, TEXTS, Value, library, otherwise, same
from instructlab_like.tuning.gguf.shape import ForeignModelError, Shape
from instructlab_like.tuning.gguf.tensors import heads_of, paired, renamed
from instructlab_like.tuning.models import adapter_config, translated

BEFORE = "base_model.model."
HALVES = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}


class Part(NamedTuple):
    name: str
    key: str  # in the adapter's file
    rotated: int  # heads whose rows are put into another order


def write_adapter(adapter: Path, shape: Shape, name: str, file: Path) -> int:
    """Write the adapter for a base of this shape in float32, and read it back. Returns how many tensors it has.

    Raises ForeignModelError, with the reason, for one that llama.cpp would not apply alike.
    """
    alpha, found = scale(adapter), parts(adapter, shape)
    facts: dict[str, tuple[str, Value]] = {
        "general.type": (TEXTS, "adapter"),
        "general.name": (TEXTS, name),
        "adapter.type": (TEXTS, "lora"),
        "adapter.lora.alpha": (FLOATS, alpha),
    }
    writer = library().GGUFWriter(file, shape.architecture)
    try:
        for key, (kind, value) in facts.items():
            getattr(writer, f"add_{kind}")(key, value)
        for part in found:
            writer.add_tensor(part.name, array(adapter, part))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    reader = library().GGUFReader(file)
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    for key, (kind, value) in facts.items():
        field = reader.get_field(key)
        if field is None or not same(field.contents(), value, kind):
            raise otherwise(key, file)
    for part in found:
        if part.name not in stored or not np.array_equal(stored[part.name], array(adapter, part)):
            raise otherwise(part.name, file)
    return len(found)


def parts(adapter: Path, shape: Shape) -> list[Part]:
    """The adapter's tensors under llama.cpp's names."""
    names, found = renamed(shape), []
    with (
        translated(str(adapter), fix="copy the adapter again"),
        safe_open(adapter / WEIGHTS, framework="pt") as weights,
    ):
        keys = list(weights.keys())
    for key in keys:
        half = next((half for half in HALVES if key.endswith(half)), None)
        own = key.removeprefix(BEFORE).removesuffix(half or "") + ".weight"
        if half is None or own not in names or ".layers." not in own:
            raise refused(f"it changes {key.removeprefix(BEFORE)}, which llama.cpp takes no LoRA for", adapter)
        found.append(Part(names[own] + HALVES[half], key, heads_of(own, shape) if half.startswith(".lora_B") else 0))
    return sorted(found)


def scale(adapter: Path) -> float:
    """The alpha that llama.cpp divides by the rank, whatever PEFT divides it by."""
    config = adapter_config(adapter)
    if not isinstance(config, LoraConfig) or config.peft_type != "LORA":
        raise refused(f"it is of the kind {config.peft_type}", adapter)
    for field in ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication", "lora_bias"):
        if getattr(config, field, None):
            raise refused(f"it has {field}", adapter)
    if config.bias != "none":
        raise refused(f"it changes biases (bias: {config.bias})", adapter)
    alpha = float(config.lora_alpha)
    return alpha * math.sqrt(config.r) if config.use_rslora else alpha


def array(adapter: Path, part: Part) -> np.ndarray:
    with safe_open(adapter / WEIGHTS, framework="pt") as weights:
        tensor: torch.Tensor = weights.get_tensor(part.key).float()
    return (paired(tensor, part.rotated) if part.rotated else tensor).contiguous().numpy()


def refused(what: str, adapter: Path) -> ForeignModelError:
    return ForeignModelError(f"cannot be written as GGUF here: {what}", where=str(adapter))
