"""One find in a text, and how finds that overlap are told apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MOST = 2_000  # finds of one sort in a text, after which nobody counts on

SURE, LIKELY, HINTED = range(3)  # by its shape; by a shape that other things have, too; by what stands around it alone


class Found(NamedTuple):
    """Sorted, they are in order of place, and of those that begin together the one whose shape says most is first."""

    start: int
    rank: int
    end: int
    kind: str  # "email", "phone", "secret"
    what: str  # in words: "a phone number"
    doubt: int = SURE
    hidden: str = ""  # of a secret: what must not be shown, where that is not all from start to end


def apart(found: Iterable[Found]) -> list[Found]:
    """In order of place, without those that begin within another."""
    kept: list[Found] = []
    past = 0
    for one in sorted(found):
        if one.start >= past:
            past = one.end
            kept.append(one)
    return kept


def masked(text: str) -> str:
    """Enough of a text to find it by, too little to use it."""
    shown = text[: min(4, len(text) // 2)]
    return f"{shown if shown.isprintable() else ''}… ({len(text)} characters)"
