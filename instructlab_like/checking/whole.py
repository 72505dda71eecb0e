"""All findings of all leaves that a user names, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructlab_like.checking.leaf import STRICT, Options, examined
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import Stray, located, read_files


@dataclass(frozen=True, slots=True)
class Outcome:
    leaves: int
    findings: tuple[Finding, ...]  # sorted by path and position

    @property
    def failed(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)


def check(paths: Sequence[Path], options: Options = STRICT) -> Outcome:
    """Look at the leaves at, around or below the paths; a path that is none is a finding itself."""
    places, strays = located(paths)
    found = [finding for place in places for finding in examined(place, read_files(place), options).findings]
    found += [finding for stray in strays for finding in _stray(stray)]
    found.sort(key=lambda finding: (finding.path, finding.line, finding.column, finding.code, finding.field))
    return Outcome(len(places), tuple(found))


def _stray(stray: Stray) -> list[Finding]:
    findings = Findings(stray.shown)
    findings.error(None, stray.code, stray.message, fix=stray.fix)
    return findings.found
