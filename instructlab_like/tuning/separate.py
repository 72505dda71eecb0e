"""Samples that share a row must not see each other. Here a packed row is laid out, put through the model, and proven.

transformers separates packed samples only when it is given no attention mask, positions that restart at each sample
and `use_cache=False`; with any of these otherwise it leaks without a word, and the LoRA gradient is off by its own
size. So this module alone calls the model in training, and `keep_apart` compares gradients before a step is made.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.attention import varlen
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from instructlab_like.errors import ModelError
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.tokens import Encoded

Backend: TypeAlias = Literal["per-sample attention", "variable-length attention", "block mask", "one sample a row"]
Forward: TypeAlias = Callable[[torch.nn.Module, "PackedRow"], torch.Tensor]

PACKED = "packed_samples"  # the attention function of this module, as transformers knows it
TOLERANCE = 1e-5  # relative error of the LoRA gradient, packed against alone, in float32
HALF_TOLERANCE = 2e-2  # of a half-precision kernel against float32
UNSEEN_FEATURES = ("sliding_window", "softcap", "position_bias", "s_aux")  # what PACKED would quietly leave out

# What a model class may raise when it is built small or given an attention function that it was not written for.
MODEL_FAILURES = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A row on its device. The logits at `predict` are those of `targets`, the trained tokens."""

    ids: torch.Tensor  # (1, tokens)
    positions: torch.Tensor  # (1, tokens), from 0 in each sample
    borders: torch.Tensor  # (samples + 1,), int32: sample i is tokens borders[i]:borders[i+1]
    longest: int
    predict: torch.Tensor  # (trained,)
    targets: torch.Tensor  # (trained,)
    owners: npt.NDArray[np.int64]  # (trained,): the number of the sample in the row


@dataclass(frozen=True, slots=True)
class Separation:
    """How samples are kept apart, whether they share rows at all, and why no faster way was taken (or "")."""

    backend: Backend
    error: float  # of the packed LoRA gradient against the solo one, as measured now
    note: str = ""

    @property
    def packs(self) -> bool:
        return self.backend != "one sample a row"


def lay(samples: Sequence[Encoded], device: torch.device) -> PackedRow:
    """Lay samples side by side. Each must hold a trained token, and its first token must not be one."""
    lengths = np.array([len(sample.ids) for sample in samples])
    borders = np.concatenate([[0], np.cumsum(lengths)])
    trained = np.flatnonzero(np.concatenate([sample.trained for sample in samples]))
    ids = torch.from_numpy(np.concatenate([sample.ids for sample in samples]))
    positions = np.arange(borders[-1]) - np.repeat(borders[:-1], lengths)
    return PackedRow(
        ids=ids[None].to(device),
        positions=torch.from_numpy(positions)[None].to(device),
        borders=torch.from_numpy(borders.astype(np.int32)).to(device),
        longest=int(lengths.max()),
        predict=torch.from_numpy(trained - 1).to(device),
        targets=ids[torch.from_numpy(trained)].to(device),
        owners=np.searchsorted(borders, trained, side="right") - 1,
    )


def forward(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    """The logits of the trained tokens, (trained, vocabulary): no other position is projected to the vocabulary."""
    logits: torch.Tensor = model(
        input_ids=row.ids,
        position_ids=row.positions,
        use_cache=False,
        logits_to_keep=row.predict,
        cu_seq_lens_q=row.borders,
        cu_seq_lens_k=row.borders,
        max_length_q=row.longest,
        max_length_k=row.longest,
    ).logits
    return logits[0]


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each sample of one row; no mask over the whole row is ever built.

    `query`, `key`, `value` are (1, heads, tokens, width), keys and values possibly with fewer heads. Returns
    (1, tokens, heads, width). Raises NotImplementedError rather than compute another attention than the model's.
    """
    lacking = [name for name in UNSEEN_FEATURES if kwargs.get(name) is not None]
    if lacking or attention_mask is not None or is_causal is False:
        raise NotImplementedError(f"{type(module).__name__} wants {', '.join(lacking) or 'its own mask'}")
    if cu_seq_lens_q is None or max_length_q is None:
        raise NotImplementedError(f"{type(module).__name__} does not hand on the borders of packed samples")
    if query.is_cuda and query.dtype != torch.float32:
        if dropout:
            raise NotImplementedError("variable-length attention has no dropout")
        return _by_kernel(query, key, value, cu_seq_lens_q, max_length_q, scaling), None
    return _by_sample(query, key, value, cu_seq_lens_q, scaling, dropout), None


def _by_sample(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    borders: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    pieces = [
        scaled_dot_product_attention(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            dropout_p=dropout,
            is_causal=True,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for start, end in pairwise(borders.tolist())
    ]
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous()


def _by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    borders: torch.Tensor,
    longest: int,
    scaling: float | None = None,
) -> torch.Tensor:
    out = varlen.varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        borders,
        borders,
        longest,
        longest,
        scale=scaling,
        window_size=(-1, 0),  # without it the kernel looks ahead
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return cast("torch.Tensor", out)[None]  # a tuple only when more is asked for


AttentionInterface.register(PACKED, packed_attention)


def keep_apart(model: PreTrainedModel, device: torch.device) -> Separation:
    """Choose the fastest attention that provably keeps packed samples apart in this model, and set it.

    The proof: a two-layer model of the same class with sharp attention, in float32 on the CPU; its LoRA gradient over
    a packed row against the sum over its samples alone. Where no attention passes, samples do not share rows.
    Raises ModelError for a class that cannot be trained here.
    """
    if "logits_to_keep" not in inspect.signature(type(model).forward).parameters:
        raise ModelError(
            f"{type(model).__name__} cannot project chosen positions to the vocabulary",
            where=str(model.config.name_or_path),
            fix="train a causal language model of the usual kind (Llama, Granite, Mistral, Qwen, Gemma, …)",
        )
    plain = model.config._attn_implementation
    half_on_gpu = device.type == "cuda" and model.dtype != torch.float32
    notes = []
    for implementation in (PACKED, plain):
        fast = implementation == PACKED
        try:
            if fast:
                _expect_plain_layers(model, half_on_gpu=half_on_gpu)
            error = divergence(_small(model, implementation), plain)
            if fast and half_on_gpu:
                _expect_varlen_to_be_exact(device)
        except MODEL_FAILURES as failure:
            notes.append(f"{implementation}: {str(failure).partition(chr(10))[0]}")
            continue
        if not error <= TOLERANCE:
            notes.append(f"{implementation}: packed and solo gradients differ by {error:.1e}")
            continue
        model.set_attn_implementation(implementation)
        name: Backend = "variable-length attention" if half_on_gpu else "per-sample attention"
        return Separation(name if fast else "block mask", error, "; ".join(notes))
    model.set_attn_implementation(plain)
    return Separation("one sample a row", 0.0, "; ".join(notes))


def divergence(model: PreTrainedModel, plain: str, run: Forward = forward) -> float:
    """The relative error of `run`'s LoRA gradient over a packed row, against its samples one by one with `plain`
    attention. `model` is a small one of any class; it is left with an adapter on it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = np.random.default_rng(0)
        implementation = model.config._attn_implementation
        vocabulary = cast("torch.nn.Embedding", model.get_input_embeddings()).num_embeddings
        samples = [_random_sample(generator, length, vocabulary) for length in (9, 5, 14, 7)]
        config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config).eval()  # no dropout
        cpu = torch.device("cpu")
        packed = _gradient(adapted, [lay(samples, cpu)], run)
        model.set_attn_implementation(plain)
        solo = _gradient(adapted, [lay([sample], cpu) for sample in samples], _forward_alone)
        model.set_attn_implementation(implementation)
        return float((packed - solo).norm() / solo.norm())


def _forward_alone(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    """The plainest call there is: one sample, all logits; it shares nothing with `forward` that could be wrong."""
    logits: torch.Tensor = model(input_ids=row.ids, use_cache=False).logits
    return logits[0, row.predict]


def _gradient(model: torch.nn.Module, rows: Sequence[PackedRow], run: Forward) -> torch.Tensor:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = torch.stack([token_losses(run(model, row), row.targets).sum() for row in rows]).sum()
    parts = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts]).double()


def _random_sample(generator: np.random.Generator, length: int, vocabulary: int) -> Encoded:
    trained = np.arange(length) >= length // 2
    return Encoded("", "", generator.integers(0, vocabulary, length), trained)


def _expect_plain_layers(model: PreTrainedModel, *, half_on_gpu: bool) -> None:
    """A small model cannot show a window that is wider than its samples, so windows are read off the configuration."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"} or (not hasattr(config, "layer_types") and getattr(config, "sliding_window", None)):
        raise NotImplementedError(
            f"its layers are of kind {', '.join(sorted(kinds - {'full_attention'})) or 'sliding'}"
        )
    if half_on_gpu and getattr(config, "attention_dropout", None):
        raise NotImplementedError("variable-length attention has no dropout")


def _small(model: PreTrainedModel, implementation: str) -> PreTrainedModel:
    """A narrow model of the same class with one layer of each kind, two at least, and attention that picks sharply."""
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    heads, shared = text.num_attention_heads, getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    sizes: dict[str, object] = {
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 4 if shared == heads else 2,
        "head_dim": 16,
        "num_hidden_layers": 2,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    kinds = list(dict.fromkeys(getattr(text, "layer_types", None) or []))
    if kinds:
        sizes["layer_types"] = (kinds * 2)[: max(2, len(kinds))]
        sizes["num_hidden_layers"] = max(2, len(kinds))
    for name, value in sizes.items():
        if hasattr(text, name):
            setattr(text, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = type(model)(config)
        with torch.no_grad():
            for parameter in small.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(0.0, 0.3)  # logits of attention spread over ±10: a leak cannot hide in rounding
    small.set_attn_implementation(implementation)
    return small


def _expect_varlen_to_be_exact(device: torch.device) -> None:
    """The kernel runs in half precision only, where a small leak would hide in rounding. So it is asked what no
    rounding touches: the gradient of one sample's output in another sample's tokens, or in later ones, is zero."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 4, 48, 64)
    exact = [torch.randn(shape, generator=generator).to(device) for _ in range(3)]
    half = [tensor.to(torch.bfloat16).requires_grad_() for tensor in exact]
    borders = torch.tensor([0, 16, 48], dtype=torch.int32, device=device)
    expected = _by_sample(exact[0], exact[1], exact[2], borders)
    found = _by_kernel(half[0], half[1], half[2], borders, 32)
    if float((found.float() - expected).norm() / expected.norm()) > HALF_TOLERANCE:
        raise NotImplementedError("the variable-length kernel differs from plain attention")
    for tensor in torch.autograd.grad(found[:, 16:32].float().sum(), half):
        outside = tensor[:, :, :16].abs().sum() + tensor[:, :, 32:].abs().sum()
        if float(outside):
            raise NotImplementedError("the variable-length kernel lets samples see each other")
