"""One leaf's findings under a profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from instructlab_like.taxonomy.tree import LeafFiles, Place

if TYPE_CHECKING:  # most checks find nothing, and pydantic is half of a quick one's time
    from instructlab_like.taxonomy.findings import Finding


@dataclass(frozen=True, slots=True)
class Options:
    profile: Literal["strict", "compatible"] = "strict"
    schema_version: Literal["from-file", "latest"] = "from-file"
    document_hosts: tuple[str, ...] = ()  # from which documents may come besides the well-known ones
    warnings_as_errors: bool = False  # as upstream's generation has it: in the compatible profile the lint's only


STRICT = Options()
_STRICT_ERRORS = ("empty-file", "duplicate-key")  # which upstream lets pass, the second in version 1


def examined(place: Place, files: LeafFiles, options: Options) -> list[Finding]:
    """Everything that is wrong with a leaf by itself, by the paths that the place names."""
    # These bring yamllint and more; a leaf that has not changed is remembered and needs none of them.
    from instructlab_like.checking import lints, upstream
    from instructlab_like.checking.subject import Subject
    from instructlab_like.taxonomy.read import examine

    strict_lint = options.warnings_as_errors
    newest = options.schema_version == "latest"
    if options.profile == "compatible":
        return upstream.findings(place, files, newest=newest, strict_lint=strict_lint)
    reading = examine(place, files, version=upstream.LATEST if newest else None)
    found = [
        *reading.findings,
        *upstream.lint(place, reading, strict=strict_lint),
        *upstream.attribution(place, files),
        *lints.findings(Subject(place, files, reading, options.document_hosts)),
    ]
    return [_strictly(finding, options) for finding in _masked(found)]


def _strictly(finding: Finding, options: Options) -> Finding:
    if finding.code in _STRICT_ERRORS or options.warnings_as_errors:
        return finding.model_copy(update={"severity": "error"})
    return finding


def _masked(found: Sequence[Finding]) -> Sequence[Finding]:
    """No message repeats a secret that another one masks; what is printed ends in logs that anybody reads."""
    if not any(finding.code == "secret" for finding in found):
        return found
    from instructlab_like.checking.lints.secrets import hidden

    return [
        finding.model_copy(update={"message": hidden(finding.message), "field": hidden(finding.field)})
        for finding in found
    ]
