"""How hard a sample is: what its lineage says or, where it says nothing, a proxy that is called one."""

from __future__ import annotations

import re

from instructlab_like.records import Sample

STEP = re.compile(r"^\s*(?:[-*•]|\(?\w{1,2}[.)]|step \d+)\s", re.MULTILINE | re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LONG_WORD = re.compile(r"[^\W\d_]{9,}")
PROXY = "proxy-"
PROXIES = ("proxy-easy", "proxy-medium", "proxy-hard")


def difficulty(sample: Sample) -> str:
    """What the lineage says, or a proxy without a model: steps, numbers, length, long words."""
    told = (sample.lineage.params or {}).get("difficulty")
    if told is not None:
        return str(told)
    words = len(sample.answer.split())
    points = (
        (len(STEP.findall(sample.answer)) >= 3)
        + (len(NUMBER.findall(sample.question)) >= 3)
        + (words > 80)
        + (words >= 6 and 6 * len(LONG_WORD.findall(sample.answer)) >= words)
    )
    return PROXIES[min(points, 2)]
