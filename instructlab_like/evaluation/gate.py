"""The answer to `ilk evaluate --gate`: nothing got worse, as far as that was looked at, and what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import TextWrapper
from types import MappingProxyType

from instructlab_like.evaluation.inferiority import NonInferiority
from instructlab_like.records import Effect, Record

WRAPPED = TextWrapper(
    width=110, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)
OWN = "base"  # the row of the mean over the base's own tasks
Part = tuple[str, Effect]  # what the questions measure, and the effect on them
NAMED = 3  # parts that are named of those with too few questions
NO_PARTS: Mapping[str, Sequence[Part]] = MappingProxyType({})


class GateResult(Record):
    """Whether the checkpoints pass, in sentences that name leaf, number of questions and interval.

    Fails: a leaf that is worse, or a part of its questions; a row that was lost; a protected name without questions; a
    checkpoint of which nothing could be judged. Strictly, what is undecided about rows that had to be kept fails too.
    """

    passed: bool
    passed_strictly: bool
    reasons: tuple[str, ...]  # why it fails
    undecided: tuple[str, ...]  # why it fails strictly besides
    unchecked: tuple[str, ...]  # what nothing can be said about; fails nothing


def decide(
    checkpoints: Sequence[tuple[str, Sequence[Effect], Sequence[NonInferiority]]],
    *,
    parts: Mapping[str, Sequence[Part]] = NO_PARTS,
    unscored: Sequence[str] = (),
    without_items: Sequence[str] = (),
    without_scores: Sequence[tuple[str, str]] = (),
    unjudged: Sequence[tuple[str, str]] = (),
    own_tasks: bool = True,
) -> GateResult:
    """Judge all checkpoints, each given with its leaves and with the rows it had to keep.

    `parts`: by checkpoint, what was measured of leaves with questions of several kinds. `unscored`: leaves without
    questions. `without_items`: protected names without any. `without_scores`: checkpoints, each with a name that had to
    be kept and has no answer with a score; `unjudged` the same of leaves. `own_tasks`: the base's own were asked.
    """
    reasons = [] if checkpoints else ["nothing was checked: no checkpoint has answered any question"]
    undecided: list[str] = []
    unchecked: list[str] = []
    for name, leaves, kept in checkpoints:
        reasons += (f"{name}: {reason}" for reason in _failures(leaves, kept))
        reasons += (f"{name}: {reason}" for reason in _hidden(leaves, parts.get(name, ())))
        undecided += (f"{name}: {_undecided(row)}" for row in kept if row.verdict == "undecided")
        small = [leaf.leaf for leaf in leaves if leaf.q is None]
        if small:
            unchecked.append(f"{name}: leaves with too few questions or chunks to be called worse: {', '.join(small)}")
        few = [_label(one) for one in parts.get(name, ()) if one[1].q is None and one[1].leaf not in small]
        if few:
            named = ", ".join(few[:NAMED]) + (f" and {len(few) - NAMED} more" if len(few) > NAMED else "")
            unchecked.append(f"{name}: parts with too few questions to be called worse by themselves: {named}")
    reasons += (f"{name} is protected and has no held-out questions" for name in without_items)
    reasons += (
        f"{checkpoint}: {name} had to be kept, and no answer has a score" for checkpoint, name in without_scores
    )
    silent = [one for one in unjudged if one not in without_scores]
    unchecked += (f"{checkpoint}: {leaf} has no answer with a score" for checkpoint, leaf in silent)
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
    outcome = "passes" if gate.passed_strictly else "passes; --strict would fail" if gate.passed else "fails"
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
            yield f"{_what(row)} lost more than {row.margin:g}: {_change(row.base, row.tuned, row.delta)}, {_size(row)}"


def _hidden(leaves: Sequence[Effect], parts: Sequence[Part]) -> Iterator[str]:
    """Parts that got worse, of leaves that as a whole did not: those whose draws agree with what was trained, say.

    Perplexities are told and judge nothing.
    """
    named = {leaf.leaf for leaf in leaves if leaf.effect == "worse"}
    gained = {effect.leaf: part for part, effect in parts if effect.effect == "better" and part != "perplexity"}
    for part, effect in parts:
        if effect.effect != "worse" or effect.leaf in named or part == "perplexity":
            continue
        change = _change(effect.base, effect.tuned, effect.delta)
        told = f"{_label((part, effect))} is worse: {change}, q {effect.q:.2g}, {effect.n} questions"
        other = gained.get(effect.leaf)
        yield f"{told}; {other} is better: see whether both agree on what is right" if other else told


def _label(part: Part) -> str:
    return f"{part[1].leaf} · {part[0]}"


def _undecided(row: NonInferiority) -> str:
    change = _change(row.base, row.tuned, row.delta)
    told = f"{_what(row)} may have lost more than {row.margin:g}: {change}, {_size(row)}"
    if row.q is None:
        return f"{told}, too few to tell"
    return f"{told}; about {row.wanted} would tell" if row.wanted else told


def _what(row: NonInferiority) -> str:
    """Its name; "base" alone would read as if the base had lost something."""
    return "the mean of the base's own tasks" if row.name == OWN else row.name


def _change(base: float, tuned: float, delta: tuple[float, float, float]) -> str:
    low, mid, high = delta
    return f"{base:.2f} → {tuned:.2f}, change {mid:+.2f} [{low:+.2f} to {high:+.2f}]"


def _size(row: NonInferiority) -> str:
    return f"{row.n} questions" + (f" in {row.clusters} chunks" if row.clusters < row.n else "")
