"""The words of a preview that all its forms share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from instructlab_like.errors import position
from instructlab_like.generation.figures import duration, number
from instructlab_like.generation.quote import Cost
from instructlab_like.preview.facts import Change, Overlap, Preview, Rejection, Share
from instructlab_like.taxonomy.findings import Finding


def bases(cost: Cost) -> Iterator[tuple[str, str, str]]:
    """Name, figure and basis of each part of a cost."""
    paid = f", {cost.answered:,} of them answered in the ledger" if cost.answered else ""
    yield "calls", f"{number(cost.calls)}{paid}", cost.calls.basis
    yield "tokens in", number(cost.tokens_in), cost.tokens_in.basis
    yield "tokens out", number(cost.tokens_out), cost.tokens_out.basis
    yield "money", number(cost.money), cost.money.basis
    yield "time", duration(cost.seconds), cost.seconds.basis


def change(told: Change) -> str:
    """What is different, in one line; empty for a leaf that is not."""
    parts = [", ".join(told.files)] if told.files else []
    parts += [
        f"seeds {word} {', '.join(map(str, seeds))}"
        for word, seeds in (
            ("added", told.seeds_added),
            ("changed", told.seeds_changed),
            ("removed", told.seeds_removed),
        )
        if seeds
    ]
    if told.moved_from:
        parts.insert(0, f"from {told.moved_from}")
    return "; ".join(parts)


def finding(found: Finding) -> str:
    what = f"{found.field}: {found.message}" if found.field else found.message
    return f"{position(found.path, found.line, found.column)}: {found.severity} [{found.code}] {what} → {found.fix}"


def verdict(rejected: Rejection) -> str:
    score = "" if rejected.score is None else f", score {rejected.score:.3f}"
    limit = "" if rejected.threshold is None else f", threshold {rejected.threshold:g}"
    return f"rejected by {rejected.filter}: {rejected.reason}{score}{limit}"


def tallies(rejections: Iterable[Rejection]) -> list[str]:
    """The rejections by filter and reason, the commonest first, with the scores that they span."""
    alike: dict[tuple[str, str], list[Rejection]] = defaultdict(list)
    for rejected in rejections:
        alike[rejected.filter, rejected.reason].append(rejected)
    lines = []
    for (name, reason), group in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0])):
        scores = [rejected.score for rejected in group if rejected.score is not None]
        limits = {rejected.threshold for rejected in group if rejected.threshold is not None}
        told = f", score {_span(scores)}" if scores else ""
        told += f", threshold {_span(sorted(limits))}" if limits else ""
        lines.append(f"{len(group)} by {name}: {reason}{told}")
    return lines


def repeats(overlaps: Iterable[Overlap]) -> list[str]:
    """The overlaps by the leaf that is repeated and how, the commonest first, each with its nearest example."""
    alike: dict[tuple[str, str], list[Overlap]] = defaultdict(list)
    for overlap in overlaps:
        alike[overlap.other, overlap.how].append(overlap)
    lines = []
    for (other, how), group in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0])):
        nearest = max(group, key=lambda overlap: overlap.score)
        count = f"{len(group)} texts, such as " if len(group) > 1 else ""
        size = "" if nearest.score == 1 else f" ({nearest.score:.0%} {nearest.measure})"
        lines.append(f"{count}{nearest.what}: {how} {nearest.other_what} of {other}{size}: {nearest.text}")
    return lines


def share(told: Share) -> str:
    return f"{_part(told.before, told.share_before)} → {_part(told.after, told.share_after)}"


def headline(told: Preview) -> str:
    """What the preview is of."""
    count = len(told.leaves)
    leaves = f"{count} leaf" if count == 1 else f"{count} leaves"
    named = any(leaf.change.kind == "named" for leaf in told.leaves)
    if told.base is None:
        return f"Preview of {leaves}, not compared with a base"
    relation = "beside" if named else "changed since"
    return f"Preview of {leaves} {relation} {told.base}"


def settings(told: Preview) -> str:
    """The recipe's part in the figures."""
    recipe = told.settings
    asked = f"teacher {recipe.teacher}" if recipe.teacher else "no teacher asked"
    return (
        f"flows {', '.join(recipe.flows) or 'none'} ({asked}); chunks of {recipe.chunk_words} words; at most "
        f"{recipe.prompts_per_leaf} prompts a leaf, {recipe.pairs_per_prompt} pairs a prompt, {recipe.max_tokens} "
        f"tokens an answer; filters {', '.join(recipe.filters) or 'none'}"
    )


def _part(count: int | None, part: float | None) -> str:
    if count is None:
        return "none"
    return f"{count:,}" + ("" if part is None else f" ({part:.1%})")


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
