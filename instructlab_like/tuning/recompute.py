"""Activations of a decoder layer, computed a second time in the backward pass instead of being kept."""

from __future__ import annotations

from functools import partial
from typing import Literal, TypeAlias

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts
from transformers.modeling_layers import GradientCheckpointingLayer

Recompute: TypeAlias = Literal["none", "selective", "full"]

LONG = 256  # terms of a sum: products with fewer, as an adapter's, are cheap to repeat
PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten._scaled_mm.default}
ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
}
BY_NAME = ("torch_attn::_varlen_attn",)  # of torch.nn.attention.varlen, which has no public handle


def recompute(model: torch.nn.Module, kind: Recompute, *, long: int = LONG) -> int:
    """Set how the decoder layers of `model` keep what the backward pass needs; gives how many layers there are.

    `selective` keeps what products with at least `long` terms and attention gave, and repeats the rest: norms, rotary
    embeddings, activation functions, adapters. Raises NotImplementedError for layers that transformers cannot repeat.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise NotImplementedError("its layers cannot be computed a second time")
    again = partial(checkpoint, use_reentrant=False)
    if kind == "selective":
        policy = partial(_policy, long)
        again = partial(again, context_fn=partial(create_selective_checkpoint_contexts, policy))
    for layer in layers:
        layer.gradient_checkpointing = kind != "none"
        layer._gradient_checkpointing_func = again  # type: ignore[assignment]
    return len(layers)


def _policy(long: int, _ctx: object, op: object, *args: object, **_kwargs: object) -> CheckpointPolicy:
    if op in PRODUCTS:
        last = [one for one in args if isinstance(one, torch.Tensor) and one.ndim == 2][:3]
        terms = (last[1] if op != torch.ops.aten.addmm.default else last[-1]).shape[0]
        return CheckpointPolicy.MUST_SAVE if terms >= long else CheckpointPolicy.PREFER_RECOMPUTE
    if op in ATTENTION or getattr(op, "_name", "").partition(".")[0] in BY_NAME:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
