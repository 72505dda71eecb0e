"""One leaf's report: its findings under a profile, and what the rest of the tree has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from instructlab_like.records import Record
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.tree import LeafFiles, Place


@dataclass(frozen=True, slots=True)
class Options:
    profile: Literal["strict", "compatible"] = "strict"
    schema_version: Literal["from-file", "latest"] = "from-file"
    warnings_as_errors: bool = False  # as upstream's generation has it: in the compatible profile the lint's only


STRICT = Options()


class SeedMark(Record):
    """A seed example by what it asks, for finding it again elsewhere in the tree."""

    asked: str  # digest of the normalised question, with its context where that is part of the question
    file: str
    line: int
    column: int
    field: str


class Report(Record):
    findings: tuple[Finding, ...]
    seeds: tuple[SeedMark, ...]


def examined(place: Place, files: LeafFiles, options: Options) -> Report:
    """Look at a leaf; the paths in the report are as the place names them."""
    # These bring yamllint and more; a leaf that has not changed is remembered and needs none of them.
    from instructlab_like.checking import lints, upstream
    from instructlab_like.checking.subject import Subject
    from instructlab_like.taxonomy.read import examine

    newest = options.schema_version == "latest"
    strict_lint = options.warnings_as_errors
    if options.profile == "compatible":
        return Report(findings=tuple(upstream.findings(place, files, newest=newest, strict_lint=strict_lint)), seeds=())
    reading = examine(place, files)
    found = [
        *reading.findings,
        *upstream.lint(place, reading, strict=strict_lint),
        *upstream.attribution(place, files),
        *lints.findings(Subject(place, files, reading)),
    ]
    if options.warnings_as_errors:
        found = [finding.model_copy(update={"severity": "error"}) for finding in found]
    return Report(findings=tuple(found), seeds=())
