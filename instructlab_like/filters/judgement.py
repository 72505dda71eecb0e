"""What a filter says of one sample. The verdict that is written down names sample, leaf and filter besides."""

from __future__ import annotations

from dataclasses import dataclass

from instructlab_like.records import Sample


@dataclass(frozen=True, slots=True)
class Judgement:
    """`rule` names, in a word or two with hyphens, what rejected it; the reason says in a sentence what was found."""

    keep: bool
    reason: str
    rule: str = ""
    score: float | None = None
    threshold: float | None = None
    partner: str | None = None  # the sample, item or span that decided it
    applied: bool = True  # False: the filter could not tell, and the sample goes on
    instead: Sample | None = None  # goes on in place of the rejected one, which is its parent


def kept(reason: str, *, score: float | None = None, threshold: float | None = None) -> Judgement:
    return Judgement(True, reason, score=score, threshold=threshold)


def rejected(
    rule: str,
    reason: str,
    *,
    score: float | None = None,
    threshold: float | None = None,
    partner: str | None = None,
) -> Judgement:
    return Judgement(False, reason, rule, score, threshold, partner)


def replaced(rule: str, reason: str, by: Sample) -> Judgement:
    """The sample is rejected, and one like it, with the part in question masked, goes on."""
    return Judgement(False, reason, rule, partner=by.id, instead=by)


def not_applied(reason: str) -> Judgement:
    """What the filter needs is not there: a passage, a leaf, a judge. Counted apart, and kept."""
    return Judgement(True, reason, applied=False)
