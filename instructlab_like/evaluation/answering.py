"""Items to answers: one loaded base, every adapter put on it in turn; greedy texts, and choices by likelihood."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
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
from instructlab_like.evaluation.endpoint import NOTHING_YET
from instructlab_like.evaluation.grading import NO_JUDGE
from instructlab_like.evaluation.likelihood import (
    LIKELIHOOD,
    Continuation,
    Ids,
    Weighed,
    bare,
    encode,
    weigh,
    weigh_all,
)
from instructlab_like.evaluation.score import score
from instructlab_like.evaluation.summary import BASE
from instructlab_like.generation.parse import without_thoughts
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item, digest, with_context
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.models import base_id, load_adapter, load_base
from instructlab_like.workspace import cores


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

    Choices and perplexities are answered by likelihood, the others by a text. `cache` is an SQLite file of earlier
    answers; only what is not in it is asked. A question whose prompt and answer do not fit the context window is not
    asked: its text is empty, its score 0, and `unanswered` says why. What cannot be weighed has no score, and
    `unscored` says why. `on_progress` hears (answered, all) of the different questions, over all models.

    Raises ModelError for a model or adapter that cannot be used, StoppedError when memory or disk runs out.
    """
    loaded = load(model, adapters, recipe)
    spoken = [item for item in items if item.metric not in LIKELIHOOD]
    prompts = render(loaded.tokenizer, spoken, where=model)
    asked = sorted({ids for ids in prompts if loaded.limits.fit(ids)}, key=lambda ids: (len(ids), ids))
    weighed = loaded.weighed([item for item in items if item.metric in LIKELIHOOD], where=model)
    each = len(asked) + len(weighed)
    answers: list[Answer] = []
    with Cache(cache) as kept:
        for number, (name, _) in enumerate([(BASE, None), *adapters]):

            def heard(done: int, before: int = number * each) -> None:
                on_progress(before + done, each * (len(adapters) + 1))

            def heard_after(done: int, before: int = number * each + len(asked)) -> None:
                on_progress(before + done, each * (len(adapters) + 1))

            said = loaded.say(number, asked, kept, batch=recipe.batch, on_progress=heard)
            texts = (_answer(item, name, said, ids, loaded.limits) for item, ids in zip(spoken, prompts, strict=True))
            nats = loaded.nats(number, weighed, kept, batch=recipe.batch, on_progress=heard_after)
            likely = (one.answer(name, [nats[part] for part in one.continuations]) for one in weighed)
            answers += [next(likely if item.metric in LIKELIHOOD else texts) for item in items]
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
    weights: tuple[tuple[object, ...], ...]  # of each number: all but the tokens that decides a likelihood

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

    def weighed(self, items: Sequence[Item], *, where: str) -> list[Weighed]:
        """What has to be known of items that are answered by likelihood. Raises ModelError without a chat template."""
        wrapped = iter(wrap(self.tokenizer, [item for item in items if not bare(item)], where=where))
        prompts = ["" if bare(item) else next(wrapped) for item in items]
        return weigh(self.tokenizer, items, prompts, end=self.limits.stops[0], window=self.limits.window)

    def nats(
        self,
        number: int,
        weighed: Sequence[Weighed],
        kept: Cache,
        *,
        batch: int,
        on_progress: Callable[[int], None],
    ) -> dict[Continuation, float]:
        """How unlikely model `number` finds each continuation: from the cache, or computed in batches and put there.

        `on_progress` hears how many of the items are done, by the part of their continuations that is known.
        """
        wanted = dict.fromkeys(part for one in weighed for part in one.continuations)
        keys = {part: digest([*self.weights[number], part.ids, part.start]) for part in wanted}
        known = kept.get_nats(keys.values())
        found = {part: known[key] for part, key in keys.items() if key in known}

        def heard() -> None:
            on_progress(len(weighed) * len(found) // len(wanted) if wanted else len(weighed))

        if weighed:
            heard()
        missing = [part for part in wanted if part not in found]
        with _wearing(self.speaker, number):
            for fresh in weigh_all(self.speaker, missing, batch=batch, pad=self.limits.stops[0]):
                kept.put_nats({keys[part]: nats for part, nats in fresh.items()})
                found |= fresh
                heard()
        return found

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
    whose = (base_id(model, base), str(base.dtype))
    worn = [None, *(_adapter_id(path) for _, path in adapters)]
    identities = tuple((*whose, limits.new_tokens, limits.stops, one) for one in worn)
    return Loaded(speaker, tokenizer, limits, identities, weights=tuple((*whose, one) for one in worn))


def render(tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], *, where: str) -> list[Ids]:
    """The token ids of each item as the chat template asks it, up to where the answer begins."""
    return encode(tokenizer, wrap(tokenizer, items, where=where))


def wrap(tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], *, where: str) -> list[str]:
    """The text of each item as the chat template asks it. Raises ModelError when there is none that can."""
    try:
        return [
            str(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": with_context(item.question, item.context)}],
                    tokenize=False,
                    add_generation_prompt=True,
                )
            )
            for item in items
        ]
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        fix = "the model needs a chat template that accepts a single user message"
        raise ModelError(f"cannot be asked: {error}", where=where, fix=fix) from error


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


def _answer(item: Item, name: str, said: Mapping[Ids, Said], ids: Ids, limits: Limits) -> Answer:
    if ids not in said:
        return Answer(item=item.id, model=name, text="", score=0.0, unanswered=limits.excess(ids))
    text = without_thoughts(said[ids].text).strip()
    if said[ids].text and not text:
        return Answer(item=item.id, model=name, text="", score=None, unscored=NOTHING_YET)
    if item.metric == "judge":
        return Answer(item=item.id, model=name, text=text, score=None, unscored=NO_JUDGE)
    return Answer(item=item.id, model=name, text=text, score=score(item, text))
