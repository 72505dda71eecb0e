"""A transformers model that reads a text, and the mean of its tokens' vectors, or the first: sentence encoders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import orjson
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.encoders import Vector, settings, unit, unreadable

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODES = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}
KNOWN = ("Transformer", "Pooling", "Normalize")  # of modules.json
OTHERWISE = "use a sentence encoder that pools by the mean or the first token, or a static encoder"
UNLIMITED = 1 << 40  # what a tokenizer says that knows no limit is larger
LONGEST = 512  # tokens of a text that are looked at where the encoder says nothing of it


class SentenceEncoder:
    """One text at a time, on one thread of the CPU: neither other texts nor the number of cores change its vector."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pooling = pooling(root)
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                root, trust_remote_code=False, local_files_only=True
            )
            self.model: PreTrainedModel = AutoModel.from_pretrained(
                root, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise unreadable(root, error) from error
        cast(torch.nn.Module, self.model).eval()
        self.longest = longest(root, self.tokenizer, self.model)

    def encode(self, text: str) -> Vector:
        """Of the whole text, or of its first tokens if the model takes no more."""
        shown = self.tokenizer(
            text.encode("utf-8", "replace").decode(), truncation=True, max_length=self.longest, return_tensors="pt"
        )
        if not shown["input_ids"].shape[1]:
            return unit(torch.zeros(self.model.config.hidden_size).numpy(), self.root)
        with one_thread(), torch.inference_mode():
            states = self.model(**shown).last_hidden_state[0]
        return unit((states[0] if self.pooling == "cls" else states.mean(dim=0)).numpy(), self.root)


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pooling(root: Path) -> str:
    """How the encoder makes one vector of many, by sentence-transformers' files; the mean where there are none."""
    other = [kind for kind in modules(root / "modules.json") if kind not in KNOWN]
    if other:
        raise RecipeError(f"has a module {other[0]}, which is not applied here", where=str(root), fix=OTHERWISE)
    path = root / "1_Pooling" / "config.json"
    told = settings(path)
    modes = sorted(key for key, on in told.items() if key.startswith("pooling_mode_") and on is True)
    if named := told.get("pooling_mode"):
        modes = [MODES.get(str(named), str(named))]
    found = next((mode for mode, key in MODES.items() if modes == [key]), None)
    if modes and not found:
        raise RecipeError(f"pools by {' and '.join(modes)}", where=str(path), fix=OTHERWISE)
    return found or "mean"


def modules(path: Path) -> list[str]:
    """The kinds of modules that sentence-transformers would apply one after the other."""
    try:
        listed = orjson.loads(path.read_bytes())
        return [str(module["type"]).rpartition(".")[2] for module in listed]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise unreadable(path, error) from error


def longest(root: Path, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """How many tokens of a text the model takes."""
    told = (
        settings(root / "sentence_bert_config.json").get("max_seq_length"),
        tokenizer.model_max_length,
        getattr(model.config, "max_position_embeddings", None),
    )
    return min((limit for limit in told if isinstance(limit, int) and limit < UNLIMITED), default=LONGEST)
