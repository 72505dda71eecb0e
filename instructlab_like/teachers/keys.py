"""An API key: where it comes from, how it is sent, and how it is kept out of everything that is written."""

from __future__ import annotations

import base64
import html
import json
import os
import re

from instructlab_like.errors import InputError

HIDDEN = "…"
TELLING = 8  # characters; what is shorter than this may stand in a text by chance
SECRET = 12  # the same, for whole keys: "EMPTY" is what local servers are given


class Key:
    """Knows a secret and does not show it: neither `repr` nor `str` holds it."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._forms = forms(value)
        self._escaped = re.compile("".join(escaped_or_not(character) for character in value))
        self.reach = 3 * max(len(value), *map(len, self._forms))  # characters that an echo of it may take

    def __repr__(self) -> str:
        return "Key(…)"

    @property
    def header(self) -> str:
        """The Authorization header."""
        return f"Bearer {self._value}"

    def hide(self, words: str) -> str:
        """The words without the key, should somebody echo it: as it is, percent-encoded, in base64, hex, JSON, HTML."""
        for form in self._forms:
            if form in words:
                words = words.replace(form, HIDDEN)
        return self._escaped.sub(HIDDEN, words) if "%" in words else words

    @property
    def is_secret(self) -> bool:
        """Whether it is long enough that it cannot stand in an answer by chance."""
        return len(self._value) >= SECRET


def forms(value: str) -> tuple[str, ...]:
    """How a secret may come back, the longest first."""
    data = value.encode()
    derived = {json.dumps(value)[1:-1], html.escape(value), data.hex(), data.hex().upper(), *in_base64(data)}
    found = {value} | {form for form in derived if len(form) >= TELLING}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def escaped_or_not(character: str) -> str:
    """A pattern for a character, percent-encoded or as it is: which ones are encoded, and how, is anybody's choice."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    return f"(?:{re.escape(character)}|(?i:{encoded}))"


def in_base64(data: bytes) -> set[str]:
    """The characters of its base64 that do not depend on what stands before and behind, for each of three offsets."""
    found = set()
    for offset in range(3):
        plain = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        first = -(-offset * 8 // 6)
        last = (offset + len(data)) * 8 // 6
        found |= {plain[first:last], plain[first:last].translate(str.maketrans("+/", "-_"))}
    return found


def read_key(variable: str | None) -> Key | None:
    """The API key from the environment variable that a recipe names; it is never written or shown."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key or not key.isprintable():
        what = "holds characters that no key has" if key else "is not set"
        raise InputError(
            f"the environment variable {variable} {what}",
            where="teacher.key_env",
            fix=f"export {variable}=… with the API key of the teacher",
        )
    return Key(key)
