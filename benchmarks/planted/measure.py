"""What a filter makes of planted cases: recall by kind of fault, precision over all that it rejects."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from benchmarks.planted import Case, Planted
from instructlab_like.filters.sift import sift
from instructlab_like.recipe import FilterChoice


@dataclass(frozen=True)
class Kind:
    """One kind of case, with a fault or without."""

    name: str
    bad: bool
    count: int
    rejected: int

    @property
    def share(self) -> float:
        return self.rejected / self.count if self.count else 1.0


@dataclass(frozen=True)
class Measured:
    filter: str
    kinds: tuple[Kind, ...]
    precision: float  # over all kinds; a rejected partner counts against it, too
    wrongly: tuple[str, ...]  # a few of what was rejected though nothing is wrong with it
    missed: tuple[str, ...]  # and of what was kept

    @property
    def recall(self) -> float:
        """Over all faults; a filter promises its floor for each kind apart."""
        faults = [kind for kind in self.kinds if kind.bad]
        return sum(kind.rejected for kind in faults) / max(1, sum(kind.count for kind in faults))

    @property
    def least(self) -> float:
        """The recall of the kind that is found least often."""
        return min((kind.share for kind in self.kinds if kind.bad), default=1.0)


def measured(planted: Planted, *, seed: int, count: int, chain: tuple[str, ...] = ()) -> Measured:
    """`count` cases, all judged together by the filter alone, or by the `chain` of filters named."""
    cases = list(planted.cases(random.Random(seed), count))
    choices = [FilterChoice(name=planted.filter, options=planted.floors.options)]
    choices = [FilterChoice(name=name) for name in chain] or choices
    found = sift([sample for case in cases for sample in case.samples], choices, planted.around())
    rejected = {verdict.subject: verdict.reason for verdict in found.verdicts if not verdict.keep}
    counts: Counter[tuple[str, bool]] = Counter()
    hits: Counter[tuple[str, bool]] = Counter()
    right = wrong = 0
    wrongly, missed = list[str](), list[str]()
    for case in cases:
        last = case.samples[-1]
        counts[case.kind, case.bad] += 1
        hits[case.kind, case.bad] += last.id in rejected
        right += case.bad and last.id in rejected
        for sample in case.samples if not case.bad else case.samples[:-1]:
            if sample.id in rejected:
                wrong += 1
                wrongly.append(shown(case, sample.question, sample.answer, rejected[sample.id]))
        if case.bad and last.id not in rejected:
            missed.append(shown(case, last.question, last.answer, "kept"))
    kinds = tuple(Kind(name, bad, counts[name, bad], hits[name, bad]) for name, bad in sorted(counts))
    precision = right / (right + wrong) if right + wrong else 1.0
    return Measured(planted.filter, kinds, precision, tuple(wrongly[:20]), tuple(missed[:20]))


def shown(case: Case, question: str, answer: str, reason: str) -> str:
    return f"{case.kind}: {question[:160]!r} → {answer[:240]!r}: {reason}"
