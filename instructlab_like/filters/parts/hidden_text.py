"""What a page holds and its reader does not see: invisible characters, comments, hidden elements, encoded text."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote


class Hidden(NamedTuple):
    how: str
    text: str
    start: int
    certain: bool = False  # whether nobody hides anything honest in this way
    markup: bool = False  # whether it is kept out of sight by markup
    whole: bool = False  # whether it is all of the text, with what hides in it taken out


_TAG = re.compile("(?:\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|(?P<tags>[\U000e0020-\U000e007f]{3,})")
INVISIBLE = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_UNSEEN_SIGN = re.compile(f"[{INVISIBLE}\U000e0020-\U000e007f]")
_INVISIBLE_RUN = re.compile(f"[{INVISIBLE}]{{8,}}")
_COMMENT = re.compile(
    r"<!--(?P<a>.{1,1000}?)-->|^\[(?://|comment|_)\]: ?(?:#|<>) ?[\"(']?(?P<b>[^\n]{1,500})", re.DOTALL | re.MULTILINE
)
_UNSEEN = re.compile(
    r"<(?P<tag>[a-z]{1,10})\b[^>]{0,200}?(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em"
    r"|rem|%)?\s*[;\"']|opacity\s*:\s*0(?:\.0+)?\s*[;\"']"
    r"|(?<![-\w])color\s*:\s*(?:#f{3}(?:f{3})?|white|transparent|rgba?\(255, ?255, ?255)|text-indent\s*:\s*-\d{3,}"
    r"|left\s*:\s*-\d{4,}|\bhidden\b)[^>]{0,200}>(?P<text>.{1,1000}?)</(?P=tag)",
    re.DOTALL | re.IGNORECASE,
)
_CODED = re.compile(r"[A-Za-z0-9+/]{24,}+={0,2}")
LONGEST = 20_000  # characters of a text in base64 that is looked into; what is longer is a picture
_HEX = re.compile(r"(?:[2-7][0-9a-fA-F]){12,2000}\Z")
_RUN = b"x" * 24
_RUNS = bytes(120 if chr(sign).isalnum() or sign in b"+/" else 32 for sign in range(128)) + bytes(128)
_ESCAPED = re.compile(r"(?:%[2-7][0-9A-Fa-f]|[A-Za-z.]){12,}")


def may_hide(text: str) -> bool:
    """Whether a text has anything in which another could be hidden."""
    if _RUN in text.encode("ascii", "replace").translate(_RUNS):
        return True
    if ("<" in text and ("<!--" in text or "style" in text or "hidden" in text)) or ("[" in text and "]: " in text):
        return True
    if "%" in text and text.count("%20") > 2:
        return True
    return not text.isascii() and bool(_UNSEEN_SIGN.search(text))


def hidden(text: str) -> Iterator[Hidden]:
    """Every text within the text that a reader would not see, or not read."""
    if not text.isascii():
        yield from _by_characters(text)
    if "<" in text or "[" in text:
        yield from _by_markup(text)
    yield from _by_code(text)


def _by_characters(text: str) -> Iterator[Hidden]:
    for match in _TAG.finditer(text):
        if match["tags"]:
            told = "".join(chr(ord(sign) - 0xE0000) for sign in match["tags"] if ord(sign) < 0xE007F)
            yield Hidden("tag characters", told, match.start(), certain=True)
    for match in _INVISIBLE_RUN.finditer(text):
        yield Hidden("a run of invisible characters", "", match.start(), certain=True)
    first = _INVISIBLE.search(text)
    if first:
        yield Hidden("invisible characters within words", _INVISIBLE.sub("", text), first.start(), whole=True)


def _by_markup(text: str) -> Iterator[Hidden]:
    for match in _COMMENT.finditer(text):
        yield Hidden("a comment", match["a"] or match["b"], match.start(), markup=True)
    for match in _UNSEEN.finditer(text):
        yield Hidden("an element that is not shown", match["text"], match.start(), markup=True)


def _by_code(text: str) -> Iterator[Hidden]:
    for match in _CODED.finditer(text):
        if len(match[0]) > LONGEST:
            continue
        if _HEX.match(match[0]):
            if told := _readable(binascii.unhexlify(match[0])):
                yield Hidden("hexadecimal digits", told, match.start())
        elif told := _plain_base64(match[0]):
            yield Hidden("base64", told, match.start())
    for match in _ESCAPED.finditer(text) if text.count("%20") > 2 else ():
        if match[0].count("%20") > 2:
            yield Hidden("percent signs", unquote(match[0]), match.start())


def _plain_base64(written: str) -> str:
    try:
        return _readable(b64decode(written + "=" * (-len(written) % 4), validate=True))
    except ValueError:
        return ""


def _readable(data: bytes) -> str:
    """The text, if it is one: letters and blanks for the most part."""
    try:
        told = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(sign.isalpha() or sign in " .,!?:'\n" for sign in told)
    return told if len(told) > 9 and letters >= 0.85 * len(told) and " " in told else ""
