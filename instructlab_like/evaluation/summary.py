"""A run's scores in one record: base and checkpoints per leaf, branch and overall, what had to be kept, the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import orjson
from pydantic import ValidationError

from instructlab_like.errors import InputError, explain
from instructlab_like.evaluation import gate as gates
from instructlab_like.evaluation.discovery import controlled
from instructlab_like.evaluation.effect import Paired, Triple, average, effect, estimate, overall
from instructlab_like.evaluation.gate import GateResult
from instructlab_like.evaluation.grading import JUDGE, JudgeCard, agreement, agreement_compared, beside, paired_line
from instructlab_like.evaluation.grading import lines as judge_lines
from instructlab_like.evaluation.inferiority import NonInferiority, kept_rows
from instructlab_like.records import Answer, Effect, Item, LeafCounts, Record, plain
from instructlab_like.tuning.measures import under
from instructlab_like.workspace import FORMAT, write_whole

BASE = "base"  # the name of the model without an adapter, in answers
OWN = "base/"  # the leaves of the base's own tasks begin so
MARGIN = 0.05  # what of a score may be lost of what had to be kept, unless a recipe says otherwise
Scores = Mapping[str, float]  # by item, of those that have one
SIGNS = {"better": "▲ better", "worse": "▼ worse", "tied": "= tied", "underpowered": "? underpowered"}


class BaseScore(Record):
    """The model before training; `forgetting` is its score on its own tasks. None: there were no such items."""

    name: str
    overall: float | None
    overall_interval: tuple[float, float] | None
    overall_trained: float | None
    forgetting: float | None
    forgetting_interval: tuple[float, float] | None


class PartEffect(Effect):
    """The effect on one part of a leaf's items: what a judge graded, what was to be chosen, what a text's odds are."""

    part: str  # Item.part


class NonScore(Record):
    """Answers of a model on a leaf that have no score: they are in no mean, and counted here."""

    leaf: str
    model: str
    reason: str
    count: int


class CheckpointScore(Record):
    """A trained model; `overall_trained` is the mean over the leaves that received samples."""

    name: str
    overall: float | None
    overall_trained: float | None
    forgetting: float | None  # its score on the base's own tasks
    leaves: tuple[Effect, ...]
    overall_effect: Effect | None
    overall_trained_effect: Effect | None
    forgetting_effect: Effect | None
    forgetting_kinds: tuple[Effect, ...]
    branches: tuple[Effect, ...] = ()  # of two leaves or more; the mean over a branch's leaves, each counting the same
    kept: tuple[NonInferiority, ...] = ()  # the base's own tasks, and what recipes protect
    parts: tuple[PartEffect, ...] = ()  # of leaves with items of several parts, and all perplexities


class Summary(Record):
    """`6-evaluation/summary.json`. All scores are 0..1, all intervals 95 %; every leaf counts the same in a mean."""

    format: int = FORMAT
    base: BaseScore
    checkpoints: tuple[CheckpointScore, ...]
    samples: tuple[LeafCounts, ...]
    unscored: tuple[str, ...]  # leaves without held-out questions, perplexities apart
    untrained: tuple[str, ...]  # leaves that received no samples
    left_out: dict[str, int]  # by leaf: held-out questions not asked because training had seen them
    unanswered: dict[str, int]  # by leaf: questions scored 0 because they do not fit the model's context window
    non_scores: tuple[NonScore, ...] = ()
    remarks: tuple[str, ...] = ()  # what a reader must know of how the models were asked, a sentence each
    judge: JudgeCard | None = None  # None: nothing was judged
    gate: GateResult | None = None  # None: written before there was one


def summarise(
    items: Sequence[Item],
    answers: Sequence[Answer],
    *,
    enough: int,
    leaves: Sequence[LeafCounts],
    base: str = BASE,
    seen: Sequence[Item] = (),
    protect: Sequence[str] = (),
    margin: float = MARGIN,
    judge: JudgeCard | None = None,
    remarks: Sequence[str] = (),
) -> Summary:
    """Put the scores of one run together.

    `leaves` are all leaves of the run, `seen` the items left out, `base` the base model's name; `protect` the leaves
    and branches of which no more than `margin` may be lost; `judge` who graded what no rule scores. Raises InputError
    when a model has not answered every item.
    """
    scores = _scores(items, answers)
    groups = _by_leaf([item for item in items if item.metric != "perplexity"])
    own = {leaf: group for leaf, group in groups.items() if leaf.startswith(OWN)}
    asked = {leaf: group for leaf, group in groups.items() if leaf not in own}
    kept = {leaf.leaf for leaf in leaves if leaf.kept}
    trained = {leaf: group for leaf, group in asked.items() if leaf in kept}
    silent = {answer.item for answer in answers if answer.model == BASE and answer.unanswered}
    before = scores[BASE]
    means = [_mean(part, before) for part in (asked, trained, own)]
    mute = {leaf for leaf, group in groups.items() if all(item.id in silent for item in group)}
    needed = _guarded(groups, own, protect)
    heard = ((name, [leaf for leaf in found if leaf not in mute]) for name, found in needed.items())
    guarded = {name: found for name, found in heard if found}
    checkpoints = tuple(
        _checkpoint(name, before, after, asked, trained, own, guarded, margin, enough, _parts(items))
        for name, after in scores.items()
        if name != BASE
    )
    unscored = tuple(leaf.leaf for leaf in leaves if leaf.leaf not in asked)
    return Summary(
        base=BaseScore(
            name=base,
            overall=_mid(means[0]),
            overall_interval=_ends(means[0]),
            overall_trained=_mid(means[1]),
            forgetting=_mid(means[2]),
            forgetting_interval=_ends(means[2]),
        ),
        checkpoints=checkpoints,
        samples=tuple(leaves),
        unscored=unscored,
        untrained=tuple(
            dict.fromkeys(name for name in [leaf.leaf for leaf in leaves] + list(asked) if name not in kept)
        ),
        left_out=dict(Counter(item.leaf for item in seen)),
        unanswered=dict(Counter(item.leaf for item in items if item.id in silent)),
        non_scores=_non_scores(items, answers),
        judge=judge,
        remarks=tuple(remarks),
        gate=gates.decide(
            [(one.name, one.leaves, one.kept) for one in checkpoints],
            parts={one.name: [(row.part, row) for row in one.parts] for one in checkpoints},
            unscored=unscored,
            without_items=[name for name in dict.fromkeys(protect) if not needed.get(name.rstrip("/"))],
            without_scores=[(one.name, name) for one in checkpoints for name in _silent(one, needed, mute)],
            unjudged=[
                (one.name, leaf)
                for one in checkpoints
                for leaf in asked
                if leaf in mute or leaf not in {row.leaf for row in one.leaves}
            ],
            own_tasks=bool(own),
        ),
    )


def write(path: Path, summary: Summary) -> None:
    write_whole(path, orjson.dumps(plain(summary), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read(path: Path) -> Summary:
    """The summary of a run; InputError when it is missing or not one of this version."""
    try:
        return Summary.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError("there is no such summary", where=str(path), fix="make it first: ilk evaluate") from error
    except ValidationError as error:
        fix = "it was changed by hand or by another version: ilk evaluate writes it anew"
        raise InputError("; ".join(explain(error)), where=str(path), fix=fix) from error


def table(summary: Summary) -> str:
    """The summary as aligned text of at most 110 columns, one block per checkpoint."""
    blocks = [line for checkpoint in summary.checkpoints for line in _block(summary, checkpoint)]
    if not summary.checkpoints and summary.base.overall is not None and summary.base.overall_interval:
        low, high = summary.base.overall_interval
        blocks.append(f"{summary.base.name}: held-out score {summary.base.overall:.2f} [{low:.2f}–{high:.2f}]")
    if summary.judge:
        blocks += [*judge_lines(summary.judge), ""]
    notes = [
        ("received no samples", summary.untrained),
        ("have no held-out questions", summary.unscored),
        ("have held-out questions that training had asked, left out", _counted(summary.left_out)),
        ("have questions too long for the model, scored 0", _counted(summary.unanswered)),
        ("have answers without a score, in no mean", [_told(one) for one in summary.non_scores]),
    ]
    for what, leaves in notes:
        if leaves:
            blocks += [f"leaves that {what} ({len(leaves)}):", *(f"  {leaf}" for leaf in leaves)]
    blocks += [f"note: {remark}" for remark in summary.remarks]
    if summary.gate:
        blocks += gates.lines(summary.gate)
    return "\n".join(blocks)


def judged_rows(summary: Summary, checkpoint: CheckpointScore) -> tuple[Effect, ...]:
    """The rows of a checkpoint whose scores are a judge's: a leaf's judged part, or a leaf that is judged whole."""
    if summary.judge is None:
        return ()
    divided = {one.leaf: one for one in checkpoint.parts if one.part == JUDGE}
    several = {one.leaf for one in checkpoint.parts if one.part not in (JUDGE, "perplexity")}
    whole = {one.leaf: one for one in checkpoint.leaves if one.leaf not in several}
    rows = (divided.get(leaf) or whole.get(leaf) for leaf in summary.judge.leaves)
    return tuple(row for row in rows if row)


def _scores(items: Sequence[Item], answers: Sequence[Answer]) -> dict[str, Scores]:
    """Scores by model and item, in the answers' order of models; every model has answered every item."""
    found: dict[str, dict[str, float | None]] = {BASE: {}}
    for answer in answers:
        found.setdefault(answer.model, {})[answer.item] = answer.score
    for model, given in found.items():
        missing = [item for item in items if item.id not in given]
        if missing:
            what = f"{model} has no answer to {len(missing)} of {len(items)} items, the first: {missing[0].question!r}"
            raise InputError(what, where=missing[0].leaf, fix="answer them first: ilk evaluate")
    return {
        model: {item: score for item, score in given.items() if score is not None} for model, given in found.items()
    }


def _non_scores(items: Sequence[Item], answers: Sequence[Answer]) -> tuple[NonScore, ...]:
    leaves = {item.id: item.leaf for item in items}
    counts = Counter(
        (leaves[answer.item], answer.model, answer.unscored or "no score")
        for answer in answers
        if answer.score is None and answer.item in leaves
    )
    return tuple(
        NonScore(leaf=leaf, model=model, reason=reason, count=count) for (leaf, model, reason), count in counts.items()
    )


def _parts(items: Sequence[Item]) -> dict[tuple[str, str], list[Item]]:
    """The items of each part of a leaf: perplexities always, the others where a leaf has several parts."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.leaf, item.part), []).append(item)
    several = Counter(leaf for leaf, part in groups if part != "perplexity")
    return {
        (leaf, part): group
        for (leaf, part), group in groups.items()
        if part == "perplexity" or (several[leaf] > 1 and not leaf.startswith(OWN))
    }


def _by_leaf(items: Sequence[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.leaf, []).append(item)
    return groups


def _guarded(
    groups: Mapping[str, list[Item]], own: Mapping[str, list[Item]], protect: Sequence[str]
) -> dict[str, list[str]]:
    """What has to be kept: for each name its leaves that have items. The base's own tasks always, kind by kind."""
    names = [*own, *([OWN.rstrip("/")] if len(own) > 1 else []), *(name.rstrip("/") for name in protect)]
    found = {name: [leaf for leaf in groups if under(leaf, name)] for name in names}
    return {name: leaves for name, leaves in found.items() if leaves}


def _branches(leaves: Iterable[str]) -> dict[str, list[str]]:
    """The branches that hold two leaves or more, from the root down."""
    found: dict[str, list[str]] = {}
    for leaf in leaves:
        parts = leaf.split("/")
        for depth in range(1, len(parts)):
            found.setdefault("/".join(parts[:depth]), []).append(leaf)
    return {branch: found[branch] for branch in sorted(found) if len(found[branch]) > 1}


def _silent(one: CheckpointScore, needed: Mapping[str, list[str]], mute: Collection[str]) -> list[str]:
    """What had to be kept, names and the leaves under them, of which the checkpoint has no answer with a score."""
    scored = {row.leaf for row in (*one.leaves, *one.forgetting_kinds)} - set(mute)
    rows = {row.name for row in one.kept}
    leaves = [leaf for found in needed.values() for leaf in found if leaf not in scored]
    return list(dict.fromkeys([*(name for name in needed if name not in rows), *leaves]))


def _labels(group: Sequence[Item]) -> list[str]:
    return [item.cluster or item.id for item in group]


def _mean(groups: Mapping[str, list[Item]], scores: Scores) -> Triple | None:
    scored = [[item for item in group if item.id in scores] for group in groups.values()]
    parts = [estimate([scores[item.id] for item in group], _labels(group)) for group in scored if group]
    return average(parts) if parts else None


def _paired(label: str, group: Sequence[Item], before: Scores, after: Scores) -> Paired | None:
    """The scores of those items that both have a score of; None where there is no such item."""
    both = [item for item in group if item.id in before and item.id in after]
    if not both:
        return None
    return Paired(label, [before[item.id] for item in both], [after[item.id] for item in both], _labels(both))


def _mid(mean: Triple | None) -> float | None:
    return mean[1] if mean else None


def _ends(mean: Triple | None) -> tuple[float, float] | None:
    return (mean[0], mean[2]) if mean else None


def _checkpoint(
    name: str,
    before: Scores,
    after: Scores,
    asked: Mapping[str, list[Item]],
    trained: Mapping[str, list[Item]],
    own: Mapping[str, list[Item]],
    guarded: Mapping[str, list[str]],
    margin: float,
    enough: int,
    parts: Mapping[tuple[str, str], list[Item]],
) -> CheckpointScore:
    both = ((leaf, _paired(leaf, group, before, after)) for leaf, group in (*asked.items(), *own.items()))
    pairs = {leaf: group for leaf, group in both if group}

    def together(label: str, leaves: Iterable[str]) -> Effect | None:
        groups = [pairs[leaf] for leaf in leaves if leaf in pairs]
        return overall(label, groups, enough=enough) if groups else None

    def single(leaves: Iterable[str]) -> tuple[Effect, ...]:
        return controlled([_effect(pairs[leaf], enough) for leaf in leaves if leaf in pairs], enough=enough)

    whole, taught, kept = together("overall", asked), together("overall_trained", trained), together("forgetting", own)
    scored = _branches(leaf for leaf in asked if leaf in pairs)
    branches = [overall(branch, [pairs[leaf] for leaf in leaves], enough=enough) for branch, leaves in scored.items()]
    needed = [(name, [pairs[leaf] for leaf in leaves if leaf in pairs]) for name, leaves in guarded.items()]
    divided = [(part, _paired(leaf, group, before, after)) for (leaf, part), group in parts.items()]
    measured = [(part, group) for part, group in divided if group]
    levels = controlled([_effect(group, enough) for _, group in measured], enough=enough)
    return CheckpointScore(
        name=name,
        overall=whole.tuned if whole else None,
        overall_trained=taught.tuned if taught else None,
        forgetting=kept.tuned if kept else None,
        leaves=single(asked),
        overall_effect=whole,
        overall_trained_effect=taught,
        forgetting_effect=kept,
        forgetting_kinds=single(own),
        branches=controlled(branches, enough=enough),
        kept=kept_rows([(name, groups) for name, groups in needed if groups], margin=margin, enough=enough),
        parts=tuple(PartEffect(part=part, **dict(one)) for (part, _), one in zip(measured, levels, strict=True)),
    )


def _effect(one: Paired, enough: int) -> Effect:
    return effect(one.leaf, one.base, one.tuned, enough=enough, clusters=one.clusters)


def _block(summary: Summary, checkpoint: CheckpointScore) -> list[str]:
    counts = {leaf.leaf: (f"{leaf.made}", f"{leaf.kept}") for leaf in summary.samples}
    judged = judged_rows(summary, checkpoint)
    lines = [
        f"{checkpoint.name} against {summary.base.name}, held-out scores with 95 % intervals",
        _line("leaf", "made", "kept", "n", "base", "tuned", "change", "q", "verdict"),
    ]
    for one in checkpoint.leaves:
        lines += [_effect_line(one.leaf, counts.get(one.leaf, ("–", "–")), one), *_beside(summary, one, judged)]
    means = [
        *((f"{one.leaf}/", one) for one in checkpoint.branches),
        (f"mean of {len(checkpoint.leaves)} leaves", checkpoint.overall_effect),
        ("mean of leaves with samples", checkpoint.overall_trained_effect),
        *((one.leaf, one) for one in checkpoint.forgetting_kinds),
        ("mean of the base's own tasks", checkpoint.forgetting_effect),
    ]
    lines += [_effect_line(label, ("", ""), one) for label, one in means if one]
    if summary.judge and judged:
        lines += beside(agreement(summary.judge), "means, judged in part")
    if checkpoint.parts:
        lines.append("parts of leaves; of a perplexity its inverse, in no mean")
        for part in checkpoint.parts:
            lines += [_effect_line(f"{part.leaf} · {part.part}", ("", ""), part), *_beside(summary, part, judged)]
    if summary.judge and (compared := [one for one in summary.judge.pairwise if one.checkpoint == checkpoint.name]):
        lines.append("answers beside the base's, compared by the judge in both orders; win rate, a half for no winner")
        for pair in compared:
            lines += [f"{_short(pair.leaf):<28} {paired_line(pair)}", *beside(agreement_compared(summary.judge))]
    if checkpoint.kept:
        margin = checkpoint.kept[0].margin
        lines.append(f"what had to be kept: no more than {margin:g} lost, by one-sided 95 % bounds")
        lines += [_kept_line(one) for one in checkpoint.kept]
    return [*lines, ""]


def _beside(summary: Summary, one: Effect, judged: Sequence[Effect]) -> list[str]:
    """What stands under a row that holds grades of a judge."""
    card = summary.judge
    if card is None or one.leaf not in card.leaves or (isinstance(one, PartEffect) and one.part != JUDGE):
        return []
    return [*beside(agreement(card), "judged" if one in judged else "judged in part")]


def _effect_line(label: str, counts: tuple[str, str], one: Effect) -> str:
    base = f"{one.base:.2f} [{one.base_interval[0]:.2f}–{one.base_interval[1]:.2f}]"
    tuned = f"{one.tuned:.2f} [{one.tuned_interval[0]:.2f}–{one.tuned_interval[1]:.2f}]"
    level = "" if one.q is None else f"{one.q:.3f}" if one.q >= 0.001 else "<.001"
    return _line(label, *counts, f"{one.n}", base, tuned, f"{one.delta[1]:+.2f}", level, SIGNS[one.effect])


def _line(label: str, made: str, kept: str, n: str, base: str, tuned: str, change: str, q: str, verdict: str) -> str:
    return (
        f"{_short(label):<28} {made:>5} {kept:>5} {n:>4}  {base:<16} {tuned:<16} {change:>6} {q:>5}  {verdict}".rstrip()
    )


def _kept_line(one: NonInferiority) -> str:
    low, mid, high = one.delta
    scores = f"{one.base:.2f} → {one.tuned:.2f}"
    return f"{_short(one.name):<40} {one.n:>4}  {scores:<16} {mid:+.2f} [{low:+.2f} to {high:+.2f}]  {one.verdict}"


def _short(label: str) -> str:
    return label if len(label) <= 28 else f"…{label[-27:]}"


def _counted(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{leaf}: {count}" for leaf, count in counts.items())


def _told(one: NonScore) -> str:
    return f"{one.leaf}: {one.model}: {one.reason} ({one.count})"
