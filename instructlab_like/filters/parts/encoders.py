"""Encoders of texts that a user names by folder: static ones in model2vec's layout, and sentence encoders."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from instructlab_like.errors import RecipeError
from instructlab_like.workspace import find

Vector = NDArray[np.float32]

WHERE = "filters.semantic.encoder"
LAYOUT = "name a folder with model.safetensors, tokenizer.json and, but for a static encoder, config.json"
STATIC = ("model.safetensors", "0_StaticEmbedding/model.safetensors")
TENSORS = ("embeddings", "embedding.weight")  # of a static encoder, as model2vec and sentence-transformers name it
DECISIVE = ("*.safetensors", "*.json", "*.txt", "*.model")  # files that decide a vector
HEADER = 1 << 26  # bytes
NEEDS = {
    "static_encoder": (("safetensors", "tokenizers"), "pip install 'instructlab-like[semantic]'"),
    "sentence_encoder": (("torch", "transformers"), "pip install 'instructlab-like[train]'"),
}


class Encoder(Protocol):
    def encode(self, text: str) -> Vector:
        """The text's vector, of length 1; of length 0 if the encoder knows nothing of it. Any other text has no say."""
        ...


def folder(name: str) -> Path:
    """The encoder's folder; a RecipeError where there is none."""
    if not name:
        raise RecipeError("no encoder is named", where=WHERE, fix=LAYOUT)
    found = find(name)
    if not found.is_dir():
        raise RecipeError(f"there is no folder {name}", where=WHERE, fix=LAYOUT)
    return found


def content(name: str) -> str:
    """The digest of the files that decide a vector: the same files elsewhere are the same encoder."""
    root = folder(name)
    paths = sorted({path for pattern in DECISIVE for depth in ("", "*/") for path in root.glob(depth + pattern)})
    stats = [(path, path.stat()) for path in paths if path.is_file()]
    return digested(root, tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@lru_cache(maxsize=8)
def digested(root: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    whole = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as file:
            name = path.relative_to(root).as_posix()
            whole.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=2)
def read(name: str) -> Encoder:
    """The encoder in the folder; a RecipeError says what is missing there, or is to be installed."""
    root = folder(name)
    for weights in (root / path for path in STATIC):
        if is_static(weights):
            static: Encoder = module("static_encoder").StaticEncoder(weights)
            return static
    if (root / "config.json").is_file():
        sentence: Encoder = module("sentence_encoder").SentenceEncoder(root)
        return sentence
    raise RecipeError("holds no encoder", where=str(root), fix=LAYOUT)


def is_static(weights: Path) -> bool:
    """Whether a safetensors file has a static encoder's tensor: its header is JSON, behind the header's length."""
    try:
        with weights.open("rb") as file:
            header = orjson.loads(file.read(min(int.from_bytes(file.read(8), "little"), HEADER)))
    except FileNotFoundError:
        return False
    except (OSError, orjson.JSONDecodeError) as error:
        raise unreadable(weights, error) from error
    return isinstance(header, dict) and any(name in header for name in TENSORS)


def module(name: str) -> ModuleType:
    """The module that reads such encoders, imported when there is one to read: its packages are an extra."""
    packages, install = NEEDS[name]
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise RecipeError(f"{' and '.join(missing)} not installed", where=WHERE, fix=install)
    return import_module(f"{__package__}.{name}")


def settings(path: Path) -> dict[str, object]:
    """A JSON object in a file; empty without the file."""
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise unreadable(path, error) from error
    return found if isinstance(found, dict) else {}


def unreadable(path: Path, error: Exception) -> RecipeError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RecipeError(f"cannot be read: {said}", where=str(path), fix="use the encoder's files as they were saved")


def unit(vector: NDArray[np.floating], where: Path) -> Vector:
    """The vector at length 1, or 0 if it has no direction."""
    whole = np.asarray(vector, dtype=np.float64)
    if not np.isfinite(whole).all():
        raise RecipeError("gives a vector that is not finite", where=str(where), fix="use another encoder")
    length = math.sqrt(math.fsum((whole * whole).tolist()))
    return (whole / length if length else whole).astype(np.float32)
