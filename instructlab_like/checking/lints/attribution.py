"""attribution.txt says whose work the leaf rests on; while none of its labels has a value it says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import ATTRIBUTION

_FIX = "name title, link, revision, licence and creators of each source, or yourself as the author"


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(ATTRIBUTION))
    text = subject.files.own.get(ATTRIBUTION, b"").decode("utf-8", "replace")
    if text and all(re.fullmatch(r"\s*([\w ]+:)?\s*", line) for line in text.splitlines()):
        found.error(None, "empty-attribution", "the file says nothing yet", fix=_FIX)
    return found.found
