"""No tags, `!!int` and the like: what a value is must show in how it is written, and tools differ in what they know."""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings

SHOWN = 20  # of a file; the rest is counted


def findings(subject: Subject) -> Iterable[Finding]:
    for name, sheet in subject.reading.sheets.items():
        found = Findings(subject.place.naming(name))
        for problem in sheet.tags[:SHOWN]:
            found.error(problem, "tag-used", problem.message, fix=problem.fix)
        if len(sheet.tags) > SHOWN:
            message = f"{len(sheet.tags) - SHOWN} more tags follow in this file"
            found.error(sheet.tags[SHOWN], "tag-used", message, fix=sheet.tags[SHOWN].fix)
        yield from found.found
