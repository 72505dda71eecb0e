"""Upstream's verdict on a leaf: the published schema, its yamllint profile, and an attribution that is not empty.

The schema itself is `taxonomy/qna.py`; the package `instructlab-schema` is the oracle, in tests and benchmarks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from instructlab_like.checking import yaml_style
from instructlab_like.checking.yaml_style import DUPLICATE, Style
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.qna import VERSIONS
from instructlab_like.taxonomy.read import Reading, examine_qna
from instructlab_like.taxonomy.tree import ATTRIBUTION, QNA, LeafFiles, Place
from instructlab_like.taxonomy.yaml_lines import Mapping, Problem, Sheet

LATEST = max(VERSIONS)
SHOWN = 100  # findings of one lint rule; all of a rule's are errors, or none is, so the verdict needs no more

_LINT_FIXES = {
    "anchors": "name an anchor that stands before it, or write the value out",
    "braces": "put at most one blank inside the braces",
    "brackets": "put at most one blank inside the brackets",
    "colons": "put one blank after the colon and none before it",
    "commas": "put one blank after the comma and none before it",
    "empty-lines": "leave at most two lines empty, and none at the beginning and the end",
    "hyphens": "put one blank after the hyphen",
    "indentation": "indent by the same number of blanks everywhere",
    DUPLICATE: "keep one of the two",
    "new-line-at-end-of-file": "end the last line with a line break",
    "trailing-spaces": "remove the blanks at the end of the line",
}
_DUPLICATE = "duplicate-key"
_WIDEST = 200  # characters of a message: a key can be as long as the file


def findings(place: Place, files: LeafFiles, *, newest: bool, strict_lint: bool) -> list[Finding]:
    """What upstream's checks say of the leaf's `qna.yaml`, by its own version or by the newest.

    As upstream has it, the folders of the whole path decide the kind, wherever the tree begins, and a key that is given
    twice is the lint's affair: a comment can allow it.
    """
    folders = Path(place.folder).resolve().parts
    reading = examine_qna(place, files, folders=folders, version=LATEST if newest else None)
    told = [found for found in reading.findings if found.code != _DUPLICATE or found.severity == "warning"]
    sheet = _linted(reading)
    return [
        *told,
        *(_lint(place, sheet, strict=strict_lint) if sheet else ()),
        *(attribution(place, files) if sheet or _unread(reading) else ()),
    ]


def lint(place: Place, reading: Reading, *, strict: bool = False) -> list[Finding]:
    """yamllint's problems, which upstream looks for in files above version 1; all of them errors if `strict`.

    Keys that the reader knows to be given twice are left to it.
    """
    sheet = _linted(reading)
    if sheet is None:
        return []
    known = {(problem.line, problem.column) for problem in sheet.duplicates}
    found = _lint(place, sheet, strict=strict)
    return [one for one in found if one.code != _DUPLICATE or (one.line, one.column) not in known]


def attribution(place: Place, files: LeafFiles) -> Iterable[Finding]:
    """The file must be there and hold something; upstream does not look at what."""
    found = Findings(place.naming(ATTRIBUTION))
    fix = "name title, link, revision, licence and creators of each source, or yourself as the author"
    if ATTRIBUTION in files.refused:
        found.unread(files.refused[ATTRIBUTION])
    elif ATTRIBUTION not in files.own:
        found.error(None, "no-attribution", "the file is missing", fix=fix)
    elif not files.own[ATTRIBUTION]:
        found.error(None, "empty-attribution", "the file is empty", fix=fix)
    return found.found


def _linted(reading: Reading) -> Sheet | None:
    """The sheet of a `qna.yaml` that upstream lints: of a version above 1, without faults, and it holds something."""
    sheet = reading.sheets.get(QNA)
    if sheet is None or sheet.problems or reading.version <= 1:
        return None
    return sheet if isinstance(sheet.root, Mapping) and sheet.root.entries else None


def _unread(reading: Reading) -> bool:
    """Whether it is refused already, and the rest is said so that all of it can be mended at once."""
    sheet = reading.sheets.get(QNA)
    return reading.version > 1 and (sheet is None or bool(sheet.problems))


def _lint(place: Place, sheet: Sheet, *, strict: bool) -> list[Finding]:
    found = Findings(place.naming(QNA))
    seen: Counter[str] = Counter()
    beyond: dict[str, Style] = {}  # by rule, the first that is not shown
    for problem in yaml_style.problems(sheet):
        seen[problem.rule] += 1
        if seen[problem.rule] <= SHOWN:
            _tell(found, problem, problem.message, sheet, strict=strict)
        else:
            beyond.setdefault(problem.rule, problem)
    for rule, problem in beyond.items():
        _tell(found, problem, f"{seen[rule] - SHOWN} more of {rule} follow", sheet, strict=strict)
    return found.found


def _tell(found: Findings, problem: Style, message: str, sheet: Sheet, *, strict: bool) -> None:
    code = _DUPLICATE if problem.rule == DUPLICATE else problem.rule
    message = message.encode("utf-8", "backslashreplace").decode()  # a key may hold half a character
    message = message if len(message) <= _WIDEST else f"{message[: _WIDEST - 1]}…"
    fix = _LINT_FIXES.get(problem.rule, "correct the YAML; yamllint's documentation explains the rule")
    tell = found.error if strict or problem.severity == "error" else found.warning
    tell(Problem(*sheet.within(problem.line, problem.column), code, message, fix), code, message, fix=fix)
