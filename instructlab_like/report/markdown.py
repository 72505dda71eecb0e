"""A run's facts as Markdown for a pull request: the page's figures, without its samples.

What leaves, models and people are called stands as code, where no mention, link, image or HTML acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from instructlab_like.evaluation.gate import GateResult
from instructlab_like.evaluation.inferiority import NonInferiority
from instructlab_like.evaluation.summary import SIGNS, CheckpointScore, Summary
from instructlab_like.records import Effect
from instructlab_like.report import judge, mix, waterfall
from instructlab_like.report.advice import Advice, advise
from instructlab_like.report.contribution_comment import table
from instructlab_like.report.facts import ReportFacts, TeacherCost
from instructlab_like.report.heat import branches
from instructlab_like.report.learning import Learning
from instructlab_like.report.leaves import LeafView, leaf_views
from instructlab_like.report.wording import change, code, score

MARKER = "<!-- ilk-report -->"  # by which a workflow finds the comment that it has written before
LONGEST = 60_000  # characters; GitHub refuses a comment of more than 65,536
REASON = 400  # characters of a reason
FEW = 20  # leaves named in one piece of advice, or in the ranking


def markdown(facts: ReportFacts) -> str:
    """The report, of at most `LONGEST` characters; what was cut is said. The same facts give the same text."""
    note = "_The rest is left out here: a comment holds no more. The page that `ilk report` writes tells all._"
    left, written = LONGEST - len(note) - 10, list[str]()
    for block in _blocks(facts):
        lines: list[str] = []
        for line in block.split("\n"):
            left -= len(line) + 1
            if left < 0:
                break
            lines.append(line)
        left -= 1
        if lines:
            written.append("\n".join(lines))
        if left < 0:
            written.append(note)
            break
    return "\n\n".join(written) + "\n"


def _blocks(facts: ReportFacts) -> Iterator[str]:
    views = leaf_views(facts)
    yield f"{MARKER}\n### Run report: {code(facts.run)}"
    yield from _result(facts)
    if facts.summary:
        for checkpoint in facts.summary.checkpoints:
            yield from _scores(checkpoint, views)
        if judged := judge.judge_view(facts.summary):
            yield from judge.markdown(judged)
        yield from _not_asked(facts.summary)
    if facts.contributions:
        yield f"#### What each leaf did: {code(facts.contributions.checkpoint)}\n\n{table(facts.contributions)}"
    if advice := advise(facts, views):
        yield "#### What to do next\n\n" + "\n".join(line for one in advice for line in _advice(one))
    if facts.learning and facts.learning.leaves:
        yield _learnt(facts.learning)
    if facts.waterfall.phases:
        yield f"#### What the filters rejected\n\n{waterfall.markdown(facts.waterfall)}"
    if facts.mix:
        yield f"#### The mix that was wanted\n\n{mix.markdown(facts.mix)}"
    yield from _made(facts)


def _result(facts: ReportFacts) -> Iterator[str]:
    if facts.summary is None:
        yield "This run has no scores yet."
    for checkpoint in facts.summary.checkpoints if facts.summary else ():
        if mean := checkpoint.overall_trained_effect or checkpoint.overall_effect:
            yield (
                f"{code(checkpoint.name)} scores **{score(mean.tuned)}** on held-out questions where the base scores "
                f"{score(mean.base)}: **{change(mean.delta[1])}** {_ends(mean)} {SIGNS[mean.effect]}"
            )
    if facts.summary and facts.summary.gate:
        yield _gate(facts.summary.gate)
    if facts.counts:
        kept, made = sum(one.kept for one in facts.counts), sum(one.made for one in facts.counts)
        yield f"{kept} of {made} samples kept, over {len(facts.leaves)} leaves."


def _scores(checkpoint: CheckpointScore, views: Sequence[LeafView]) -> Iterator[str]:
    rows = [
        "| leaf | samples kept | questions | base | tuned | change | 95 % | verdict |",
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for view in views:
        counts = f"{view.kept} of {view.made}" if view.made is not None else "–"
        found = view.effects.get(checkpoint.name)
        rows.append(_row(code(view.path), counts, found) if found else _unscored(code(view.path), counts))
    rows += [_row(code(f"{branch.leaf}/"), "", branch) for branch in branches(checkpoint)]
    rows += [_row(f"{code(part.leaf)} · {part.part}", "", part) for part in checkpoint.parts]
    for label, effect in (
        ("Mean of all scored leaves", checkpoint.overall_effect),
        ("Mean of leaves with samples", checkpoint.overall_trained_effect),
        *((code(one.leaf), one) for one in checkpoint.forgetting_kinds),
        ("Mean of the base’s own tasks", checkpoint.forgetting_effect),
    ):
        if effect:
            rows.append(_row(label, "", effect))
    yield f"#### Leaf by leaf: {code(checkpoint.name)}\n\n" + "\n".join(rows)
    if checkpoint.kept:
        yield "What had to be kept, by one-sided 95 % bounds:\n\n" + "\n".join(_kept(one) for one in checkpoint.kept)


def _kept(one: NonInferiority) -> str:
    low, mid, high = map(change, one.delta)
    moved = f"{score(one.base)} → {score(one.tuned)}, {mid} [{low}, {high}]"
    return f"- {code(one.name)}: **{one.verdict}**, {moved} where {score(one.margin)} may be lost, {one.n} questions"


def _gate(gate: GateResult) -> str:
    """The outcome and its reasons; they name leaves, and so they stand in code."""
    outcome = "passes" if gate.passed_strictly else "passes; --strict would fail" if gate.passed else "**fails**"
    told = (("fails", gate.reasons), ("undecided", gate.undecided), ("not checked", gate.unchecked))
    lines = [f"- {what}: {code(sentence, REASON)}" for what, sentences in told for sentence in sentences[:FEW]]
    return "\n".join([f"The gate {outcome}.", *([""] if lines else []), *lines])


def _row(label: str, counts: str, one: Effect) -> str:
    cells = (label, counts, str(one.n), score(one.base), score(one.tuned), change(one.delta[1]), _ends(one))
    return "| " + " | ".join([*cells, SIGNS[one.effect]]) + " |"


def _unscored(label: str, counts: str) -> str:
    return f"| {label} | {counts} | 0 | | | | | no held-out questions |"


def _ends(one: Effect) -> str:
    return f"[{change(one.delta[0])}, {change(one.delta[2])}]"


def _not_asked(summary: Summary) -> Iterator[str]:
    why = (
        "left out, because generation or training had seen them",
        "too long for the model’s context window, scored 0",
    )
    lines = [
        f"- {code(leaf)}: {count} {told}"
        for counts, told in zip((summary.left_out, summary.unanswered), why, strict=True)
        for leaf, count in counts.items()
    ]
    lines += [
        f"- {code(one.leaf)}, {code(one.model)}: {one.count} in no mean: {code(one.reason)}"
        for one in summary.non_scores
    ]
    lines += [f"- {code(remark)}" for remark in summary.remarks]
    if lines:
        yield "#### What has no score, and how it was asked\n\n" + "\n".join(lines)


def _advice(one: Advice) -> Iterator[str]:
    about = f"{code(one.checkpoint)}: " if one.checkpoint else ""
    yield f"- {about}{one.text}"
    for view, note in one.leaves[:FEW]:
        yield f"  - {code(view.path)}{f': {code(note)}' if note else ''}"
    if len(one.leaves) > FEW:
        yield f"  - … and {len(one.leaves) - FEW} more"


def _learnt(told: Learning) -> str:
    rows = ["| leaf | held-out loss | change | training loss |", "|---|---|--:|---|"]
    for one in told.leaves[:FEW]:
        held = f"{score(one.held_out.before)} → {score(one.held_out.after)}" if one.held_out else ""
        moved = change(one.held_out.amount) if one.held_out else ""
        trained = f"{score(one.first)} → {score(one.last)}" if one.first is not None and one.last is not None else ""
        rows.append(f"| {code(one.leaf)} | {held} | {moved} | {trained} |")
    more = len(told.leaves) - FEW
    lines = [f"- {code(one.leaf)} in {code(one.phase)}: {change(one.rise.amount)}" for one in told.forgotten[:FEW]]
    forgotten = "\n\nHeld-out losses that rose in a phase:\n\n" + "\n".join(lines) if lines else ""
    return (
        "#### What each leaf learnt\n\n"
        + "\n".join(rows)
        + (f"\n\n… and {more} leaves more." if more > 0 else "")
        + forgotten
    )


def _made(facts: ReportFacts) -> Iterator[str]:
    lines = [f"- base model {code(facts.model)}"]
    lines += [f"- taxonomy at {code(facts.commit)}"] if facts.commit else []
    lines += [_cost(one) for one in facts.costs] or ["- no teacher was asked"]
    lines += [f"- recipe to {code(stage)} {code(digest[:16])}" for stage, digest in facts.recipes.items()]
    lines += ["- " + ", ".join(code(f"{name} {number}") for name, number in facts.versions.items())]
    yield "#### How it was made\n\n" + "\n".join(line for line in lines if line != "- ")


def _cost(one: TeacherCost) -> str:
    priced = "no price given" if one.money is None else f"{one.money:.4f} in money"
    return f"- {code(one.teacher)}: {one.calls:,} calls, {one.tokens_in:,} tokens in, {one.tokens_out:,} out, {priced}"
