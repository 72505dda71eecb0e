"""Findings for people: one line with the position, one with what to do; at the end how many."""

from __future__ import annotations

from instructlab_like.checking.forms.plain import line
from instructlab_like.checking.whole import Outcome
from instructlab_like.errors import position


def printed(outcome: Outcome) -> str:
    lines = []
    for finding in outcome.findings:
        what = f"{finding.field}: {finding.message}" if finding.field else finding.message
        where = position(finding.path, finding.line, finding.column)
        lines += [line(f"{where}: {finding.severity} [{finding.code}] {what}"), line(f"  → {finding.fix}")]
    return "\n".join([*lines, summary(outcome)])


def summary(outcome: Outcome) -> str:
    errors = sum(finding.severity == "error" for finding in outcome.findings)
    return f"{outcome.leaves} leaves, {errors} errors, {len(outcome.findings) - errors} warnings"
