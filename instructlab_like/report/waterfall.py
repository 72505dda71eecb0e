"""What became of all samples, as lines for people: by phase and filter, by rule, by leaf. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from instructlab_like.records import LeafCounts, PhaseCount, Waterfall
from instructlab_like.report.wording import code

WORD = re.compile(r"[A-Za-z0-9]+([-_./ ][A-Za-z0-9]+)*")  # nothing that means anything in Markdown
SHOWN = 5  # rules of a filter, and leaves, that are named


def lines(told: Waterfall, *, leaves: int = 10) -> Iterator[str]:
    """The table of filters with their rules, then the leaves that lost the largest share of their samples."""
    if not told.phases:
        yield "no filter was applied"
        return
    width = max(len(phase.filter) for phase in told.phases)
    yield f"{'phase':<10}  {'filter':<{width}}  {'made':>9}  {'rejected':>9}  {'kept':>9}"
    before = ""
    for phase in told.phases:
        shown = phase.phase if phase.phase != before else ""
        before = phase.phase
        yield (
            f"{shown:<10}  {phase.filter:<{width}}  {phase.made:>9,}  {phase.rejected:>9,}  {phase.kept:>9,}"
            f"{beside(phase)}"
        )
        if rules := rules_of(told, phase.filter):
            named = ", ".join(f"{rule or 'rejected'} {count:,}" for rule, count in rules[:SHOWN])
            more = sum(count for _, count in rules[SHOWN:])
            yield f"{'':<10}  {'':<{width}}  {named}{f', others {more:,}' if more else ''}"
    yield from leaf_lines(told, leaves)


def beside(phase: PhaseCount) -> str:
    """What a row of figures does not say by itself."""
    notes = []
    if phase.added:
        notes.append(f"{phase.added:,} of the rejected go on with parts masked")
    if phase.not_applied:
        notes.append(f"not applied to {'any' if phase.not_applied == phase.made else f'{phase.not_applied:,}'}")
    return f"  ({'; '.join(notes)})" if notes else ""


def leaf_lines(told: Waterfall, most: int) -> Iterator[str]:
    named = [leaf for leaf in told.leaves if leaf.leaf]
    if not named or not most:
        return
    worst = sorted(named, key=lambda leaf: (-share_lost(leaf), -leaf.made, leaf.leaf))[:most]
    width = max(len(leaf.leaf) for leaf in worst)
    yield ""
    yield f"{'leaf':<{width}}  {'made':>9}  {'kept':>9}"
    for leaf in worst:
        reasons = ", ".join(f"{name} {count:,}" for name, count in reasons_of(told, leaf.leaf)[:3])
        yield f"{leaf.leaf:<{width}}  {leaf.made:>9,}  {leaf.kept:>9,}" + (f"  {reasons}" if reasons else "")
    if len(named) > most:
        yield f"… and {len(named) - most:,} leaves more, of which a smaller share was rejected"


def share_lost(leaf: LeafCounts) -> float:
    return 1 - leaf.kept / leaf.made if leaf.made else 0.0


def rules_of(told: Waterfall, name: str) -> Sequence[tuple[str, int]]:
    """The rules of a filter with the number of samples each rejected, the most first."""
    found: Counter[str] = Counter()
    for one in told.rules:
        if one.filter == name:
            found[one.rule] += one.rejected
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def reasons_of(told: Waterfall, leaf: str) -> Sequence[tuple[str, int]]:
    """What rejected samples of a leaf: filter and rule, the most first."""
    found: Counter[str] = Counter()
    for one in told.rules:
        if one.leaf == leaf:
            found[f"{one.filter}/{one.rule}" if one.rule else one.filter] += one.rejected
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def markdown(told: Waterfall) -> str:
    """The table of filters for a page of Markdown; a name that is no plain word, as a flow may give, stands as code."""
    rows = ["| phase | filter | made | rejected | kept | rules |", "|---|---|--:|--:|--:|---|"]
    for phase in told.phases:
        rules = ", ".join(f"{word(rule or 'rejected')} {count:,}" for rule, count in rules_of(told, phase.filter))
        counts = " | ".join(f"{count:,}" for count in (phase.made, phase.rejected, phase.kept))
        rows.append(f"| {word(phase.phase)} | {word(phase.filter)} | {counts} | {rules} |")
    return "\n".join(rows)


def word(name: str) -> str:
    return name if WORD.fullmatch(name) else code(name)
