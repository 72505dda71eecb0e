"""What llama.cpp has to know of a model's form; forms that it would compute otherwise are refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, cast

from transformers import AutoConfig, PreTrainedConfig

from instructlab_like.errors import ModelError
from instructlab_like.records import Record
from instructlab_like.tuning.hub import WHAT_A_MODEL_IS
from instructlab_like.tuning.models import translated

Architecture = Literal["llama", "granite"]
ARCHITECTURES: dict[str, Architecture] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "GraniteForCausalLM": "granite",
}


class ForeignModelError(ModelError):
    """A model that is not written here; llama.cpp's own conversion may know it."""


class Llama3Scaling(Record):
    """How Llama 3 stretches rotary positions (`rope_type: llama3`)."""

    factor: float
    low: float  # low_freq_factor
    high: float  # high_freq_factor
    context: int  # original_max_position_embeddings


class Scales(Record):
    """What Granite multiplies by; its logits are divided."""

    embedding: float
    residual: float
    attention: float
    logits: float


class Shape(Record):
    architecture: Architecture
    words: int  # of the embeddings
    context: int
    hidden: int
    inner: int  # of the feed-forward layers
    layers: int
    heads: int
    key_heads: int
    head_size: int
    epsilon: float
    theta: float
    linear: float | None = None  # factor of linear scaling of positions
    llama3: Llama3Scaling | None = None
    scales: Scales | None = None
    tied: bool


def configuration(folder: Path) -> PreTrainedConfig:
    with translated(str(folder), fix=WHAT_A_MODEL_IS):
        found = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    return cast("PreTrainedConfig", found)


def shape_of(config: PreTrainedConfig, where: str) -> Shape:
    """The model's form. Raises ForeignModelError, with the reason, for one that llama.cpp would not compute alike."""
    told = config.to_dict()
    refuse(told, where)
    rope = told.get("rope_parameters") or {}
    kind = rope.get("rope_type", "default")
    heads, hidden = told["num_attention_heads"], told["hidden_size"]
    architecture = ARCHITECTURES[told["architectures"][0]]
    return Shape(
        architecture=architecture,
        words=told["vocab_size"],
        context=told["max_position_embeddings"],
        hidden=hidden,
        inner=told["intermediate_size"],
        layers=told["num_hidden_layers"],
        heads=heads,
        key_heads=told.get("num_key_value_heads") or heads,
        head_size=told.get("head_dim") or hidden // heads,
        epsilon=told["rms_norm_eps"],
        theta=float(rope.get("rope_theta", 10000.0)),
        linear=float(rope["factor"]) if kind == "linear" else None,
        llama3=llama3(rope) if kind == "llama3" else None,
        scales=Scales(
            embedding=told["embedding_multiplier"],
            residual=told["residual_multiplier"],
            attention=told["attention_multiplier"],
            logits=told["logits_scaling"],
        )
        if architecture == "granite"
        else None,
        tied=bool(told.get("tie_word_embeddings")),
    )


def refuse(told: dict[str, object], where: str) -> None:
    """Raise ForeignModelError for what is not of Llama's form."""
    names = told.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else f"unknown (model_type {told.get('model_type')})"
    rope = told.get("rope_parameters")
    rope = rope if isinstance(rope, dict) else {}
    if name not in ARCHITECTURES:
        what = f"its architecture, {name}, is none of {', '.join(ARCHITECTURES)}"
    elif told.get("quantization_config"):
        what = "its weights are quantised"
    elif told.get("hidden_act") not in ("silu", "swish"):
        what = f"its activation is {told.get('hidden_act')}, not silu"
    elif told.get("sliding_window"):
        what = (
            f"it attends within a window ({told['sliding_window']}), which llama.cpp does not do for this architecture"
        )
    elif rope.get("rope_type", "default") not in ("default", "linear", "llama3"):
        what = f"its rotary positions are scaled by {rope['rope_type']!r}; default, linear and llama3 are written"
    elif rope.get("partial_rotary_factor", 1.0) != 1.0:
        what = "only a part of each head is rotated (partial_rotary_factor)"
    else:
        return
    raise ForeignModelError(f"cannot be written as GGUF here: {what}", where=where)


def llama3(rope: dict[str, float]) -> Llama3Scaling:
    return Llama3Scaling(
        factor=float(rope["factor"]),
        low=float(rope["low_freq_factor"]),
        high=float(rope["high_freq_factor"]),
        context=int(rope["original_max_position_embeddings"]),
    )


def factors(shape: Shape) -> list[float] | None:
    """What llama.cpp divides each rotary frequency by; None where it divides none."""
    told = shape.llama3
    if told is None:
        return None
    found = []
    for index in range(0, shape.head_size, 2):
        length = 2 * math.pi * shape.theta ** (index / shape.head_size)  # of the wave, in tokens
        if length < told.context / told.high:
            found.append(1.0)
        elif length > told.context / told.low:
            found.append(told.factor)
        else:
            smooth = (told.context / length - told.low) / (told.high - told.low)
            found.append(1 / ((1 - smooth) / told.factor + smooth))
    return found
