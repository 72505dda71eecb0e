"""Findings as SARIF 2.1.0, the format of code scanning: every code found is a rule, every finding a result."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from instructlab_like import __version__
from instructlab_like.checking.codes import PAGE, Code, find
from instructlab_like.checking.forms.plain import json_text, shown
from instructlab_like.checking.whole import Outcome
from instructlab_like.taxonomy.findings import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HERE = "%SRCROOT%"

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json]"


def printed(outcome: Outcome) -> str:
    codes = sorted({finding.code for finding in outcome.findings})
    driver: Json = {"name": "ilk", "version": __version__, "rules": [_rule(find(code)) for code in codes]}
    run: Json = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {HERE: {"description": {"text": "the folder in which the check ran"}}},
        "results": list(_results(outcome.findings, codes)),
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: Code) -> Json:
    return {
        "id": code.name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {
            "text": f"{code.fix} See {PAGE}#{code.name}.",
            "markdown": f"{code.fix} See [{PAGE}]({PAGE}#{code.name}).",
        },
    }


def _results(findings: Iterable[Finding], codes: list[str]) -> Iterable[Json]:
    alike: Counter[tuple[str, ...]] = Counter()
    for finding in findings:
        about = (finding.path, finding.code, finding.field, finding.message)
        alike[about] += 1
        what = f"{finding.field}: {finding.message}" if finding.field else finding.message
        yield {
            "ruleId": finding.code,
            "ruleIndex": codes.index(finding.code),
            "level": finding.severity,
            "message": {"text": _message(f"{what} → {finding.fix}")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": _location(finding.path),
                        "region": {"startLine": finding.line, "startColumn": finding.column},
                    }
                }
            ],
            "partialFingerprints": {"finding/v1": _fingerprint(about, alike[about])},
        }


def _message(text: str) -> str:
    """Text of a leaf must not become a link where SARIF's `[text](destination)` is shown as one."""
    return shown(text).replace("](", "] (")


def _location(path: str) -> Json:
    """Where the file is: below the folder of the check, or absolute if it was named so."""
    uri = quote(path, errors="replace")
    return {"uri": f"file://{uri}"} if Path(path).is_absolute() else {"uri": uri, "uriBaseId": HERE}


def _fingerprint(about: tuple[str, ...], number: int) -> str:
    """The same for a finding that only moved to another line: alerts are not closed and opened anew."""
    text = "\0".join([*about, str(number)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
