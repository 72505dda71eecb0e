"""Writes a text as a YAML value that reads back character for character, whatever the text holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a literal block would change, what YAML does not allow, what a reviewer would not see: control characters,
# the line breaks of YAML 1.1, what turns the direction of writing, tags.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\U000e0000-\U000e0fff"
)
# The lint of leaves objects to blanks at the end of a line and to more than two empty lines, inside a block as well.
_NEEDS_QUOTES = re.compile(rf"[{_UNSEEN}]|\A\s|\s\Z|[ \t]\n|\n{{4}}|\A\Z")
_ESCAPED = re.compile(rf'[\\"\t{_UNSEEN}]')
_NAMED = {"\\": "\\\\", '"': '\\"', "\t": "\\t"}


def value(text: str, indent: int) -> str:
    """What stands after `key: `: a literal block, or a quoted text where no block can hold it.

    Lines after the first are indented by `indent` blanks; there is no line break at the end.
    """
    if not _NEEDS_QUOTES.search(text):
        return "|-\n" + "\n".join(f"{' ' * indent}{line}" if line else "" for line in text.split("\n"))
    return '"' + f"\\\n{' ' * indent}".join(_quoted(text)) + '"'


def comment(text: str, *, longest: int = 100) -> str:
    """The text as a comment may hold it: one line, nothing in it that cannot be seen."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _quoted(text: str) -> Iterator[str]:
    """The text's lines as a double-quoted scalar has them, each to be followed by an escaped line break."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        shown = _ESCAPED.sub(_escape, line)
        if number and shown.startswith(" "):
            shown = f"\\{shown}"  # blanks that begin a line of a quoted text are dropped
        yield shown if number == len(lines) - 1 else f"{shown}\\n"


def _escape(found: re.Match[str]) -> str:
    letter = found.group()
    if letter in _NAMED:
        return _NAMED[letter]
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
