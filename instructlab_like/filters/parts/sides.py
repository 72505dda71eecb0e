"""The texts of a sample that are trained, and how a filter quotes from one of them."""

from __future__ import annotations

import re

from instructlab_like.records import Sample

Fault = tuple[str, str]  # the rule, and what was found


def trained(sample: Sample) -> tuple[tuple[str, str], ...]:
    """Question and answer, and the passage where it is part of the question; each with its name."""
    if sample.kind == "grounded" and sample.context:
        return ("question", sample.question), ("answer", sample.answer), ("context", sample.context)
    return ("question", sample.question), ("answer", sample.answer)


def quoted(found: re.Match[str] | str) -> str:
    """What was found, in quotation marks, on one line, shortened, and fit to be written to a file."""
    shown = " ".join((found if isinstance(found, str) else found[0]).split())
    shown = shown.encode("utf-8", "replace").decode()
    return f'"{shown if len(shown) <= 60 else shown[:57] + "..."}"'
