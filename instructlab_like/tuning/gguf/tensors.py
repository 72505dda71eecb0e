"""A model's tensors under llama.cpp's names, in its order of rotated rows, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from safetensors import safe_open

from instructlab_like.errors import ModelError
from instructlab_like.tuning.gguf.shape import ForeignModelError, Shape, factors
from instructlab_like.tuning.hub import WHAT_A_MODEL_IS
from instructlab_like.tuning.models import translated, weight_files

Kind = Literal["float32", "float16", "bfloat16"]
TYPES: dict[Kind, torch.dtype] = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
HEAD = "lm_head.weight"
FACTORS = "rope_freqs.weight"


class Source(NamedTuple):
    """Where a tensor comes from, and what becomes of it."""

    name: str  # llama.cpp's
    file: Path
    key: str  # its name there
    shape: tuple[int, ...]
    kind: Kind
    rotated: int = 0  # heads whose rows are put into another order; 0: none

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * TYPES[self.kind].itemsize


def renamed(shape: Shape) -> dict[str, str]:
    """llama.cpp's names of weights and biases by transformers'."""
    names = dict(WHOLE)
    if not shape.tied:
        names[HEAD] = "output.weight"
    for layer in range(shape.layers):
        for part, name in PARTS.items():
            for end in ("weight", "bias"):
                names[f"model.layers.{layer}.{part}.{end}"] = f"blk.{layer}.{name}.{end}"
    return names


def heads_of(key: str, shape: Shape) -> int:
    """Of a tensor whose rows are rotated: how many heads it has."""
    heads = {"q_proj": shape.heads, "k_proj": shape.key_heads}
    return next((count for part, count in heads.items() if f".{part}." in key), 0)


def sources(folder: Path, shape: Shape, kind: Kind) -> list[Source]:
    """All tensors of the model in `folder`, in the order of llama.cpp's names.

    Raises ForeignModelError for one that llama.cpp does not have, ModelError where one is missing.
    """
    names, found = renamed(shape), []
    for file in weight_files(folder):
        with translated(str(file), fix=WHAT_A_MODEL_IS), safe_open(file, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118
                if key.endswith("rotary_emb.inv_freq") or (key == HEAD and shape.tied):
                    continue
                if key not in names:
                    what = f"cannot be written as GGUF here: llama.cpp has no place for its tensor {key}"
                    raise ForeignModelError(what, where=str(folder))
                size = tuple(weights.get_slice(key).get_shape())
                # One-dimensional ones, norms and biases, are added and multiplied in float32 there.
                found.append(
                    Source(names[key], file, key, size, kind if len(size) > 1 else "float32", heads_of(key, shape))
                )
    wanted = {key for key in names if key.endswith("weight")}
    missing = sorted(wanted - {one.key for one in found})
    if missing:
        fix = "download or copy the model again, all of its *.safetensors files"
        raise ModelError(f"the weights lack {len(missing)} tensors, {missing[0]} first", where=str(folder), fix=fix)
    return sorted(found)


def own_kind(folder: Path) -> Kind:
    """The type of the embeddings as they are; float32 for any other than these three."""
    own: dict[str, Kind] = {"F16": "float16", "BF16": "bfloat16"}
    for file in weight_files(folder):
        with translated(str(file), fix=WHAT_A_MODEL_IS), safe_open(file, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118
                if key in WHOLE:
                    return own.get(weights.get_slice(key).get_dtype(), "float32")
    return "float32"


def loaded(one: Source) -> torch.Tensor:
    """As it stands in the model, in the type that it is written in. Raises ModelError where float16 cannot hold it."""
    with translated(str(one.file), fix=WHAT_A_MODEL_IS), safe_open(one.file, framework="pt") as weights:
        tensor = cast("torch.Tensor", weights.get_tensor(one.key))
    rounded = tensor.to(TYPES[one.kind])
    if one.kind == "float16" and not bool(torch.isfinite(rounded).all()):
        fix = "write it with --dtype bfloat16 or float32"
        raise ModelError(f"{one.key} has values that float16 cannot hold", where=str(one.file), fix=fix)
    return rounded


def written(one: Source) -> np.ndarray:
    """The tensor as its bytes stand in the file."""
    tensor = loaded(one)
    return as_bytes(paired(tensor, one.rotated) if one.rotated else tensor)


def as_bytes(tensor: torch.Tensor) -> np.ndarray:
    """NumPy has no bfloat16; its bits are written as they are."""
    plain = tensor.contiguous()
    return (plain.view(torch.uint16) if plain.dtype == torch.bfloat16 else plain).numpy()


def read(data: np.ndarray, one: Source) -> torch.Tensor:
    """The tensor that bytes of a file stand for, in the order that transformers has it."""
    plain = torch.frombuffer(bytearray(data.tobytes()), dtype=TYPES[one.kind]).reshape(one.shape)
    return halved(plain, one.rotated) if one.rotated else plain


def paired(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows in llama.cpp's order: transformers turns row i of a head with row i + half, llama.cpp with the next one."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).transpose(1, 2).reshape(rows.shape)


def halved(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The other way round."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).transpose(1, 2).reshape(rows.shape)


def extra(shape: Shape) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors that only llama.cpp has."""
    told = factors(shape)
    if told is not None:
        yield FACTORS, np.array(told, dtype=np.float32)
