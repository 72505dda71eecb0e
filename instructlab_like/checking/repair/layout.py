"""How a YAML file lies in its lines: which of them belong to a value of several lines, and where values end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

_HEADER = re.compile(r"[|>][\d+-]*\s*(#.*)?$")
_KEEPS = re.compile(r"[|>]\d?\+")


@dataclass(frozen=True, slots=True)
class Span:
    """A scalar of several lines: those that hold its text, from 0, without the line in which it begins."""

    first: int  # of the line in which it begins
    end: int  # of the line after its last one
    style: str | None  # "|", ">", '"', "'", or None for plain text

    @property
    def block(self) -> bool:
        return self.style in ("|", ">")


def compose(text: str) -> yaml.Node | None:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
    return node


def spans(node: yaml.Node | None, lines: list[str]) -> list[Span]:
    """Every scalar of more than one line, in the order of the file."""
    found = [Span(part.start_mark.line, end_of(part, lines), part.style) for part in _scalars(node, set())]
    return sorted((span for span in found if span.end > span.first + 1), key=lambda span: span.first)


def end_of(node: yaml.Node, lines: list[str]) -> int:
    """The line after the last one that a value stands in; empty lines count only where they are part of it."""
    start, end = node.start_mark, node.end_mark
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        after: int = end.line if end.column == 0 else end.line + 1
        if not _KEEPS.match(lines[start.line], _header(node, lines)):
            while after > start.line + 1 and not lines[after - 1].strip():
                after -= 1
        return after
    if isinstance(node, yaml.ScalarNode):
        return int(start.line if node.value == "" and not node.style else end.line) + 1
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return max(end_of(item, lines) for item in node.value)
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(max(int(key.end_mark.line) + 1, end_of(value, lines)) for key, value in node.value)
    return int(end.line) + 1


def problems(text: str, *rules: str) -> list[int]:
    """The lines, from 0, in which the lint of leaves finds one of its rules broken; its directives are heeded."""
    return [line for line, rule in _problems(text) if rule in rules]


@lru_cache(maxsize=1)  # several steps look at the same text
def _problems(text: str) -> tuple[tuple[int, str], ...]:
    found = linter.get_cosmetic_problems(text, _rules(), None)
    return tuple((problem.line - 1, str(problem.rule)) for problem in found)


def blanks(line: str) -> int:
    """How many blanks a line begins with."""
    return len(line) - len(line.lstrip(" "))


def is_comment(line: str) -> bool:
    return line.lstrip(" ").startswith("#")


def _header(node: yaml.Node, lines: list[str]) -> int:
    """Where the `|` or `>` of a block stands in its line; an anchor or a tag may stand before it."""
    column = int(node.start_mark.column)
    found = _HEADER.search(lines[node.start_mark.line], column)
    return found.start() if found else column


def _scalars(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(key, seen)
            yield from _scalars(value, seen)


@cache
def _rules() -> YamlLintConfig:
    """The rules of the lint that a repair knows, as the profile of leaves has them."""
    return YamlLintConfig(
        """
        rules:
          trailing-spaces: enable
          new-line-at-end-of-file: enable
          empty-lines: {max: 2, max-start: 0, max-end: 0}
          hyphens: {max-spaces-after: 1}
          indentation: {spaces: consistent, indent-sequences: consistent, check-multi-line-strings: false}
        """
    )
