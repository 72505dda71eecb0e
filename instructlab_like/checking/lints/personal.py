"""What identifies a person in a leaf's questions and answers: addresses, numbers of phones, accounts, cards and people.

Only the YAML files: documents are public texts. Numbers that nobody has (example.org, 555-0100 and the like) are none.
A phone number in its national form is an error where its shape or a word before it says that it is one. Digits that
merely begin with 0 and come in groups may be anything, so they are a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from instructlab_like.checking.hits import Hit, Page, found_in, is_looked_through, sheets
from instructlab_like.checking.subject import Subject
from instructlab_like.scans.found import SURE, masked
from instructlab_like.scans.personal import told
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.yaml_lines import Mapping

_FIX = "leave it out, or write one that nobody has"
_FIXES = {
    "email": "leave it out, or write one of example.org",
    "phone": "leave it out, or write one of a range kept for fiction, such as 555-0123 after an area code",
}
_CODES = (
    ("email", "email"),
    ("phone", "phone"),
    ("iban", "iban"),
    ("card", "payment-card"),
    ("ssn", "social-security-number"),
)


def findings(subject: Subject) -> Iterable[Finding]:
    for page in filter(is_looked_through, sheets(subject)):
        own = _author(page)
        found = found_in(page, look, folds=True)
        yield from (finding for finding in found if finding.code != "email" or finding.line not in own)


def look(text: str) -> Iterator[Hit]:
    """Personal data in a text of several lines; of two that overlap the first, or the one with a checksum."""
    for found in told(text):
        for kind, code in _CODES:
            if kind == found.kind:
                message = f"{found.what}: {masked(text[found.start : found.end])}"
                sure = found.doubt == SURE
                fix = _FIXES.get(code, _FIX)
                yield Hit(found.start, found.end, code, message, fix, "error" if sure else "warning")


def _author(page: Page) -> range:
    """The lines of `created_by`, which may hold an address."""
    entries = page.root.entries if isinstance(page.root, Mapping) else ()
    for entry in entries:
        if entry.key == "created_by":
            below = [other.line for other in entries if other.line > entry.line]
            return range(entry.line, min(below, default=page.text.count("\n") + 2))
    return range(0)
