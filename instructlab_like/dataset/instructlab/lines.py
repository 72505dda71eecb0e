"""The rows of InstructLab's files, their fields in its order, and how one is written."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from instructlab_like.records import Record

Metadata = dict[str, str]

# A reader that splits lines as Python does would break a row in two at these.
BREAKS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"})


class Turn(Record):
    content: str
    role: Literal["system", "user", "assistant"]


class MessagesLine(Record):
    """Of `messages_*.jsonl`."""

    messages: tuple[Turn, ...]
    metadata: str  # JSON: {"system": …}


class TrainLine(Record):
    """Of `train_*.jsonl`."""

    system: str
    user: str
    assistant: str


class TestLine(Record):
    """Of `test_*.jsonl`; the system prompt stands last there, and only if there is one."""

    user: str
    assistant: str
    system: str | None = None


class NodeLine(Record):
    """Of `node_datasets_*/LEAF*.jsonl`, `knowledge_train_msgs_*.jsonl` and `skills_train_msgs_*.jsonl`."""

    id: str
    messages: tuple[Turn, ...]
    metadata: str  # JSON
    unmask: bool  # whether the questions are trained on, too


class ChoiceLine(Record):
    """Of `mmlubench_*.jsonl`: a multiple-choice question."""

    question: str
    choices: Annotated[tuple[str, ...], Field(min_length=4, max_length=4)]
    answer: Annotated[int, Field(ge=0, le=3)]  # which of the choices
    subject: str


def asked(user: str, assistant: str) -> tuple[Turn, Turn]:
    return Turn(content=user, role="user"), Turn(content=assistant, role="assistant")


def metadata(told: Metadata) -> str:
    """The text that stands in a row's `metadata`."""
    return json.dumps(told)


def told_by(system: str, line: NodeLine) -> NodeLine:
    """The row with this system prompt first, whichever it had, as InstructLab's mixing writes it."""
    others = tuple(turn for turn in line.messages if turn.role != "system")
    return line.model_copy(update={"messages": (Turn(content=system, role="system"), *others)})


def is_blank(line: NodeLine) -> bool:
    """Whether a turn says nothing; InstructLab's mixing leaves such rows out."""
    return not all(turn.content.strip() for turn in line.messages if turn.role != "system")


def written(line: BaseModel) -> bytes:
    """One line of JSON, fields in the order in which they are declared."""
    return (line.model_dump_json(exclude_none=True).translate(BREAKS) + "\n").encode("utf-8")
