"""The frozen base in float8: its matrices are quantised once, and what they read is scaled row by row at each step.

Both directions have a copy of their own, since a product wants its second factor scaled along what stays: so nothing
is saved in memory, and products run at twice the rate of bfloat16 on GPUs that have float8 (compute capability 8.9).
Adapters, norms, attention, embedding and head keep their precision.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from peft.tuners.lora import LoraLayer

FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0  # of FLOAT8
LEAST = 1e-12  # of a scale: a row of zeros has none
WIDTH = 16  # sides of a matrix must be a multiple of this
CAPABLE = (8, 9)


def scaled(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In float8, row after row in memory, with the scale of each row, (rows, 1); each by itself, so that no sample
    changes another."""
    scale = (matrix.abs().amax(dim=1, keepdim=True).float() / LARGEST).clamp(min=LEAST)
    return (matrix.float() / scale).to(FLOAT8).contiguous(), scale


class Product(torch.autograd.Function):
    """(x, weight, its scale, transposed weight, its scale) to x · weightᵀ, with a gradient for x alone."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        scale: torch.Tensor,
        turned: torch.Tensor,
        turned_scale: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(turned, turned_scale)
        return _times(x, weight, scale, fast=x.is_cuda)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        turned, scale = ctx.saved_tensors
        return _times(gradients[0], turned, scale), None, None, None, None


def _times(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, *, fast: bool = False) -> torch.Tensor:
    """`fast`: add up in the tensor cores' own precision, as is usual forward, where errors do not add up over layers
    as those of gradients do."""
    rows, own = scaled(x)
    return torch._scaled_mm(rows, weight.t(), scale_a=own, scale_b=scale, out_dtype=x.dtype, use_fast_accum=fast)


class Float8Linear(torch.nn.Module):
    """A frozen linear layer whose matrix is held in float8."""

    bias: torch.Tensor | None

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        for name, matrix in (("weight", layer.weight.data), ("turned", layer.weight.data.t())):
            values, scale = scaled(matrix)
            self.register_buffer(name, values)
            self.register_buffer(f"{name}_scale", scale.t().contiguous())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.data)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        flat = x.reshape(-1, self.in_features).to(kind)
        held = (self.weight, self.weight_scale, self.turned, self.turned_scale)
        found = Product.apply(flat, *held)  # type: ignore[no-untyped-call]
        result = cast("torch.Tensor", found).view(*x.shape[:-1], self.out_features)
        return result if self.bias is None else result + self.bias


def quantise(model: torch.nn.Module) -> int:
    """Hold the base matrices under adapters in float8 from now on; gives how many there are.

    Raises NotImplementedError where there are none whose sides suit.
    """
    found = 0
    for module in list(model.modules()):
        if isinstance(module, LoraLayer) and type(module.base_layer) is torch.nn.Linear and _suits(module.base_layer):
            module.base_layer = Float8Linear(module.base_layer)
            found += 1
    if not found:
        raise NotImplementedError("no matrix under an adapter has sides that are multiples of 16")
    return found


def _suits(layer: torch.nn.Linear) -> bool:
    return layer.in_features % WIDTH == 0 and layer.out_features % WIDTH == 0


def cannot_float8(device: torch.device) -> str:
    """Why this device has no float8; empty where it has."""
    if device.type != "cuda":
        return f"float8 needs a GPU of compute capability 8.9 or higher (Ada, Hopper), and this is a {device.type}"
    have = torch.cuda.get_device_capability(device)
    if have < CAPABLE:
        return f"float8 needs a GPU of compute capability 8.9 or higher, this one has {have[0]}.{have[1]}"
    return ""
