"""A leaf as a lint sees it, and the texts in it with their positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from instructlab_like.taxonomy.read import Reading
from instructlab_like.taxonomy.tree import LeafFiles, Place
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar


@dataclass(frozen=True, slots=True)
class Subject:
    place: Place
    files: LeafFiles
    reading: Reading  # `leaf` is None for one that cannot be used; its sheets are there as far as they could be parsed
    hosts: tuple[str, ...] = ()  # from which documents may come besides the well-known ones


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a leaf. The position is where its YAML begins: for a block, the line of its `|`."""

    file: str  # "qna.yaml"
    field: str  # "seed_examples[2].question"
    line: int
    column: int
    value: str


def texts(subject: Subject) -> Iterator[Text]:
    """Every text value of the leaf's YAML files, file by file in order; those of shared (aliased) nodes once."""
    for name, sheet in subject.reading.sheets.items():
        seen: set[int] = set()
        if sheet.root is not None:
            yield from _texts(name, "", sheet.root, seen)


def _texts(file: str, field: str, node: Node, seen: set[int]) -> Iterator[Text]:
    if id(node) in seen:
        return
    seen.add(id(node))
    match node:
        case Scalar(value=str() as value):
            yield Text(file, field, node.line, node.column, value)
        case Items():
            for number, item in enumerate(node.items, start=1):
                yield from _texts(file, f"{field}[{number}]", item, seen)
        case Mapping():
            for entry in node.entries:
                yield from _texts(file, f"{field}.{entry.key!s}".lstrip("."), entry.value, seen)
        case _:
            pass
