"""An adapter merged into its base: a plain model's folder, whose logits are checked before it stands under its name."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast

import jinja2
import orjson
import torch
from peft import LoraConfig, PeftModel
from safetensors import safe_open
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from instructlab_like.errors import InputError, ModelError, StoppedError
from instructlab_like.records import Message
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.hub import WHAT_A_MODEL_IS
from instructlab_like.tuning.models import (
    adapter_config,
    fetch,
    load_adapter,
    load_base,
    model_folder,
    reference,
    translated,
    weight_files,
)
from instructlab_like.tuning.tokens import PROBE, turns

Kind: TypeAlias = Literal["float32", "bfloat16"]
Logits: TypeAlias = list[torch.Tensor]

TYPES: dict[Kind, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NOTHING = "nothing was written; serve the adapter on its base"
LONGEST = 512  # tokens of a prompt
POSITIONS = 2048  # compared at most,
CELLS = 2**28  # and fewer where the vocabulary is large: a gigabyte of logits
SPARE = 64 * 2**20  # bytes beside the weights: tokenizer, configuration, card
LOCK = ".ilk-merging"  # held while a scratch folder is written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_IN_WORDS = re.compile(rf"os error ({'|'.join(str(number) for number in FULL)})\b")


class Agreement(NamedTuple):
    """How far two models' logits are apart, in units of the first one's spread: highest less lowest at a position."""

    largest: float
    mean: float
    same: float  # share of positions with the same most likely token

    def __str__(self) -> str:
        return f"at most {self.largest:.1e} of their spread, {self.mean:.1e} on average, {self.same:.2%} same arg-max"


EXACT = Agreement(largest=1e-4, mean=1e-4, same=0.0)  # in float32; 2.5e-5 was the most that was met
# In bfloat16, times what running base and adapter in bfloat16 changes by itself. Over 18 models of four families, LoRA
# and DoRA, with 512 positions, a merge took it to 1.2 times on average and 1.34 at most; over 120 tiny ones to 1.9
# and 4.7.
SLACK = Agreement(largest=8.0, mean=3.0, same=0.0)


class Proof(NamedTuple):
    """What was measured of a merged model, always against base and adapter in float32."""

    base: Reference
    kind: Kind
    prompts: int
    positions: int
    exact: Agreement  # merged in float32, before it was rounded to `kind`
    files: Agreement  # as loaded again from the files
    unmerged: Agreement | None  # base and adapter in bfloat16; None in float32

    def lines(self) -> Iterator[str]:
        yield f"{self.prompts} prompts, {self.positions} positions, against base and adapter in float32"
        yield f"merged in float32: logits differ by {self.exact}"
        if self.unmerged:
            yield f"base and adapter in {self.kind}: {self.unmerged}"
        yield f"the files, in {self.kind}: {self.files}"


def merge(
    base: str,
    adapter: Path,
    folder: Path,
    *,
    kind: Kind | None,
    conversations: Sequence[Sequence[Message]],
    card: Callable[[Proof], str],
) -> Proof:
    """Write base and adapter as one model into `folder`, new or empty, if its logits on `conversations` are theirs.

    The sums are made in float32 and rounded once; `kind` None is the base's own type, if it is one of the two. Without
    conversations a probe is asked. Raises ModelError for what cannot be merged, StoppedError for a merge that does
    not hold or a disk that is full; nothing is left behind then.
    """
    refuse_target(folder)
    mergeable(adapter)
    source = model_folder(base) or fetch(base)
    own = own_kind(source)
    kind = kind or own
    room(source, folder, kind)
    tokenizer = load_tokenizer(adapter, source)
    unmerged = None
    if kind == "bfloat16":
        half, _ = load_base(base, TYPES[kind])
        prompts = encode(conversations, tokenizer, half)
        unmerged = logits(load_adapter(half, adapter, "merged"), prompts)
        del half
    model, _ = load_base(base, torch.float32)
    prompts = encode(conversations, tokenizer, model)
    named = reference(base, model)
    adapted = load_adapter(model, adapter, "merged")
    wanted = logits(adapted, prompts)
    noise = agreement(wanted, unmerged) if unmerged else None
    del unmerged
    with translated(str(adapter), what="cannot be merged", fix="serve it as an adapter, on its base"):
        merged = united(adapted)
    exact = agreement(wanted, logits(merged, prompts))
    hold(exact, EXACT, "merged in float32", adapter)
    merged.to(TYPES[kind])  # type: ignore[arg-type]
    with placing(folder) as scratch:
        save(merged, tokenizer, source, scratch)
        again, words = load_base(str(scratch), TYPES[kind])
        same_tensors(merged, again, adapter)
        if encode(conversations, words, again) != prompts:
            raise StoppedError("the tokenizer reads otherwise once it is written", where=str(adapter), fix=NOTHING)
        files = agreement(wanted, logits(again, prompts))
        hold(files, allowed(noise), f"as files in {kind}", adapter)
        proof = Proof(named, kind, len(prompts), sum(map(len, prompts)), exact, files, noise)
        (scratch / "README.md").write_text(card(proof), encoding="utf-8")
    return proof


# --- what may be merged, and where to ---------------------------------------------------------------------------


def refuse_target(folder: Path) -> None:
    """Raise InputError unless `folder` is new or empty, and its name can be had."""
    above = next(place for place in folder.absolute().parents if place.exists())
    if not above.is_dir():
        raise InputError("is no folder", where=str(above), fix="name a new folder elsewhere")
    if not folder.name or folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError("is there already", where=str(folder), fix="name a new folder, or delete this one first")


def mergeable(adapter: Path) -> None:
    """Raise ModelError for an adapter that no change of the base's weights can stand for."""
    config = adapter_config(adapter)
    if not isinstance(config, LoraConfig) or config.peft_type != "LORA":
        what = f"is an adapter of the kind {config.peft_type}; only LoRA and DoRA are merged"
    elif config.alora_invocation_tokens:
        what = "works only after its invocation tokens (aLoRA), which no merged weights can do"
    elif config.layer_replication:
        what = "repeats layers of its base (layer_replication)"
    elif config.arrow_config:
        what = "chooses among adapters token by token (arrow_config)"
    else:
        return
    raise ModelError(what, where=str(adapter), fix="serve it as an adapter, on its base")


def own_kind(source: Path) -> Kind:
    """The type of the base's files, or float32 where they are of neither type. Raises ModelError if quantised."""
    config = orjson.loads((source / "config.json").read_bytes())
    told = config.get("quantization_config")
    if told:
        how = told.get("quant_method", "unknown method") if isinstance(told, dict) else told
        raise ModelError(
            f"the base is quantised ({how}), and an adapter cannot be merged into quantised weights exactly",
            where=str(source),
            fix="train on, or name with --model, the base's own weights; quantise the merged model afterwards",
        )
    return "bfloat16" if (config.get("dtype") or config.get("torch_dtype")) == "bfloat16" else "float32"


def room(source: Path, folder: Path, kind: Kind) -> None:
    """Raise StoppedError unless the disk has room for the base's weights in `kind`."""
    numbers = 0
    for path in weight_files(source):
        with translated(str(path), fix=WHAT_A_MODEL_IS), safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                shape = weights.get_slice(name).get_shape()
                numbers += int(torch.Size(shape).numel())
    needed = numbers * TYPES[kind].itemsize + SPARE
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StoppedError(
            f"the merged model needs about {gigabytes(needed)}, the disk has {gigabytes(free)} free",
            where=str(folder),
            fix="free some space, name a folder on another disk, or merge with --dtype bfloat16",
        )


def gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"


# --- prompts and logits -----------------------------------------------------------------------------------------


def load_tokenizer(adapter: Path, source: Path) -> PreTrainedTokenizerBase:
    """The adapter's own tokenizer, as it was trained with, where it has one; else the base's."""
    place = adapter if (adapter / "tokenizer_config.json").is_file() else source
    with translated(str(place), fix="copy the adapter again"):
        found = AutoTokenizer.from_pretrained(str(place), trust_remote_code=False, local_files_only=True)
    return cast("PreTrainedTokenizerBase", found)


def encode(
    conversations: Sequence[Sequence[Message]], tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> list[list[int]]:
    """Token ids of whole conversations as the chat template writes them, cut to a few thousand positions in all.

    Raises ModelError for a tokenizer that has more words than the model.
    """
    words = cast("int", model.get_input_embeddings().num_embeddings)
    if len(tokenizer) > words:
        raise ModelError(
            f"the adapter's tokenizer has {len(tokenizer):,} words, the base {words:,}",
            where=str(model.name_or_path),
            fix="use the adapter with the base that it was trained on",
        )
    texts = [list(told) for told in conversations] or [
        [Message(role=turn["role"], content=turn["content"]) for turn in told] for told in PROBE
    ]
    left = min(POSITIONS, CELLS // words)
    found = []
    for text in texts:
        ids = ids_of(text, tokenizer, where=str(model.name_or_path))[: min(LONGEST, left)]
        if ids:
            found.append(ids)
        left -= len(ids)
        if left <= 0:
            break
    if not conversations:
        draw = torch.Generator().manual_seed(0)
        found += torch.randint(words, (4, 64), generator=draw).tolist()
    return found


def ids_of(told: Sequence[Message], tokenizer: PreTrainedTokenizerBase, *, where: str) -> list[int]:
    if not tokenizer.chat_template:
        return cast("list[int]", tokenizer("\n".join(message.content for message in told))["input_ids"])
    try:
        text = tokenizer.apply_chat_template(turns(told), tokenize=False)
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        fix = "the template must accept a user message and an assistant message"
        raise ModelError(f"the chat template cannot write a conversation: {error}", where=where, fix=fix) from error
    return cast("list[int]", tokenizer(str(text), add_special_tokens=False)["input_ids"])


@torch.inference_mode()
def logits(model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]]) -> Logits:
    """Of each prompt by itself, in float32: positions by vocabulary."""
    return [model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float() for ids in prompts]


def agreement(wanted: Logits, found: Logits) -> Agreement:
    largest = total = same = 0.0
    positions = sum(map(len, wanted))
    for one, other in zip(wanted, found, strict=True):
        spread = (one.amax(-1, keepdim=True) - one.amin(-1, keepdim=True)).clamp_min(torch.finfo(one.dtype).tiny)
        apart = (one - other).abs() / spread
        largest = max(largest, float(apart.max()))
        total += float(apart.mean(-1).sum())
        same += int((one.argmax(-1) == other.argmax(-1)).sum())
    return Agreement(largest, total / positions, same / positions)


def allowed(noise: Agreement | None) -> Agreement:
    """How far the files may be from base and adapter in float32; `noise` is what bfloat16 does to these by itself."""
    return Agreement(noise.largest * SLACK.largest, noise.mean * SLACK.mean, 0.0) if noise else EXACT


def hold(found: Agreement, bound: Agreement, what: str, adapter: Path) -> None:
    """Raise StoppedError where the logits are further apart than `bound`; a difference that is no number is."""
    if not (found.largest <= bound.largest and found.mean <= bound.mean):
        raise StoppedError(
            f"{what}, base and adapter give other logits than before: {found}; "
            f"{bound.largest:.1e} and {bound.mean:.1e} are allowed",
            where=str(adapter),
            fix=NOTHING,
        )


# --- the merge --------------------------------------------------------------------------------------------------


def united(adapted: PeftModel) -> PreTrainedModel:
    """The base with the adapter in its weights; where one of two tied embeddings changes, they are untied."""
    base = cast("PreTrainedModel", adapted.get_base_model())
    tied = bool(base.config.get_text_config().tie_word_embeddings)
    if tied:
        untie(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tied embeddings, which are untied here
        merged = cast("PreTrainedModel", adapted.merge_and_unload(safe_merge=True))
    head, words = outputs(merged), merged.get_input_embeddings()
    if tied and head is not None and words is not None:
        stay = torch.equal(head.weight, cast("torch.Tensor", words.weight))
        if stay:
            head.weight = cast("torch.nn.Parameter", words.weight)
        for config in (merged.config, merged.config.get_text_config()):
            config.tie_word_embeddings = stay
    return merged


def outputs(model: PreTrainedModel) -> torch.nn.Linear | None:
    give = cast("Callable[[], torch.nn.Linear | None]", model.get_output_embeddings)
    return give()


def untie(base: PreTrainedModel) -> None:
    """Give the output embeddings weights of their own: an adapter on one of two tied ones changes only that one."""
    head = outputs(base)
    inner = cast("torch.nn.Linear | None", getattr(head, "base_layer", getattr(head, "original_module", head)))
    if inner is not None:
        inner.weight = torch.nn.Parameter(inner.weight.detach().clone(), requires_grad=False)


def save(merged: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: Path, folder: Path) -> None:
    """Write what transformers loads. The generation configuration is the base's own, byte by byte."""
    for config in {id(part): part for part in (merged.config, merged.config.get_text_config())}.values():
        config.__dict__.pop("auto_map", None)  # of code that is not copied
    given = source / "generation_config.json"
    if given.is_file():
        merged.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    merged.save_pretrained(folder)
    if given.is_file():
        shutil.copyfile(given, folder / given.name)


def same_tensors(merged: PreTrainedModel, again: PreTrainedModel, adapter: Path) -> None:
    """Raise StoppedError unless every tensor came back from the files as it was written."""
    found = again.state_dict()
    for name, tensor in merged.state_dict().items():
        if name not in found or not torch.equal(tensor, found[name].to(tensor.dtype)):
            raise StoppedError(f"{name} came back from the disk otherwise", where=str(adapter), fix=NOTHING)


# --- into place -------------------------------------------------------------------------------------------------


@contextmanager
def placing(folder: Path) -> Iterator[Path]:
    """A scratch folder beside `folder` that takes its name at the end, whole; after an error nothing is left.

    Raises StoppedError when the disk is full, InputError when the name was taken meanwhile.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear(folder)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with (scratch / LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield scratch
            (scratch / LOCK).unlink()
            settle(scratch)
            refuse_target(folder)
            scratch.rename(folder)
    except BaseException as error:
        if not is_full(error):
            raise
        fix = "free some space, or name a folder on another disk"
        raise StoppedError("the disk is full; nothing was kept", where=str(folder), fix=fix) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what merges into `folder` that were killed have left: their scratch folders, which nobody holds."""
    for lock in folder.parent.glob(f".{escape(folder.name)}.????????/{LOCK}"):
        with suppress(OSError), lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def settle(folder: Path) -> None:
    """Bring files and folder to the disk before the rename names them."""
    for path in [*sorted(folder.iterdir()), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_full(error: BaseException) -> bool:
    """safetensors and tokenizers tell of a full disk in words alone."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return isinstance(error, Exception) and FULL_IN_WORDS.search(str(error)) is not None
