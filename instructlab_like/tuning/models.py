"""Base models, tokenizers and adapters from disk or the hub. Safetensors only, and never a model's own code."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import cast

import torch
import transformers
from huggingface_hub import snapshot_download
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as PEFT_TYPES
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from instructlab_like.errors import ModelError
from instructlab_like.records import digest
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.hub import HUB_NAME, WHAT_A_MODEL_IS
from instructlab_like.workspace import find

MODEL_FILES = ["*.json", "*.jinja", "*.txt", "tokenizer*", "model*.safetensors"]  # no code, no pickle
PICKLED = "adapter_model.bin"
COPY = ".base_layer.weight"  # PEFT's copy of an embedding that has an adapter
WEIGHTS_ID = "weights:"
CACHED = re.compile(r"models--(.+)")  # the hub's cache names a model's folder so
CHANGES_BASE = ("pissa", "olora", "loftq", "corda", "lora_ga")  # PEFT starts these by rewriting the base's weights

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


def load_base(
    name: str, dtype: torch.dtype, *, quantized_on: torch.device | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model, in evaluation mode on the CPU, and its tokenizer; or its linear layers in 4 bits, on a device.

    Raises ModelError.
    """
    source = str(model_folder(name) or fetch(name))
    with translated(name, fix=WHAT_A_MODEL_IS):
        loaded = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            **(in_four_bits(dtype, quantized_on) if quantized_on else {}),
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


def in_four_bits(dtype: torch.dtype, device: torch.device) -> dict[str, object]:
    """NormalFloat with constants that are quantised, too, computed in `dtype`: QLoRA's form (arXiv:2305.14314)."""
    told = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": told, "device_map": {"": device}}


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


def weight_files(folder: Path) -> list[Path]:
    """The files of a model's weights; another form of them beside these (consolidated.safetensors) does not count."""
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))


def weights_id(model: PreTrainedModel) -> str:
    """What identifies the weights that `model` was loaded from, however they are cut into files or where they lie.

    A digest over each tensor's name, type, shape and bytes; empty for a model that was not loaded from a folder.
    """
    files = weight_files(Path(str(model.name_or_path))) if str(model.name_or_path) else []
    return _weights_id(tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=8)
def _weights_id(files: tuple[tuple[str, int, int], ...]) -> str:
    """Of files by path, size and time of change: several adapters of one base read its weights once."""
    parts: dict[str, list[object]] = {}
    for path, _, _ in files:
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                tensor: torch.Tensor = weights.get_tensor(name).contiguous()
                data = hashlib.sha256(tensor.reshape(-1).view(torch.uint8).numpy().data)
                parts[name] = [str(tensor.dtype), list(tensor.shape), data.hexdigest()]
    return f"{WEIGHTS_ID}{digest(parts)}" if parts else ""


def reference(name: str, model: PreTrainedModel) -> Reference:
    """How a file that travels names the base: by the hub's name and commit where they are known, else by a path.

    A path begins with `.`, which no name on the hub does, so it is never looked for there; of an absolute one only
    the last part is named.
    """
    place = Path(str(model.name_or_path))
    cached = CACHED.fullmatch(place.parent.parent.name)
    if place.parent.name == "snapshots" and cached:
        return Reference(cached[1].replace("--", "/", 1), place.name)
    if model_folder(name) is None:
        return Reference(name, None)
    told = Path(name).expanduser()
    inside = told.name if told.is_absolute() or ".." in told.parts else told.as_posix()
    return Reference(f"./{inside}", None)


def load_adapter(model: PreTrainedModel | PeftModel, path: Path, name: str) -> PeftModel:
    """Put the adapter in `path` on `model` under `name` and make it the active one, in evaluation mode.

    Adapters written here are checked against their manifest and the weights they were trained on; others need only
    PEFT's layout. Raises ModelError.
    """
    config = adapter_config(path)
    base = cast("PreTrainedModel", model.get_base_model()) if isinstance(model, PeftModel) else model
    if (path / checkpoint.MANIFEST).is_file():
        _refuse_other_base(path, checkpoint.verify(path).base, base, config)
    with translated(str(path), fix=WHAT_A_MODEL_IS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of keys that do not match; below they are an error
        given = _shapes_without_copies(path, base)
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
            f"the adapter does not fit this model; it was trained on {config.base_model_name_or_path}",
            where=str(path),
            fix="use it with the base that it was trained on",
        )
    adapted.set_adapter(name)
    return adapted.eval()


def adapter_config(path: Path) -> PeftConfig:
    """The configuration of the adapter in `path`, in PEFT's terms.

    Raises ModelError for a folder that holds no adapter in safetensors, and for one that asks for code of its own or
    changes the base's own weights as it is loaded.
    """
    if not path.is_dir():
        raise ModelError("there is no such adapter folder", where=str(path), fix="train first, or correct the path")
    for file in (checkpoint.CONFIG, checkpoint.WEIGHTS):
        if (path / file).is_file():
            continue
        if file == checkpoint.WEIGHTS and (path / PICKLED).is_file():
            raise ModelError(
                f"its weights are pickled ({PICKLED}): reading them may run code",
                where=str(path),
                fix="have it saved anew by PEFT's save_pretrained, which writes safetensors",
            )
        raise ModelError(
            f"is no adapter: {file} is missing",
            where=str(path),
            fix="give a folder in PEFT's layout, in safetensors",
        )
    where = str(path / checkpoint.CONFIG)
    try:
        told = json.loads((path / checkpoint.CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError("is not JSON", where=where, fix="copy the adapter again") from error
    if not isinstance(told, dict):
        raise ModelError("is not a JSON object", where=where, fix="copy the adapter again")
    for refused in _refusals(told):
        raise ModelError(refused, where=where, fix="use an adapter without it")
    with translated(where, fix="copy the adapter again, or upgrade peft"):
        return cast("PeftConfig", PeftConfig.from_pretrained(str(path)))


def _refusals(told: Mapping[str, object]) -> Iterator[str]:
    """What an adapter's configuration asks for that is not done here."""
    if str(told.get("peft_type")) not in PEFT_TYPES:
        yield f"names a kind of adapter that PEFT does not know: {told.get('peft_type')!r}"
    for field in ("auto_map", "trust_remote_code"):
        if told.get(field):
            yield f"asks for code of its own ({field})"
    mapping = told.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
    if mapping and not re.fullmatch(r"transformers(\.\w+)*", str(library)):
        yield f"asks for a model class of {library!r} (auto_mapping)"
    if told.get("megatron_config"):
        yield f"asks for the module {told.get('megatron_core')!r} (megatron_config)"
    start = told.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGES_BASE):
        yield f"changes the base's own weights as it is loaded (init_lora_weights: {start})"


def _refuse_other_base(path: Path, recorded: str, base: PreTrainedModel, config: PeftConfig) -> None:
    own = weights_id(base) if recorded.startswith(WEIGHTS_ID) else ""
    if own and own != recorded:
        raise ModelError(
            f"the adapter was trained on other weights than {base.name_or_path} has, though of the same shapes; "
            f"it names {config.base_model_name_or_path} as its base",
            where=str(path),
            fix="use it with the base that it was trained on",
        )


def _shapes_without_copies(path: Path, base: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """The shapes of the adapter's tensors, without the copies of the base's embeddings that PEFT adds by itself.

    Raises ModelError where such a copy differs from the base: loaded, it would change the base.
    """
    own = {name.replace(".base_layer.", "."): tensor for name, tensor in base.state_dict().items()}
    given: dict[str, tuple[int, ...]] = {}
    with safe_open(path / checkpoint.WEIGHTS, framework="pt") as weights:
        for key in weights.keys():  # noqa: SIM118
            if not key.endswith(COPY):
                given[key] = tuple(weights.get_slice(key).get_shape())
                continue
            mine = own.get(key.removeprefix("base_model.model.").removesuffix(COPY) + ".weight")
            copy = weights.get_tensor(key)
            if mine is None or mine.shape != copy.shape or not torch.equal(mine, copy.to(mine)):
                raise ModelError(
                    f"brings embeddings of its own ({key}), other than the base's",
                    where=str(path),
                    fix="use it with the base that it was trained on",
                )
    return given


@contextmanager
def translated(name: str, *, what: str = "cannot be loaded", fix: str) -> Iterator[None]:
    """What the hub, transformers, PEFT and safetensors raise over a model they cannot load, as a ModelError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, SafetensorError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(f"{what}: {lines[0] if lines else type(error).__name__}", where=name, fix=fix) from error
