"""Upstream's verdict on a leaf: the published schema, its yamllint profile, and an attribution that is not empty.

The schema itself is `taxonomy/qna.py`; the package `instructlab-schema` is the oracle, in tests and benchmarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from yamllint import linter
from yamllint.config import YamlLintConfig

from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.qna import VERSIONS
from instructlab_like.taxonomy.read import Reading, examine_qna
from instructlab_like.taxonomy.tree import ATTRIBUTION, QNA, LeafFiles, Place
from instructlab_like.taxonomy.yaml_lines import Problem

LATEST = max(VERSIONS)
_LINT_FIXES = {
    "empty-lines": "leave at most two lines empty",
    "indentation": "indent by the same number of blanks everywhere",
    "new-line-at-end-of-file": "end the last line with a line break",
    "trailing-spaces": "remove the blanks at the end of the line",
}
_NO_LINT = re.compile(r"^#\s*yamllint disable-file\s*$")


def findings(place: Place, files: LeafFiles, *, newest: bool, strict_lint: bool) -> list[Finding]:
    """What upstream's checks say of the leaf's `qna.yaml`, by its own version or by the newest.

    As upstream has it, the folders of the whole path decide the kind, wherever the tree begins.
    """
    folders = Path(place.folder).resolve().parts
    reading = examine_qna(place, files, folders=folders, version=LATEST if newest else None)
    return [
        *reading.findings,
        *lint(place, reading, strict=strict_lint),
        *(attribution(place, files) if reading.version > 1 else ()),
    ]


def lint(place: Place, reading: Reading, *, strict: bool = False) -> list[Finding]:
    """yamllint's problems, which upstream looks for in files above version 1; all of them errors if `strict`."""
    sheet = reading.sheets.get(QNA)
    if sheet is None or sheet.problems or reading.version <= 1 or _NO_LINT.match(sheet.text.partition("\n")[0]):
        return []
    found = Findings(place.naming(QNA))
    for problem in linter.get_cosmetic_problems(sheet.text, _profile(), None):
        if problem.rule == "key-duplicates":  # found when the leaf was read
            continue
        tell = found.error if strict or problem.level == "error" else found.warning
        fix = _LINT_FIXES.get(problem.rule, "correct the YAML; yamllint's documentation explains the rule")
        code = problem.rule or "syntax"
        tell(Problem(problem.line, problem.column, code, problem.desc, fix), code, problem.desc, fix=fix)
    return found.found


def attribution(place: Place, files: LeafFiles) -> Iterable[Finding]:
    """The file must be there and hold something; upstream does not look at what."""
    found = Findings(place.naming(ATTRIBUTION))
    fix = "name title, link, revision, licence and creators of each source, or yourself as the author"
    if ATTRIBUTION in files.refused:
        error = files.refused[ATTRIBUTION]
        found.error(None, "unreadable", f"the file {error.what}", fix=error.fix)
    elif ATTRIBUTION not in files.own:
        found.error(None, "no-attribution", "the file is missing", fix=fix)
    elif not files.own[ATTRIBUTION]:
        found.error(None, "empty-attribution", "the file is empty", fix=fix)
    return found.found


@cache
def _profile() -> YamlLintConfig:
    """The profile of the public taxonomy. Errors refuse a leaf; warnings do so only in upstream's generation."""
    return YamlLintConfig("{extends: relaxed, rules: {line-length: disable}}")
