"""How findings are printed: for people, and for programs."""

from __future__ import annotations

from typing import Literal

import orjson

from instructlab_like.checking.whole import Outcome
from instructlab_like.errors import position

Form = Literal["text", "json", "github", "sarif"]


def printed(outcome: Outcome, form: Form) -> str:
    return {"text": as_text, "json": as_json}[form](outcome)


def as_text(outcome: Outcome) -> str:
    lines = []
    for finding in outcome.findings:
        what = f"{finding.field}: {finding.message}" if finding.field else finding.message
        where = position(finding.path, finding.line, finding.column)
        lines += [f"{where}: {finding.severity} [{finding.code}] {what}", f"  → {finding.fix}"]
    errors = sum(finding.severity == "error" for finding in outcome.findings)
    return "\n".join([*lines, f"{outcome.leaves} leaves, {errors} errors, {len(outcome.findings) - errors} warnings"])


def as_json(outcome: Outcome) -> str:
    rows = [finding.model_dump(mode="json") for finding in outcome.findings]
    return orjson.dumps({"leaves": outcome.leaves, "findings": rows}, option=orjson.OPT_INDENT_2).decode()
