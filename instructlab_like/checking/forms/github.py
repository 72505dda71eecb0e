"""Findings as workflow commands: GitHub shows them as annotations on the lines of a pull request.

Escaped as GitHub's own toolkit does, after everything but the line breaks of a path was made printable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from instructlab_like.checking.forms.plain import line, shown
from instructlab_like.checking.forms.text import summary
from instructlab_like.checking.whole import Outcome

if TYPE_CHECKING:  # most checks find nothing, and pydantic is half of a quick one's time
    from instructlab_like.taxonomy.findings import Finding


def printed(outcome: Outcome) -> str:
    return "\n".join([*map(_command, outcome.findings), summary(outcome)])


def _command(finding: Finding) -> str:
    place = f"file={_property(finding.path)},line={finding.line},col={finding.column}"
    what = f"{finding.field}: {finding.message}" if finding.field else finding.message
    data = _data(f"{line(what)}\n→ {line(finding.fix)}")
    return f"::{finding.severity} {place},title={_property(finding.code)}::{data}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text, keep="\r\n")).replace(":", "%3A").replace(",", "%2C")
