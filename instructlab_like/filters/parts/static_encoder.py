"""A vector a token, and of a text their mean: encoders in the layouts of model2vec and of sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.encoders import TENSORS, Vector, settings, unit, unreadable

LONGEST = 512  # tokens of a text that are looked at where the encoder says nothing of it, as in model2vec


class StaticEncoder:
    """Unknown tokens are left out. Optional: `weights`, a factor for each token; `mapping`, the place of its vector."""

    def __init__(self, weights: Path) -> None:
        self.path = weights
        tensors = read_tensors(weights)
        self.vectors = next(tensors[name] for name in TENSORS if name in tensors)
        self.weights, self.mapping = tensors.get("weights"), tensors.get("mapping")
        self.tokenizer, self.unknown = read_tokenizer(weights.parent / "tokenizer.json")
        longest = settings(weights.parent / "config.json").get("max_length", LONGEST)
        if isinstance(longest, int):
            self.tokenizer.enable_truncation(longest)
        self.check()

    def check(self) -> None:
        """Every token has a vector."""
        count = self.tokenizer.get_vocab_size()
        rows = count if self.mapping is None else int(self.mapping.max(initial=-1)) + 1
        short = [each for each in (self.weights, self.mapping) if each is not None and len(each) < count]
        if self.vectors.ndim != 2 or len(self.vectors) < rows or short:
            what = f"{count} tokens and vectors of shape {self.vectors.shape} do not belong together"
            raise RecipeError(what, where=str(self.path), fix="use the encoder's files as they were saved")

    def encode(self, text: str) -> Vector:
        ids = self.tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids
        known = np.array([id for id in ids if id != self.unknown], dtype=np.int64)
        if not len(known):
            return np.zeros(self.vectors.shape[1], dtype=np.float32)
        found = self.vectors[known if self.mapping is None else self.mapping[known]].astype(np.float32)
        if self.weights is not None:
            found = found * self.weights[known].astype(np.float32)[:, None]
        return unit(found.mean(axis=0), self.path)


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with safe_open(path, framework="numpy") as file:
            found = set(file.keys()) & {*TENSORS, "weights", "mapping"}
            return {name: file.get_tensor(name) for name in sorted(found)}
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: a type that numpy lacks
        raise unreadable(path, error) from error


def read_tokenizer(path: Path) -> tuple[Tokenizer, int | None]:
    """The tokenizer, which neither pads nor cuts off, and the number of its unknown token."""
    try:
        data = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(data)
        model = orjson.loads(data)["model"]
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    named = model.get("unk_token")
    return tokenizer, model.get("unk_id") if named is None else tokenizer.token_to_id(named)
