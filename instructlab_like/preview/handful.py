"""A handful out of all: which prompts a preview asks, which samples it shows, and what rejected the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from instructlab_like.flows import AskStep
from instructlab_like.generation.walk import Start
from instructlab_like.preview.facts import Rejection, Shown
from instructlab_like.records import AskTask, Sample, Verdict


def to_ask(starts: Iterable[Start], samples: int, *, pairs: int) -> list[Start]:
    """As many of a leaf's starts as should give `samples`, spread over its plan; `pairs` of them a prompt for several.

    In the order of call keys: a preview of more samples asks what one of fewer has asked, and then some.
    """
    distinct = {start.task.prompt.key: start for start in starts if isinstance(start.task, AskTask)}
    picked: list[Start] = []
    for key in sorted(distinct):
        if samples <= 0:
            break
        picked.append(distinct[key])
        first = distinct[key].flow.first
        samples -= pairs if isinstance(first, AskStep) and first.fan_out else 1
    return picked


def shown(samples: Sequence[Sample], verdicts: Sequence[Verdict], most: int) -> tuple[Shown, ...]:
    """Up to `most` samples of a leaf, of each method in turn; of a method in the order of ids, which is chance."""
    rejected = {verdict.subject: verdict for verdict in verdicts if not verdict.keep}
    by_method = [
        sorted((sample for sample in samples if sample.lineage.method == method), key=lambda sample: sample.id)
        for method in ("teacher", "rules", "simulation")
    ]
    turns = chain.from_iterable(zip_longest(*by_method))
    picked = [sample for sample in turns if sample is not None][:most]
    return tuple(
        Shown(
            id=sample.id,
            method=sample.lineage.method,
            question=sample.question,
            answer=sample.answer,
            context=sample.context if sample.kind == "grounded" else None,
            rejection=rejection(rejected[sample.id]) if sample.id in rejected else None,
        )
        for sample in picked
    )


def rejections(verdicts: Iterable[Verdict]) -> tuple[Rejection, ...]:
    return tuple(rejection(verdict) for verdict in verdicts if not verdict.keep)


def rejection(verdict: Verdict) -> Rejection:
    return Rejection(
        subject=verdict.subject,
        filter=verdict.filter,
        reason=verdict.reason,
        score=verdict.score,
        threshold=verdict.threshold,
        partner=verdict.partner,
    )
