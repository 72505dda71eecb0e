"""The chat format of OpenAI and its likes: requests as bytes, replies and complaints as records, waits in seconds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import orjson

from instructlab_like.records import Prompt


class Reply(NamedTuple):
    """What is used of a chat completion; servers add fields of their own."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    choices: int
    logprobs: bool  # whether the first choice holds the probability of a token


class Complaint(NamedTuple):
    """A server's own words about what went wrong, and its code for it."""

    words: str
    code: str


class MalformedError(Exception):
    """Bytes that are no chat completion; the tokens are those that were charged all the same."""

    def __init__(self, what: str, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        super().__init__(what)
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens


def body(prompt: Prompt, model: str) -> dict[str, object]:
    """The request; what has its default meaning is left out, since some servers refuse fields they do not know."""
    sampling = prompt.sampling
    request: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p != 1.0:
        request["top_p"] = sampling.top_p
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    if prompt.answer_schema is not None:
        request["response_format"] = response_format(prompt.answer_schema)
    return request


@functools.lru_cache(maxsize=256)
def response_format(schema: str) -> dict[str, object]:
    """How an answer is bound to a JSON Schema."""
    told = {"name": "answer", "strict": True, "schema": orjson.loads(schema)}
    return {"type": "json_schema", "json_schema": told}


def read_reply(data: bytes) -> Reply:
    """The first choice of a chat completion; raises MalformedError for anything else."""
    try:
        reply = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedError("what it sent is no JSON") from error
    if not isinstance(reply, dict):
        raise MalformedError("what it sent is no chat completion")
    usage = reply.get("usage")
    asked, made = (tokens(usage, "prompt_tokens"), tokens(usage, "completion_tokens"))
    choices = reply.get("choices")
    if not isinstance(choices, list):
        raise MalformedError("what it sent is no chat completion", asked or 0, made or 0)
    if not choices:
        raise MalformedError("it sent no choice", asked or 0, made or 0)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    text = written(message.get("content")) if isinstance(message, dict) else None
    if text is None:
        raise MalformedError("its first choice holds no message", asked or 0, made or 0)
    finish = choice.get("finish_reason")
    return Reply(
        text,
        finish if isinstance(finish, str) and finish else "stop",
        asked,
        made,
        len(choices),
        holds_logprobs(choice.get("logprobs")),
    )


MOST_TOKENS = 2**53  # that a float tells apart


def tokens(usage: object, name: str) -> int | None:
    told = usage.get(name) if isinstance(usage, dict) else None
    if type(told) is float and told.is_integer() and told < MOST_TOKENS:  # some gateways write 120.0
        told = int(told)
    return told if type(told) is int and told >= 0 else None


def written(content: object) -> str | None:
    """A message's text: a string, parts of which some are text, or nothing, which is an empty answer."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return None


def holds_logprobs(told: object) -> bool:
    listed = told.get("content") if isinstance(told, dict) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    return isinstance(first, dict) and isinstance(first.get("logprob"), int | float)


def read_complaint(data: bytes) -> Complaint:
    """OpenAI's error object, or what other servers put in its place, else the body as text."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Complaint(data.decode("utf-8", errors="replace").strip() or "(empty)", "")
    error = told.get("error", told) if isinstance(told, dict) else told
    if isinstance(error, str):
        return Complaint(error, "")
    if isinstance(error, dict):
        code = next((str(error[name]) for name in ("code", "type") if isinstance(error.get(name), str)), "")
        for name in ("message", "detail"):
            words = error.get(name)
            if words:
                return Complaint(words if isinstance(words, str) else orjson.dumps(words).decode(), code)
    return Complaint(data.decode("utf-8", errors="replace").strip() or "(empty)", "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to stay away: a number, or a date read against the server's own clock; None: nothing is asked."""
    milliseconds = number(headers.get("Retry-After-Ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("Retry-After", "").strip()
    if not told:
        return None
    seconds = number(told)
    if seconds is not None:
        return seconds
    until = dated(told)
    if until is None:
        return None
    return max(0.0, (until - (dated(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def number(told: str) -> float | None:
    """A number of at least 0; what is below counts as 0, and what is none as nothing."""
    try:
        return max(0.0, float(told))
    except ValueError:
        return None


def dated(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError, TypeError, IndexError):  # the last three: years and zones beyond bounds
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
