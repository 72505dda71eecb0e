"""The names in `private.txt`: whether each line is one that can be found, and by no accident in every sentence."""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.errors import FileError
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.private import names
from instructlab_like.taxonomy.tree import PRIVATE, content


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(PRIVATE))
    try:
        data = content(subject.place.root, f"{subject.place.path}/{PRIVATE}")
    except FileError as error:
        found.unread(error)
        return found.found
    if data is not None and not names(data, found) and not found.broken:
        fix = "write one name a line, or delete the file"
        found.warning(None, "empty", "no name is marked as private yet", fix=fix)
    return found.ordered
