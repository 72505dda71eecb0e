"""Everything that `ilk check` says about leaves: what keeps them from being read, and what upstream's checks add."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from yamllint import linter
from yamllint.config import YamlLintConfig

from instructlab_like.errors import InputError
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.qna import source_of
from instructlab_like.taxonomy.read import Reading, examine
from instructlab_like.taxonomy.tree import ATTRIBUTION, QNA, chosen, companions, content, misnamed
from instructlab_like.taxonomy.yaml_lines import Mapping, Problem

# The profile of the public taxonomy. Its errors refuse a leaf; its warnings do so only in upstream's generation.
_PROFILE = YamlLintConfig("{extends: relaxed, rules: {line-length: disable}}")
_LINT_FIXES = {
    "empty-lines": "leave at most two lines empty",
    "indentation": "indent by the same number of blanks everywhere",
    "new-line-at-end-of-file": "end the last line with a line break",
    "trailing-spaces": "remove the blanks at the end of the line",
}


def check(root: Path, paths: Sequence[Path] = ()) -> list[Finding]:
    """All findings of the leaves at or below `paths`, sorted by position; of every leaf without `paths`.

    Raises InputError if there is no such folder or leaf.
    """
    found = [finding for leaf in chosen(root, paths) for finding in _leaf(root, leaf)]
    if not paths:
        found += _misnamed(root)
    return sorted(found, key=lambda finding: (finding.path, finding.line, finding.column, finding.code, finding.field))


def _leaf(root: Path, path: str) -> list[Finding]:
    reading = examine(root, path)
    extra = Findings(str(root / path / QNA))
    attribution = Findings(str(root / path / ATTRIBUTION))
    if reading.version > 1:
        _lint(reading, extra)
        _attribution(root, path, attribution)
    if reading.sheet and isinstance(reading.sheet.root, Mapping):
        _documents(root / path, reading.sheet.root, extra)
    return [*reading.findings, *extra.found, *attribution.found]


def _lint(reading: Reading, findings: Findings) -> None:
    if reading.sheet is None or reading.sheet.problems:
        return
    for problem in linter.run(reading.sheet.text, _PROFILE):
        if problem.rule == "key-duplicates":  # found when the leaf was read
            continue
        tell = findings.error if problem.level == "error" else findings.warning
        fix = _LINT_FIXES.get(problem.rule, "correct the YAML; yamllint's documentation explains the rule")
        code = problem.rule or "syntax"
        tell(Problem(problem.line, problem.column, code, problem.desc, fix), code, problem.desc, fix=fix)


def _attribution(root: Path, path: str, findings: Findings) -> None:
    """A leaf says whose work it rests on; the file counts as empty while none of its labels has a value."""
    try:
        data = content(root, f"{path}/{ATTRIBUTION}")
    except InputError as error:
        findings.error(None, "unreadable", f"the file {error.what}", fix=error.fix)
        return
    fix = "name title, link, revision, licence and creators of each source, or yourself as the author"
    if data is None:
        findings.error(None, "no-attribution", "the file is missing", fix=fix)
        return
    lines = data.decode("utf-8", "replace").splitlines()
    if all(re.fullmatch(r"\s*([\w ]+:)?\s*", line) for line in lines):
        findings.error(None, "empty-attribution", "the file says nothing yet", fix=fix)


def _documents(folder: Path, document: Mapping, findings: Findings) -> None:
    """What will keep the documents from being fetched: a warning, as upstream lets it pass, but for repo "."."""
    at, source = document.entry("document"), source_of(document)
    if source is None:
        return
    here = source.repo == sources.HERE
    tell = findings.error if here else findings.warning
    for field, message, fix in sources.problems(source):
        tell(at, "document", message, fix=fix, field=f"document.{field}")
    refusal = None if here else sources.remote_problem(source.repo)
    if refusal:
        fix = "name a public https:// repository; only who has a mirror of this one can use the leaf"
        findings.warning(at, "document", f"{source.repo!r} {refusal}", fix=fix, field="document.repo")
    files = companions(folder) if here else []
    for number, pattern in enumerate(source.patterns if here else (), start=1):
        if not any(sources.is_readable(path) for path in sources.matching(files, pattern)):
            fix = f"put the document beside {QNA} as Markdown or text"
            field = f"document.patterns[{number}]"
            findings.error(at, "document", f"{pattern!r} matches no document", fix=fix, field=field)


def _misnamed(root: Path) -> list[Finding]:
    found = []
    for path in misnamed(root):
        findings = Findings(str(root / path))
        findings.error(None, "wrong-name", f"only a file called {QNA} is read", fix=f"rename it to {QNA}")
        found += findings.found
    return found
