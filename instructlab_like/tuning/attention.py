"""Causal attention inside each sample of a packed row, as transformers calls attention: no mask over a row is built.

On a CPU it runs sample by sample, on a GPU in half precision through one kernel for all samples. Windows, soft caps
and attention sinks are computed as the model's own plain attention does; what is not known here is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch.nn.attention import varlen
from torch.nn.functional import dropout as drop
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

PACKED = "packed_samples"  # this attention's name in transformers
LARGEST_KERNEL_WIDTH = 256  # of a head, in torch.nn.attention.varlen


@dataclass(frozen=True, slots=True)
class Manner:
    """How a layer attends, beside causally."""

    scaling: float | None = None  # None: 1 / √width
    dropout: float = 0.0
    window: int | None = None  # tokens seen, the own one included
    softcap: float | None = None
    sinks: torch.Tensor | None = None  # (heads,): a logit that takes its share of the attention and gives nothing

    @property
    def unfused(self) -> bool:
        return self.softcap is not None or self.sinks is not None


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    position_bias: torch.Tensor | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **_kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attend inside each sample; `cu_seq_lens_q` are the borders of the samples, `max_length_q` the longest's length.
    Without borders the longest must be as long as the row, which is then one sample.

    `query`, `key`, `value` are (1, heads, tokens, width), keys and values possibly with fewer heads. Returns
    (1, tokens, heads, width). Raises NotImplementedError rather than compute another attention than the model's.
    """
    if attention_mask is not None or position_bias is not None or is_causal is False:
        raise NotImplementedError(f"{type(module).__name__} wants a mask of its own")
    if cu_seq_lens_q is None and max_length_q == query.shape[2]:
        cu_seq_lens_q = torch.tensor([0, max_length_q], dtype=torch.int32, device=query.device)
    if cu_seq_lens_q is None or max_length_q is None:
        raise NotImplementedError(f"{type(module).__name__} does not hand on the borders of packed samples")
    manner = Manner(scaling, dropout, sliding_window, softcap, s_aux)
    if query.is_cuda and torch.is_autocast_enabled("cuda"):  # the kernel is not among what autocast casts
        half = torch.get_autocast_dtype("cuda")
        query, key, value = query.to(half), key.to(half), value.to(half)
    if _kernel_can(query, value, manner):
        return by_kernel(query, key, value, cu_seq_lens_q, max_length_q, manner), None
    return by_sample(query, key, value, cu_seq_lens_q, manner), None


def _kernel_can(query: torch.Tensor, value: torch.Tensor, manner: Manner) -> bool:
    width = query.shape[-1]
    fits = width == value.shape[-1] <= LARGEST_KERNEL_WIDTH and width % 8 == 0
    return query.is_cuda and query.dtype != torch.float32 and fits and not manner.unfused and not manner.dropout


def by_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: torch.Tensor, longest: int, manner: Manner
) -> torch.Tensor:
    """All samples in one call; half precision on a GPU only."""
    out = varlen.varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        borders,
        borders,
        longest,
        longest,
        scale=manner.scaling,
        window_size=(-1 if manner.window is None else manner.window - 1, 0),  # the 0: without it the kernel looks ahead
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return cast("torch.Tensor", out)[None]  # a tuple only when more is asked for


def by_sample(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: torch.Tensor, manner: Manner
) -> torch.Tensor:
    """Sample after sample. Split, not sliced: the backward of every slice would fill a tensor as long as the row."""
    lengths = [end - start for start, end in pairwise(borders.tolist())]
    attend = _unfused if manner.unfused else _fused
    parts = [torch.split(tensor, lengths, dim=2) for tensor in (query, key, value)]
    attended = [attend(*own, manner).transpose(1, 2) for own in zip(parts[0], parts[1], parts[2], strict=True)]
    return torch.cat(attended, dim=1)


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, manner: Manner) -> torch.Tensor:
    length = query.shape[2]
    beyond = manner.window is not None and manner.window < length
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_seen(length, manner.window, query.device) if beyond else None,
        dropout_p=manner.dropout,
        is_causal=not beyond,
        scale=manner.scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _unfused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, manner: Manner) -> torch.Tensor:
    """Attention written out, for what no fused kernel has."""
    length, groups = query.shape[2], query.shape[1] // key.shape[1]
    scaling = 1 / math.sqrt(query.shape[-1]) if manner.scaling is None else manner.scaling
    logits = query @ key.repeat_interleave(groups, dim=1).transpose(2, 3) * scaling
    if manner.softcap is not None:
        logits = torch.tanh(logits / manner.softcap) * manner.softcap
    logits = logits.masked_fill(~_seen(length, manner.window, query.device), -math.inf)
    if manner.sinks is not None:
        sinks = manner.sinks.to(logits.dtype).reshape(1, -1, 1, 1).expand(1, -1, length, 1)
        logits = torch.cat([logits, sinks], dim=-1)
    shares = torch.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)[..., :length]
    return drop(shares, manner.dropout) @ value.repeat_interleave(groups, dim=1)


def _seen(length: int, window: int | None, device: torch.device) -> torch.Tensor:
    """(length, length): which earlier tokens a token sees."""
    seen = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    return seen if window is None else seen.triu(1 - window)


AttentionInterface.register(PACKED, packed_attention)
