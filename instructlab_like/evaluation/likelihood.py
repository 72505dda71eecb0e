"""Items answered by likelihood: how likely a model finds each option of a choice, or a text.

Choice. The user's turn is `with_context(question, context)`, options not listed, in the model's chat template with
its generation prompt; each option's text is a continuation of that, with nothing before it and no end token after it.
Taken is the option with the highest sum of log-probabilities divided by its number of characters, `len(option)`; of
equals the first. In lm-evaluation-harness this is `output_type: multiple_choice`, `doc_to_choice` the options,
`acc_norm`, zero shots, `--apply_chat_template`, no `gen_prefix`, `add_bos_token=False`: then it puts no delimiter
between prompt and option. A choice by letters, as in MMLU, is a question that lists its options, with the letters
as options.

Prompt and option are tokenised together, and the tokens after as many as the prompt has alone are the option's;
whitespace at the prompt's end counts as the option's. That is what lm-evaluation-harness does.

Perplexity. Of an answer to a question: its tokens and the end token, given the prompt as above. Of a text alone
(no question, no context): its tokens, without an end, after the token that begins a text (else the one that ends it).
A text longer than the window is read in windows that overlap by half: each token counts once, and has before it all
of the text or at least half a window.

What is read together with it changes a number in its last bits (float32: by about 1e-6 of itself), so a choice only
where two options are as near as that. In bfloat16 the logits are as coarse as the model gives them; sums are not.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, cast

import torch
from peft import PeftModel, PeftType
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from instructlab_like.errors import StoppedError
from instructlab_like.evaluation.choices import NOT_FINITE, pick
from instructlab_like.records import Answer, Item

Ids = tuple[int, ...]
Speaker = PreTrainedModel | PeftModel

LIKELIHOOD = frozenset({"choice", "perplexity"})  # the metrics that are answered here
MOST_LOGITS = 1 << 27  # at once: half a gigabyte in float32
FAR = 1.25  # what prompts have beyond the shortest of a batch is read again for each option
WORTH_SHARING = 0.75  # a prompt is read once for all its options where at least a quarter of the tokens is saved


class Continuation(NamedTuple):
    """Tokens, of which those from `start` (at least 1) on are weighed, each given all before it."""

    ids: Ids
    start: int


@dataclass(frozen=True)
class Weighed:
    """An item and the continuations that decide it: one for each option, or the windows of a text, in order."""

    item: Item
    continuations: tuple[Continuation, ...] = ()
    unscored: str | None = None  # why it is not put to a model

    def answer(self, model: str, nats: Sequence[float]) -> Answer:
        """The answer of a model by the nats of each continuation; without a score where these decide nothing."""
        if self.unscored:
            return unscored(self.item, model, self.unscored)
        if self.item.metric == "perplexity":
            return self._perplexity(model, math.fsum(nats))
        taken = pick(self.item.options, nats)
        if isinstance(taken, str):
            return unscored(self.item, model, taken)
        option = self.item.options[taken]
        right = option == self.item.answer
        return Answer(item=self.item.id, model=model, text=option, score=float(right), chosen=taken)

    def _perplexity(self, model: str, nats: float) -> Answer:
        if not math.isfinite(nats):
            return unscored(self.item, model, NOT_FINITE)
        tokens = sum(len(one.ids) - one.start for one in self.continuations)
        score = min(1.0, math.exp(-nats / tokens))
        return Answer(item=self.item.id, model=model, text="", score=score, nats=nats, tokens=tokens)


def unscored(item: Item, model: str, why: str) -> Answer:
    return Answer(item=item.id, model=model, text="", score=None, unscored=why)


# --- what is weighed --------------------------------------------------------------------------------------------


def bare(item: Item) -> bool:
    """Whether the item is a text alone, which no chat template surrounds."""
    return item.metric == "perplexity" and not item.question.strip() and not item.context


def weigh(
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    prompts: Sequence[str],
    *,
    end: int,
    window: int | None,
) -> list[Weighed]:
    """What has to be known of each item. `prompts` are the chat template's texts, of a bare item empty.

    `end` is the token that ends an answer, `window` the most tokens that the model reads, None for no limit.
    """
    options = [item.options if item.metric == "choice" else (item.answer,) for item in items]
    cut = [prompt.rstrip() for prompt in prompts]
    wholes = [prompt + option for prompt, own in zip(prompts, options, strict=True) for option in own]
    before = [len(ids) for ids in encode(tokenizer, cut)]
    found = iter(encode(tokenizer, wholes))
    together = [[next(found) for _ in own] for own in options]
    begin = end if tokenizer.bos_token_id is None else int(tokenizer.bos_token_id)
    return [
        _text(item, ids[0], begin, window)
        if bare(item)
        else _answer(item, (*ids[0], end), size, window)
        if item.metric == "perplexity"
        else _choice(item, ids, size, window)
        for item, ids, size in zip(items, together, before, strict=True)
    ]


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Ids]:
    """Token ids without any that the tokenizer would add: a chat template writes the first token itself."""
    return [tuple(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []


def _choice(item: Item, wholes: Sequence[Ids], start: int, window: int | None) -> Weighed:
    if not item.options:
        return Weighed(item, unscored="there are no options to choose from")
    if item.answer not in item.options:
        return Weighed(item, unscored="the right answer is not among the options")
    for number, (option, ids) in enumerate(zip(item.options, wholes, strict=True), start=1):
        why = _unfit(option, ids, start, window, f"option {number}")
        same = wholes.index(ids) + 1
        if why is None and same < number:
            why = f"options {same} and {number} are the same tokens"
        if why:
            return Weighed(item, unscored=why)
    return Weighed(item, tuple(Continuation(ids, start) for ids in wholes))


def _answer(item: Item, ids: Ids, start: int, window: int | None) -> Weighed:
    why = _unfit(item.answer, ids, start, window, "the answer")
    if why is None and len(ids) - 1 <= start:  # the end token alone is left
        why = "the answer has no token of its own: the tokenizer merges it with the prompt"
    return Weighed(item, unscored=why) if why else Weighed(item, (Continuation(ids, start),))


def _text(item: Item, ids: Ids, begin: int, window: int | None) -> Weighed:
    if not item.answer.strip() or not ids:
        return Weighed(item, unscored="the text is empty")
    return Weighed(item, windows((begin, *ids), window))


def _unfit(text: str, ids: Ids, start: int, window: int | None, what: str) -> str | None:
    """Why a text after a prompt of `start` tokens cannot be weighed."""
    if not text.strip():
        return f"{what} is empty"
    if start < 1:
        return "the prompt has no token"
    if len(ids) <= start:
        return f"{what} has no token of its own: the tokenizer merges it with the prompt"
    if window is not None and len(ids) - 1 > window:  # the last token is weighed but not read
        return f"{start} tokens of question and {len(ids) - start} of {what} do not fit a window of {window}"
    return None


def windows(ids: Ids, window: int | None) -> tuple[Continuation, ...]:
    """All tokens but the first, each weighed in exactly one piece of at most `window` tokens to read."""
    if window is None or len(ids) - 1 <= window:
        return (Continuation(ids, 1),)
    found = [Continuation(ids[: window + 1], 1)]
    done, step = window + 1, max(1, window // 2)
    while done < len(ids):
        until = min(done + step, len(ids))
        first = until - window - 1
        found.append(Continuation(ids[first:until], done - first))
        done = until
    return tuple(found)


# --- how likely it is -------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What a model reads for one or several continuations: those that differ only in their last token share it."""

    ids: Ids
    wanted: tuple[Continuation, ...]

    @property
    def first(self) -> int:
        """The first position whose logits are needed."""
        return min(one.start for one in self.wanted) - 1


class Batch(NamedTuple):
    """Rows read together. The first `shared` tokens of each are read once for all rows of the same `group`."""

    rows: tuple[Row, ...]
    groups: tuple[int, ...]  # of each row, counted from 0
    shared: int = 0


def weigh_all(
    speaker: Speaker, asked: Sequence[Continuation], *, batch: int, pad: int
) -> Iterator[dict[Continuation, float]]:
    """The nats (minus the log-probability) of each continuation, batch by batch.

    Raises StoppedError when memory runs out.
    """
    reader = Reader.of(speaker, pad)
    most = MOST_LOGITS // reader.words
    for together in batches(rows(asked), batch=batch, most=most, share=reader.plain, whole=not reader.keeps):
        yield reader.read(together)


def rows(asked: Sequence[Continuation]) -> list[Row]:
    """What has to be read: no row begins another one."""
    found: list[tuple[Ids, list[Continuation]]] = []
    for one in sorted(dict.fromkeys(asked), key=lambda one: one.ids[:-1], reverse=True):
        read = one.ids[:-1]  # comes after what it begins
        if found and found[-1][0][: len(read)] == read:
            found[-1][1].append(one)
        else:
            found.append((read, [one]))
    return [Row(read, tuple(wanted)) for read, wanted in found]


def batches(asked: Sequence[Row], *, batch: int, most: int, share: bool, whole: bool = False) -> Iterator[Batch]:
    """The rows in batches of similar length.

    `most` is how many positions may have logits at once, `share` whether rows of one prompt may be read together,
    `whole` whether the model gives logits of all positions.
    """
    if not share:
        yield from _alone(asked, batch, most, whole=whole)
        return
    by_prompt = sorted(asked, key=lambda row: row.ids[: row.first])
    groups = [tuple(group) for _, group in groupby(by_prompt, key=lambda row: row.ids[: row.first])]
    yield from _alone([group[0] for group in groups if len(group) == 1], batch, most)
    several = sorted((group for group in groups if len(group) > 1), key=_shape)
    for _, alike in groupby(several, key=lambda group: _shape(group)[0]):
        waiting: list[tuple[Row, ...]] = []
        for group in alike:
            far = waiting and group[0].first > FAR * waiting[0][0].first + 8
            if far or (waiting and sum(map(len, waiting)) + len(group) > batch):
                yield from _together(waiting, batch, most)
                waiting = []
            waiting.append(group)
        yield from _together(waiting, batch, most)


def _shape(group: tuple[Row, ...]) -> tuple[int, int]:
    """How long the longest option is, to the next power of two, and the prompt: what is alike is read together."""
    prompt = group[0].first
    return (max(len(row.ids) for row in group) - prompt).bit_length(), prompt


def _alone(asked: Sequence[Row], batch: int, most: int, *, whole: bool = False) -> Iterator[Batch]:
    waiting: list[Row] = []
    for row in sorted(asked, key=lambda row: (len(row.ids), row)):
        first = 0 if whole else min([row.first, *(other.first for other in waiting)])
        if waiting and (len(waiting) == batch or (len(waiting) + 1) * (len(row.ids) - first) > most):
            yield Batch(tuple(waiting), tuple(range(len(waiting))))
            waiting = []
        waiting.append(row)
    if waiting:
        yield Batch(tuple(waiting), tuple(range(len(waiting))))


def _together(groups: Sequence[tuple[Row, ...]], batch: int, most: int) -> Iterator[Batch]:
    """One batch that reads the prompts once, where that saves enough and its logits fit; else the rows as they are."""
    found = tuple(row for group in groups for row in group)
    shared = min(row.first for row in found)
    width = max(len(row.ids) for row in found)
    cost = len(groups) * shared + len(found) * (width - shared)
    fits = len(found) <= batch and len(found) * (width - shared) <= most
    if shared and fits and cost <= WORTH_SHARING * len(found) * width:
        yield Batch(found, tuple(number for number, group in enumerate(groups) for _ in group), shared)
    else:
        yield from _alone(found, batch, most)


@dataclass(frozen=True)
class Reader:
    """A model with what is known of its forward pass."""

    speaker: Speaker
    pad: int  # any token: rows are padded on the right, where no token of theirs looks
    words: int  # entries of its vocabulary
    keeps: bool  # it gives the logits of chosen positions only
    plain: bool  # what it remembers of a prompt are keys and values of every position, so options can share them

    @staticmethod
    def of(speaker: Speaker, pad: int) -> Reader:
        model = cast("PreTrainedModel", speaker.get_base_model()) if isinstance(speaker, PeftModel) else speaker
        worn = speaker.active_peft_config if isinstance(speaker, PeftModel) else None
        virtual = worn is not None and worn.is_prompt_learning
        # Other adapters than LoRA, and one that waits for certain tokens, may look at the text as a whole.
        apart = worn is None or (worn.peft_type == PeftType.LORA and not getattr(worn, "alora_invocation_tokens", None))
        keeps = not virtual and "logits_to_keep" in inspect.signature(model.forward).parameters
        config = model.config.get_text_config()
        memory = DynamicCache(config=config)
        plain = bool(memory.layers) and all(type(layer) is DynamicLayer for layer in memory.layers)
        return Reader(speaker, pad, int(config.vocab_size), keeps, keeps and apart and plain)

    @torch.inference_mode()
    def read(self, batch: Batch) -> dict[Continuation, float]:
        """The nats of every continuation of the batch."""
        width = max(len(row.ids) for row in batch.rows)
        tokens = torch.tensor([[*row.ids, *[self.pad] * (width - len(row.ids))] for row in batch.rows])
        needed = sorted({place for row in batch.rows for one in row.wanted for place in _places(one)})
        try:
            logits = self._logits(tokens.to(self.speaker.device), batch, needed)
            return self._nats(logits, batch.rows, {place: number for number, place in enumerate(needed)})
        except torch.OutOfMemoryError as error:
            what = f"no memory left for {len(batch.rows)} rows of up to {width} tokens"
            fix = "lower `batch` in the evaluation recipe and run the same command again; answers so far are kept"
            raise StoppedError(what, fix=fix) from error

    def _logits(self, tokens: torch.Tensor, batch: Batch, needed: list[int]) -> torch.Tensor:
        """Rows x needed positions x vocabulary."""
        keep = torch.tensor(needed, device=tokens.device)
        if not self.keeps:  # virtual tokens of an adapter may stand before the row's own
            read = self.speaker(input_ids=tokens, use_cache=False).logits
            return cast("torch.Tensor", read[:, -tokens.shape[1] :][:, keep])
        if not batch.shared:
            return cast("torch.Tensor", self.speaker(input_ids=tokens, use_cache=False, logits_to_keep=keep).logits)
        firsts = [batch.groups.index(group) for group in range(batch.groups[-1] + 1)]
        prompts = tokens[firsts, : batch.shared]
        memory = self.speaker(input_ids=prompts, use_cache=True, logits_to_keep=1).past_key_values
        memory.batch_select_indices(torch.tensor(batch.groups, device=tokens.device))
        read = self.speaker(
            input_ids=tokens[:, batch.shared :],
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=keep - batch.shared,
        )
        return cast("torch.Tensor", read.logits)

    def _nats(self, logits: torch.Tensor, asked: Sequence[Row], column: dict[int, int]) -> dict[Continuation, float]:
        """In float32 whatever the model's type; only where a token is weighed, and each position once."""
        spots = [
            (number, column[place])
            for number, row in enumerate(asked)
            for place in sorted({place for one in row.wanted for place in _places(one)})
        ]
        at = {spot: number for number, spot in enumerate(spots)}
        weighed = [
            (one, [(at[number, column[place]], one.ids[place + 1]) for place in _places(one)])
            for number, row in enumerate(asked)
            for one in row.wanted
        ]
        pairs = torch.tensor([pair for _, own in weighed for pair in own], device=logits.device)
        rows_, columns = torch.tensor(spots, device=logits.device).T
        scores = logits[rows_, columns].float()
        losses = (scores.logsumexp(-1)[pairs[:, 0]] - scores[pairs[:, 0], pairs[:, 1]]).tolist()
        found, done = {}, 0
        for one, own in weighed:
            found[one] = math.fsum(losses[done : done + len(own)]) + 0.0
            done += len(own)
        return found


def _places(one: Continuation) -> range:
    """The positions whose logits tell the continuation's tokens."""
    return range(one.start - 1, len(one.ids) - 1)
