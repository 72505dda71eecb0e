"""What the report shows of each leaf: its numbers, a few kept and rejected samples, and what the models answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from instructlab_like.evaluation.summary import BASE
from instructlab_like.records import Answer, Effect, Item, Leaf, LeafOrigin, Sample, Verdict
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.waterfall import rules_of

SHOWN = 20  # most samples, rejections and questions of a leaf
AROUND = 90  # characters of a passage before and after the evidence
RIGHT = 0.5  # from this score on an answer is marked as right

One = TypeVar("One")


@dataclass(frozen=True)
class Evidence:
    before: str
    marked: str
    after: str


@dataclass(frozen=True)
class ShownSample:
    """A sample with the verdict that rejected it, or an unparsed answer: then there is no sample."""

    id: str
    sample: Sample | None
    evidence: Evidence | None
    verdict: Verdict | None


@dataclass(frozen=True)
class ShownAnswer:
    model: str
    text: str
    score: float | None
    right: bool
    unanswered: str | None
    unscored: str | None


@dataclass(frozen=True)
class ShownQuestion:
    item: Item
    answers: tuple[ShownAnswer, ...]


@dataclass(frozen=True)
class LeafView:
    """`anchor` is the leaf's place on the page; counts are None before samples were made."""

    anchor: str
    path: str
    folder: str
    name: str
    about: str
    kind: str
    origin: LeafOrigin | None
    made: int | None
    kept: int | None
    shortfall: str | None
    effects: dict[str, Effect]  # by checkpoint
    samples: tuple[ShownSample, ...]
    samples_all: int
    rejected: tuple[ShownSample, ...]
    rejected_all: int
    questions: tuple[ShownQuestion, ...]
    questions_all: int


def leaf_views(facts: ReportFacts) -> list[LeafView]:
    """One view per leaf, in the taxonomy's order."""
    rejections = {verdict.subject: verdict for verdict in facts.verdicts if not verdict.keep}
    samples = _grouped((sample.lineage.leaf, sample) for sample in facts.samples)
    known = {sample.id for sample in facts.samples}
    unparsed = _grouped((one.leaf, one) for one in rejections.values() if one.subject not in known)
    items = _grouped((item.leaf, item) for item in facts.items)
    answers = _grouped((answer.item, answer) for answer in facts.answers)
    origins = {origin.path: origin for origin in facts.origins}
    counts = {count.leaf: count for count in facts.counts}
    views = []
    for number, leaf in enumerate(facts.leaves, start=1):
        own = samples.get(leaf.path, [])
        kept = [shown(sample, None) for sample in own if sample.id not in rejections]
        rejected = [ShownSample(one.subject, None, None, one) for one in unparsed.get(leaf.path, [])]
        rejected += [shown(sample, rejections[sample.id]) for sample in own if sample.id in rejections]
        asked = [question(item, answers.get(item.id, [])) for item in items.get(leaf.path, [])]
        count = counts.get(leaf.path)
        folder, _, name = leaf.path.rpartition("/")
        views.append(
            LeafView(
                anchor=f"leaf-{number}",
                path=leaf.path,
                folder=folder,
                name=name,
                about=about(leaf),
                kind=leaf.kind,
                origin=origins.get(leaf.path),
                made=count.made if count else None,
                kept=count.kept if count else None,
                shortfall=facts.shortfalls.get(leaf.path),
                effects=effects(facts, leaf.path),
                samples=tuple(spread(kept)),
                samples_all=len(kept),
                rejected=tuple(spread(rejected)),
                rejected_all=len(rejected),
                questions=tuple(mixed(asked)),
                questions_all=len(asked),
            )
        )
    return views


def about(leaf: Leaf) -> str:
    return leaf.outline if leaf.kind == "knowledge" else leaf.task


def effects(facts: ReportFacts, path: str) -> dict[str, Effect]:
    checkpoints = facts.summary.checkpoints if facts.summary else ()
    return {one.name: effect for one in checkpoints for effect in one.leaves if effect.leaf == path}


def shown(sample: Sample, verdict: Verdict | None) -> ShownSample:
    return ShownSample(sample.id, sample, evidence(sample), verdict)


def evidence(sample: Sample) -> Evidence | None:
    """The words of the passage that hold the answer, with a little before and after."""
    if not sample.evidence or not sample.context:
        return None
    start, end = sample.evidence
    text = sample.context
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    if start > AROUND:
        before = "… " + before.partition(" ")[2]
    if end + AROUND < len(text):
        after = after.rpartition(" ")[0] + " …"
    return Evidence(before, text[start:end], after)


def spread(found: Sequence[ShownSample]) -> list[ShownSample]:
    """Up to SHOWN of them, evenly from first to last: the first ones alone would all be of one chunk."""
    if len(found) <= SHOWN:
        return list(found)
    return [found[number * len(found) // SHOWN] for number in range(SHOWN)]


def question(item: Item, answers: Sequence[Answer]) -> ShownQuestion:
    return ShownQuestion(
        item,
        tuple(
            ShownAnswer(one.model, one.text, one.score, (one.score or 0.0) >= RIGHT, one.unanswered, one.unscored)
            for one in answers
        ),
    )


def mixed(asked: Sequence[ShownQuestion]) -> list[ShownQuestion]:
    """Up to SHOWN questions of every outcome in turn: lost, still wrong, won, right all along; shown in that order."""
    outcomes: list[list[ShownQuestion]] = [[], [], [], []]
    for one in sorted(asked, key=lambda one: one.item.id):
        outcomes[outcome(one)].append(one)
    turns = [one for turn in zip_longest(*outcomes) for one in turn if one is not None]
    return sorted(turns[:SHOWN], key=outcome)


def outcome(asked: ShownQuestion) -> int:
    """0 for a question lost by any checkpoint, 1 still wrong, 2 won, 3 right all along."""
    before = any(one.right for one in asked.answers if one.model == BASE)
    after = [one.right for one in asked.answers if one.model != BASE]
    if before:
        return 3 if all(after) else 0
    return 2 if any(after) else 1


@dataclass(frozen=True)
class FilterView:
    """One filter's counts, and its rules with how many samples each rejected, the most first."""

    phase: str
    name: str
    made: int
    kept: int
    rejected: int
    rules: tuple[tuple[str, int], ...]


def filter_views(facts: ReportFacts) -> list[FilterView]:
    """What judged samples, in the order in which it ran; what rejected answers that never became samples included."""
    told = facts.waterfall
    return [
        FilterView(one.phase, one.filter, one.made, one.kept, one.rejected, tuple(rules_of(told, one.filter)))
        for one in told.phases
    ]


def _grouped(pairs: Iterable[tuple[str, One]]) -> dict[str, list[One]]:
    groups: dict[str, list[One]] = {}
    for key, one in pairs:
        groups.setdefault(key, []).append(one)
    return groups
