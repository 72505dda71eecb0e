"""How the report writes numbers and texts of the run."""

from __future__ import annotations

import re

from markupsafe import Markup

from instructlab_like.printable import escaped

LONGEST = 700  # characters of a text shown; ilk why shows all of it
NAME = 120  # characters of a name in Markdown
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


def level(value: float) -> str:
    """A p or q value."""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def clip(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters)"


def code(name: str, most: int = NAME) -> str:
    """A name as code inside a line or a table of Markdown, where nothing in it acts: no mention, link, image, HTML."""
    cut = name if len(name) <= most else f"{name[: most // 2]} ... {name[-most // 2 :]}"
    plain = escaped(cut).replace("`", "\\x60").replace("|", "\\x7c").strip()
    return f"`{plain or '(empty)'}`"
