"""Adapters on disk, in PEFT's layout: written whole or not at all, and never read when a byte is amiss."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from instructlab_like.errors import ModelError, StoppedError
from instructlab_like.records import Record
from instructlab_like.workspace import FORMAT

MANIFEST = "manifest.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


class FileFacts(Record):
    size: int
    sha256: str


class Manifest(Record):
    """What a checkpoint was made from, and every file of it."""

    format: int = FORMAT
    inputs: str  # digest of dataset, recipe and base up to this phase: the same inputs need no second training
    files: dict[str, FileFacts]


def write(
    folder: Path,
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    base: str,
    inputs: str,
    card: str,
) -> None:
    """Write adapter, tokenizer, model card and manifest beside `folder`, then rename into place.

    `base` is the model as the recipe names it; an absolute path is cut to its last part, for the adapter to mean the
    same on any machine. Raises StoppedError when the disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(f".{folder.name}.*"):  # of a run that was killed while it wrote
        shutil.rmtree(left_over)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        save_file(_weights(model), scratch / WEIGHTS, metadata={"format": "pt"})
        (scratch / CONFIG).write_text(_config(model, base), encoding="utf-8")
        tokenizer.save_pretrained(scratch)
        (scratch / "README.md").write_text(card, encoding="utf-8")
        manifest = Manifest(inputs=inputs, files={path.name: _facts(path) for path in sorted(scratch.iterdir())})
        (scratch / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _settle(scratch)
        _put_in_place(scratch, folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StoppedError(
            "the disk is full; no part of the checkpoint was kept",
            where=str(folder),
            fix="free some space and run the same command again: finished phases are not trained twice",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def verify(folder: Path) -> Manifest:
    """The manifest of a checkpoint whose every file is as it was written. Raises ModelError naming the first that is
    missing, cut short or changed."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise _torn(folder / MANIFEST, "is missing") from error
    except ValidationError as error:
        raise _torn(folder / MANIFEST, "cannot be read") from error
    for name, facts in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise _torn(path, "is missing")
        if path.stat().st_size != facts.size:
            raise _torn(path, f"has {path.stat().st_size} bytes, {facts.size} were written")
        if _facts(path).sha256 != facts.sha256:
            raise _torn(path, "has other content than was written")
    return manifest


def finished(folder: Path, inputs: str) -> bool:
    """Whether `folder` holds a whole checkpoint of just these inputs. Raises ModelError if it is torn."""
    return folder.exists() and verify(folder).inputs == inputs


def restore(folder: Path, model: PeftModel) -> None:
    """Set the adapter of `model` to a checkpoint's weights, bit by bit."""
    verify(folder)
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS))


def portable_name(base: str) -> str:
    """The base as it may stand in a file that travels: a hub name or relative path as given, else the last part."""
    place = Path(base).expanduser()
    return place.name if place.is_absolute() else base


def card(*, base: str, lines: Mapping[str, str]) -> str:
    """A short model card of facts; the front matter is what the hub reads."""
    name = portable_name(base)
    facts = "\n".join(f"| {key} | {value} |" for key, value in lines.items())
    return (
        f"---\nbase_model: {json.dumps(name)}\nlibrary_name: peft\npipeline_tag: text-generation\ntags: [lora]\n---\n\n"
        f"# A LoRA adapter for {name}\n\n| | |\n|---|---|\n{facts}\n\n"
        "Load it with `peft.PeftModel.from_pretrained(base, this_folder)`.\n"
    )


def _weights(model: PeftModel) -> dict[str, torch.Tensor]:
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: state[name].detach().cpu().contiguous() for name in sorted(state)}


def _config(model: PeftModel, base: str) -> str:
    """PEFT's own fields, with sets in order: PEFT writes them in hash order, which differs from run to run."""
    config = model.peft_config["default"].to_dict()
    config = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    config |= {"base_model_name_or_path": portable_name(base), "inference_mode": True}
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def _facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        return FileFacts(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _settle(folder: Path) -> None:
    """Bring files and folder to the disk before the rename names them."""
    for path in [*sorted(folder.iterdir()), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put_in_place(scratch: Path, folder: Path) -> None:
    """Rename; what stood there is set aside first. Stopped between the two, a reader finds nothing, never a part."""
    if not folder.exists():
        scratch.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    folder.rename(aside / folder.name)
    scratch.rename(folder)
    shutil.rmtree(aside)


def _torn(path: Path, what: str) -> ModelError:
    return ModelError(
        f"the checkpoint is torn: the file {what}",
        where=str(path),
        fix="delete the checkpoint's folder and train again",
    )
