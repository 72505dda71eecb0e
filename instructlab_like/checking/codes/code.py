"""What there is to say about a code, whatever the leaf."""

from __future__ import annotations

from typing import NamedTuple

PAGE = "docs/findings.md"


class Code(NamedTuple):
    name: str
    title: str
    why: str  # it matters: one or two sentences
    fix: str  # what to do about it
    compatible: bool = False  # whether it is in the compatible profile, too
    wrong: str = ""  # an example in the file, and the same put right
    right: str = ""


class Section(NamedTuple):
    title: str
    about: str
    codes: tuple[Code, ...]
