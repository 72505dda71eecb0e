"""Text and names that other people wrote, before a person sees them: what is plain, and how the rest is shown."""

from __future__ import annotations

import re

# Controls, line separators, marks that turn the direction of writing, characters that hide text, U+FFFD, no UTF-8.
_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffd\ufeff\U000e0000-\U000e007f\U000e0100-\U000e01ef\ud800-\udfff]"
)


def is_plain(text: str) -> bool:
    """Whether a terminal, a page and an editor all show this text as it is, on one line."""
    return not _ODD.search(text)


def escaped(text: str) -> str:
    """The text on one line, with an escape for each character that is not plain."""
    return _ODD.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, as Python keeps it
        return f"\\x{code - 0xDC00:02x}"
    return ascii(character)[1:-1]
