"""Text of other people made fit for a terminal, a build's log and a JSON file: nothing in it acts, all of it is seen.

A build's log is read for commands: GitHub's runner takes a line that begins with `::` for one, and an older form
`##[…]` wherever it stands in a line (`##vso[…]` and `##teamcity[…]` are the like elsewhere).
"""

from __future__ import annotations

import json
import re

from instructlab_like.printable import is_plain

_LOG_COMMAND = re.compile(r"#(?=#\w*\[)")
_LINE_COMMAND = re.compile(r"^ *:(?=:)")
_PERHAPS_UNPRINTABLE = re.compile(r"[^\n\x20-\x7e]")


def shown(text: str, keep: str = "") -> str:
    """The text with whatever is not printable written as an escape: controls, line breaks, bidi, surrogates."""
    if not (text.isprintable() and is_plain(text)):
        text = "".join(
            char if char in keep or (char.isprintable() and is_plain(char)) else _escape(char) for char in text
        )
    return _LOG_COMMAND.sub(r"\\x23", text)


def line(text: str) -> str:
    """The text as one line that no log takes for a command."""
    return _LINE_COMMAND.sub(lambda found: found[0][:-1] + r"\x3a", shown(text))


def json_text(value: object) -> str:
    """A value as JSON that every terminal and parser can take: what is not printable is escaped, the rest is not."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    text = _LOG_COMMAND.sub(r"\\u0023", text)  # JSON has a "#" in strings only, and there this is one
    # Nor has it, outside its strings, any character but printable ones and line breaks.
    return _PERHAPS_UNPRINTABLE.sub(_json_shown, text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _json_shown(found: re.Match[str]) -> str:
    char = found[0]
    return char if _is_seen(char) else json.dumps(char)[1:-1]


def _is_seen(char: str) -> bool:
    return char.isprintable() and is_plain(char)
