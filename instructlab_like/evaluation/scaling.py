"""The score against the amount of data: models trained on nested parts of a run's rows, beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from instructlab_like.errors import InputError
from instructlab_like.evaluation.leave_one_out import WITH, called
from instructlab_like.evaluation.summary import BASE, summarise
from instructlab_like.records import Answer, Effect, Item, LeafCounts, Record
from instructlab_like.workspace import FORMAT

WORTH = 0.05  # a last step that is less than this for sure is not worth as much data again


class Point(Record):
    """A training on a share of the rows, 0 (the base) to 1; effects go from the point before it to this one."""

    share: float
    rows: int
    score: float
    interval: tuple[float, float]
    gain: Effect | None  # on the mean over the leaves that have samples; None: the first point
    leaves: tuple[Effect, ...]
    own_tasks: Effect | None


class Scaling(Record):
    format: int = FORMAT
    inputs: str  # digest of what it was measured on
    points: tuple[Point, ...]

    @property
    def verdict(self) -> str:
        """Whether more data of the same kind would help, by the last step of the curve."""
        before, last = self.points[-2:]
        assert last.gain is not None
        low, mid, high = last.gain.delta
        step = f"from {before.share:.0%} to {last.share:.0%} of the data: {mid:+.3f} [{low:+.3f}, {high:+.3f}]"
        if low > 0:
            return f"the score still rises with the data ({step}): more of it would probably help"
        if high < WORTH:
            return f"the score rises by less than {WORTH:g} ({step}): more of the same data would probably not help"
        return f"whether the score still rises cannot be told ({step}): more held-out questions would tell"

    def lines(self) -> Iterator[str]:
        yield f"{'data':>5}  {'rows':>8}  {'score':>5}  {'95 %':<15}  gain over the line above"
        for point in self.points:
            low, high = point.interval
            told = f"{point.share:>5.0%}  {point.rows:>8,}  {point.score:.3f}  [{low:.3f}, {high:.3f}]"
            if point.gain:
                low, mid, high = point.gain.delta
                told += f"   {mid:+.3f} [{low:+.3f}, {high:+.3f}] {point.gain.effect}"
            yield told
        yield self.verdict


def curve(
    items: Sequence[Item],
    answers: Mapping[float, Sequence[Answer]],
    rows: Mapping[float, int],
    *,
    counts: Sequence[LeafCounts],
    enough: int,
    inputs: str,
) -> Scaling:
    """Put the answers to the same items together, by share of the data, in rising order from 0, the base.

    Raises InputError where no leaf that was trained has a question with a score.
    """
    points: list[Point] = []
    for before, share in pairwise(sorted(answers)):
        pair = [*called(BASE, answers[before]), *called(WITH, answers[share])]
        found = summarise(items, pair, enough=enough, leaves=counts).checkpoints[0]
        gain = found.overall_trained_effect
        if gain is None:
            fix = "give the leaves a heldout.yaml, or set closed_book in the recipe's evaluate section"
            raise InputError("no leaf that was trained has questions", where="ilk train --scaling", fix=fix)
        if not points:
            points.append(Point(share=before, rows=rows[before], score=gain.base, interval=gain.base_interval,
                                gain=None, leaves=(), own_tasks=None))  # fmt: skip
        points.append(
            Point(
                share=share,
                rows=rows[share],
                score=gain.tuned,
                interval=gain.tuned_interval,
                gain=gain,
                leaves=found.leaves,
                own_tasks=found.forgetting_effect,
            )
        )
    return Scaling(inputs=inputs, points=tuple(points))
