"""How finds in a sample are told: what, where, and so little of it that the reason gives nothing away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from instructlab_like.filters.parts.parting import part_of
from instructlab_like.records import Sample
from instructlab_like.scans.found import Found, masked


class Finds(NamedTuple):
    """What was found in the joined text of a sample."""

    text: str
    found: Sequence[Found]


def told(sample: Sample, finds: Finds) -> str:
    """One sentence about the first find, and how many others there are."""
    first = finds.found[0]
    shown = masked(first.hidden or finds.text[first.start : first.end])
    more = len(finds.found) - 1
    besides = f", and {more} more" if more else ""
    return f"{first.what} in the {part_of(sample, first.start)[0]}: {shown}{besides}"
