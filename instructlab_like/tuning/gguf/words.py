"""A tokenizer as llama.cpp reads it: byte-level BPE and SentencePiece's BPE, where both cut texts alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import jinja2
from transformers import PreTrainedTokenizerBase

from instructlab_like.records import Record
from instructlab_like.tuning.gguf.shape import ForeignModelError

GENERATION_MARKS = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")  # transformers' own; llama.cpp's Jinja has none
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
SPACE = "▁"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE_KIND = 1, 2, 3, 4, 5, 6  # gguf.TokenType
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


class Words(Record):
    """The vocabulary by id, what cuts texts into it, and what marks their ends."""

    model: Literal["gpt2", "llama"]
    pre: str  # llama.cpp's name of the rule by which texts are cut first
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    scores: tuple[float, ...] = ()  # SentencePiece's: the higher goes first
    merges: tuple[str, ...] = ()
    bos: int | None
    eos: int | None
    unknown: int | None
    padding: int | None
    stops: tuple[int, ...]  # at which an answer ends; the first is eos
    add_bos: bool
    space_prefix: bool | None = None
    template: str | None
    notes: tuple[str, ...] = ()

    @property
    def stop_texts(self) -> tuple[str, ...]:
        return tuple(self.tokens[number] for number in self.stops)


def words_of(tokenizer: PreTrainedTokenizerBase, *, size: int, stops: Sequence[int], where: str) -> Words:
    """The tokenizer for a model with `size` embeddings that ends its answers at `stops`.

    Raises ForeignModelError, with the reason, for one that llama.cpp would not follow.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise refused("its tokenizer is none of the `tokenizers` library", where)
    told = cast("dict[str, Any]", json.loads(backend.to_str()))
    refuse_added(told, where)
    told["merges"] = [tuple(merge.split(" ", 1) if isinstance(merge, str) else merge) for merge in merges_of(told)]
    pieces = bool(told["model"].get("byte_fallback"))
    pre = "default" if pieces else byte_level(told, where)
    tokens, kinds = listed(told, size=size, pieces=pieces, where=where)
    template, writes_bos, starts_marked = template_of(tokenizer, where)
    adds = ends_added(tokenizer)
    notes = []
    if adds and template and not writes_bos:
        notes.append("a text that is no conversation gets no BOS token in llama.cpp, for conversations have none")
    space = None
    if pieces:
        refuse_pieces(told, where)
        space, note = space_prefix(told, starts_marked=bool(template) and starts_marked, where=where)
        notes += [note] if note else []
    eos = cast("int | None", tokenizer.eos_token_id)
    ends = [stop for stop in dict.fromkeys(stops) if stop != eos]
    if eos is not None and (eos in stops or not ends):
        ends.insert(0, eos)
    return Words(
        model="llama" if pieces else "gpt2",
        pre=pre,
        tokens=tokens,
        kinds=kinds,
        scores=tuple(scores(told, tokens)) if pieces else (),
        merges=() if pieces else tuple(" ".join(merge) for merge in told["merges"]),
        bos=tokenizer.bos_token_id,
        eos=ends[0] if ends else None,
        unknown=tokenizer.unk_token_id,
        padding=tokenizer.pad_token_id,
        stops=tuple(ends),
        add_bos=adds and (not template or writes_bos),
        space_prefix=space,
        template=template,
        notes=tuple(notes),
    )


def refused(what: str, where: str) -> ForeignModelError:
    return ForeignModelError(f"cannot be written as GGUF here: {what}", where=where)


def merges_of(told: dict[str, Any]) -> list[Any]:
    return list(told["model"].get("merges") or ())


def refuse_added(told: dict[str, Any], where: str) -> None:
    """What no tokenizer here may have, whatever its kind."""
    model = told["model"]
    if model.get("type") != "BPE":
        raise refused(
            f"its tokenizer is a {model.get('type')}; byte-level BPE and SentencePiece's BPE are written", where
        )
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise refused(f"its tokenizer has a {field}", where)
    for added in told["added_tokens"]:
        for field in ("lstrip", "rstrip", "single_word"):
            if added.get(field):
                raise refused(f"its token {added['content']!r} takes in what is beside it ({field})", where)
        if added.get("normalized") and told.get("normalizer") and not added.get("special"):
            raise refused(f"its token {added['content']!r} is looked for in normalised text", where)


def byte_level(told: dict[str, Any], where: str) -> str:
    """llama.cpp's name for how a byte-level BPE cuts texts first; no other way is written."""
    if told.get("normalizer"):
        raise refused(f"its tokenizer normalises texts ({told['normalizer'].get('type')})", where)
    pre = told.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers", []) if pre.get("type") == "Sequence" else [pre]
    whole = [step.get("type") for step in steps]
    last = steps[-1] if steps else {}
    merged = not told["model"].get("ignore_merges")
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        pass
    elif whole == ["ByteLevel"] and last.get("use_regex", True) and merged:
        return "gpt-2"
    elif (
        whole == ["Digits", "ByteLevel"]
        and steps[0].get("individual_digits")
        and last.get("use_regex", True)
        and merged
    ):
        return "smollm"
    elif whole == ["Split", "ByteLevel"] and not last.get("use_regex", True) and is_llama3(steps[0]):
        return "smaug-bpe" if merged else "llama-bpe"
    raise refused(f"its tokenizer cuts texts in a way of its own ({', '.join(map(str, whole)) or 'none'})", where)


def is_llama3(split: dict[str, Any]) -> bool:
    how = (split.get("behavior"), bool(split.get("invert")))
    return how == ("Isolated", False) and split.get("pattern") == {"Regex": LLAMA3}


def listed(told: dict[str, Any], *, size: int, pieces: bool, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The tokens by id, and their kinds; ids without a token are filled in, as llama.cpp wants one for each row."""
    found = {number: (text, NORMAL) for text, number in told["model"]["vocab"].items()}
    if pieces:
        found = {number: (text, BYTE_KIND if BYTE.fullmatch(text) else kind) for number, (text, kind) in found.items()}
        unknown = told["model"]["vocab"].get(told["model"].get("unk_token"))
        if unknown is not None:
            found[unknown] = (found[unknown][0], UNKNOWN)
    for added in told["added_tokens"]:
        number, text = added["id"], added["content"]
        if pieces and found.get(number, ("", NORMAL))[1] in (UNKNOWN, BYTE_KIND):
            continue
        found[number] = (text, CONTROL if added["special"] else USER_DEFINED)
    if found and max(found) >= size:
        raise refused(f"its tokenizer has {max(found) + 1:,} words, its weights {size:,}", where)
    rows = [found.get(number, (f"[PAD{number}]", UNUSED)) for number in range(size)]
    return tuple(text for text, _ in rows), tuple(kind for _, kind in rows)


# --- SentencePiece's BPE ----------------------------------------------------------------------------------------


def refuse_pieces(told: dict[str, Any], where: str) -> None:
    """llama.cpp joins any two neighbours that make a token, the best score first: the merges must say the same."""
    model, vocab = told["model"], told["model"]["vocab"]
    if model.get("ignore_merges"):
        raise refused("its tokenizer passes over merges for whole words", where)
    if any(f"<0x{byte:02X}>" not in vocab for byte in range(256)):
        raise refused("its tokenizer falls back to bytes and has not all of them", where)
    made: dict[str, list[int]] = {}
    for rank, (left, right) in enumerate(told["merges"]):
        made.setdefault(left + right, []).append(rank)
    for text, ranks in made.items():
        if ranks[-1] - ranks[0] != len(ranks) - 1:
            raise refused(f"the merges that give {text!r} stand apart, so no score can stand for them", where)
    added = {one["content"] for one in told["added_tokens"]}
    known = {text for text in vocab if text not in added and not BYTE.fullmatch(text)}
    for text in known:
        splits = sum(text[:at] in known and text[at:] in known for at in range(1, len(text)))
        if splits != len(made.get(text, ())):
            raise refused(f"not all ways to join {text!r} are among its merges, as in SentencePiece", where)


def space_prefix(told: dict[str, Any], *, starts_marked: bool, where: str) -> tuple[bool, str]:
    """Whether llama.cpp has to put a space before each text, and what differs then."""
    normaliser, pre = told.get("normalizer"), told.get("pre_tokenizer")
    steps = (
        (normaliser.get("normalizers") if normaliser.get("type") == "Sequence" else [normaliser]) if normaliser else []
    )
    replaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepends = {"type": "Prepend", "prepend": SPACE}
    if pre is None and steps == [prepends, replaces]:
        return True, ""
    if pre is None and steps == [replaces]:
        return False, ""
    if (
        not steps
        and pre
        and pre.get("type") == "Metaspace"
        and pre.get("replacement") == SPACE
        and not pre.get("split")
    ):
        scheme = pre.get("prepend_scheme")
        if scheme == "never":
            return False, ""
        if scheme == "always":
            return True, "a text that begins with a space is read with one space more in llama.cpp"
        if scheme == "first" and starts_marked:
            return False, "a text that is no conversation is read without a space before it in llama.cpp"
        if scheme == "first":
            raise refused("its tokenizer puts a space before the first text alone, which llama.cpp cannot", where)
    raise refused("its tokenizer treats spaces in a way of its own", where)


def scores(told: dict[str, Any], tokens: Sequence[str]) -> Iterator[float]:
    """By the rank of the merges that give a token."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(told["merges"]):
        ranks.setdefault(left + right, rank)
    last = len(told["merges"])
    return (float(-ranks.get(text, last)) for text in tokens)


# --- what stands around texts -----------------------------------------------------------------------------------


def ends_added(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer puts its BOS token before a text."""
    ids = cast("list[int]", tokenizer("x")["input_ids"])
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def template_of(tokenizer: PreTrainedTokenizerBase, where: str) -> tuple[str | None, bool, bool]:
    """The chat template; whether it writes BOS first; and whether what it writes first is a special token."""
    told = cast("str | dict[str, str] | None", tokenizer.chat_template)
    template = told.get("default") if isinstance(told, dict) else told
    if not template:
        return None, False, False
    try:
        text = str(tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False))
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise refused(f"its chat template cannot write a user's turn ({error})", where) from error
    first = cast("list[int]", tokenizer(text, add_special_tokens=False)["input_ids"])[:1]
    writes = tokenizer.bos_token is not None and text.startswith(str(tokenizer.bos_token))
    return GENERATION_MARKS.sub("", template), writes, bool(set(first) & set(tokenizer.all_special_ids))
