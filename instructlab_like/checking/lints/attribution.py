"""attribution.txt says whose work the leaf rests on, and under which licence, as an SPDX expression for each work.

The list of licences and the grammar of expressions are those of `packaging`; lines that no label opens say more of the
label above.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from instructlab_like.checking.hits import LONGEST_PAGE
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import ATTRIBUTION

Label = Literal["title", "link", "revision", "licence", "creators"]

_LONGEST = 200  # characters of an expression; what is longer is no licence

_FIX = "name title, link, revision, licence and creators of each source, or yourself as the author"
_LICENCE_FIX = "write an identifier of spdx.org/licenses, such as CC-BY-SA-4.0, or LicenseRef-… for one that has none"
_LABELS: tuple[tuple[Label, str], ...] = (
    ("licence", r"(?:spdx|licen[cs]e)"),
    ("creators", r"(?:creator|author|contributor)"),
    ("revision", r"(?:revision|version)"),
    ("link", r"(?:link|url|source)"),
    ("title", r"(?:title|name|work)"),
)
_LINE = re.compile(r"[\s*>-]*(?P<label>[^\W\d_][\w \t/()-]{0,40}?)[ \t*]*[:：](?!//)[ \t*]*(?P<value>.*)")
_NOTHING = re.compile(r"(?:n/?a|none|tbd|todo|unknown|\W*)", re.IGNORECASE)

# What people write for what SPDX abbreviates, in the order in which it is replaced.
_SPELLINGS = (
    (r"\S*creativecommons\.org/(?:licenses|publicdomain)/(?:zero/)?([a-z-]*)/?(\d\.\d)?\S*", r"CC-\1-\2"),
    (r"\(.*?\)|https?://\S+", " "),
    (r"creative commons(?: zero| 0)", "CC0"),
    (r"creative commons", "CC"),
    (r"share[- ]?alike", "SA"),
    (r"non[- ]?commercial", "NC"),
    (r"no[- ]?deriv\w*", "ND"),
    (r"attribution", "BY"),
    (r"gnu affero|affero", "AGPL"),
    (r"gnu free documentation", "GFDL"),
    (r"gnu (?:lesser|library)", "LGPL"),
    (r"gnu general public|gnu public", "GPL"),
    (r"mozilla", "MPL"),
    (
        r"\b(?:the|general|public|licen[cs]ed?|version|under|universal|international|unported|generic|deed|software|gnu)\b",
        " ",
    ),
    (r"\b(a?gpl|lgpl|gfdl|mpl|apache)(?=\d)", r"\1-"),
    (r"\bv\.? ?(?=\d)|(?<=gpl)v(?=\d)|(?<=gfdl)v(?=\d)|[,\"']", " "),
)
_COMMON_TEXT = """Apache-2.0 MIT BSD-2-Clause BSD-3-Clause ISC MPL-2.0 EPL-2.0 Unlicense GPL-2.0-only GPL-2.0-or-later
GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only LGPL-3.0-only AGPL-3.0-only GFDL-1.3-only GFDL-1.3-or-later CC0-1.0
CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-NC-ND-4.0 ODbL-1.0
ODC-By-1.0 PDDL-1.0 CDLA-Permissive-2.0 OGL-UK-3.0"""
_COMMON = {licence.casefold(): licence for licence in _COMMON_TEXT.split()}


@dataclass(frozen=True, slots=True)
class _Line:
    """A labelled value; the position is the value's, or where it would stand."""

    label: Label
    line: int
    column: int
    value: str


@dataclass(slots=True)
class _Work:
    line: int
    lines: list[_Line] = field(default_factory=list)
    column: int = 1

    def has(self, label: Label) -> bool:
        return any(line.label == label for line in self.lines)


def findings(subject: Subject) -> Iterable[Finding]:
    data = subject.files.own.get(ATTRIBUTION, b"")
    if len(data) > LONGEST_PAGE:
        return []  # no attribution is that long, and its length is an error
    found = Findings(subject.place.naming(ATTRIBUTION))
    text = data.decode("utf-8-sig", "replace")  # that it is not UTF-8 is said where characters are looked at
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not text.strip():
        if data:
            found.error(None, "empty-attribution", "the file says nothing yet", fix=_FIX)
        return found.found
    works = _works(lines)
    if works and not any(line.value for work in works for line in work.lines):
        found.error(None, "empty-attribution", "the file says nothing yet", fix=_FIX)
        return found.found
    for number, work in enumerate(works or [_Work(1)]):
        _judge(work if number else _Work(1, work.lines), found)
    return found.found


def _judge(work: _Work, found: Findings) -> None:
    for line in work.lines:
        if line.label == "licence":
            _licence(line, found)
        elif line.label in ("title", "creators") and _NOTHING.fullmatch(line.value):
            what, code = ("title", "no-title") if line.label == "title" else ("creator", "no-creator")
            found.error(line, code, f"the work has no {what}", fix="fill it in; name yourself for what is your own")
    if not work.has("licence"):
        message = "nothing says under which licence the work is"
        found.error(work, "no-licence", message, fix="add `License of the work: ` and its SPDX identifier")


def _licence(line: _Line, found: Findings) -> None:
    if not line.value:
        found.error(line, "no-licence", "the work has no licence", fix=_LICENCE_FIX)
    elif not _is_expression(line.value):
        near = suggested(line.value)
        fix = f"did you mean {near!r}?" if near else _LICENCE_FIX
        shown = line.value if len(line.value) <= 60 else f"{line.value[:59]}…"
        found.error(line, "unknown-licence", f"{shown!r} is no SPDX licence expression", fix=fix)


def suggested(value: str) -> str | None:
    """The SPDX expression that was probably meant."""
    if len(value) > _LONGEST:
        return None
    parts = [
        part for part in re.split(r"\s*(?:[;&|+]| / |,(?! *v(?:ersion|\.| ?\d))|\band\b)\s*", value) if part.strip()
    ]
    found = [_one(part) for part in parts]
    if found and all(found):
        return " AND ".join(dict.fromkeys(part for part in found if part))
    return _one(value)


def _one(value: str) -> str | None:
    for spelling, replacement in _SPELLINGS:
        value = re.sub(spelling, replacement, value, flags=re.IGNORECASE)
    name = "-".join(re.findall(r"[\w.]+", value)).strip("-.")
    for end, version in product(("-only", ""), ("", ".0", "-4.0", "-3.0", "-2.0", "-1.3", "-1.0")):
        if name and "LicenseRef" not in name and _is_expression(name + version + end):
            return canonicalize_license_expression(name + version + end)
    near = difflib.get_close_matches(name.casefold(), _COMMON, n=1, cutoff=0.85)
    return _COMMON[near[0]] if near else None


def _is_expression(value: str) -> bool:
    if len(value) > _LONGEST:
        return False
    try:
        canonicalize_license_expression(value)
    except InvalidLicenseExpression:
        return False
    return True


# --- the file's form --------------------------------------------------------------------------------------------


def _works(lines: list[str]) -> list[_Work]:
    """The works that a file names. One begins where the file's first label comes again, or another one after a gap."""
    works: list[_Work] = []
    after_gap = True
    for line in _labelled(lines):
        if line is None:
            after_gap = True
            continue
        opener = works[0].lines[0].label if works else line.label
        if not works or (works[-1].has(line.label) and (line.label == opener or after_gap)):
            works.append(_Work(line.line))
        works[-1].lines.append(line)
        after_gap = False
    return works


def _labelled(lines: list[str]) -> Iterator[_Line | None]:
    """The labels with their values, which may stand in the next lines; None for a gap between lines."""
    last: _Line | None = None
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        label = _label(match["label"]) if match else None
        if match and label:
            if last:
                yield last
            last = _Line(label, number, match.start("value") + 1, match["value"].rstrip(" \t*"))
        elif not line.strip():
            if last:
                yield last
            last = None
            yield None
        elif last and not last.value:
            last = _Line(last.label, number, len(line) - len(line.lstrip()) + 1, line.strip())
    if last:
        yield last


def _label(words: str) -> Label | None:
    return next((label for label, pattern in _LABELS if re.search(rf"\b{pattern}", words, re.IGNORECASE)), None)
