"""Writes a model or an adapter into one GGUF file, and reads the file back before anybody may use it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.tuning.gguf.shape import Shape
from instructlab_like.tuning.gguf.tensors import Kind, Source, extra, loaded, read, sources, written
from instructlab_like.tuning.gguf.words import Words
from instructlab_like.tuning.serving import Around

Value = str | int | float | bool | Sequence[str] | Sequence[int] | Sequence[float]
FILE_TYPES: dict[Kind, int] = {"float32": 0, "float16": 1, "bfloat16": 32}  # llama.cpp's general.file_type
QUANTIZATION: dict[Kind, str] = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
FLOATS, UNSIGNED, TRUTHS, TEXTS = "float32", "uint32", "bool", "string"


class Plan(NamedTuple):
    """All that is known of a file before its tensors are read."""

    name: str  # of the model, for people
    shape: Shape
    words: Words
    kind: Kind
    around: Around | None = None  # what the chat template puts around turns, where that can be told


def library() -> Any:
    """The `gguf` package, asked for only when a file is written. Raises InputError where it is not installed."""
    try:
        return import_module("gguf")
    except ModuleNotFoundError as error:
        fix = "pip install 'instructlab-like[gguf]'"
        raise InputError("needs gguf, which is not installed", where="--gguf", fix=fix) from error


def write(plan: Plan, model: Path, file: Path) -> int:
    """Write the model in `model` to `file`, and read it back: every value and tensor. Returns how many tensors it has.

    `file` must not be where others look for it yet. Raises StoppedError for one that came back otherwise.
    """
    found, added = sources(model, plan.shape, plan.kind), list(extra(plan.shape))
    facts = {**described(plan), **words_told(plan.words)}
    put(file, plan.shape.architecture, facts, found, added)
    compare(file, facts, found, added)
    return len(found) + len(added)


def put(
    file: Path,
    architecture: str,
    facts: Mapping[str, tuple[str, Value]],
    found: Sequence[Source],
    added: Sequence[tuple[str, np.ndarray]],
) -> None:
    gguf = library()
    writer = gguf.GGUFWriter(file, architecture)
    try:
        for key, (kind, value) in facts.items():
            if isinstance(value, str | int | float):
                getattr(writer, f"add_{kind}")(key, value)
            else:
                writer.add_array(key, list(value))
        for name, array in added:
            writer.add_tensor_info(name, array.shape, array.dtype, array.nbytes)
        for one in found:
            # The type that NumPy knows its bits by; what they mean stands in the third.
            bits = np.dtype({"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}[one.kind])
            stored = getattr(gguf.GGMLQuantizationType, QUANTIZATION[one.kind])
            writer.add_tensor_info(one.name, one.shape, bits, one.nbytes, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for _, array in added:
            writer.write_tensor_data(array)
        for one in found:
            writer.write_tensor_data(written(one))
    except OSError as error:
        if error.errno is None:  # NumPy tells of a write that was cut short in words alone
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise
    finally:
        writer.close()


def described(plan: Plan) -> dict[str, tuple[str, Value]]:
    """The model's form under llama.cpp's keys."""
    shape = plan.shape
    own: dict[str, tuple[str, Value]] = {
        "vocab_size": (UNSIGNED, shape.words),
        "context_length": (UNSIGNED, shape.context),
        "embedding_length": (UNSIGNED, shape.hidden),
        "block_count": (UNSIGNED, shape.layers),
        "feed_forward_length": (UNSIGNED, shape.inner),
        "attention.head_count": (UNSIGNED, shape.heads),
        "attention.head_count_kv": (UNSIGNED, shape.key_heads),
        "attention.key_length": (UNSIGNED, shape.head_size),
        "attention.value_length": (UNSIGNED, shape.head_size),
        "attention.layer_norm_rms_epsilon": (FLOATS, shape.epsilon),
        "rope.dimension_count": (UNSIGNED, shape.head_size),
        "rope.freq_base": (FLOATS, shape.theta),
    }
    if shape.linear is not None:
        own |= {"rope.scaling.type": (TEXTS, "linear"), "rope.scaling.factor": (FLOATS, shape.linear)}
    if shape.scales is not None:
        own |= {
            "embedding_scale": (FLOATS, shape.scales.embedding),
            "residual_scale": (FLOATS, shape.scales.residual),
            "attention.scale": (FLOATS, shape.scales.attention),
            "logit_scale": (FLOATS, shape.scales.logits),
        }
    general: dict[str, tuple[str, Value]] = {
        "general.type": (TEXTS, "model"),
        "general.name": (TEXTS, plan.name),
        "general.file_type": (UNSIGNED, FILE_TYPES[plan.kind]),
        "general.quantization_version": (UNSIGNED, 2),
    }
    return general | {f"{shape.architecture}.{key}": value for key, value in own.items()}


def words_told(words: Words) -> dict[str, tuple[str, Value]]:
    """The tokenizer under llama.cpp's keys; what is not known is left out."""
    told: dict[str, tuple[str, Value | None]] = {
        "model": (TEXTS, words.model),
        "pre": (TEXTS, words.pre),
        "tokens": ("array", words.tokens),
        "token_type": ("array", words.kinds),
        "scores": ("array", words.scores or None),
        "merges": ("array", words.merges or None),
        "bos_token_id": (UNSIGNED, words.bos),
        "eos_token_id": (UNSIGNED, words.eos),
        "unknown_token_id": (UNSIGNED, words.unknown),
        "padding_token_id": (UNSIGNED, words.padding),
        "add_bos_token": (TRUTHS, words.add_bos),
        "add_eos_token": (TRUTHS, False),
        "add_space_prefix": (TRUTHS, words.space_prefix),
    }
    # The second and third at which an answer ends; llama.cpp has keys for no more, and knows usual ones by name.
    told |= {
        key: (UNSIGNED, stop) for key, stop in zip(("eot_token_id", "eom_token_id"), words.stops[1:], strict=False)
    }
    found = {f"tokenizer.ggml.{key}": (kind, value) for key, (kind, value) in told.items() if value is not None}
    return found | ({"tokenizer.chat_template": (TEXTS, words.template)} if words.template else {})


def compare(
    file: Path,
    facts: Mapping[str, tuple[str, Value]],
    found: Sequence[Source],
    added: Sequence[tuple[str, np.ndarray]],
) -> None:
    """Raise StoppedError unless the file says what was to be written."""
    reader = library().GGUFReader(file)
    for key, (kind, value) in facts.items():
        field = reader.get_field(key)
        if field is None or not same(field.contents(), value, kind):
            raise otherwise(key, file)
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    if set(stored) != {one.name for one in found} | {name for name, _ in added}:
        raise otherwise("the list of its tensors", file)
    for name, array in added:
        if not np.array_equal(stored[name], array):
            raise otherwise(name, file)
    for one in found:
        if not torch.equal(read(stored[one.name], one), loaded(one)):
            raise otherwise(one.name, file)


def same(stored: object, value: Value, kind: str) -> bool:
    if kind == FLOATS:
        return stored == float(np.float32(value))  # type: ignore[arg-type]
    if isinstance(value, str | int | float):
        return stored == value
    return list(stored) == list(value)  # type: ignore[call-overload, no-any-return]


def otherwise(what: str, file: Path) -> StoppedError:
    fix = "nothing was put in place; try again, and look at the disk if it happens again"
    return StoppedError(f"{what} came back from the disk otherwise", where=str(file), fix=fix)
