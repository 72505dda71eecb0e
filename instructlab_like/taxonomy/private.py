"""`private.txt` beside `qna.yaml`: names that no sample of the leaf may hold, one a line; `#` begins a comment."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from instructlab_like.taxonomy.findings import Findings

MOST = 5_000  # names
LONGEST = 100  # characters of a name
_NO_NAME = re.compile(r"[^\w\s.'’\-,·・]|_|\A[\W\d_]+\Z")


@dataclass(frozen=True, slots=True)
class _Spot:
    line: int
    column: int


def names(data: bytes, findings: Findings) -> tuple[str, ...]:
    """The names of the file, in order; those that cannot be used are told of, and left out."""
    text = _decoded(data, findings)
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.partition("#")[0]
        name = " ".join(unicodedata.normalize("NFC", bare).split())
        if not name:
            continue
        at = _Spot(number, len(bare) - len(bare.lstrip()) + 1)
        if name in found:
            message = f"this name stands in line {found[name]} already"
            findings.warning(at, "repeated", message, fix="remove it", field=_field(len(found)))
        elif problem := _problem(name):
            message, fix = problem
            findings.error(at, "wrong-value", message, fix=fix, field=_field(len(found) + 1))
        elif len(found) == MOST:
            findings.error(at, "wrong-value", f"there are more than {MOST:,} names", fix="make several leaves of it")
            break
        else:
            found[name] = number
    return tuple(found)


def _decoded(data: bytes, findings: Findings) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        findings.error(_Spot(line, column), "encoding", "this is not UTF-8", fix="save the file as UTF-8")
        return ""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _problem(name: str) -> tuple[str, str] | None:
    """Why a line cannot be a name, and what to do."""
    if len(name) > LONGEST:
        return f"this has {len(name)} characters, and a name has {LONGEST} at most", "write one name a line"
    if odd := _NO_NAME.search(name):
        return f"this is no name: {odd[0]!r}", "write one name a line, and what it is for behind a #"
    if len(name) < 2 or (len(name) == 2 and name.isascii()):
        return "so short a name is part of other words", "write the whole name"
    if not any(letter.isupper() or not letter.islower() for letter in name if letter.isalpha()):
        return "a name in small letters would be found in ordinary words", "write it as texts write it"
    return None


def _field(number: int) -> str:
    return f"names[{number}]"
