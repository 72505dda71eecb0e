"""Indentation: two blanks a level, where the lint finds a file at odds with itself.

Keys and dashes get their new columns; what belongs to them moves along by as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import yaml

from instructlab_like.checking.repair.layout import blanks, compose, is_comment, problems, spans

STEP = 2


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A key or a dash with which the text of a line begins, and the column where it is to stand."""

    kind: Literal["key", "dash"]
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class _Level:
    kind: Literal["root", "mapping", "sequence", "flush sequence"]  # the latter: not indented below its key
    new: int


def indented(text: str) -> str:
    """The text with every level two blanks further in; unchanged if the lint finds nothing in it."""
    if not problems(text, "indentation", "hyphens"):
        return text
    lines = text.split("\n")
    tokens = list(yaml.scan(text, Loader=yaml.CSafeLoader))
    root = compose(text)
    inside = {number: span.block for span in spans(root, lines) for number in range(span.first + 1, span.end)}
    fixed = {token.start_mark.line for token in tokens if isinstance(token, _BARE)}
    anchors = _anchors(tokens, within=STEP if _mostly_indented(root) else 0)
    return "\n".join(_moved(lines, anchors, fixed, inside))


_BARE = (yaml.DocumentStartToken, yaml.DocumentEndToken, yaml.DirectiveToken)


def _mostly_indented(node: yaml.Node | None) -> bool:
    """Whether most lists below a key are indented; as many of each: yes."""
    found = list(_list_steps(node, set()))
    return 2 * sum(step > 0 for step in found) >= len(found)


def _list_steps(node: yaml.Node | None, seen: set[int]) -> Iterator[int]:
    """How far each list below a key is indented."""
    if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _list_steps(item, seen)
        return
    for key, value in node.value:
        if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
            yield value.start_mark.column - key.start_mark.column
        yield from _list_steps(value, seen)


def _anchors(tokens: list[yaml.Token], *, within: int) -> dict[int, list[_Anchor]]:
    """The anchors of each line that begins with one; `within` is how far a list goes in below its key."""
    found: dict[int, list[_Anchor]] = {}
    levels = [_Level("root", 0)]
    flow = 0
    for token in tokens:
        flow += isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken)
        flow -= isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken)
        if flow:
            continue
        if isinstance(token, yaml.BlockMappingStartToken):
            levels.append(_Level("mapping", _inner(levels[-1], STEP)))
        elif isinstance(token, yaml.BlockSequenceStartToken):
            levels.append(_Level("sequence", _inner(levels[-1], within)))
        elif isinstance(token, yaml.BlockEntryToken):
            if levels[-1].kind == "mapping":  # a list in the column of its key, which no token announces
                levels.append(_Level("flush sequence", levels[-1].new + within))
            _add(found, token, _Anchor("dash", token.start_mark.column, levels[-1].new))
        elif isinstance(token, yaml.KeyToken | yaml.BlockEndToken):
            if levels[-1].kind == "flush sequence":
                levels.pop()
            if isinstance(token, yaml.KeyToken):
                _add(found, token, _Anchor("key", token.start_mark.column, levels[-1].new))
            else:
                levels.pop()
    return found


def _inner(level: _Level, step: int) -> int:
    """The column of what stands inside a level."""
    if level.kind == "root":
        return 0
    return level.new + (step if level.kind == "mapping" else STEP)


def _add(found: dict[int, list[_Anchor]], token: yaml.Token, anchor: _Anchor) -> None:
    found.setdefault(token.start_mark.line, []).append(anchor)


def _moved(
    lines: list[str], anchors: dict[int, list[_Anchor]], fixed: set[int], inside: dict[int, bool]
) -> Iterator[str]:
    """Every line at its new place. `inside` has the lines within a longer text, and whether that is a block."""
    following = _following(anchors, len(lines))
    shift = 0  # by how much what belongs to the last anchor moves
    block = False  # whether the last line that is no comment belongs to a block
    for number, line in enumerate(lines):
        if number in anchors:
            shift = anchors[number][-1].new - anchors[number][-1].old
            yield _opened(line, anchors[number])
        elif number in fixed or not line.strip():
            yield line
            continue
        elif number not in inside and is_comment(line):
            yield _comment(line, following[number], after_block=block)
            continue
        else:
            yield _shifted(line, shift)
        block = inside.get(number, False)


def _following(anchors: dict[int, list[_Anchor]], end: int) -> list[_Anchor | None]:
    """For each line the first anchor in it or below."""
    found: list[_Anchor | None] = [None] * end
    seen = None
    for number in reversed(range(end)):
        seen = anchors[number][0] if number in anchors else seen
        found[number] = seen
    return found


def _opened(line: str, anchors: list[_Anchor]) -> str:
    """The line with its dashes, and its key if it has one, where they are to stand."""
    text = ""
    for anchor in anchors:
        text = text.ljust(anchor.new)
        if anchor.kind == "key":
            return text + line[anchor.old :]
        text += "-"
    rest = line[anchors[-1].old + 1 :]
    return f"{text} {rest.lstrip(' ')}" if rest.strip() else text + rest


def _shifted(line: str, by: int) -> str:
    return " " * max(0, blanks(line) + by) + line.lstrip(" ")


def _comment(line: str, following: _Anchor | None, *, after_block: bool) -> str:
    """A comment moves with what follows it; below a block it stands no further in, or it would be part of that."""
    if following is None:
        return line
    column = max(0, blanks(line) + following.new - following.old)
    return " " * (min(column, following.new) if after_block else column) + line.lstrip(" ")
