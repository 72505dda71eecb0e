"""How much a teacher can take in, and whether a prompt fits: by its bytes, by what was counted, or by the server."""

from __future__ import annotations

from typing import Literal, NamedTuple

import orjson

EACH_MESSAGE, EACH_PROMPT = 32, 96  # tokens that a chat format may add at most
ENOUGH = 4  # answers with usage before their ratio means something
MARGIN = 1.25  # of the highest ratio seen
DOUBT = 0.5  # of the lowest ratio seen


class Context(NamedTuple):
    """`tokens` for the prompt and its answer together (`whole`), or for the prompt alone, whose answer is then cut."""

    tokens: int
    whole: bool
    source: str  # who says so

    def left(self, max_tokens: int) -> int:
        """The most tokens that a prompt may have."""
        return self.tokens - (max_tokens if self.whole else 1)


class Model(NamedTuple):
    """What an endpoint says of its model; `said` is stable over calls and restarts, and differs with the model."""

    said: str
    context: Context | None
    tokenizer: Literal["chat", "text"] | None  # what its /tokenize counts: messages as sent, or a text
    props: bool = False  # whether /props says more


UNKNOWN = Model("", None, None)
VOLATILE = ("created", "permission", "modified_at")  # differ from call to call


def read_models(data: bytes, name: str) -> Model:
    """From what /models says; whatever is not understood is unknown."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return UNKNOWN
    listed = told.get("data") if isinstance(told, dict) else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = [entry for entry in entries if entry.get("id") == name]
    chosen = named or entries
    stable = [{key: value for key, value in entry.items() if key not in VOLATILE} for entry in chosen]
    said = orjson.dumps(stable, option=orjson.OPT_SORT_KEYS).decode() if stable else ""
    if len(chosen) != 1:
        return Model(said, None, None)
    only = chosen[0]
    return Model(said, entry_context(only), entry_tokenizer(only), isinstance(only.get("meta"), dict))


def entry_context(entry: dict[str, object]) -> Context | None:
    """vLLM and SGLang refuse what cannot fit with its whole answer; llama.cpp cuts the answer, others may."""
    meta = entry.get("meta")
    places: tuple[tuple[object, str, bool], ...] = (
        (entry, "max_model_len", True),
        (entry, "context_length", False),
        (entry, "context_window", False),
        (meta, "n_ctx", False),
        (meta, "n_ctx_train", False),
    )
    for holder, field, whole in places:
        told = holder.get(field) if isinstance(holder, dict) else None
        if type(told) is int and told > 0:
            return Context(told, whole, f"/models says {field}")
    return None


def entry_tokenizer(entry: dict[str, object]) -> Literal["chat", "text"] | None:
    owner = entry.get("owned_by")
    return "chat" if owner == "vllm" else "text" if owner == "llamacpp" else None


def read_props(data: bytes) -> Context | None:
    """From llama.cpp's /props: the context of one of its slots."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    settings = told.get("default_generation_settings") if isinstance(told, dict) else None
    size = settings.get("n_ctx") if isinstance(settings, dict) else None
    return Context(size, False, "/props says n_ctx") if type(size) is int and size > 0 else None


def read_count(data: bytes) -> int | None:
    """From /tokenize: vLLM gives a count, llama.cpp the tokens."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict):
        return None
    count = told.get("count")
    if type(count) is int:
        return count
    listed = told.get("tokens")
    return len(listed) if isinstance(listed, list) else None


class Ratio:
    """Tokens per byte of requests, as far as answers told."""

    def __init__(self) -> None:
        self.seen = 0
        self.low, self.high = 1.0, 0.0

    def learn(self, size: int, tokens: int) -> None:
        ratio = tokens / size
        self.seen += 1
        if ratio < self.low:
            self.low = ratio
        if ratio > self.high:
            self.high = ratio

    def fits(self, size: int, messages: int, room: int) -> bool | None:
        """Whether a request of so many bytes is at most `room` tokens; None: it may or may not.

        No tokenizer makes more tokens than there are bytes, so True is sure of a short request.
        """
        if room < 1:
            return False
        added = EACH_PROMPT + EACH_MESSAGE * messages
        if size + added <= room or (self.seen >= ENOUGH and size * self.high * MARGIN + added <= room):
            return True
        if self.seen >= ENOUGH and size * self.low * DOUBT > room:
            return False
        return None
