"""What a leaf did to itself and to the others: a model trained without its samples beside the one trained with them.

And what chance did: a model that was trained on all of it with another seed, in the same comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from instructlab_like.evaluation.summary import BASE, CheckpointScore, summarise
from instructlab_like.records import Answer, Effect, Item, LeafCounts, Record
from instructlab_like.workspace import FORMAT

WITH = "with"  # what the model trained on all of it is called here; the other stands in the base's place
NOTHING = ""  # in a leaf's place: nothing was left out, and the seed was another


class LeftOut(Record):
    """One leaf, by a training of the same recipe without its samples; or `NOTHING`, by one with another seed.

    Effects go from without it to with it, over the same items, so "better" is what the leaf did for that row. Their
    intervals are over questions: what another seed of the training would have changed is not in them.
    """

    format: int = FORMAT
    leaf: str
    inputs: str  # digest of what it was measured on
    rows: int  # training rows that were taken out
    rows_all: int
    own: Effect | None  # on the leaf's own items; None: none of them has a score
    untaught: Effect | None  # on the same items: from the base to the model without it
    others: tuple[Effect, ...]  # the other leaves, with q among them
    others_mean: Effect | None  # each leaf counting the same
    own_tasks: Effect | None  # the mean over the base's own tasks

    @property
    def helped(self) -> tuple[Effect, ...]:
        """The other leaves that are better with it."""
        return tuple(one for one in self.others if one.effect == "better")

    @property
    def harmed(self) -> tuple[Effect, ...]:
        """The other leaves that are worse with it."""
        return tuple(one for one in self.others if one.effect == "worse")


def compare(
    leaf: str,
    items: Sequence[Item],
    *,
    base: Sequence[Answer],
    with_it: Sequence[Answer],
    without_it: Sequence[Answer],
    counts: Sequence[LeafCounts],
    enough: int,
    inputs: str,
    rows: tuple[int, int],
) -> LeftOut:
    """Put the three models' answers to the same items together. `rows`: taken out, and all of the training.

    Raises InputError when one of them has not answered every item.
    """

    def judged(mine: Callable[[Item], bool], before: Sequence[Answer], after: Sequence[Answer]) -> CheckpointScore:
        told = [item for item in items if mine(item)]
        pair = [*called(BASE, before), *called(WITH, after)]
        return summarise(told, pair, enough=enough, leaves=counts).checkpoints[0]

    own = judged(lambda item: item.leaf == leaf, without_it, with_it)
    untaught = judged(lambda item: item.leaf == leaf, base, without_it)
    rest = judged(lambda item: item.leaf != leaf, without_it, with_it)
    return LeftOut(
        leaf=leaf,
        inputs=inputs,
        rows=rows[0],
        rows_all=rows[1],
        own=own.leaves[0] if own.leaves else None,
        untaught=untaught.leaves[0] if untaught.leaves else None,
        others=rest.leaves,
        others_mean=named(rest.overall_effect, "the other leaves"),
        own_tasks=named(rest.forgetting_effect, "the base's own tasks"),
    )


def called(name: str, answers: Iterable[Answer]) -> list[Answer]:
    """The same answers under another model's name."""
    return [one.model_copy(update={"model": name}) for one in answers]


def named(effect: Effect | None, name: str) -> Effect | None:
    return effect.model_copy(update={"leaf": name}) if effect else None
