"""Small models for the tests of how a step is computed: an adapted Llama, packed rows, losses and LoRA gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_chat_model import make_model

from instructlab_like.tuning import attention
from instructlab_like.tuning.attention import PACKED, Manner, by_sample
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.separate import PackedRow, forward, lay
from instructlab_like.tuning.tokens import Encoded

CPU = torch.device("cpu")
ROWS = ((14, 9, 5), (10, 8, 6, 4), (27,), (12, 7, 5, 4), (20,))


def sample(length: int, seed: int, vocabulary: int = 320) -> Encoded:
    generator = np.random.default_rng(seed)
    return Encoded(str(seed), "leaf", generator.integers(0, vocabulary, length), np.arange(length) >= length // 2)


def samples_of(lengths: tuple[int, ...]) -> list[Encoded]:
    return [sample(length, number) for number, length in enumerate(lengths)]


def adapted(*, layers: int = 2, hidden: int = 32, **lora: object) -> PeftModel:
    """With an update that is not zero, as it would be at first."""
    model = make_model(layers=layers, hidden=hidden)
    model.set_attn_implementation(PACKED)
    told = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": "all-linear", "init_lora_weights": False} | lora
    torch.manual_seed(0)
    return get_peft_model(model, LoraConfig(**told)).train()


def learnt(model: PeftModel, row: PackedRow) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each trained token, and the LoRA gradient of their weighted sum."""
    model.zero_grad()
    torch.manual_seed(1)
    losses = token_losses(forward(model, row), row.targets)
    (losses * torch.linspace(0.5, 1.5, len(losses))).sum().backward()
    parts = [part.grad.flatten() for part in model.parameters() if part.grad is not None]
    return losses.detach(), torch.cat(parts)


def every_row(model: PeftModel, room: int | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [learnt(model, lay(samples_of(lengths), CPU, room=room)) for lengths in ROWS]


def furthest(found: list[tuple[torch.Tensor, torch.Tensor]], plain: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """The largest relative error of losses and of gradients."""
    pairs = [pair for one, other in zip(found, plain, strict=True) for pair in zip(one, other, strict=True)]
    return max(float((one - other).norm() / other.norm()) for one, other in pairs)


# --- the kernel for samples of different lengths, on a CPU ------------------------------------------------------------


@contextmanager
def kernel_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give torch's variable-length attention, which is CUDA's alone, arithmetic for a CPU, and let it be taken."""
    with torch.library._scoped_library("torch_attn", "IMPL") as library:
        library.impl("_varlen_attn", _attend, "CPU")
        library.impl("_varlen_attn_backward", _attend_backward, "CPU")
        monkeypatch.setattr(attention, "_kernel_can", lambda *_: True)
        yield


def _attend(query, key, value, borders, _borders, _longest, _other, causal=False, scale=None, window=None, *_rest):
    assert causal
    assert list(window) == [-1, 0]
    heads = [tensor.transpose(0, 1)[None] for tensor in (query, key, value)]
    out = by_sample(*heads, borders, Manner(scale))[0].contiguous()
    return out.clone(), query.new_zeros(query.shape[1], query.shape[0]), torch.zeros(2, dtype=torch.uint64)


def _attend_backward(slope, query, key, value, _out, _sums, borders, *rest):
    scale = rest[5] or query.shape[-1] ** -0.5
    groups = query.shape[1] // key.shape[1]
    found = [torch.zeros_like(tensor) for tensor in (query, key, value)]
    for start, end in pairwise(borders.tolist()):
        own, keys, values, wanted = (one[start:end].transpose(0, 1) for one in (query, key, value, slope))
        keys, values = (one.repeat_interleave(groups, 0) for one in (keys, values))
        seen = torch.ones(end - start, end - start, dtype=torch.bool).tril()
        shares = torch.softmax((own @ keys.mT * scale).masked_fill(~seen, -torch.inf), -1)
        inner = wanted @ values.mT
        inner = shares * (inner - (inner * shares).sum(-1, keepdim=True)) * scale
        together = [(inner.mT @ own).unflatten(0, (-1, groups)).sum(1)]
        together.append((shares.mT @ wanted).unflatten(0, (-1, groups)).sum(1))
        for whole, part in zip(found, [inner @ keys, *together], strict=True):
            whole[start:end] = part.transpose(0, 1)
    return tuple(found)
