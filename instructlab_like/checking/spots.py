"""Where characters of a text stand in its file: from an offset in a YAML value to line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from instructlab_like.checking.subject import Text

_BREAK = re.compile("\n")
_BLANK = frozenset(" \t\r\n\x85\u2028\u2029")
# What may stand between a value's beginning and its text: an anchor and a tag, then `|` and the rest of its line.
_BEFORE = re.compile(r"(?:[&!]\S*(?:(?:[ \t]+|\n)(?:#.*)?)*)*(?P<opening>[|>].*|['\"]|)")
_ESCAPE = re.compile(r"\\(?:x(.{2})|u(.{4})|U(.{8})|(.))", re.DOTALL)
_ESCAPED = {"0": "\0", "a": "\a", "b": "\b", "v": "\v", "f": "\f", "e": "\x1b", "_": "\xa0"}
_ESCAPED |= dict.fromkeys("t\tn\nr NLP", " ")  # all of these are blanks, or nothing


@dataclass(frozen=True, slots=True)
class Spot:
    line: int  # from 1
    column: int  # from 1, in characters


def spot(sheet_text: str, text: Text, start: int, end: int) -> Spot:
    """The position, in the file `sheet_text`, of the first visible character of `text.value[start:end]`.

    Folds, quotes and escapes are followed. Where all of it is blank the position is behind what stands before it; where
    the value cannot be followed in the file it is where the value's YAML begins.
    """
    value, offsets = text.value, _offsets(sheet_text, text)
    first = next((index for index in range(start, min(end, len(value))) if value[index] not in _BLANK), None)
    if first is not None:
        offset = offsets[first]
        return Spot(text.line, text.column) if offset is None else _at(sheet_text, offset)
    before = next((index for index in reversed(range(start)) if value[index] not in _BLANK), None)
    offset = None if before is None else offsets[before]
    if before is None or offset is None:
        return Spot(text.line, text.column)
    steps = start - before
    as_written = sheet_text[offset : offset + steps + 1] == value[before : start + 1]
    return _at(sheet_text, offset + (steps if as_written else 1))


@lru_cache(maxsize=1)
def _offsets(sheet_text: str, text: Text) -> tuple[int | None, ...]:
    """For each character of the value where it stands in the file; None for blanks, and from where the two part.

    Folding, indenting and trimming change blanks only: the visible characters stand in the file in the same order.
    """
    visible = _visible(sheet_text, _line_starts(sheet_text)[text.line - 1] + text.column - 1)
    found: list[int | None] = [None] * len(text.value)
    for index, character in enumerate(text.value):
        if character in _BLANK:
            continue
        offset, seen = next(visible, (0, ""))
        if seen != character:
            break
        found[index] = offset
    return tuple(found)


def _visible(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The visible characters of the scalar at `start`, each with its offset, and of whatever follows it."""
    before = _BEFORE.match(text, start)
    assert before  # it matches nothing, too
    single, double = before["opening"] == "'", before["opening"] == '"'
    at = before.end()
    while at < len(text):
        character, end = text[at], at + 1
        if double and (escape := _ESCAPE.match(text, at)):
            code = escape[1] or escape[2] or escape[3]
            character = chr(int(code, 16)) if code else _ESCAPED.get(escape[4], escape[4])
            end = escape.end()
        elif single and text.startswith("''", at):
            end = at + 2
        if character not in _BLANK:
            yield at, character
        at = end


@lru_cache(maxsize=4)
def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in _BREAK.finditer(text)))


def _at(text: str, offset: int) -> Spot:
    starts = _line_starts(text)
    line = bisect_right(starts, offset)
    return Spot(line, offset - starts[line - 1] + 1)
