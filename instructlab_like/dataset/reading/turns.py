"""One row of another program, known by its fields, to a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, cast

import orjson

from instructlab_like.dataset.rows import Conversation
from instructlab_like.records import Message, Role

ROLES = ("system", "user", "assistant")
SHAPES = "a row has `messages`, or `user` and `assistant`; docs/formats.md describes what is read"
PRETRAINING = "pretraining"  # the role of older p07 rows: both turns in one text
# How the two turns are marked there, and how each may end: granite-7b's chat template, then that of later models.
MARKS = (
    ("<|user|>", "<|assistant|>", "<|endoftext|>"),
    ("<|start_of_role|>user<|end_of_role|>", "<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>"),
)


class OddError(Exception):
    """What is wrong with a row, and what to do; whoever knows the row's place says where."""

    def __init__(self, what: str, fix: str = SHAPES) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def conversation(row: object) -> Conversation:
    """The row as a conversation, in the first of these shapes that it has; OddError if it has none.

    `messages`: the turns (InstructLab's `messages_*`, `*_train_msgs_*`, `node_datasets_*`; a dataset of ours). A row of
    `messages` and `metadata` alone, the latter naming a `system` prompt and nothing else, has that prompt first.
    `user` and `assistant`, perhaps `system`: InstructLab's `train_*` and `test_*`.
    """
    if isinstance(row, list):
        raise OddError("holds a JSON array", "write each of its objects in a line of its own")
    if not isinstance(row, dict):
        raise OddError("holds no JSON object")
    if "messages" in row:
        return from_messages(row)
    if "user" in row or "assistant" in row:
        return from_pair(row)
    if row.keys() >= {"question", "choices", "answer"}:
        raise OddError(
            "is a multiple-choice question, no conversation", "what a model is tested with is not trained on"
        )
    keys = ", ".join(sorted(map(str, row))) or "none"
    raise OddError(f"has none of the known shapes; its fields: {keys if len(keys) < 100 else keys[:97] + '...'}")


def from_pair(row: Mapping[str, object]) -> Conversation:
    told = [("system", row.get("system") or ""), *((role, row.get(role)) for role in ("user", "assistant"))]
    for role, text in told:
        if not isinstance(text, str):
            raise OddError(f"`{role}` is missing" if text is None else f"`{role}` is no text")
    return closed([Message(role=role, content=cast(str, text)) for role, text in told], unmask=False)


def from_messages(row: Mapping[str, object]) -> Conversation:
    told = row["messages"]
    if not isinstance(told, list) or not told:
        raise OddError("`messages` is no list of turns")
    unmask = row.get("unmask") or False
    if not isinstance(unmask, bool):
        raise OddError("`unmask` is neither true nor false", "correct it, or leave it out")
    turns = [turn for number, each in enumerate(told) for turn in turns_of(each, f"messages[{number}]")]
    whole = any(isinstance(each, dict) and each.get("role") == PRETRAINING for each in told)
    system = legacy_system(row)
    if system and turns[0].role != "system":
        turns.insert(0, Message(role="system", content=system))
    return closed(turns, unmask=unmask or whole)


def turns_of(told: object, name: str) -> Sequence[Message]:
    if not isinstance(told, dict):
        raise OddError(f"`{name}` is no object", "a turn has a `role` and a `content`")
    role, content = told.get("role"), told.get("content")
    if role not in (*ROLES, PRETRAINING):
        raise OddError(f"`{name}.role` is {role!r}", f"known: {', '.join(ROLES)}, and {PRETRAINING} of older rows")
    if not isinstance(content, str):
        what = "is missing" if content is None else "is no text"
        raise OddError(f"`{name}.content` {what}", "a turn has a `role` and a `content`, both texts")
    for field, value in told.items():
        if field not in ("role", "content") and value:
            raise OddError(f"`{name}.{field}` would be lost", "only `role` and `content` are kept; take it out, or in")
    return parted(content, name) if role == PRETRAINING else (Message(role=cast(Role, role), content=content),)


def parted(text: str, name: str) -> Sequence[Message]:
    """The user's and the assistant's turn out of a text that holds both."""
    for user, assistant, end in MARKS:
        if not text.lstrip().startswith(user):
            continue
        before, *pieces = re.split(f"({re.escape(user)}|{re.escape(assistant)})", text)
        if before.strip() or pieces[::2] != [user, assistant]:
            fix = "take the row out, or write it as two messages"
            raise OddError(f"`{name}.content` holds its two marks more than once, or in another order", fix)
        asked, answered = (piece.removeprefix("\n") for piece in pieces[1::2])
        return (
            Message(role="user", content=asked.removesuffix("\n").removesuffix(end)),
            Message(role="assistant", content=answered.removesuffix("\n").removesuffix(end)),
        )
    raise OddError(f"`{name}.content` does not begin with {MARKS[0][0]} or {MARKS[1][0]}", "write it as two messages")


def legacy_system(row: Mapping[str, object]) -> str:
    """The system prompt of a row of `messages_*.jsonl`, where it stands beside the turns."""
    metadata = row.get("metadata")
    if row.keys() != {"messages", "metadata"} or not isinstance(metadata, str):
        return ""
    try:
        told = orjson.loads(metadata)
    except orjson.JSONDecodeError:
        return ""
    system = told.get("system") if isinstance(told, dict) and told.keys() == {"system"} else None
    return system if isinstance(system, str) else ""


def closed(turns: Sequence[Message], *, unmask: bool) -> Conversation:
    """The turns as a conversation, without an empty system prompt; OddError if nobody asks or nobody answers."""
    kept = tuple(turn for turn in turns if turn.role != "system" or turn.content)
    if any(turn.role == "system" for turn in kept[1:]):
        raise OddError("a system prompt stands after the first turn", "put it first")
    said: list[Literal["system", "user", "assistant"]] = [turn.role for turn in kept if turn.role != "system"]
    if not said or said[0] != "user":
        raise OddError("the first turn is not the user's", "begin with what the user asks")
    if "assistant" not in said:
        raise OddError("nobody answers", "a conversation has a turn of the assistant")
    return Conversation(messages=kept, unmask=unmask)


def is_blank(told: Conversation) -> bool:
    """Whether a turn says nothing."""
    return not all(turn.content.strip() for turn in told.messages)
