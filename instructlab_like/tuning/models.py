"""Base models, tokenizers and adapters from disk or the hub. Safetensors only, and never a model's own code."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
import transformers
from huggingface_hub import snapshot_download
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from instructlab_like.errors import ModelError
from instructlab_like.records import digest
from instructlab_like.tuning import checkpoint
from instructlab_like.workspace import find

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
MODEL_FILES = ["*.json", "*.jinja", "*.txt", "tokenizer*", "model*.safetensors"]  # no code, no pickle
WHAT_A_MODEL_IS = (
    "give a folder with config.json, tokenizer.json and *.safetensors, or a hub name such as "
    "ibm-granite/granite-3.3-2b-instruct"
)

# A bar would tear the lines that a stage prints.
transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def model_folder(name: str) -> Path | None:
    """The folder that `name` means; None when it can only be a name on the hub. Raises ModelError if it is neither."""
    place = find(name)
    if place.is_dir():
        if not (place / "config.json").is_file():
            adapter = (place / checkpoint.CONFIG).is_file()
            what = "is an adapter, not a base model" if adapter else "the folder holds no model: config.json is missing"
            raise ModelError(what, where=str(place), fix=WHAT_A_MODEL_IS)
        return place
    if place.exists() or place.suffix == ".gguf":
        raise ModelError("is a file, not a model's folder", where=name, fix=WHAT_A_MODEL_IS)
    if HUB_NAME.fullmatch(name):
        return None
    raise ModelError("there is no such model folder", where=name, fix=WHAT_A_MODEL_IS)


def fetch(name: str) -> Path:
    """The folder that holds a hub model's files, downloaded if need be; where the hub cannot be reached, the cache
    serves. Raises ModelError."""
    fix = "check the name; offline, fetch it once with `hf download NAME`; for a gated one `hf auth login` first"
    with translated(name, what="is neither a folder here nor a model that the hub gives", fix=fix):
        return Path(snapshot_download(name, allow_patterns=MODEL_FILES))


def load_base(name: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model, in evaluation mode on the CPU, and its tokenizer. Raises ModelError."""
    source = str(model_folder(name) or fetch(name))
    with translated(name, fix=WHAT_A_MODEL_IS):
        loaded = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    model, report = cast("tuple[PreTrainedModel, dict[str, set[str]]]", loaded)
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"the weights lack {len(missing)} tensors, {missing[0]} first",
            where=source,
            fix="download or copy the model again, all of its *.safetensors files",
        )
    model.train(False)
    return model, tokenizer


def base_id(name: str, model: PreTrainedModel) -> str:
    """What identifies the weights: the hub's commit, or a digest of the folder's configuration, words and weights."""
    folder = model_folder(name)
    if folder is None:
        return f"{name}@{Path(str(model.name_or_path)).name}"  # the cache names a snapshot's folder by its commit
    parts = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in {"config.json", "tokenizer.json", "chat_template.jinja"}:
            with path.open("rb") as file:
                parts[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return f"sha256:{digest(parts)}"


def load_adapter(model: PreTrainedModel | PeftModel, path: Path, name: str) -> PeftModel:
    """Put the adapter in `path` on `model` under `name` and make it the active one, in evaluation mode.

    Adapters written here are checked against their manifest first; others need only PEFT's layout. Raises ModelError.
    """
    if not path.is_dir():
        raise ModelError("there is no such adapter folder", where=str(path), fix="train first, or correct the path")
    for file in (checkpoint.CONFIG, checkpoint.WEIGHTS):
        if not (path / file).is_file():
            raise ModelError(
                f"is no adapter: {file} is missing",
                where=str(path),
                fix="give a folder in PEFT's layout, in safetensors",
            )
    if (path / checkpoint.MANIFEST).is_file():
        checkpoint.verify(path)
    with translated(str(path), fix=WHAT_A_MODEL_IS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of keys that do not match; below they are an error
        with safe_open(path / checkpoint.WEIGHTS, framework="pt") as weights:
            given = {key: tuple(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118
        trained_on = PeftConfig.from_pretrained(str(path)).base_model_name_or_path
        try:
            if isinstance(model, PeftModel):
                model.load_adapter(str(path), adapter_name=name)
                adapted = model
            else:
                adapted = PeftModel.from_pretrained(model, str(path), adapter_name=name)
            expected = get_peft_model_state_dict(adapted, adapter_name=name, save_embedding_layers=False)
            fits = given == {key: tuple(tensor.shape) for key, tensor in expected.items()}
        except (RuntimeError, ValueError):  # sizes that differ, targets that are not there
            fits = False
    if not fits:
        raise ModelError(
            f"the adapter does not fit this model; it was trained on {trained_on}",
            where=str(path),
            fix="use it with the base that it was trained on",
        )
    adapted.set_adapter(name)
    return adapted.eval()


@contextmanager
def translated(name: str, *, what: str = "cannot be loaded", fix: str) -> Iterator[None]:
    """What the hub, transformers, PEFT and safetensors raise over a model they cannot load, as a ModelError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, SafetensorError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(f"{what}: {lines[0] if lines else type(error).__name__}", where=name, fix=fix) from error
