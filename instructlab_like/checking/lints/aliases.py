"""No aliases and no merges: a reviewer must see a text where it is used, and a change must change one text only."""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.yaml_lines import Sheet

SHOWN = 20  # of a file; the rest is counted


def findings(subject: Subject) -> Iterable[Finding]:
    return [
        finding
        for name, sheet in subject.reading.sheets.items()
        for finding in _of(sheet, Findings(subject.place.naming(name)))
    ]


def _of(sheet: Sheet, found: Findings) -> list[Finding]:
    problems = sorted((*sheet.aliases, *sheet.merges), key=lambda problem: (problem.line, problem.column))
    for problem in problems[:SHOWN]:
        found.error(problem, problem.code, problem.message, fix=problem.fix)
    if len(problems) > SHOWN:
        message = f"{len(problems) - SHOWN} more aliases follow in this file"
        found.error(problems[SHOWN], problems[SHOWN].code, message, fix="write the values out")
    return found.found
