"""Keys, tokens and passwords, by the shapes that their issuers document; they are shown by their first characters only.

What stands for a secret in documentation (`<key>`, `…`, all x, EXAMPLE) is none. Whether one still works is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from instructlab_like.checking.hits import Hit, found_in, is_looked_through, others, sheets
from instructlab_like.checking.subject import Subject
from instructlab_like.scans.found import masked
from instructlab_like.scans.secrets import told
from instructlab_like.taxonomy.findings import Finding

_FIX = "remove it, and revoke it where it was issued: it stays in the history of every copy"


def findings(subject: Subject) -> Iterable[Finding]:
    for page in filter(is_looked_through, (*sheets(subject), *others(subject))):
        yield from found_in(page, look)


def look(text: str) -> Iterator[Hit]:
    """The secrets in a text of several lines; of two that overlap the first, or the one whose shape says more."""
    for found in told(text):
        yield Hit(found.start, found.end, "secret", f"this looks like {found.what}: {masked(found.hidden)}", _FIX)


def hidden(text: str) -> str:
    """The text with every secret in it masked."""
    for hit in reversed(list(look(text))):
        text = text[: hit.start] + masked(text[hit.start : hit.end]) + text[hit.end :]
    return text
