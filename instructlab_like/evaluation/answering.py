"""Items to answers: one loaded base, every adapter put on it in turn, greedy decoding in batches."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jinja2
import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from instructlab_like.errors import InputError, ModelError, StoppedError
from instructlab_like.evaluation.cache import Cache
from instructlab_like.evaluation.score import score
from instructlab_like.evaluation.summary import BASE
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item, digest, with_context
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.models import base_id, load_adapter, load_base
from instructlab_like.workspace import cores

Ids = tuple[int, ...]


class Limits(NamedTuple):
    """What ends an answer: its length or a stop token; `window` is the model's context, None where it has no end."""

    new_tokens: int
    stops: Ids
    window: int | None

    def fit(self, ids: Ids) -> bool:
        """Whether a prompt and its answer fit the window."""
        return self.window is None or len(ids) + self.new_tokens <= self.window

    def excess(self, ids: Ids) -> str:
        """Why a prompt that does not fit is not asked."""
        return f"{len(ids)} tokens of question and {self.new_tokens} of answer do not fit a window of {self.window}"


def answer(
    model: str,
    adapters: Sequence[tuple[str, Path]],
    items: Sequence[Item],
    recipe: EvaluateRecipe,
    *,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None],
) -> list[Answer]:
    """Let the base and each named adapter answer every item: the base's answers first, all in the items' order.

    `cache` is an SQLite file of earlier texts; only what is not in it is generated. An item whose prompt and answer do
    not fit the context window is not asked: its text is empty, its score 0, and `unanswered` says why. `on_progress`
    hears (answered, all) of the different prompts, over all models.

    Raises ModelError for a model or adapter that cannot be used, StoppedError when memory or disk runs out.
    """
    loaded = load(model, adapters, recipe)
    prompts = render(loaded.tokenizer, items, where=model)
    asked = sorted({ids for ids in prompts if loaded.limits.fit(ids)}, key=lambda ids: (len(ids), ids))
    answers: list[Answer] = []
    with Cache(cache) as kept:
        for number, (name, _) in enumerate([(BASE, None), *adapters]):

            def heard(done: int, before: int = number * len(asked)) -> None:
                on_progress(before + done, len(asked) * (len(adapters) + 1))

            said = loaded.say(number, asked, kept, batch=recipe.batch, on_progress=heard)
            answers += [
                _answer(item, name, said[ids].text)
                if ids in said
                else _unanswered(item, name, loaded.limits.excess(ids))
                for item, ids in zip(items, prompts, strict=True)
            ]
    return answers


class Said(NamedTuple):
    """What a model says to a prompt. Of a text from the cache the tokens are counted again and no time is known."""

    text: str
    tokens: int
    seconds: float | None = None  # for all prompts of its batch
    together: int = 1  # how many these were

    @property
    def share(self) -> float | None:
        """Its part of the batch's seconds."""
        return None if self.seconds is None else round(self.seconds / self.together, 4)


@dataclass(frozen=True)
class Loaded:
    """A base and its adapters, ready to be asked in turn: number 0 is the base, the adapters count from 1."""

    speaker: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    limits: Limits
    identities: tuple[tuple[object, ...], ...]  # of each number: all but the prompt that decides a text

    def say(
        self, number: int, prompts: Sequence[Ids], kept: Cache, *, batch: int, on_progress: Callable[[int], None]
    ) -> dict[Ids, Said]:
        """What model `number` says to each prompt: from the cache, or generated in batches and put there.

        `on_progress` hears how many of the prompts are answered.
        """
        keys = {ids: digest([*self.identities[number], ids]) for ids in prompts}
        known = kept.get(keys.values())
        missing = [ids for ids in prompts if keys[ids] not in known]
        said = {ids: Said(known[key], self._count(known[key])) for ids, key in keys.items() if key in known}
        on_progress(len(prompts) - len(missing))
        with _wearing(self.speaker, number):
            for start in range(0, len(missing), batch):
                asked = missing[start : start + batch]
                began = time.perf_counter()
                written = generate(self.speaker, asked, self.limits)
                took = time.perf_counter() - began
                texts = [text.strip() for text in self.tokenizer.batch_decode(written, skip_special_tokens=True)]
                kept.put({keys[ids]: text for ids, text in zip(asked, texts, strict=True)})
                for ids, text, made in zip(asked, texts, written, strict=True):
                    said[ids] = Said(text, len(made), took, len(asked))
                on_progress(len(prompts) - len(missing) + start + len(asked))
        return said

    def _count(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def load(model: str, adapters: Sequence[tuple[str, Path]], recipe: EvaluateRecipe) -> Loaded:
    """Load the base and put every adapter on it. float32 on a CPU, bfloat16 on a GPU.

    Raises InputError for names that are not different, ModelError for a model or adapter that cannot be used.
    """
    if len({BASE, *(name for name, _ in adapters)}) <= len(adapters):
        names = ", ".join(name for name, _ in adapters)
        what = f"checkpoints need different names, none of them {BASE!r}: {names}"
        raise InputError(what, where="checkpoints", fix="name each folder once, or copy one to another name")
    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(recipe.threads or cores())
    base, tokenizer = load_base(model, torch.bfloat16 if gpu else torch.float32)
    limits = Limits(recipe.max_new_tokens, _stops(base, tokenizer), _window(base))
    if gpu:
        base.to(torch.device("cuda"))  # type: ignore[arg-type]
    speaker = _dress(base, adapters)
    whose = (base_id(model, base), str(base.dtype), limits.new_tokens, limits.stops)
    identities = tuple((*whose, _adapter_id(path)) for path in (None, *(path for _, path in adapters)))
    return Loaded(speaker, tokenizer, limits, identities)


def render(tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], *, where: str) -> list[Ids]:
    """The token ids of each item as the chat template asks it, up to where the answer begins."""
    try:
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": with_context(item.question, item.context)}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for item in items
        ]
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        fix = "the model needs a chat template that accepts a single user message"
        raise ModelError(f"cannot be asked: {error}", where=where, fix=fix) from error
    # The template writes the first token itself where the model wants one, so none is added here.
    return [tuple(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


@torch.inference_mode()
def generate(speaker: PreTrainedModel | PeftModel, prompts: Sequence[Ids], limits: Limits) -> list[list[int]]:
    """The most likely next tokens after each prompt, without the stop token. Prompts are padded on the left."""
    width, pad = max(map(len, prompts)), limits.stops[0]
    rows = [[pad] * (width - len(ids)) + list(ids) for ids in prompts]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
    greedy = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=limits.new_tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=list(limits.stops),
        pad_token_id=pad,
    )
    try:
        written = speaker.generate(  # type: ignore[operator]
            input_ids=torch.tensor(rows, device=speaker.device),
            attention_mask=torch.tensor(mask, device=speaker.device),
            generation_config=greedy,
        )
    except torch.OutOfMemoryError as error:
        fix = "lower `batch` in the evaluation recipe and run the same command again; answers so far are kept"
        raise StoppedError(f"no memory left for {len(prompts)} prompts of up to {width} tokens", fix=fix) from error
    return [_until(row[width:].tolist(), limits.stops) for row in written]


def _until(ids: list[int], stops: Ids) -> list[int]:
    ends = [position for position, token in enumerate(ids) if token in stops]
    return ids[: ends[0]] if ends else ids


def _dress(base: PreTrainedModel, adapters: Sequence[tuple[str, Path]]) -> PreTrainedModel | PeftModel:
    """Load every adapter before anything is asked, so that a wrong path is told at once."""
    # What the model's own folder says of sampling and penalties must not leak into a comparison.
    base.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    speaker: PreTrainedModel | PeftModel = base
    for number, (_, path) in enumerate(adapters, start=1):
        speaker = load_adapter(speaker, path, f"checkpoint{number}")
    return speaker


def _wearing(speaker: PreTrainedModel | PeftModel, number: int) -> AbstractContextManager[None]:
    """The model as checkpoint `number`, or as the base for 0, while the context lasts."""
    if not isinstance(speaker, PeftModel):
        return nullcontext()
    if number == 0:
        return speaker.disable_adapter()
    speaker.set_adapter(f"checkpoint{number}")
    return nullcontext()


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Ids:
    """The tokenizer's end token and those that the model's folder names; ModelError when there is none."""
    named = model.generation_config.eos_token_id if model.generation_config else None
    found = [tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])]
    stops = tuple(dict.fromkeys(token for token in found if token is not None))
    if not stops:
        fix = "name an eos_token in its tokenizer_config.json"
        raise ModelError("nothing tells where an answer ends", where=str(model.name_or_path), fix=fix)
    return stops


def _window(model: PreTrainedModel) -> int | None:
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _adapter_id(path: Path | None) -> str | None:
    if path is None:
        return None
    hasher = hashlib.sha256()
    for name in (checkpoint.CONFIG, checkpoint.WEIGHTS):
        with (path / name).open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()


def _answer(item: Item, name: str, text: str) -> Answer:
    return Answer(item=item.id, model=name, text=text, score=score(item, text))


def _unanswered(item: Item, name: str, why: str) -> Answer:
    return Answer(item=item.id, model=name, text="", score=0.0, unanswered=why)
