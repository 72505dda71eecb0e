"""Documents that would be refused, or are not there: said before anyone tries to fetch them."""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.qna import source_of
from instructlab_like.taxonomy.tree import QNA, companions
from instructlab_like.taxonomy.yaml_lines import Mapping


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(QNA))
    sheet = subject.reading.sheets.get(QNA)
    document = sheet.root if sheet else None
    source = source_of(document) if isinstance(document, Mapping) else None
    if source is None or not isinstance(document, Mapping):
        return found.found
    at = document.entry("document")
    here = source.repo == sources.HERE
    for field, message, fix in sources.problems(source):
        found.error(at, "document", message, fix=fix, field=f"document.{field}")
    refusal = None if here else sources.remote_problem(source.repo)
    if refusal:
        fix = "name a public https:// repository; only who has a mirror of this one can use the leaf"
        found.error(at, "document", f"{source.repo!r} {refusal}", fix=fix, field="document.repo")
    files = companions(subject.place.folder) if here else []
    for number, pattern in enumerate(source.patterns if here else (), start=1):
        if not any(sources.is_readable(path) for path in sources.matching(files, pattern)):
            fix = f"put the document beside {QNA} as Markdown or text"
            field = f"document.patterns[{number}]"
            found.error(at, "document", f"{pattern!r} matches no document", fix=fix, field=field)
    return found.found
