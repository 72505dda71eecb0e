"""Adapters on disk, in PEFT's layout: written whole or not at all, and never read when a byte is amiss."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from instructlab_like.errors import ModelError, StoppedError
from instructlab_like.records import Record, digest
from instructlab_like.workspace import FORMAT

MANIFEST = "manifest.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
HISTORY = "history.json"
CARD = "README.md"


class Reference(NamedTuple):
    """A base as a travelling file names it; `revision` is the hub's commit where it is known."""

    name: str
    revision: str | None

    @property
    def on_hub(self) -> bool:
        return not self.name.startswith(".")


class Adapter(NamedTuple):
    """An adapter as PEFT lays it out: its tensors on the CPU by PEFT's names, and the fields of its configuration."""

    tensors: dict[str, torch.Tensor]
    config: dict[str, object]

    @classmethod
    def of(cls, model: PeftModel) -> Adapter:
        return cls(weights(model), model.peft_config["default"].to_dict())


class FileFacts(Record):
    size: int
    sha256: str


class Manifest(Record):
    """What a checkpoint was made from, and every file of it."""

    format: int = FORMAT
    inputs: str  # digest of dataset, recipe and base up to this phase: the same inputs need no second training
    base: str = ""  # the weights it was trained on: models.weights_id
    files: dict[str, FileFacts]  # but the card, which may be edited, and is nothing that is loaded
    seal: str  # digest of all of this: a manifest, too, can be damaged

    @classmethod
    def of(cls, folder: Path, *, inputs: str, base: str) -> Manifest:
        files = {path.name: _facts(path) for path in sorted(folder.iterdir()) if path.name != CARD}
        unsealed = cls(inputs=inputs, base=base, files=files, seal="")
        return unsealed.model_copy(update={"seal": unsealed.sum()})

    def sum(self) -> str:
        return digest(self.model_dump(mode="json", exclude={"seal"}))


@contextmanager
def writing(folder: Path, *, inputs: str, base: str) -> Iterator[Path]:
    """A scratch folder to put files into, which becomes `folder`, with a manifest of them: whole or not at all.

    Raises StoppedError when the disk is full; what stood in `folder` before is then still there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear(folder.parent, f".{folder.name}.*")
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield scratch
        manifest = Manifest.of(scratch, inputs=inputs, base=base)
        (scratch / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _settle(scratch)
        _put_in_place(scratch, folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        if not _no_room(error):
            raise
        raise StoppedError(
            "the disk is full; no part of the checkpoint was kept",
            where=str(folder),
            fix="free some space and run the same command again: it goes on from the last whole checkpoint",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def clear(folder: Path, pattern: str) -> None:
    """Remove the folders that a run which was killed left half written or half removed."""
    for left_over in folder.glob(pattern):
        shutil.rmtree(left_over)


def remove(folder: Path) -> None:
    """Remove a checkpoint; killed meanwhile, no part of it stands under its name."""
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    folder.rename(aside / folder.name)
    shutil.rmtree(aside)


def write(
    folder: Path,
    adapter: Adapter,
    tokenizer: PreTrainedTokenizerBase,
    *,
    base: Reference,
    weights_id: str,
    inputs: str,
    card: str,
    history: bytes = b"",
) -> None:
    """Write adapter, tokenizer, model card and `history` (how it came about, JSON) into place as one checkpoint.

    `base` names the model, and `weights_id` its weights. Raises StoppedError when the disk is full.
    """
    with writing(folder, inputs=inputs, base=weights_id) as scratch:
        write_adapter(scratch, adapter, base)
        tokenizer.save_pretrained(scratch)
        (scratch / CARD).write_text(card, encoding="utf-8")
        if history:
            (scratch / HISTORY).write_bytes(history)


def write_adapter(folder: Path, adapter: Adapter, base: Reference) -> None:
    """The two files of PEFT's layout."""
    save_file(adapter.tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(_config(adapter, base), encoding="utf-8")


def weights(model: PeftModel) -> dict[str, torch.Tensor]:
    """The adapter's tensors on the CPU, by PEFT's names."""
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: state[name].detach().cpu().contiguous() for name in sorted(state)}


def verify(folder: Path) -> Manifest:
    """The manifest of a checkpoint whose every file is as it was written. Raises ModelError naming the first that is
    missing, cut short or changed."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise _torn(folder / MANIFEST, "is missing") from error
    except ValidationError as error:
        raise _torn(folder / MANIFEST, "cannot be read") from error
    if manifest.sum() != manifest.seal:
        raise _torn(folder / MANIFEST, "has other content than was written")
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


def _config(adapter: Adapter, base: Reference) -> str:
    """PEFT's own fields, with sets in order: PEFT writes them in hash order, which differs from run to run."""
    config = {name: sorted(value) if isinstance(value, set) else value for name, value in adapter.config.items()}
    config |= {"base_model_name_or_path": base.name, "revision": base.revision, "inference_mode": True}
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def _facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        return FileFacts(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _settle(folder: Path) -> None:
    """Bring files and folder to the disk before the rename names them."""
    for path in sorted(folder.iterdir()):
        path.chmod(0o644)
        _sync(path)
    folder.chmod(0o755)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_room(error: Exception) -> bool:
    """safetensors tells of a full disk in words alone."""
    return getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)


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
