"""How the report writes numbers and texts of the run."""

from __future__ import annotations

import re

from markupsafe import Markup

LONGEST = 700  # characters of a text shown; ilk why shows all of it
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # not allowed in HTML


def visible(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return UNSEEN.sub("\ufffd", value)
    return value


def score(value: float) -> str:
    return f"{value:.2f}"


def change(value: float) -> str:
    """Signed, with a true minus; what rounds to nothing has no sign."""
    text = f"{value:+.2f}".replace("-", "\u2212")
    return "0.00" if text[1:] == "0.00" else text


def clip(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters)"
