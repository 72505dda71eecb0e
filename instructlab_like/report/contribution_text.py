"""What each leaf did, in words: sentences that all forms share, and the table for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from instructlab_like.evaluation.leave_one_out import LeftOut
from instructlab_like.evaluation.summary import SIGNS
from instructlab_like.printable import escaped
from instructlab_like.records import Effect
from instructlab_like.report.contribution import Contribution, Contributions, LeafCost, LossDrop
from instructlab_like.report.wording import change, level, score

NAMED = 20  # leaves named under one that was left out
SHORT = 28  # characters of a leaf in the table, from its end
UNTOLD = "Intervals are over questions. Another seed of the training may move scores, too; that is not in them."
UNMEASURED = "How far was not measured (--another-seed)."


def text(told: Contributions) -> str:
    """The table, and below it what leaving leaves out has shown."""
    return "\n".join(escaped(line) for line in _lines(told))


def outcome(one: Contribution, enough: int) -> str:
    """In a sentence or two whether the leaf helped, as far as that was measured."""
    found = one.left_out.own if one.left_out else None
    if found:
        without = f"Without it the model scores {score(found.base)} on its questions, with it {score(found.tuned)}"
        return f"{_word(found, enough)} {without}."
    if one.gain is None:
        return "Not measured: it has no held-out questions with a score. A heldout.yaml beside its qna.yaml holds some."
    if not one.kept:
        return (
            "It received no samples, so nothing of it was trained; what its questions show is the other leaves' doing."
        )
    return _word(one.gain, enough)


def cost(of: LeafCost | None) -> str:
    """Calls, tokens and money in words."""
    if of is None:
        return "not known"
    if not of.calls:
        return "none: no teacher was asked"
    priced = "no price given" if of.money is None else f"{of.money:,.4f} in money"
    shared = f", {of.shared:,} of the calls also for other leaves" if of.shared else ""
    return (
        f"{_several(of.calls, 'call', 'calls')}, {of.tokens_in:,} tokens in and {of.tokens_out:,} out, {priced}{shared}"
    )


def brief_cost(of: LeafCost | None) -> str:
    """The same in a cell of a table."""
    if of is None:
        return "not known"
    if not of.calls:
        return "none"
    priced = "" if of.money is None else f", {of.money:,.2f}"
    return f"{_several(of.calls, 'call', 'calls')}{priced}"


def loss(of: LossDrop | None) -> str:
    """How far the loss fell, in a cell: a minus is a fall, as in all tables of losses."""
    if of is None:
        return "–"
    error = "" if of.error is None else f" ± {of.error:.2f}"
    return f"{change(-of.drop)}{error}{'' if of.rows == 'held-out' else ' in training'}"


def effect(of: Effect) -> str:
    """From one score to the other, with the change, its interval and the verdict."""
    low, mid, high = map(change, of.delta)
    return f"{score(of.base)} → {score(of.tuned)}, {mid} [{low}, {high}] {SIGNS[of.effect]}"


def shift(of: Effect) -> str:
    """The change alone, with its interval and the verdict."""
    low, mid, high = map(change, of.delta)
    return f"{mid} [{low}, {high}] {SIGNS[of.effect]}"


def others(of: LeftOut) -> str:
    """What the leaf did to the other leaves, in a sentence."""
    if not of.others:
        return "no other leaf has questions with a score"
    tested = sum(one.q is not None for one in of.others)
    few = len(of.others) - tested
    untold = f", {few} with too few questions to tell" if few else ""
    every = _several(len(of.others), "other leaf", "other leaves")
    return f"of {every} {len(of.helped)} better and {len(of.harmed)} worse with it{untold}"


def chance(told: Contributions) -> str:
    """What intervals leave out, and how much that is, where it was measured."""
    found = told.another_seed
    if found is None:
        return f"{UNTOLD} {UNMEASURED}"
    mean = f"; their mean moved by {shift(found.others_mean)}" if found.others_mean else ""
    every = _several(len(found.others), "leaf", "leaves")
    moved = f"{len(found.helped)} better and {len(found.harmed)} worse of {every}"
    return f"{UNTOLD} With another seed and nothing left out {moved}{mean}."


def _several(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _word(found: Effect, enough: int) -> str:
    told = f"{change(found.delta[1])} on {_several(found.n, 'question', 'questions')}"
    if found.effect == "better":
        return f"It helped: {told}."
    if found.effect == "worse":
        return f"It did harm: {told}."
    if found.effect == "tied":
        return f"It changed little, if anything: {told}."
    few = f"fewer than {enough}" if found.n < enough else "too few to tell, or on too few passages"
    return f"Not known: {told}, {few}."


# --- as lines ---------------------------------------------------------------------------------------------------


def _lines(told: Contributions) -> Iterator[str]:
    yield f"what each leaf did: {told.checkpoint} against {told.base}, on each leaf's own held-out questions"
    yield _row("leaf", "kept", "gain, 95 %", "verdict", "q", "loss", "cost", "brought by")
    for one in told.leaves:
        yield _leaf(one)
        if one.judged:
            yield f"  {one.judged}: {told.agreement}"
    if told.total is not None and told.total.calls:
        yield f"the whole run: {cost(told.total)}; a call that several leaves need is in the row of each"
    if not told.trained_here:
        yield "losses are of this run's own training, gains of another checkpoint"
    measured = [one.left_out for one in told.leaves if one.left_out]
    if measured:
        yield ""
        yield "trained again without the leaf: from without it to with it"
    for found in measured:
        yield from _left_out(found)
    if measured or told.another_seed:
        yield chance(told)


def _left_out(found: LeftOut) -> Iterator[str]:
    yield f"{found.leaf}: {found.rows:,} of {found.rows_all:,} training rows taken out"
    for label, one in (
        ("its own questions", found.own),
        ("the same, from the base to without it", found.untaught),
        ("mean of the other leaves", found.others_mean),
        ("the base's own tasks", found.own_tasks),
    ):
        if one:
            yield f"  {label:<38} {effect(one)}"
    yield f"  {others(found)}"
    moved = (*found.helped, *found.harmed)
    for one in moved[:NAMED]:
        yield f"    {one.leaf}: {effect(one)}"
    if len(moved) > NAMED:
        yield f"    … and {len(moved) - NAMED} more"


def by(one: Contribution) -> str:
    """Who brought the leaf, and in which commit."""
    commit = f"{one.commit[:12]}{' (changed since)' if one.dirty else ''}" if one.commit else "not committed"
    return f"{commit} · {one.author}" if one.author else commit


def _leaf(one: Contribution) -> str:
    gain = one.gain
    moved = f"{change(gain.delta[1])} [{change(gain.delta[0])}, {change(gain.delta[2])}]" if gain else "–"
    word = SIGNS[gain.effect] if gain else "no questions"
    sure = level(gain.q).replace("< ", "<") if gain and gain.q is not None else ""
    kept = f"{one.kept}/{one.made}"
    return _row(one.leaf, kept, moved, word, sure, loss(one.loss), brief_cost(one.cost), by(one))


def _row(leaf: str, kept: str, gain: str, word: str, sure: str, fall: str, paid: str, brought: str) -> str:
    short = leaf if len(leaf) <= SHORT else f"…{leaf[1 - SHORT :]}"
    return f"{short:<{SHORT}} {kept:>9}  {gain:<21} {word:<14} {sure:>6}  {fall:<13} {paid:<11}  {brought}".rstrip()
