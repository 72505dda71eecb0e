"""What leaves did, as Markdown for the pull request that brought them.

What leaves, models and people are called stands as code, where no mention, link, image or HTML acts.
"""

from __future__ import annotations

from collections.abc import Iterator

from instructlab_like.evaluation.leave_one_out import LeftOut
from instructlab_like.evaluation.summary import SIGNS
from instructlab_like.records import Effect
from instructlab_like.report.contribution import Contribution, Contributions
from instructlab_like.report.contribution_text import NAMED, brief_cost, chance, cost, loss, others, outcome, shift
from instructlab_like.report.wording import change, code, level, score

MARKER = "<!-- ilk-effects -->"  # by which a workflow finds the comment that it has written before
LONGEST = 60_000  # characters; GitHub refuses a comment of more than 65,536
ROWS = 50  # of the table
TOLD = 10  # leaves up to which each has a section of its own
REASON = 400  # characters of a reason


def comment(told: Contributions) -> str:
    """The comment, of at most `LONGEST` characters; what was cut is said. The same facts give the same text."""
    note = "_The rest is left out here: a comment holds no more. `ilk effects` tells all of it._"
    left, written = LONGEST - len(note) - 2, list[str]()
    for block in _blocks(told):
        left -= len(block) + 2
        if left < 0:
            written.append(note)
            break
        written.append(block)
    return "\n\n".join(written)


def _blocks(told: Contributions) -> Iterator[str]:
    count = len(told.leaves)
    yield f"{MARKER}\n### What {'this leaf' if count == 1 else f'these {count} leaves'} did"
    against = f"{code(told.checkpoint)} beside {code(told.base)}, run {code(told.run)}"
    yield f"{against}, on each leaf’s own held-out questions. Intervals are 95 %."
    if count > 1:
        yield table(told)
    for one in told.leaves if count <= TOLD else [found for found in told.leaves if found.left_out]:
        yield _leaf(one, told)
    if not told.trained_here:
        yield "Losses are of this run’s own training, gains of another checkpoint."
    if count > TOLD and any(one.judged for one in told.leaves):
        yield f"Leaves that a judge graded, the whole of them or in part: {told.agreement}."
    if told.another_seed or any(one.left_out for one in told.leaves):
        yield chance(told)


def table(told: Contributions) -> str:
    """One row a leaf, as a Markdown table."""
    rows = [
        "| leaf | samples kept | questions | base | tuned | gain | 95 % | verdict | loss | cost | brought by |",
        "|---|--:|--:|--:|--:|--:|---|---|--:|--:|---|",
        *map(_row, told.leaves[:ROWS]),
    ]
    more = len(told.leaves) - ROWS
    return "\n".join(rows) + (f"\n\n… and {more} leaves more." if more > 0 else "")


def _row(one: Contribution) -> str:
    gain = one.gain
    scores = (
        [str(gain.n), score(gain.base), score(gain.tuned), change(gain.delta[1]), _ends(gain), SIGNS[gain.effect]]
        if gain
        else ["0", "", "", "", "", "no held-out questions"]
    )
    cells = [code(one.leaf), f"{one.kept} of {one.made}", *scores, loss(one.loss), brief_cost(one.cost), _by(one)]
    return "| " + " | ".join(cells) + " |"


def _leaf(one: Contribution, told: Contributions) -> str:
    lines = [f"#### {code(one.leaf)}", "", f"**{outcome(one, told.enough)}**", ""]
    if one.gain:
        lines.append(f"- gain on its own questions: {_effect(one.gain)}")
    lines += [f"  - {one.judged}: {told.agreement}"] if one.judged else []
    lines += [f"  - {code(part.part)}: {_effect(part)}" for part in one.parts]
    short = f": {code(one.shortfall, REASON)}" if one.shortfall else ""
    lines.append(f"- samples: {one.kept} kept of {one.made} made{short}")
    if one.loss:
        where = f"on {one.loss.samples} held-out samples" if one.loss.samples else "in training"
        lines.append(
            f"- loss {where}: {score(one.loss.before)} → {score(one.loss.after)} nats a token ({loss(one.loss)})"
        )
    lines += [f"- cost: {cost(one.cost)}", f"- brought by {_by(one)}"]
    return "\n".join([*lines, *(_left_out(one.left_out) if one.left_out else ())])


def _left_out(found: LeftOut) -> Iterator[str]:
    yield ""
    yield f"Trained again without its samples ({found.rows:,} of {found.rows_all:,} rows), from without it to with it:"
    yield ""
    for label, one in (
        ("its own questions", found.own),
        ("the same questions, from the base to without it", found.untaught),
        ("mean of the other leaves", found.others_mean),
        ("the base’s own tasks", found.own_tasks),
    ):
        if one:
            yield f"- {label}: {_effect(one)}"
    yield f"- {others(found)}"
    moved = (*found.helped, *found.harmed)
    yield from (f"  - {code(one.leaf)}: {_effect(one)}" for one in moved[:NAMED])
    if len(moved) > NAMED:
        yield f"  - … and {len(moved) - NAMED} more"


def _effect(one: Effect) -> str:
    q = "" if one.q is None else f", q {level(one.q).replace('<', '&lt;')}"
    return f"{score(one.base)} → {score(one.tuned)}, **{shift(one)}**, {one.n} question{'' if one.n == 1 else 's'}{q}"


def _ends(one: Effect) -> str:
    return f"[{change(one.delta[0])}, {change(one.delta[2])}]"


def _by(one: Contribution) -> str:
    told = [code(one.author)] if one.author else []
    told += [f"in {code(one.commit[:12])}"] if one.commit else ["not committed"]
    return " ".join(told) + (", changed since" if one.dirty and one.commit else "")
