"""YAML of other tools, as `yaml.safe_load` would read it, with the place of each value and bounds on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from instructlab_like.errors import InputError, position

LARGEST = 256_000  # bytes of a file
BRACKETS = 2_000  # on nested ones PyYAML spends seconds
NODES, DEPTH = 20_000, 12  # of all values, aliases followed
MERGE = "<<"

Kind = Literal["text", "number", "truth", "null", "list", "mapping"]
KINDS: dict[str, Kind] = {"int": "number", "float": "number", "bool": "truth", "null": "null"}


@dataclass(frozen=True)
class Entry:
    """A value and where it stands; a scalar is the text of the file, whatever YAML makes of it."""

    path: Path
    line: int
    column: int
    kind: Kind
    scalar: str = ""
    items: tuple[Entry, ...] = ()
    fields: Mapping[str, Entry] | None = None

    @property
    def where(self) -> str:
        return position(self.path, self.line, self.column)

    def wrong(self, what: str, fix: str) -> InputError:
        return InputError(what, where=self.where, fix=fix)

    def mapping(self, name: str) -> Mapping[str, Entry]:
        if self.fields is None:
            raise self.wrong(f"{name} is no mapping", f"write {name} as names and values")
        return self.fields

    def sequence(self, name: str) -> tuple[Entry, ...]:
        if self.kind != "list":
            raise self.wrong(f"{name} is no list", f"write {name} as a list")
        return self.items

    def word(self, name: str) -> str:
        """The text of a scalar that must say something."""
        if self.kind in ("list", "mapping", "null") or not self.scalar.strip():
            raise self.wrong(f"{name} is no text", f"write {name} as a text")
        return self.scalar

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(item.word(name) for item in self.sequence(name))

    def number(self, name: str) -> float:
        try:
            found = float(self.scalar.replace("_", "")) if self.kind in ("number", "text") else None
        except ValueError:
            found = None
        if found is None or not abs(found) < 1e9:
            raise self.wrong(f"{name} is no number", f"write {name} as a number")
        return found

    def whole(self, name: str) -> int:
        found = self.number(name)
        if found != int(found):
            raise self.wrong(f"{name} is no whole number", f"write {name} as a whole number")
        return int(found)


def read(path: Path) -> Entry:
    """The file's value; raises InputError with its place for what is no YAML, or too much of it."""
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        return Reader(path).entry(root, 0) if root else Entry(path, 1, 1, "null")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = position(path, mark.line + 1, mark.column + 1) if mark else str(path)
        raise InputError(f"is not valid YAML: {error.problem}", where=where, fix="correct the YAML") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"is not valid YAML: {error}", where=str(path), fix="correct the YAML") from error


def read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    if len(data) > LARGEST:
        raise InputError(f"holds more than {LARGEST:,} bytes", where=str(path), fix="pipelines and prompts are short")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = position(path, data.count(b"\n", 0, error.start) + 1)
        raise InputError("is not UTF-8 text", where=where, fix="save it as UTF-8") from error
    if text.count("[") + text.count("{") > BRACKETS:
        raise InputError("has too many brackets", where=str(path), fix="pipelines and prompts are short")
    return text


class Reader:
    """Turns PyYAML's nodes into entries, merge keys included; counts them, for an alias may stand for many."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def entry(self, node: yaml.Node, depth: int) -> Entry:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self.count += 1
        if self.count > NODES or depth > DEPTH:
            what = "is nested too deeply" if depth > DEPTH else f"holds more than {NODES:,} values"
            raise InputError(what, where=position(self.path, line, column), fix="write it out, and shorter")
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.entry(item, depth + 1) for item in node.value)
            return Entry(self.path, line, column, "list", items=items)
        if isinstance(node, yaml.MappingNode):
            return Entry(self.path, line, column, "mapping", fields=dict(self.fields(node, depth)))
        kind = KINDS.get(str(node.tag).rpartition(":")[2], "text")
        return Entry(self.path, line, column, kind, scalar=str(node.value) if kind != "null" else "")

    def fields(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, Entry]]:
        """Its own values last, for they win over merged ones."""
        seen: set[str] = set()
        merged = [value for key, value in node.value if key.value == MERGE]
        for value in merged:
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from self.entry(one, depth + 1).mapping("what is merged").items()
        for key, value in node.value:
            where = position(self.path, key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise InputError("has a key that is no word", where=where, fix="write names as keys")
            if key.value in seen:
                raise InputError(f"says {key.value!r} twice", where=where, fix="keep one of them")
            seen.add(str(key.value))
            if key.value != MERGE:
                mark = key.start_mark  # where an editor finds it, whatever line its value begins on
                yield str(key.value), replace(self.entry(value, depth + 1), line=mark.line + 1, column=mark.column + 1)
