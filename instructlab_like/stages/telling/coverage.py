"""How far a run's samples cover the axes of its flows: a matrix of leaf and value, with the gaps; and its target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from instructlab_like.console import say
from instructlab_like.errors import GateError, InputError
from instructlab_like.flows import Flow, load_flows
from instructlab_like.printable import escaped
from instructlab_like.records import Leaf, Record
from instructlab_like.report.mix import Mix, verdict
from instructlab_like.report.mix import lines as mix_lines
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.targeting import read_mix
from instructlab_like.stages.library import read_leaves
from instructlab_like.taxonomy.branches import Branches
from instructlab_like.workspace import Run, find

WIDEST = 8  # values that a table has columns for; of more, how many are covered is told
NAMED = 20  # gaps that are named for an axis

Form = Literal["text", "json"]


class LeafCoverage(Record):
    """Samples of a leaf by value, in the order of the axis."""

    leaf: str
    made: tuple[int, ...]
    kept: tuple[int, ...]

    def gaps(self, least: int) -> tuple[int, ...]:
        """The places of the values of which fewer than `least` samples were kept."""
        return tuple(place for place, count in enumerate(self.kept) if count < least)


class AxisCoverage(Record):
    flow: str
    axis: str
    values: tuple[str, ...]
    leaves: tuple[LeafCoverage, ...]  # that the flow takes


class Coverage(Record):
    least: int  # kept samples that a leaf needs of a value
    axes: tuple[AxisCoverage, ...]
    target: Mix | None = None  # what was reached of the recipe's target, if it has one

    @property
    def gaps(self) -> int:
        return sum(len(leaf.gaps(self.least)) for axis in self.axes for leaf in axis.leaves)


def coverage(run: Run, *, least: int = 1, strict: bool = False, form: Form = "text") -> None:
    """Print the matrix of each axis, and the target's table; with `strict` GateError for gaps or a target missed.

    Raises InputError for a run without samples, or without a target whose flows have no axes.
    """
    found = covered(run, least=least)
    if form == "json":
        say(found.model_dump_json(indent=2, exclude_none=True))
    else:
        for text in lines(found):
            say(text)
    if strict and found.gaps:
        fix = "more prompts (prompts_per_leaf) reach more values; ilk why tells why a sample was rejected"
        raise GateError(f"{found.gaps:,} values of axes are not covered", where=str(run.folder), fix=fix)
    if strict and found.target is not None and not found.target.reached:
        fix = "more prompts (prompts_per_leaf), a target that can be had, or filters that keep more: ilk why tells"
        raise GateError(verdict(found.target), where=str(run.folder), fix=fix)


def covered(run: Run, *, least: int) -> Coverage:
    made = manifest.read(run)
    if made.generate is None or not run.verdicts.is_file():
        raise InputError("this run has no samples", where=str(run.folder), fix="ilk generate")
    flows = [flow for flow in load_flows(made.generate.flows) if flow.plan.axes]
    target = read_mix(run)
    if not flows and target is None:
        fix = "flows with axes: docs/flows.md; a flow of your own may have some, too"
        raise InputError("no flow of this run has axes", where=str(run.manifest), fix=fix)
    root = find(made.generate.taxonomy)
    leaves = read_leaves(root, made.generate.leaves, made.generate.exclude)
    branches = Branches(root, made.generate.exclude)
    counts = counted(run)
    axes = tuple(one for flow in flows for one in matrices(flow, leaves, branches, counts))
    return Coverage(least=least, axes=axes, target=target)


def matrices(
    flow: Flow, leaves: Sequence[Leaf], branches: Branches, counts: tuple[Counter[Place], Counter[Place]]
) -> Iterator[AxisCoverage]:
    """A matrix of each axis; where leaves give its values, one of each leaf."""
    taken = [leaf for leaf in leaves if flow.takes(leaf)]
    for axis in flow.plan.axes:
        if axis in flow.values:
            yield matrix(flow.name, axis, flow.values[axis], [leaf.path for leaf in taken], counts)
            continue
        for leaf in taken:
            own = flow.own(leaf, branches.beside(leaf))
            yield matrix(flow.name, axis, own[axis], [leaf.path], counts)


Place = tuple[str, str, str, str]  # flow, axis, leaf, value


def counted(run: Run) -> tuple[Counter[Place], Counter[Place]]:
    """The samples made and kept at each place."""
    with run.verdicts.open("rb") as file:
        rejected = {row["subject"] for row in map(orjson.loads, file) if not row["keep"]}
    made: Counter[Place] = Counter()
    kept: Counter[Place] = Counter()
    for row in rows(run.samples, run.replaced):
        lineage = row["lineage"]
        if lineage["method"] != "teacher" or not lineage["params"]:
            continue
        for axis, value in lineage["params"].items():
            place = (lineage["flow"], axis, lineage["leaf"], value)
            made[place] += not lineage["parents"]  # one that a filter put in another's place was made before
            kept[place] += row["id"] not in rejected
    return made, kept


def rows(*paths: Path) -> Iterator[dict[str, Any]]:
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                yield from map(orjson.loads, file)


def matrix(
    flow: str, axis: str, named: Iterable[str], leaves: Sequence[str], counts: tuple[Counter[Place], Counter[Place]]
) -> AxisCoverage:
    values = tuple(named)
    made, kept = counts
    return AxisCoverage(
        flow=flow,
        axis=axis,
        values=values,
        leaves=tuple(
            LeafCoverage(
                leaf=leaf,
                made=tuple(made[flow, axis, leaf, value] for value in values),
                kept=tuple(kept[flow, axis, leaf, value] for value in values),
            )
            for leaf in leaves
        ),
    )


# --- as lines ---------------------------------------------------------------------------------------------------


def lines(found: Coverage) -> Iterator[str]:
    for axis in found.axes:
        yield escaped(f"{axis.flow}, {axis.axis}: samples kept of each value")
        yield from table(axis) if len(axis.values) <= WIDEST else summaries(axis, found.least)
        yield from gap_lines(axis, found.least)
        yield ""
    if found.target is not None:
        yield "target: the mix that was wanted"
        yield from mix_lines(found.target)


def table(axis: AxisCoverage) -> Iterator[str]:
    widths = [max(6, min(14, len(value))) for value in axis.values]
    heads = [f"{value[:width]:>{width}}" for value, width in zip(axis.values, widths, strict=True)]
    yield escaped(f"{'leaf':<40}  {'  '.join(heads)}")
    for leaf in axis.leaves:
        cells = [f"{count:>{width}}" for count, width in zip(leaf.kept, widths, strict=True)]
        yield escaped(f"{short(leaf.leaf):<40}  {'  '.join(cells)}")


def summaries(axis: AxisCoverage, least: int) -> Iterator[str]:
    for leaf in axis.leaves:
        reached = len(axis.values) - len(leaf.gaps(least))
        spread = f"{min(leaf.kept)} to {max(leaf.kept)} of each, {sum(leaf.kept):,} in all"
        yield escaped(f"{short(leaf.leaf):<40}  {reached:,} of {len(axis.values):,} values; {spread}")


def gap_lines(axis: AxisCoverage, least: int) -> Iterator[str]:
    missing = [(leaf, place) for leaf in axis.leaves for place in leaf.gaps(least)]
    if not missing:
        yield "no gaps"
        return
    yield f"gaps, fewer than {least} kept: {len(missing):,}"
    for leaf, place in missing[:NAMED]:
        told = f"of {leaf.made[place]} made" if leaf.made[place] else "none made"
        yield escaped(f"  {leaf.leaf} × {axis.values[place][:80]}: {leaf.kept[place]} {told}")
    if len(missing) > NAMED:
        yield f"  … and {len(missing) - NAMED:,} more (--format json has all)"


def short(leaf: str) -> str:
    return leaf if len(leaf) <= 40 else f"…{leaf[-39:]}"
