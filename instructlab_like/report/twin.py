"""A run's facts as JSON for programs: the figures in full precision, without samples, questions and answers."""

from __future__ import annotations

import orjson

from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Effect, LeafOrigin, Record, Waterfall, plain
from instructlab_like.report.advice import advise
from instructlab_like.report.contribution import Contributions
from instructlab_like.report.facts import ReportFacts, TeacherCost
from instructlab_like.report.learning import Learning
from instructlab_like.report.leaves import leaf_views
from instructlab_like.report.mix import Mix

FORMAT = 1  # raised when a field changes its meaning or goes


class ToldLeaf(Record):
    """One leaf: its counts are None before samples were made; `effects` by checkpoint, as in the summary."""

    path: str
    kind: str
    origin: LeafOrigin | None
    made: int | None
    kept: int | None
    shortfall: str | None
    effects: dict[str, Effect]


class ToldAdvice(Record):
    text: str
    checkpoint: str
    leaves: tuple[str, ...]


class Told(Record):
    """The whole report; `summary` is 6-evaluation/summary.json as it stands."""

    format: int = FORMAT
    run: str
    model: str
    commit: str | None
    versions: dict[str, str]
    recipes: dict[str, str]
    costs: tuple[TeacherCost, ...]
    leaves: tuple[ToldLeaf, ...]
    waterfall: Waterfall
    mix: Mix | None = None  # left out where the run has no target
    summary: Summary | None
    learning: Learning | None
    contributions: Contributions | None
    advice: tuple[ToldAdvice, ...]


def told(facts: ReportFacts) -> Told:
    views = leaf_views(facts)
    return Told(
        run=facts.run,
        model=facts.model,
        commit=facts.commit,
        versions=facts.versions,
        recipes=facts.recipes,
        costs=facts.costs,
        leaves=tuple(
            ToldLeaf(
                path=view.path,
                kind=view.kind,
                origin=view.origin,
                made=view.made,
                kept=view.kept,
                shortfall=view.shortfall,
                effects=view.effects,
            )
            for view in views
        ),
        waterfall=facts.waterfall,
        mix=facts.mix,
        summary=facts.summary,
        learning=facts.learning,
        contributions=facts.contributions,
        advice=tuple(
            ToldAdvice(text=one.text, checkpoint=one.checkpoint, leaves=tuple(view.path for view, _ in one.leaves))
            for one in advise(facts, views)
        ),
    )


def twin(facts: ReportFacts) -> bytes:
    """The JSON. The same facts give the same bytes."""
    found = {name: value for name, value in plain(told(facts)).items() if name != "mix" or value is not None}
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
