"""The base's own tasks, which training must not make it forget: a JSONL file of questions and right answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from instructlab_like.errors import InputError
from instructlab_like.records import Message, Record, with_context
from instructlab_like.workspace import read_records


class BaseTask(Record):
    """A line of the base's own tasks; `kind` names the task, an empty context is none."""

    kind: str
    context: str | None = None
    question: str
    answer: str

    @property
    def messages(self) -> tuple[Message, ...]:
        """The task as it is put to a model, with the answer that is right."""
        asked = with_context(self.question, self.context)
        return (Message(role="user", content=asked), Message(role="assistant", content=self.answer))


def read(path: Path) -> Iterator[BaseTask]:
    """The tasks of a file, one JSON object a line: kind, context, question, answer. Raises InputError."""
    if not path.is_file():
        fix = "name a JSONL file of tasks in base_tasks, or leave it empty to do without the forgetting check"
        raise InputError("there is no such file of base tasks", where=str(path), fix=fix)
    yield from read_records(path, BaseTask)
