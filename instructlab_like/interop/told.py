"""What became of each block of an imported pipeline: carried over, carried over with a difference, or left out."""

from __future__ import annotations

from typing import Literal

from instructlab_like.interop.sheet import Entry
from instructlab_like.records import Record

Outcome = Literal["carried", "differs", "left"]


class Told(Record):
    """One thing that is said of a block."""

    pipeline: str
    file: str
    line: int
    block: str  # its name; of what is no block, the key in the file
    type: str
    outcome: Outcome
    what: str
    fix: str = ""  # what to do about it

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class LeftError(Exception):
    """A block, or an option of one, that cannot be carried over."""

    def __init__(self, entry: Entry, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.entry, self.what, self.fix = entry, what, fix
