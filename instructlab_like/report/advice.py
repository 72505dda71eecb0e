"""What to do next, read off a run's numbers. One piece of advice names all leaves that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Effect
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.leaves import LeafView
from instructlab_like.report.wording import change

WANTED = 0.10  # half-width of an interval that lets a difference of ten points show
LOST = -0.05  # a fall on the base's own tasks that is worth acting on
MOST = 0.5  # a share of rejected samples that is worth a look

Named = tuple[LeafView, str]  # a leaf and what is to be said of it alone


@dataclass(frozen=True)
class Advice:
    """`text` is ours alone; what it is about, a checkpoint or leaves, goes by names that others gave."""

    text: str
    leaves: tuple[Named, ...] = ()
    checkpoint: str = ""


def advise(facts: ReportFacts, views: Sequence[LeafView]) -> list[Advice]:
    """In the order in which it is worth doing; empty when nothing calls for it."""
    found = list(_about_samples(views))
    if facts.summary is None:
        found.append(Advice("The run is not evaluated yet; ilk evaluate scores base and checkpoint side by side."))
    else:
        found += _about_scores(facts.summary, views)
    dirty = tuple((view, "") for view in views if view.origin and view.origin.dirty)
    if dirty:
        found.append(Advice("Commit these leaves, so that the run can be made again from Git.", dirty))
    return found


def _about_samples(views: Sequence[LeafView]) -> Iterator[Advice]:
    none = tuple((view, view.shortfall or "") for view in views if view.kept == 0)
    if none:
        yield Advice("No samples came of these leaves. A teacher makes them (ilk generate --teacher URL).", none)
    many = tuple(
        (view, f"{view.made - view.kept} of {view.made}")
        for view in views
        if view.made and view.kept and (view.made - view.kept) / view.made > MOST
    )
    if many:
        yield Advice("More than half of the samples were rejected; read why below before making more.", many)


def _about_scores(summary: Summary, views: Sequence[LeafView]) -> Iterator[Advice]:
    bare = tuple((view, "") for view in views if view.path in summary.unscored)
    if bare:
        yield Advice(
            "These leaves have no held-out questions; a heldout.yaml beside qna.yaml lets them be scored.", bare
        )
    for checkpoint in summary.checkpoints:
        effects = [(view, view.effects[checkpoint.name]) for view in views if checkpoint.name in view.effects]
        worse = tuple((view, change(effect.delta[1])) for view, effect in effects if effect.effect == "worse")
        if worse:
            yield Advice("It got worse here; compare its answers with the base's below.", worse, checkpoint.name)
        wide = tuple(
            (view, f"{effect.n} questions, about {needed(effect)} would do")
            for view, effect in effects
            if effect.effect == "underpowered"
        )
        if wide:
            yield Advice("Too few held-out questions to decide anything; write more of them.", wide, checkpoint.name)
        own = checkpoint.forgetting_effect
        if own and (own.effect == "worse" or own.delta[1] < LOST):
            yield Advice(
                f"It lost {-own.delta[1]:.2f} on the base's own tasks; raise replay_share, "
                "or train with fewer epochs or a lower learning rate.",
                checkpoint=checkpoint.name,
            )


def needed(effect: Effect) -> int:
    """How many questions would bring the interval of the difference to ±WANTED, in tens; its width falls as 1/√n."""
    half = (effect.delta[2] - effect.delta[0]) / 2
    return max(10 * ceil(effect.n * (half / WANTED) ** 2 / 10), 10 * ceil((effect.n + 1) / 10))
