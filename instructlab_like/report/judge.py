"""What the report tells of a judge: its rows with how far it can be trusted beside each, for the page and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from instructlab_like.evaluation.grading import JudgeCard, PairedLeaf, agreement, agreement_compared, doubts, sentences
from instructlab_like.evaluation.summary import Summary, judged_rows
from instructlab_like.records import Effect
from instructlab_like.report.wording import change, code, score

SENTENCE = 400  # characters of a sentence that names models


@dataclass(frozen=True)
class JudgedCheckpoint:
    name: str
    rows: tuple[Effect, ...]  # of grades: leaves that are judged whole, and the judged parts of others
    partly: tuple[str, ...]  # leaves of which other rows hold grades, too
    compared: tuple[PairedLeaf, ...]


@dataclass(frozen=True)
class JudgeView:
    card: JudgeCard
    agreement: str  # of the grades
    compared: str  # the same of the comparisons
    doubts: tuple[str, ...]
    sentences: tuple[str, ...]
    checkpoints: tuple[JudgedCheckpoint, ...]


def judge_view(summary: Summary | None) -> JudgeView | None:
    """None where nothing was judged."""
    if summary is None or summary.judge is None:
        return None
    card = summary.judge
    found = []
    for one in summary.checkpoints:
        rows = judged_rows(summary, one)
        partly = tuple(leaf.leaf for leaf in one.leaves if leaf.leaf in card.leaves and leaf not in rows)
        compared = tuple(pair for pair in card.pairwise if pair.checkpoint == one.name)
        found.append(JudgedCheckpoint(name=one.name, rows=rows, partly=partly, compared=compared))
    return JudgeView(
        card=card,
        agreement=agreement(card),
        compared=agreement_compared(card),
        doubts=doubts(card),
        sentences=tuple(sentences(card)),
        checkpoints=tuple(found),
    )


def markdown(view: JudgeView) -> Iterator[str]:
    """The section's blocks; what leaves, models and replies say stands as code."""
    lines = [f"- **{told}**" for told in view.doubts]
    lines += [f"- {code(told, SENTENCE)}" for told in view.sentences]
    lines += [f"- a reply without a grade: {code(said, SENTENCE)}" for said in view.card.unread]
    yield f"#### What a judge said\n\nJudged by {code(view.card.judge)}: {view.agreement}.\n\n" + "\n".join(lines)
    for one in view.checkpoints:
        if one.rows:
            yield _graded(one, view.agreement)
        if one.compared:
            yield _compared(one, view.compared)


def _graded(one: JudgedCheckpoint, told: str) -> str:
    rows = [f"Grades as scores, {code(one.name)} against the base:\n"]
    rows += [
        "| leaf | questions | base | tuned | change | 95 % | the judge’s agreement |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for row in one.rows:
        ends = f"[{change(row.delta[0])}, {change(row.delta[2])}]"
        cells = (code(row.leaf), str(row.n), score(row.base), score(row.tuned), change(row.delta[1]), ends, told)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _compared(one: JudgedCheckpoint, told: str) -> str:
    rows = [f"Answers of {code(one.name)} beside the base’s, in both orders; no winner counts a half:\n"]
    rows += ["| leaf | won | tied | lost | inconsistent | not judged | win rate | the judge’s agreement |"]
    rows += ["|---|--:|--:|--:|--:|--:|---|---|"]
    for row in one.compared:
        rate = f"{score(row.rate.share)} [{score(row.rate.low)}, {score(row.rate.high)}]" if row.rate else ""
        counts = (row.wins, row.ties, row.losses, row.inconsistent, row.unjudged)
        rows.append("| " + " | ".join([code(row.leaf), *map(str, counts), rate, told]) + " |")
    return "\n".join(rows)
