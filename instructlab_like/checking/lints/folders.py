"""Folder names in lower-case snake case: one subject has one spelling, whatever the file system makes of capitals."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import QNA

_NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # between the words of TideGauge


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(QNA))
    for folder in subject.place.path.split("/"):
        if folder != "." and not _NAME.fullmatch(folder):
            message = f"the folder {folder!r} is not named in lower case with underscores"
            found.error(None, "folder-name", message, fix=f"call it {suggested(folder)!r}")
    return found.found


def suggested(folder: str) -> str:
    """The name in lower-case snake case."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", folder) if not unicodedata.combining(sign))
    return re.sub(r"[^a-z0-9]+", "_", _HUMP.sub("_", plain).lower()).strip("_") or "my_leaf"
