"""Findings for programs: the number of leaves and a list of findings, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instructlab_like.checking.forms.plain import json_text
from instructlab_like.checking.whole import Outcome

if TYPE_CHECKING:  # most checks find nothing, and pydantic is half of a quick one's time
    from instructlab_like.taxonomy.findings import Finding


def printed(outcome: Outcome) -> str:
    return json_text({"leaves": outcome.leaves, "findings": [_row(finding) for finding in outcome.findings]})


def _row(finding: Finding) -> dict[str, str | int]:
    return {
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "code": finding.code,
        "severity": finding.severity,
        "field": finding.field,
        "message": finding.message,
        "fix": finding.fix,
    }
