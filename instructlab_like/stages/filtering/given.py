"""Rows of a file from elsewhere as samples, and what the filters left of them as rows again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Literal, cast

import orjson

from instructlab_like.dataset import parquet
from instructlab_like.dataset.reading import folder, is_recipe, lines, numbered
from instructlab_like.dataset.reading.turns import OddError, conversation
from instructlab_like.dataset.rows import Conversation
from instructlab_like.errors import InputError
from instructlab_like.records import Lineage, Sample, Verdict, digest, sample_id

FLOW = "given"  # stands in the ids of samples that no flow made
BETWEEN = "\n\n"  # turns that make one question
READ, VERSION = "read", 1  # the filter of verdicts on rows that are no conversation
KINDS = ("knowledge", "freeform", "grounded")
METHODS = ("teacher", "rules", "simulation", "given")


@dataclass(frozen=True)
class Given:
    """A row of a file: its fields, and the sample that it is, or why it is none."""

    number: int  # of the line, or of the row in a table; from 1
    fields: Mapping[str, object]
    sample: Sample | None
    verdict: Verdict | None = None


def given(path: Path) -> Iterator[Given]:
    """The rows of JSON lines, of a table, or of a dataset's folder, in order.

    A row's id is of its content, and of how many like it came before: the same rows in another order are the same
    samples. Raises InputError for what holds no rows at all.
    """
    if not path.is_dir() and is_recipe(path):
        fix = "name a file of conversations; what a recipe mixes is read by ilk generate as replay"
        raise InputError("is a YAML file, not rows", where=str(path), fix=fix)
    seen: Counter[str] = Counter()
    for file in folder.training_files(path) if path.is_dir() else [path]:
        for number, row in rows(file):
            content = digest(row if is_json(row) else repr(row))
            seen[content] += 1
            yield as_given(number, row, sample_id("", FLOW, (content, seen[content])))


def rows(path: Path) -> Iterator[tuple[int, object]]:
    """Each row with its number; one that is no JSON as bytes."""
    if lines.head(path).startswith(parquet.MAGIC):
        yield from enumerate((row for _, row in numbered(path)), start=1)
        return
    empty = True
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            told = line.removeprefix(lines.BOM) if number == 1 else line
            if not told.strip():
                continue
            empty = False
            try:
                yield number, orjson.loads(told)
            except orjson.JSONDecodeError:
                yield number, told
    if empty:
        raise InputError("holds no row", where=str(path), fix="name a file with at least one line of JSON")


def is_json(row: object) -> bool:
    return not isinstance(row, bytes)


def as_given(number: int, row: object, id: str) -> Given:
    try:
        if isinstance(row, bytes):
            lines.parsed(row, Path(), number)
        told = conversation(row)
    except OddError as odd:
        return Given(number, fields_of(row), None, unread(id, odd.what))
    except InputError as error:
        return Given(number, fields_of(row), None, unread(id, error.what))
    fields = fields_of(row)
    return Given(number, fields, as_sample(told, fields, id))


def fields_of(row: object) -> Mapping[str, object]:
    if isinstance(row, dict):
        return cast("dict[str, object]", row)
    return {"line": row.decode("utf-8", "replace") if isinstance(row, bytes) else row}


def unread(id: str, what: str) -> Verdict:
    return Verdict(
        subject=id, leaf="", filter=READ, version=VERSION, keep=False, rule="no-conversation", reason=f"the row {what}"
    )


def as_sample(told: Conversation, fields: Mapping[str, object], id: str) -> Sample:
    """The conversation as a question and its answer: the last turn of the assistant, and all before it."""
    last = max(place for place, message in enumerate(told.messages) if message.role == "assistant")
    before = [message.content for message in told.messages[:last] if message.role != "system"]
    context = text_in(fields, "context")
    kind = fields.get("kind")
    if kind not in KINDS or (kind != "freeform" and not context):
        kind = "knowledge" if context else "freeform"
    leaf = text_in(fields, "leaf") or ""
    method = fields.get("method")
    return Sample(
        id=id,
        kind=cast("Literal['knowledge', 'freeform', 'grounded']", kind),
        question=BETWEEN.join(before),
        answer=told.messages[last].content,
        context=context,
        lineage=Lineage(
            leaf="" if leaf == "replay" else leaf,
            leaf_blob=text_in(fields, "leaf_blob") or "",
            method=cast("Literal['given']", method if method in METHODS else "given"),
            model=text_in(fields, "model") or "",
            flow=FLOW,
            chunk=text_in(fields, "chunk"),
        ),
    )


def text_in(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value.strip() else None


def as_row(fields: Mapping[str, object], sample: Sample, *, changed: bool) -> Mapping[str, object]:
    """The row as it stood; of a sample with masked parts, with these in its last turns."""
    if not changed:
        return fields
    told = conversation(dict(fields))
    last = max(place for place, message in enumerate(told.messages) if message.role == "assistant")
    asked = iter(reparted(sample.question, [m.content for m in told.messages[:last] if m.role != "system"]))
    turns = [
        message if message.role == "system" else message.model_copy(update={"content": next(asked)})
        for message in told.messages[:last]
    ]
    turns.append(told.messages[last].model_copy(update={"content": sample.answer}))
    rest = {name: value for name, value in fields.items() if name not in ("messages", "system", "user", "assistant")}
    context = {} if sample.context is None else {"context": sample.context}
    return {"messages": [turn.model_dump() for turn in (*turns, *told.messages[last + 1 :])], **rest, **context}


def reparted(text: str, turns: Sequence[str]) -> list[str]:
    """The turns again that were one text, after parts of it were masked; masks add no blank line and take none."""
    pieces = text.split(BETWEEN)
    sizes = [turn.count(BETWEEN) + 1 for turn in turns]
    if len(pieces) != sum(sizes):
        raise ValueError("a mask has changed the number of paragraphs")
    ends = [*accumulate(sizes, initial=0)]
    return [BETWEEN.join(pieces[begin:end]) for begin, end in pairwise(ends)]
