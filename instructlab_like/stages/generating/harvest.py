"""Gathers what the walks of a run come to: samples and the flows' own verdicts to their files, counts in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from instructlab_like.flows import AskStep, Flow
from instructlab_like.generation.engine import End
from instructlab_like.generation.rows import Rows
from instructlab_like.generation.walk import PASSED_BY, WHEN, Finished, Lost, Start
from instructlab_like.records import PhaseCount, Preference, RuleCount, Sample, Verdict, Waterfall, plain
from instructlab_like.stages.generating.preferences import Preferences
from instructlab_like.stock import id_bytes
from instructlab_like.workspace import Run


class Harvest:
    """Gathers what walks come to: samples and the flows' own verdicts to their files, counts in memory."""

    def __init__(self, run: Run, preferences: Preferences) -> None:
        self.rows, self.told, self.preferences = Rows(run.samples), Rows(run.verdicts), preferences
        self.rejected: set[bytes] = set()
        self.made: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.steps: Counter[tuple[str, bool]] = Counter()
        self.passed_by: Counter[str] = Counter()  # records that a step with `when` was not taken by
        self.rules: Counter[tuple[str, str, str]] = Counter()  # rejections by filter, rule and leaf
        self.methods: dict[str, set[str]] = {}
        self.whole = 0

    def __enter__(self) -> Harvest:
        self.rows.__enter__()
        self.told.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.rows.file.close()
        self.told.file.close()

    def take(self, start: Start, outcomes: Sequence[End]) -> None:
        """All that a walk came to, once it has ended."""
        samples: list[Sample] = []
        verdicts: list[Verdict] = []
        preferences: list[Preference] = []
        for outcome in outcomes:
            if isinstance(outcome, Finished):
                samples.append(outcome.sample)
                verdicts += outcome.verdicts
                self.made[outcome.sample.lineage.leaf] += 1
                if not outcome.kept:
                    self.rejected.add(id_bytes(outcome.sample.id))
            elif isinstance(outcome, Lost):
                verdicts.append(outcome.verdict)
                self.lost[outcome.verdict.leaf] += 1
            else:
                preferences.append(outcome.preference)
        self.steps.update((verdict.filter, verdict.keep) for verdict in verdicts)
        self.passed_by.update(verdict.filter for verdict in verdicts if verdict.rule == PASSED_BY)
        self.rules.update((verdict.filter, verdict.rule, verdict.leaf) for verdict in verdicts if not verdict.keep)
        self.rows.add(start.number, map(plain, samples))
        self.told.add(start.number, map(plain, verdicts))
        self.preferences.add(start.number, preferences)
        self.whole += 1
        if self.whole & (self.whole - 1) == 0 or self.whole % 64 == 0:
            self.rows.show()

    def settle(self) -> None:
        self.rows.settle()
        self.told.settle()

    def waterfall(self, flows: Sequence[Flow]) -> Waterfall:
        """What the judgements of the flows did, before any filter."""
        rules = (
            RuleCount(filter=name, rule=rule, leaf=leaf, rejected=count)
            for (name, rule, leaf), count in sorted(self.rules.items())
        )
        return Waterfall(phases=tuple(self.phases(flows)), rules=tuple(rules))

    def phases(self, flows: Sequence[Flow]) -> list[PhaseCount]:
        """Of each judgement of the flows, in their order: what it got and did."""
        names = sorted({name for name, _ in self.steps}, key=lambda name: (order_in(flows, name), name))
        return [
            PhaseCount(
                filter=name,
                made=self.steps[name, True] + self.steps[name, False],
                kept=self.steps[name, True],
                rejected=self.steps[name, False],
                not_applied=self.passed_by[name],
            )
            for name in names
        ]


def order_in(flows: Sequence[Flow], name: str) -> tuple[int, ...]:
    """The place of a judgement "flow/step" or "flow/step/judgement" in the flows; before them all: parsing."""
    flow, _, rest = name.partition("/")
    step, _, judgement = rest.partition("/")
    for number, one in enumerate(flows):
        names = [found.name for found in one.steps]
        if one.name == flow and step in names:
            place = names.index(step)
            found = one.steps[place]
            told = list(found.keep) if isinstance(found, AskStep) else []
            told += [choice.name for choice in found.filters]
            return number, place, told.index(judgement) if judgement in told else -2 if judgement == WHEN else -1
    return (-1,)
