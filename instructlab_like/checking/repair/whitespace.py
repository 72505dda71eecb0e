"""Blanks, tabs and empty lines: what can be put right in the lines, without knowing what they say."""

from __future__ import annotations

import re
from collections.abc import Callable

from instructlab_like.checking.repair.layout import compose, problems, spans
from instructlab_like.checking.repair.meaning import Meaning, same

_TABS = re.compile(r"^\t+", re.MULTILINE)
_WIDTHS = (2, 4, 8)  # of a tab
_MOST_EMPTY = 2


def without_trailing_tabs(text: str) -> str:
    """Without the blanks at the end of a line among which is a tab: the readers of other tools stop at it."""
    lines = text.split("\n")
    return "\n".join(_bare(line) if "\t" in line[len(line.rstrip(" \t")) :] else line for line in lines)


def without_tabs(text: str, readable: Callable[[str], Meaning | None]) -> str | None:
    """The text indented by blanks where tabs were; None if there are none, or if their width makes a difference."""
    if not _TABS.search(text):
        return None
    tried = [_expanded(text, width) for width in _WIDTHS]
    read = [(candidate, said) for candidate in tried if (said := readable(candidate)) is not None]
    if not read or any(not same(read[0][1], said) for _, said in read):
        return None
    return read[0][0]


def _expanded(text: str, width: int) -> str:
    return _TABS.sub(lambda tabs: " " * (width * len(tabs[0])), text)


def with_last_break(text: str) -> str:
    return text if text.endswith("\n") or not problems(text, "new-line-at-end-of-file") else f"{text}\n"


def without_trailing_blanks(text: str) -> str:
    """Without the blanks that the lint objects to, also those inside a block; not those that a backslash keeps."""
    lines = text.split("\n")
    for number in problems(text, "trailing-spaces"):
        lines[number] = _bare(lines[number])
    return "\n".join(lines)


def _bare(line: str) -> str:
    """Without blanks at the end, save one that a backslash makes part of a quoted text."""
    bare = line.rstrip(" \t")
    return line if bare.endswith("\\") else bare


def with_few_empty_lines(text: str) -> str:
    """With at most two empty lines in a row, and none at the top or the end; those of a text stay."""
    broken = set(problems(text, "empty-lines"))
    if not broken:
        return text
    lines = text.split("\n")
    kept_lines = {number for span in spans(compose(text), lines) for number in range(span.first + 1, span.end)}
    kept: list[str] = []
    run: list[int] = []
    for number, line in enumerate(lines):
        if not line and number not in kept_lines and number < len(lines) - 1:
            run.append(number)
            continue
        at_edge = not kept or number == len(lines) - 1
        kept += _shortened(run, broken, at_edge=at_edge)
        run = []
        kept.append(line)
    return "\n".join(kept)


def _shortened(run: list[int], broken: set[int], *, at_edge: bool) -> list[str]:
    """The empty lines of a run that may stay; the lint points at a run's last line, or at the one after it."""
    if not run or not broken.intersection(range(run[0], run[-1] + 2)):
        return [""] * len(run)
    return [""] * (0 if at_edge else min(len(run), _MOST_EMPTY))
