"""The code of every finding: what it is called, why it matters, what to do. `docs/findings.md` is written from it."""

from __future__ import annotations

from instructlab_like.checking.codes.catalogue import SECTIONS
from instructlab_like.checking.codes.code import PAGE, Code

CODES = {code.name: code for section in SECTIONS for code in section.codes}

__all__ = ["CODES", "PAGE", "Code", "find"]


def find(name: str) -> Code:
    """The code of this name; a rule of yamllint that is newer than this catalogue has a plain one made for it."""
    made = Code(name, name.replace("-", " "), "yamllint's documentation explains this rule.", "Correct the YAML.")
    return CODES.get(name, made)
