"""Whether a model can be written as GGUF, and as what: known before any of its weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jinja2
from transformers import AutoTokenizer, GenerationConfig, PreTrainedConfig, PreTrainedTokenizerBase

from instructlab_like.tuning import serving
from instructlab_like.tuning.gguf.file import Plan
from instructlab_like.tuning.gguf.shape import configuration, shape_of
from instructlab_like.tuning.gguf.tensors import Kind, own_kind, sources
from instructlab_like.tuning.gguf.words import words_of
from instructlab_like.tuning.hub import WHAT_A_MODEL_IS
from instructlab_like.tuning.models import translated


def plan(model: Path, *, name: str, kind: Kind | None, tokenizer: Path | None = None) -> Plan:
    """The model in the folder `model` as a file; `kind` None: the type of its own weights.

    `tokenizer` is the folder of another than its own. Raises ForeignModelError, with the reason, for a model that
    llama.cpp would not read as it is here.
    """
    config = configuration(model)
    shape = shape_of(config, str(model))
    kind = kind or own_kind(model)
    sources(model, shape, kind)
    found = load_tokenizer(tokenizer or model)
    words = words_of(found, size=shape.words, stops=stops_of(model, config), where=str(tokenizer or model))
    bos = words.tokens[words.bos] if words.add_bos and words.bos is not None else ""
    around = serving.around_of(renderer(found), bos=bos) if words.template else None
    return Plan(name, shape, words, kind, around)


def renderer(tokenizer: PreTrainedTokenizerBase) -> serving.Render:
    def render(turns: serving.Turns, answering: bool) -> str:
        try:
            made = tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=answering)
        except jinja2.TemplateError as error:
            raise ValueError(str(error)) from error  # the template refuses such a conversation
        return str(made)

    return render


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    with translated(str(folder), fix=WHAT_A_MODEL_IS):
        found = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    return cast("PreTrainedTokenizerBase", found)


def stops_of(model: Path, config: PreTrainedConfig) -> list[int]:
    """The tokens at which `generate` ends an answer."""
    told = getattr(config, "eos_token_id", None)
    if (model / "generation_config.json").is_file():
        with translated(str(model), fix=WHAT_A_MODEL_IS):
            told = GenerationConfig.from_pretrained(str(model)).eos_token_id or told
    return [told] if isinstance(told, int) else list(told or ())
