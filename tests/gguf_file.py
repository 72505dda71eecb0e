"""A transformers Llama folder with a byte-level BPE as one GGUF file, the format that llama.cpp reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    TokenType,
    get_tensor_name_map,
)
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig

GENERATION_MARKS = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")  # transformers' own; other Jinjas refuse them


def write_gguf(model: Path, file: Path, *, context: int | None = None) -> Path:
    """Write the model in `model` to `file` in float32, and return `file`.

    `context` is the window that the file promises; None: the one that the model was made for, beyond which it raves.
    """
    config = LlamaConfig.from_pretrained(model)
    writer = GGUFWriter(file, MODEL_ARCH_NAMES[MODEL_ARCH.LLAMA])
    writer.add_name(model.name)
    writer.add_file_type(LlamaFileType.ALL_F32)
    add_shape(writer, config, context or config.max_position_embeddings)
    add_words(writer, model)
    add_weights(writer, model, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def add_shape(writer: GGUFWriter, config: LlamaConfig, context: int) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def add_words(writer: GGUFWriter, model: Path) -> None:
    """The vocabulary and merges; GPT-2's pre-tokeniser is one of those that llama.cpp knows by name."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    bpe = json.loads(tokenizer.backend_tokenizer.to_str())
    ids = {token: number for number, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))}
    special = {added["content"] for added in bpe["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(ids))
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in ids])
    writer.add_token_merges([" ".join(merge) for merge in bpe["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(GENERATION_MARKS.sub("", tokenizer.chat_template))


def add_weights(writer: GGUFWriter, model: Path, config: LlamaConfig) -> None:
    """Every tensor under llama.cpp's name for it; tied embeddings are one tensor in both formats."""
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in load_file(model / "model.safetensors").items():
        weights = tensor.float().numpy()
        rotated = next((count for part, count in heads.items() if part in name), None)
        found = names.get_name(name, try_suffixes=(".weight",))
        assert found is not None, name
        writer.add_tensor(found, paired(weights, rotated) if rotated else weights, raw_dtype=GGMLQuantizationType.F32)


def paired(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows reordered for rotary positions: transformers turns row i of a head with row i + half, llama.cpp with the
    next one."""
    rows, columns = weights.shape
    halves = weights.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
