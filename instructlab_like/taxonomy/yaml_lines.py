"""YAML with positions: bytes in, a tree of located values out, or the problems with their line and column.

A file says what PyYAML's own loader makes of it, as upstream reads; libyaml, ten times as fast, reads those files on
which the two cannot differ. Leaves come from strangers: size, depth, nodes and what aliases expand to have budgets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import yaml

from instructlab_like.taxonomy.sizes import LARGEST_FILE

MOST_LINES = 50_000
MOST_NODES = 30_000  # with every alias expanded
MOST_UNUSUAL = 10_000  # of a file that the slow loader has to read
DEEPEST = 64
LONGEST_NUMBER = 8_000  # characters of one in base 60, as 1:30:00: reading it takes time by the square of its length
MOST_DIGITS = 4_300  # of a number: Python prints no more, so that the tools that read leaves fall over it

Value = str | int | float | bool | bytes | date | frozenset[Hashable] | None

_PREFIX = "tag:yaml.org,2002:"
_TEXT, _MERGE, _EQUALS = _PREFIX + "str", _PREFIX + "merge", _PREFIX + "value"
_NUMBERS = (_PREFIX + "int", _PREFIX + "float")
_SCALARS = frozenset((_TEXT, *_NUMBERS, *(_PREFIX + name for name in ("bool", "null", "timestamp", "binary"))))
_DIGIT_BITS = 3 * MOST_DIGITS  # fewer than that many digits take
_PAIRS = (_PREFIX + "omap", _PREFIX + "pairs")


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
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[Problem, ...] = ()  # keys given twice; the last one stands
    # What YAML allows and a reviewer may not:
    aliases: tuple[Problem, ...] = ()  # each `*name`
    merges: tuple[Problem, ...] = ()  # each `<<` that names no alias
    tags: tuple[Problem, ...] = ()  # each `!name`
    ordinary: bool = False  # libyaml and PyYAML's own loader see the same tokens

    def within(self, line: int, column: int) -> tuple[int, int]:
        """The position, or the nearest in the text: YAML counts lines that editors do not."""
        lines = self.text.count("\n") + 1
        if line <= lines and not _ODD_BREAKS.search(self.text):
            return line, column
        line = min(line, lines)
        width = len(self.text.split("\n", line)[line - 1])
        return line, min(column, width + 1)


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def load(data: bytes) -> Sheet:
    """Read a YAML file of one document; never raises for what the file holds."""
    text = ""
    try:
        text = _decode(data)
        at = _positions(text)
        ordinary = _is_ordinary(text, at)
        builder = _Builder(at)
        loader = yaml.CSafeLoader(text) if ordinary else _OwnLoader(text, builder)
        try:
            root = builder.build(loader)
        except _LOADER_ERRORS as error:
            problem = _syntax(error, loader, builder.at)
            return Sheet(text, None, (problem,))
        finally:
            loader.dispose()
    except _RefusedError as refusal:
        return Sheet(text, None, (refusal.problem,))
    except yaml.reader.ReaderError as error:
        line, column = _after(text[: error.position])
        message, fix = "a character that YAML does not allow", "remove the control character"
        return Sheet(text, None, (Problem(line, column, "syntax", message, fix),))
    return Sheet(
        text,
        root,
        tuple(builder.problems),
        tuple(builder.duplicates),
        tuple(builder.aliases),
        tuple(builder.merges),
        tuple(builder.tags),
        ordinary,
    )


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
        case Scalar(value=bytes() as data):  # a list of numbers, as the validator that upstream uses sees it
            return ("items", tuple(("scalar", number) for number in data))
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
        before = data[: error.start].decode("utf-8-sig", "ignore")
        line, column = _after(_with_unix_breaks(before))
        raise _RefusedError(
            Problem(line, column, "encoding", "this is not UTF-8 text", "save the file as UTF-8")
        ) from error
    if text.startswith("\ufeff"):
        message = "the file begins with two byte order marks"
        raise _RefusedError(Problem(1, 1, "encoding", message, "save the file as UTF-8 without them"))
    text = _with_unix_breaks(text)
    if text.count("\n") > MOST_LINES:
        message = f"the file has more than {MOST_LINES:,} lines"
        fix = "split the leaf, or move long texts into documents"
        raise _RefusedError(Problem(MOST_LINES + 1, 1, "too-large", message, fix))
    return text


def _with_unix_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


# --- positions --------------------------------------------------------------------------------------------------


class _Mark(Protocol):
    index: int
    line: int
    column: int


_At = Callable[[_Mark | None], tuple[int, int]]
_ODD_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")  # end a line for YAML, or have no width, and not for editors


def _after(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


def _at(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _positions(text: str) -> _At:
    """How a mark becomes line and column, both from 1, as an editor counts them."""
    if not _ODD_BREAKS.search(text):
        return _at
    starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(mark: _Mark | None) -> tuple[int, int]:
        if mark is None:
            return 1, 1
        line = bisect_right(starts, mark.index)
        return line, mark.index - starts[line - 1] + 1

    return at


# --- the two loaders --------------------------------------------------------------------------------------------

# What PyYAML raises for a file that it cannot read; the last three escape from it, as for "\U00110000" in quotes.
_LOADER_ERRORS = (yaml.MarkedYAMLError, ValueError, ArithmeticError, LookupError)

# Tabs and odd breaks, which the two take in different places; a comment right after the sign of a block of text; and,
# for the smaller budget only, comments that steer yamllint, which takes its time then.
_DOUBTFUL = re.compile("[\t\x85\u2028\u2029\ufeff]|[|>][-+0-9]*#|yamllint")
_NAME = r"""(?:"[^"\\\n]*"|'[^'\n]*'|[\w./][\w./*-]*(?: +[\w./][\w./*-]*)*)"""
_PLAIN_LIST = re.compile(rf"\[ *(?:{_NAME}(?: *, *{_NAME})*)? *\]")


def _is_ordinary(text: str, at: _At) -> bool:
    """Whether libyaml reads the text exactly as PyYAML's own loader does, which takes ten times as long.

    The two part at tabs, odd line breaks, flow collections, tags, directives, and at the end of a file without a line
    break; they agree on blocks of keys and entries with plain, quoted and block scalars in them. Raises _RefusedError
    for what breaks a budget: nothing is built before all of it has been counted.
    """
    if yaml.reader.Reader.NON_PRINTABLE.search(text):
        return False
    ordinary = text.endswith("\n") and not _DOUBTFUL.search(text)
    depth = nodes = opened = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            start, end = event.start_mark, event.end_mark
            assert start is not None
            assert end is not None
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
                nodes += 1
                if event.tag is not None or event.anchor is not None:
                    ordinary = False
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                    if event.flow_style and (opened or isinstance(event, yaml.MappingStartEvent)):
                        ordinary = False
                    opened = start.index if event.flow_style else 0
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
                if opened and not _PLAIN_LIST.fullmatch(text, opened, end.index):
                    ordinary = False
                opened = 0
            elif isinstance(event, yaml.AliasEvent):
                nodes += 1
                ordinary = False
            elif isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
                ordinary = False
            _budget(depth, nodes, MOST_NODES if ordinary else MOST_UNUSUAL, start, at)
    except yaml.YAMLError:
        return False
    return ordinary


def _budget(depth: int, nodes: int, most: int, mark: _Mark | None, at: _At) -> None:
    if depth > DEEPEST:
        message = f"values are nested more than {DEEPEST} deep"
        raise _RefusedError(Problem(*at(mark), "too-deep", message, "flatten the file"))
    if nodes > most:
        message = f"the file holds more than {most:,} values, aliases expanded"
        fix = "write the values out, or split the leaf"
        if most < MOST_NODES:
            fix = "write lists and mappings as indented lines, without aliases, tags and tabs, or split the leaf"
        raise _RefusedError(Problem(*at(mark), "too-many-values", message, fix))


class _OwnLoader(yaml.SafeLoader):
    """PyYAML's own loader, which counts while it builds, and notes aliases and tags."""

    def __init__(self, text: str, builder: _Builder) -> None:
        super().__init__(text)
        self.builder = builder
        self.depth = self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        inner = isinstance(event, yaml.CollectionStartEvent)
        self.nodes += 1
        self.depth += inner
        _budget(self.depth, self.nodes, MOST_UNUSUAL, event.start_mark, self.builder.at)
        self.builder.note(event)
        node = super().compose_node(parent, index)
        self.depth -= inner
        return node


def _syntax(error: Exception, loader: yaml.SafeLoader | yaml.CSafeLoader, at: _At) -> Problem:
    fix = "correct the YAML here or in the line above; text with ': ' or '#' in it needs quotes or a '|' block"
    if isinstance(error, yaml.MarkedYAMLError):
        line, column = at(error.problem_mark or error.context_mark)
        what = _clip(str(error.problem or error.context), 200)
        return Problem(line, column, "syntax", f"this is not valid YAML: {what}", fix)
    assert isinstance(loader, yaml.SafeLoader)
    return Problem(*at(loader.get_mark()), "syntax", "this is not valid YAML: there is no such character", fix)


def _clip(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


# --- from nodes to values ---------------------------------------------------------------------------------------


class _Builder:
    """Turns PyYAML's node graph into located values, each shared node once."""

    def __init__(self, at: _At) -> None:
        self.at = at
        self.problems: list[Problem] = []
        self.duplicates: list[Problem] = []
        self.aliases: list[Problem] = []
        self.merges: list[Problem] = []
        self.tags: list[Problem] = []
        self.built: dict[int, Node] = {}
        self.extent: dict[int, tuple[int, int] | None] = {}  # id of a node -> values and depth; None: being measured

    def build(self, loader: yaml.SafeLoader | yaml.CSafeLoader) -> Node | None:
        self.loader = loader
        root = loader.get_single_node()
        if root is None:
            return None
        if self.aliases:
            self.measure(root)
        return self.located(root)

    def note(self, event: yaml.Event) -> None:
        """Remember an alias or a tag."""
        if isinstance(event, yaml.AliasEvent):
            message = f"the alias *{_clip(str(event.anchor))} stands for a value that is written elsewhere"
            self.aliases.append(Problem(*self.at(event.start_mark), "alias-used", message, "write the value out"))
        elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            message = f"the tag {_clip(event.tag.replace(_PREFIX, '!!'))!r} says what the value is to be read as"
            fix = "remove the tag; text that looks like a number needs quotes"
            self.tags.append(Problem(*self.at(event.start_mark), "tag-used", message, fix))

    def measure(self, node: yaml.Node) -> tuple[int, int]:
        """Values and depth with every alias expanded; refuses a node that holds itself, and more than the budget."""
        if id(node) in self.extent:
            known = self.extent[id(node)]
            if known is None:
                message = "an alias stands inside what it names"
                raise _RefusedError(Problem(*self.at(node.start_mark), "alias", message, "write the value out"))
            return known
        self.extent[id(node)] = None
        values, depth = 1, 0
        for child in _children(node):
            child_values, child_depth = self.measure(child)
            values, depth = values + child_values, max(depth, child_depth + 1)
        _budget(depth, values, MOST_NODES, node.start_mark, self.at)
        self.extent[id(node)] = values, depth
        return values, depth

    def located(self, node: yaml.Node) -> Node:
        if id(node) not in self.built:
            self.built[id(node)] = self._located(node)
        return self.built[id(node)]

    def _located(self, node: yaml.Node) -> Node:
        line, column = self.at(node.start_mark)
        if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
            return Scalar(line, column, node.value)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return Items(line, column, tuple([self.located(item) for item in node.value]))
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return Mapping(line, column, self.entries(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "set":
            return Scalar(line, column, frozenset(entry.key for entry in self.entries(node)))
        if isinstance(node, yaml.SequenceNode) and node.tag in _PAIRS:
            return Items(line, column, tuple([self.pair(item) for item in node.value]))
        if node.tag in _SCALARS:
            return Scalar(line, column, self.scalar(node))
        self.problem(
            node, "tag", f"the tag {_clip(node.tag)!r} is not allowed here", "remove the tag, or quote the value"
        )
        return Scalar(line, column, None)

    def scalar(self, node: yaml.Node) -> Value:
        try:
            written = self.loader.construct_scalar(node)  # type: ignore[arg-type]  # it refuses others itself
            huge = node.tag in _NUMBERS and ":" in written and len(written) > LONGEST_NUMBER
            value: Value = None if huge else self.loader.construct_object(node)
        except (*_LOADER_ERRORS, AttributeError, TypeError):  # what PyYAML raises for `!!bool x`, `!!timestamp x`, …
            kind = node.tag.removeprefix(_PREFIX)
            self.problem(node, "value", f"this looks like a {kind} but is none", "put it in quotes")
            return None
        if huge or (isinstance(value, int) and value.bit_length() > _DIGIT_BITS and abs(value) >= 10**MOST_DIGITS):
            self.problem(node, "value", f"this number has more than {MOST_DIGITS:,} digits", "put it in quotes")
            return None
        return value

    def pair(self, node: yaml.Node) -> Node:
        """One entry of an ordered mapping: a list of key and value."""
        if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
            self.problem(node, "value", "an entry of an ordered mapping is one `key: value`", "remove the tag above")
            return Scalar(*self.at(node.start_mark), None)
        key, value = node.value[0]
        return Items(*self.at(node.start_mark), (self.located(key), self.located(value)))

    def entries(self, node: yaml.MappingNode) -> tuple[Entry, ...]:
        """What the mapping says in the end: its own keys stand over merged ones, later ones over earlier ones."""
        merged, own = self.parted(node)
        found: dict[Value, Entry] = {}
        for key_node, value_node in merged:
            key = self.key(key_node)
            if key is not None:
                found[key.value] = Entry(key.line, key.column, key.value, self.located(value_node))
        given: dict[Value, int] = {}
        for key_node, value_node in own:
            key = self.key(key_node)
            if key is None:
                self.located(value_node)
                continue
            if key.value in given:
                shown = _clip(key.value) if isinstance(key.value, str) else type(key.value).__name__
                message = f"the key {shown!r} is given twice; the first is in line {given[key.value]}"
                self.duplicates.append(Problem(key.line, key.column, "duplicate-key", message, "keep one of the two"))
            first = found.get(key.value)
            given.setdefault(key.value, key.line)
            name = first.key if first else key.value  # 1 and true are one key, and stay what the first one was
            found[key.value] = Entry(key.line, key.column, name, self.located(value_node))
        return tuple(found.values())

    def key(self, node: yaml.Node) -> Scalar | None:
        if node.tag == _EQUALS and isinstance(node, yaml.ScalarNode):  # a lone "=" is a text where it is a key
            return Scalar(*self.at(node.start_mark), node.value)
        key = self.located(node)
        if isinstance(key, Scalar) and not isinstance(key.value, frozenset):
            return key
        self.problem(node, "key", "a key must be a word", "write `name: value`")
        return None

    def parted(self, node: yaml.MappingNode) -> tuple[list[_Pair], list[_Pair]]:
        """The pairs that `<<` brings in, the strongest last, and the mapping's own."""
        merged: list[_Pair] = []
        own: list[_Pair] = []
        for key, value in node.value:
            if key.tag != _MERGE:
                own.append((key, value))
                continue
            if value.start_mark.index > key.start_mark.index:
                message = "`<<` brings in keys from elsewhere"
                self.merges.append(Problem(*self.at(key.start_mark), "merge-used", message, "write the keys out"))
            # Of several mappings in a list the first one to have a key wins; of several `<<`, the last.
            sources = reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if isinstance(source, yaml.MappingNode):
                    merged += [pair for part in self.parted(source) for pair in part]
                else:
                    fix = "name an anchor of a mapping, as in `<<: *base`"
                    self.problem(source, "merge", "`<<` needs a mapping", fix)
        return merged, own

    def problem(self, node: yaml.Node, code: str, message: str, fix: str) -> None:
        self.problems.append(Problem(*self.at(node.start_mark), code, message, fix))


_Pair = tuple[yaml.Node, yaml.Node]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
