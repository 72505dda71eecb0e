"""The questions and answers of a leaf where they stand in its files, also of a leaf that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from instructlab_like.checking.subject import Subject, Text
from instructlab_like.taxonomy import qna
from instructlab_like.taxonomy.tree import HELD_OUT, QNA
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar


@dataclass(frozen=True, slots=True)
class LocatedPair:
    """One question with its answer and what it is about; None where there is no such text."""

    file: str  # "qna.yaml", or "heldout.yaml"
    field: str  # of the pair: "seed_examples[2].questions_and_answers[1]"
    line: int
    column: int
    question: Text | None
    answer: Text | None
    context: Text | None
    options: bool = False  # it is a choice, and what "the following" points at comes with it


def kind_of(subject: Subject) -> Literal["knowledge", "skill"]:
    """What the leaf's folders say it is, as when it was read."""
    root = _root(subject, QNA)
    folders = (subject.place.root.resolve().name, *subject.place.path.split("/"))
    return qna.kind_of(folders, root or Mapping(1, 1, ()))


def seed_pairs(subject: Subject) -> Iterator[LocatedPair]:
    for field, seed in _entries(subject, QNA, "seed_examples"):
        context = _text(QNA, field, seed, "context")
        nested = seed.get("questions_and_answers")
        if isinstance(nested, Items):
            for number, node in enumerate(nested.items, start=1):
                if isinstance(node, Mapping):
                    yield _pair(QNA, f"{field}.questions_and_answers[{number}]", node, context)
        else:
            yield _pair(QNA, field, seed, context)


def held_out_pairs(subject: Subject) -> Iterator[LocatedPair]:
    for field, node in _entries(subject, HELD_OUT, "questions"):
        pair = _pair(HELD_OUT, field, node, _text(HELD_OUT, field, node, "context"))
        yield replace(pair, options=isinstance(node.get("options"), Items))


def _root(subject: Subject, file: str) -> Mapping | None:
    sheet = subject.reading.sheets.get(file)
    return sheet.root if sheet and isinstance(sheet.root, Mapping) else None


def _entries(subject: Subject, file: str, key: str) -> Iterator[tuple[str, Mapping]]:
    root = _root(subject, file)
    node = root.get(key) if root else None
    for number, item in enumerate(node.items if isinstance(node, Items) else (), start=1):
        if isinstance(item, Mapping):
            yield f"{key}[{number}]", item


def _pair(file: str, field: str, node: Mapping, context: Text | None) -> LocatedPair:
    question, answer = (_text(file, field, node, key) for key in ("question", "answer"))
    return LocatedPair(file, field, node.line, node.column, question, answer, context)


def _text(file: str, field: str, parent: Mapping, key: str) -> Text | None:
    """The text under a key; None for one that is blank, too."""
    node: Node | None = parent.get(key)
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return Text(file, f"{field}.{key}", node.line, node.column, node.value)
    return None
