"""One leaf's findings under a profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.tree import LeafFiles, Place


@dataclass(frozen=True, slots=True)
class Options:
    profile: Literal["strict", "compatible"] = "strict"
    schema_version: Literal["from-file", "latest"] = "from-file"
    warnings_as_errors: bool = False  # as upstream's generation has it: in the compatible profile the lint's only


STRICT = Options()


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
        *lints.findings(Subject(place, files, reading)),
    ]
    if options.warnings_as_errors:
        found = [finding.model_copy(update={"severity": "error"}) for finding in found]
    return found
