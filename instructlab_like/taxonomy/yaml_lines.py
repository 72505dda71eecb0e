"""YAML with positions: bytes in, a tree of located values out, or the problems with their line and column.

Leaves come from strangers, so size, depth, nodes and what aliases expand to have budgets, and tags build no objects.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import yaml

LARGEST_FILE = 1_000_000  # bytes
MOST_NODES = 100_000  # with every alias expanded
DEEPEST = 64

Value = str | int | float | bool | bytes | date | None

_PREFIX = "tag:yaml.org,2002:"
_SCALARS = frozenset(_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "binary"))


@dataclass(frozen=True, slots=True)
class Scalar:
    line: int
    column: int
    value: Value


@dataclass(frozen=True, slots=True)
class Items:
    line: int
    column: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value`; the position is the key's."""

    line: int
    column: int
    key: Value
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    line: int
    column: int
    entries: tuple[Entry, ...]

    def entry(self, key: Value) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key and type(entry.key) is type(key)), None)

    def get(self, key: Value) -> Node | None:
        entry = self.entry(key)
        return entry.value if entry else None


Node = Scalar | Items | Mapping


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    column: int
    code: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file holds: `root` is None when it is empty or could not be read, and then `problems` says why."""

    text: str
    root: Node | None
    problems: tuple[Problem, ...]
    duplicates: tuple[Problem, ...]  # keys given twice; the last one stands


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def load(data: bytes) -> Sheet:
    """Read a YAML file of one document; never raises for what the file holds."""
    text = ""
    try:
        text = _decode(data)
        _within_budget(text)
        builder = _Builder()
        root = builder.build(text)
        return Sheet(text, root, tuple(builder.problems), tuple(builder.duplicates))
    except _RefusedError as refusal:
        return Sheet(text, None, (refusal.problem,), ())
    except yaml.YAMLError as error:
        return Sheet(text, None, (_syntax(error, text),), ())


def plain(node: Node) -> object:
    """The value without positions: str and the like, tuple, dict."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return tuple(plain(item) for item in node.items)
        case Mapping():
            return {entry.key: plain(entry.value) for entry in node.entries}


def identity(node: Node) -> Hashable:
    """Equal for two nodes exactly if JSON Schema calls their values equal: key order is nothing, true is not 1."""
    match node:
        case Scalar(value=bool()):
            return ("bool", node.value)
        case Scalar():
            return ("scalar", node.value)
        case Items():
            return ("items", tuple(identity(item) for item in node.items))
        case Mapping():
            return ("mapping", frozenset((entry.key, identity(entry.value)) for entry in node.entries))


def _decode(data: bytes) -> str:
    if len(data) > LARGEST_FILE:
        message = f"the file is larger than {LARGEST_FILE:,} bytes"
        raise _RefusedError(Problem(1, 1, "too-large", message, "split the leaf, or move long texts into documents"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = _after(before)
        raise _RefusedError(
            Problem(line, column, "encoding", "this is not UTF-8 text", "save the file as UTF-8")
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _after(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


class _Mark(Protocol):
    line: int
    column: int


def _at(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _within_budget(text: str) -> None:
    """Walk the events before anything is built, so that neither memory nor the stack can be used up."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST:
            raise _RefusedError(_too_deep(*_at(event.start_mark)))
        if nodes > MOST_NODES:
            raise _RefusedError(_too_many(*_at(event.start_mark)))
    if "\t" in text:
        # libyaml takes tabs in places where the YAML reader of other tools, the schema's own included, stops.
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass


def _too_deep(line: int, column: int) -> Problem:
    return Problem(line, column, "too-deep", f"values are nested more than {DEEPEST} deep", "flatten the file")


def _too_many(line: int, column: int) -> Problem:
    message = f"the file holds more than {MOST_NODES:,} values, aliases expanded"
    return Problem(line, column, "too-many-values", message, "write the values out, or split the leaf")


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    fix = "correct the YAML here or in the line above; text with ': ' or '#' in it needs quotes or a '|' block"
    if isinstance(error, yaml.MarkedYAMLError):
        line, column = _at(error.problem_mark or error.context_mark)
        return Problem(line, column, "syntax", f"this is not valid YAML: {error.problem or error.context}", fix)
    line, column = _after(text[: getattr(error, "position", 0)])
    return Problem(line, column, "syntax", "a character that YAML does not allow", "remove the control character")


class _Builder:
    """Turns PyYAML's node graph into located values, each shared node once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.duplicates: list[Problem] = []
        self.built: dict[int, Node] = {}
        self.extent: dict[int, tuple[int, int] | None] = {}  # id of a node -> values and depth; None: being measured

    def build(self, text: str) -> Node | None:
        self.loader = yaml.CSafeLoader(text)
        try:
            root = self.loader.get_single_node()
            if root is None:
                return None
            self.measure(root)
            return self.located(root)
        finally:
            self.loader.dispose()

    def measure(self, node: yaml.Node) -> tuple[int, int]:
        """Values and depth with every alias expanded; refuses a node that holds itself, and more than the budget."""
        if id(node) in self.extent:
            known = self.extent[id(node)]
            if known is None:
                message = "an alias stands inside what it names"
                raise _RefusedError(Problem(*_at(node.start_mark), "alias", message, "write the value out"))
            return known
        self.extent[id(node)] = None
        values, depth = 1, 0
        for child in _children(node):
            child_values, child_depth = self.measure(child)
            values, depth = values + child_values, max(depth, child_depth + 1)
        if values > MOST_NODES:
            raise _RefusedError(_too_many(*_at(node.start_mark)))
        if depth > DEEPEST:
            raise _RefusedError(_too_deep(*_at(node.start_mark)))
        self.extent[id(node)] = values, depth
        return values, depth

    def located(self, node: yaml.Node) -> Node:
        if id(node) not in self.built:
            self.built[id(node)] = self._located(node)
        return self.built[id(node)]

    def _located(self, node: yaml.Node) -> Node:
        line, column = _at(node.start_mark)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return Items(line, column, tuple(self.located(item) for item in node.value))
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return Mapping(line, column, self.entries(node))
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return Scalar(line, column, self.scalar(node))
        self.problem(node, "tag", f"the tag {node.tag!r} is not allowed here", "remove the tag, or quote the value")
        return Scalar(line, column, None)

    def scalar(self, node: yaml.ScalarNode) -> Value:
        if node.tag == _PREFIX + "str":
            return str(node.value)
        try:
            value: Value = self.loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):
            kind = node.tag.removeprefix(_PREFIX)
            self.problem(node, "value", f"this looks like a {kind} but is none", "put it in quotes")
            return None
        return value

    def entries(self, node: yaml.MappingNode) -> tuple[Entry, ...]:
        own: dict[tuple[type, Value], Entry] = {}
        merged: list[Entry] = []
        for key_node, value_node in node.value:
            if key_node.tag == _PREFIX + "merge":
                merged += self.merged(value_node)
                continue
            key = self.located(key_node)
            if not isinstance(key, Scalar):
                self.problem(key_node, "key", "a key must be a word", "write `name: value`")
                continue
            if (type(key.value), key.value) in own:
                first = own[type(key.value), key.value]
                message = f"the key {key.value!r} is given twice; the first is in line {first.line}"
                self.duplicates.append(Problem(key.line, key.column, "duplicate-key", message, "keep one of the two"))
            value = self.located(value_node)
            own[type(key.value), key.value] = Entry(key.line, key.column, key.value, value)
        for entry in merged:
            own.setdefault((type(entry.key), entry.key), entry)
        return tuple(own.values())

    def merged(self, node: yaml.Node) -> Iterator[Entry]:
        """What `<<` brings in; of several mappings the first one to have a key wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            mapping = self.located(source)
            if isinstance(mapping, Mapping):
                yield from mapping.entries
            else:
                self.problem(source, "merge", "`<<` needs a mapping", "name an anchor of a mapping, as in `<<: *base`")

    def problem(self, node: yaml.Node, code: str, message: str, fix: str) -> None:
        self.problems.append(Problem(*_at(node.start_mark), code, message, fix))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
