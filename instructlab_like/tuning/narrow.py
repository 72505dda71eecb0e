"""A narrow model of the same class as a large one: every kind of its layers, small enough to be tried in a second."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import torch
from transformers import PreTrainedModel

WINDOW = 4  # tokens: a trial's samples must be longer than a window, or it would not show
THRESHOLD = 8  # tokens: where rotary frequencies change with the length, some trial samples lie on either side
SHARPNESS = 2.4  # logits of attention spread over about ±10, so that a leak cannot hide in rounding
# At most this; what a configuration gives as less, or not at all, stays so.
SIZES = {
    "vocab_size": 64,
    "intermediate_size": 64,
    "ffn_hidden_size": 64,
    "ffn_dim": 64,
    "n_inner": 64,
    "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64,
    "shared_intermediate_size": 64,
    "num_experts": 8,
    "num_local_experts": 8,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "mamba_n_heads": 4,
    "mamba_n_groups": 1,
    "mamba_d_state": 16,
    "mamba_chunk_size": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
HEADS = 4
HIDDEN = 64
SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id")  # numbers beyond the small vocabulary
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")


def narrow(model: PreTrainedModel, longest: int | None) -> PreTrainedModel:
    """Build it in float32 on the CPU, with attention that picks sharply. It keeps the width of a head, which kernels
    and rotary embeddings depend on, and as many of the first layers as it takes to have one of each kind.

    `longest` is the longest sample that will be seen, None if unknown. Raises what the class raises when a
    configuration does not suit it.
    """
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    _shorten(text, model)
    _thin(text)
    _lower_thresholds(text, longest)
    for name in config.sub_configs:
        other = getattr(config, name)
        if other is not None and other is not text:
            _change(other, "num_hidden_layers", 1)  # what reads pictures or sound takes no part
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        small: PreTrainedModel = type(model)(config)
        small.to(torch.float32)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in small.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(0.0, SHARPNESS / parameter.shape[1] ** 0.5)
    small.train(False)
    return small


# A configuration's attributes differ from class to class, so it is read and written as what it is: a bag of anything.
def _change(config: Any, name: str, value: object) -> None:
    if getattr(config, name, None) is not None:
        with suppress(AttributeError):  # computed from others
            setattr(config, name, value)


def _shorten(text: Any, model: PreTrainedModel) -> None:
    layers = text.num_hidden_layers
    depth = min(layers, max(2, depth_of_kinds(model, layers)))
    for name, value in list(vars(text).items()):
        if isinstance(value, list | tuple) and len(value) == layers:  # one entry a layer
            _change(text, name, value[:depth])
    text.num_hidden_layers = depth


def _thin(text: Any) -> None:
    heads = getattr(text, "num_attention_heads", None) or HEADS
    shared = getattr(text, "num_key_value_heads", None) or heads
    own_width = getattr(text, "head_dim", None)
    free = own_width and isinstance(vars(text).get("head_dim"), int)  # given, so not the hidden size's share of a head
    hidden = HIDDEN if free else HEADS * (own_width or text.hidden_size // heads)
    for name, most in SIZES.items():
        _change(text, name, min(most, getattr(text, name, None) or 0))
    _change(text, "hidden_size", hidden)
    _change(text, "num_attention_heads", HEADS)
    _change(text, "num_key_value_heads", HEADS if shared == heads else min(shared, 2))
    if getattr(text, "mamba_expand", None):
        inner = text.mamba_expand * hidden
        _change(text, "mamba_d_ssm", inner)
        _change(text, "mamba_d_head", inner // min(HEADS, text.mamba_n_heads))
    if free:
        _change(text, "head_dim", own_width)
    for name in SPECIAL_TOKENS:
        _change(text, name, None)
    for name in WINDOWS:
        if isinstance(getattr(text, name, None), int):
            _change(text, name, WINDOW)


def _lower_thresholds(text: Any, longest: int | None) -> None:
    """Two kinds of rotary embedding take their frequencies from the longest sample of a row. Where samples will be
    so long that this happens, it must happen in a trial too."""
    parameters = getattr(text, "rope_parameters", None) or {}
    for rope in (parameters, *parameters.values()):
        kind = rope.get("rope_type") if isinstance(rope, dict) else None
        if kind == "longrope":
            usual = rope.get("original_max_position_embeddings") or text.max_position_embeddings
            if longest is None or longest > usual:
                rope["original_max_position_embeddings"] = THRESHOLD
                _change(text, "original_max_position_embeddings", THRESHOLD)
        elif kind == "dynamic" and (longest is None or longest > text.max_position_embeddings):
            text.max_position_embeddings = THRESHOLD


def depth_of_kinds(model: PreTrainedModel, layers: int) -> int:
    """How many of the model's first layers it takes to have one of every kind that it has."""
    stacks = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == layers]
    if not stacks:
        return layers
    seen: set[object] = set()
    depth = 0
    for number, layer in enumerate(stacks[0], start=1):
        kind = frozenset(_traits(module) for module in layer.modules())
        if kind not in seen:
            seen.add(kind)
            depth = number
    return depth


def _traits(module: torch.nn.Module) -> tuple[object, ...]:
    """Its class and switches: flags and names as they are, and of numbers only whether they are given."""
    switches = sorted(
        (name, value if isinstance(value, bool | str) else value is None)
        for name, value in vars(module).items()
        if not name.startswith("_") and (value is None or isinstance(value, bool | str | int | float))
    )
    return (type(module), *switches)
