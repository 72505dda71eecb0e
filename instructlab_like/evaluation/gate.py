"""The answer to `ilk evaluate --gate`: nothing got worse, as far as that was looked at, and what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import TextWrapper

from instructlab_like.evaluation.inferiority import NonInferiority
from instructlab_like.records import Effect, Record

WRAPPED = TextWrapper(
    width=110, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)


class GateResult(Record):
    """Whether the checkpoints pass, in sentences that name leaf, number of questions and interval.

    Fails: a leaf that is worse; a row that was lost; a protected name without questions; a checkpoint of which nothing
    could be judged. Strictly, what is undecided about rows that had to be kept fails too.
    """

    passed: bool
    passed_strictly: bool
    reasons: tuple[str, ...]  # why it fails
    undecided: tuple[str, ...]  # why it fails strictly besides
    unchecked: tuple[str, ...]  # what nothing can be said about; fails nothing


def decide(
    checkpoints: Sequence[tuple[str, Sequence[Effect], Sequence[NonInferiority]]],
    *,
    unscored: Sequence[str] = (),
    without_items: Sequence[str] = (),
    without_scores: Sequence[tuple[str, str]] = (),
    own_tasks: bool = True,
) -> GateResult:
    """Judge all checkpoints, each given with its leaves and with the rows it had to keep.

    `unscored`: leaves without questions. `without_items`: protected names without any. `without_scores`: checkpoints,
    each with a name that had to be kept and has no answer with a score. `own_tasks`: the base's own tasks were asked.
    """
    reasons = [] if checkpoints else ["nothing was checked: no checkpoint has answered any question"]
    undecided: list[str] = []
    unchecked: list[str] = []
    for name, leaves, kept in checkpoints:
        reasons += (f"{name}: {reason}" for reason in _failures(leaves, kept))
        undecided += (f"{name}: {_undecided(row)}" for row in kept if row.verdict == "undecided")
        small = [leaf.leaf for leaf in leaves if leaf.q is None]
        if small:
            unchecked.append(f"{name}: leaves with too few questions or chunks to be called worse: {', '.join(small)}")
    reasons += (f"{name} is protected and has no held-out questions" for name in without_items)
    reasons += (
        f"{checkpoint}: {name} had to be kept, and no answer has a score" for checkpoint, name in without_scores
    )
    if unscored:
        unchecked.append(f"leaves without held-out questions: {', '.join(unscored)}")
    if not own_tasks:
        unchecked.append("the base's own tasks: none were asked (base_tasks)")
    return GateResult(
        passed=not reasons,
        passed_strictly=not reasons and not undecided,
        reasons=tuple(reasons),
        undecided=tuple(undecided),
        unchecked=tuple(unchecked),
    )


def lines(gate: GateResult) -> Iterator[str]:
    """The result as text of at most 110 columns where no name is longer."""
    outcome = "passes" if gate.passed_strictly else "passes, but not strictly" if gate.passed else "fails"
    yield f"gate: {outcome}"
    for what, sentences in (("fails", gate.reasons), ("undecided", gate.undecided), ("not checked", gate.unchecked)):
        for sentence in sentences:
            yield from WRAPPED.wrap(f"{what}: {sentence}")


def _failures(leaves: Sequence[Effect], kept: Sequence[NonInferiority]) -> Iterator[str]:
    if all(leaf.q is None for leaf in leaves) and all(row.q is None for row in kept):
        yield "nothing could be checked: no leaf and no task has enough held-out questions"
    for leaf in leaves:
        if leaf.effect == "worse":
            change = _change(leaf.base, leaf.tuned, leaf.delta)
            yield f"{leaf.leaf} is worse: {change}, q {leaf.q:.2g}, {leaf.n} questions"
    for row in kept:
        if row.verdict == "lost":
            yield f"{row.name} lost more than {row.margin:g}: {_change(row.base, row.tuned, row.delta)}, {_size(row)}"


def _undecided(row: NonInferiority) -> str:
    told = f"{row.name} may have lost more than {row.margin:g}: {_change(row.base, row.tuned, row.delta)}, {_size(row)}"
    if row.q is None:
        return f"{told}, too few to tell"
    return f"{told}; about {row.wanted} would tell" if row.wanted else told


def _change(base: float, tuned: float, delta: tuple[float, float, float]) -> str:
    low, mid, high = delta
    return f"{base:.2f} → {tuned:.2f}, change {mid:+.2f} [{low:+.2f} to {high:+.2f}]"


def _size(row: NonInferiority) -> str:
    return f"{row.n} questions" + (f" in {row.clusters} chunks" if row.clusters < row.n else "")
