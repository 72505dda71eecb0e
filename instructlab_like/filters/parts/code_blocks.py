"""Which part of a text is code: fenced blocks, inline spans, and lines that read like a program."""

from __future__ import annotations

import re
from functools import lru_cache

FENCE = re.compile(r"^(?P<indent>[ \t]*(?:>[ \t]?|[-*+][ \t]+|\d{1,3}[.)][ \t]+)*)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
SPAN = re.compile(r"(?<!`)(`+)(?!`)[^\n]{1,400}?(?<!`)\1(?!`)")

# Lines that no prose has. One is enough to be careful with the text; it says nothing about which language it is.
PROGRAM = re.compile(
    r"^[ \t]*(?:>>> |(?:async )?def \w+\s*\(|class \w+\s*[(:{]|import [\w.{*]+|from [\w.]+ import |@\w+[(\w.]*$"
    r"|#include\b|#!/"
    r"|using \w[\w.]*;|package [\w.]+;?$|(?:public|private|protected|static|final|export|async) [\w<]+ \w+"
    r"|func(?:tion)? ?\w*\s*\(|(?:const|let|var|int|char|float|double|void|bool|auto|string|String) \**\w+\s*[=(;\[]"
    r"|(?:if|for|while|switch|elif|else if)\b.{0,120}[:{]$|return\b[^.]{0,120};$|print\w*\s*\(|console\.|System\.|std::"
    r"|SELECT\b.{1,200}\bFROM\b|INSERT INTO\b|CREATE (?:TABLE|VIEW|INDEX)|UPDATE \w+ SET\b|<\?php|<!DOCTYPE"
    r"|</?[a-z][\w-]*[^<>]*>[ \t]*$|[$>] ?(?:cd|ls|git|pip|npm|sudo|docker|python3?|cat|echo|grep|curl|apt)\b"
    r"|(?:sudo|git|pip3?|npm|docker|kubectl|curl|apt-get) \w|\\(?:begin|end|documentclass|usepackage)\b"
    r"|[\w.\[\]'\"]+ ?[-+*/|]?= ?[\w.\[\]'\"(]+.{0,80}[);\]}]$|//\s|/\*|[{}\])]+[;,]?$)"
    r"|[)\]\"'\d];[ \t]*$|=>\s*[{(]|\bprint\w*\(|\b\w+\([\w\s,.'\"]*\)\s*[{;]|\b\w+::\w|#\{|\$\{\w+\}.*;",
    re.MULTILINE,
)


@lru_cache(maxsize=64)
def outside_code(text: str) -> str | None:
    """The lines outside fenced code blocks; None when a block is never closed.

    As CommonMark has it, save that a fence may be indented anyhow: whether the list around it is one would have to be
    known. A closing fence stands at most three columns to the right of its opening one.
    """
    if "```" not in text and "~~~" not in text:
        return text
    prose: list[str] = []
    opened: tuple[str, int] | None = None
    for line in text.splitlines():
        found = FENCE.match(line)
        if opened is None:
            if found and not (found["fence"][0] == "`" and "`" in found["info"]):
                opened = found["fence"], len(found["indent"])
            else:
                prose.append(line)
        elif found and closes(found, *opened):
            opened = None
    return "\n".join(prose) if opened is None else None


def closes(found: re.Match[str], fence: str, indent: int) -> bool:
    plain = not found["indent"].strip(" \t>")
    return (
        plain and found["fence"].startswith(fence) and not found["info"].strip() and len(found["indent"]) <= indent + 3
    )


@lru_cache(maxsize=64)
def outside_spans(text: str) -> str:
    """The text outside fenced blocks and `inline code`; what an unclosed block holds counts as code."""
    prose = outside_code(text)
    if prose is None:
        prose = text[: min(at for at in (text.find("```"), text.find("~~~")) if at >= 0)]
    return SPAN.sub(" ", prose) if "`" in prose else prose


def reads_like_code(text: str) -> bool:
    """Whether a line of the text could stand in a program."""
    return PROGRAM.search(text) is not None
