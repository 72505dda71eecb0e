"""The tree of leaves as a heat map: a row a leaf and a branch, a column a checkpoint. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from instructlab_like.evaluation.summary import CheckpointScore
from instructlab_like.records import Effect
from instructlab_like.report.leaves import LeafView

STEPS = (0.05, 0.15, 0.35)  # changes from which a cell is one shade darker
DEEPEST = 6  # levels that are set in; those below stand with the last


@dataclass(frozen=True)
class HeatCell:
    """One leaf at one checkpoint; `shade` names a colour in page.css."""

    effect: Effect
    shade: str


@dataclass(frozen=True)
class HeatRow:
    """A leaf, a branch, or one of the base's own tasks; a cell is None where there is no score."""

    name: str
    cells: tuple[HeatCell | None, ...]
    level: int = 0
    anchor: str | None = None  # of a leaf: its place on the page
    branch: bool = False

    @property
    def base(self) -> Effect | None:
        """An effect that holds the base's score, which is the same in all."""
        return next((cell.effect for cell in self.cells if cell), None)


@dataclass
class Branch:
    """A folder while the tree is put together."""

    path: str
    branches: dict[str, Branch] = field(default_factory=dict)
    leaves: list[LeafView] = field(default_factory=list)


def heat_rows(views: Sequence[LeafView], checkpoints: Sequence[CheckpointScore]) -> list[HeatRow]:
    """The whole tree, branches before what is in them, in the taxonomy's order."""
    names = [checkpoint.name for checkpoint in checkpoints]
    root = Branch("")
    for view in views:
        place = root
        for part in filter(None, view.folder.split("/")):
            place = place.branches.setdefault(part, Branch(f"{place.path}/{part}".lstrip("/")))
        place.leaves.append(view)
    scored = {of.name: {effect.leaf: effect for effect in of.branches} for of in checkpoints}
    return list(_rows(root, 0, names, scored))


def own_rows(checkpoints: Sequence[CheckpointScore]) -> list[HeatRow]:
    """The base's own tasks, and their mean."""
    kinds = dict.fromkeys(one.leaf for checkpoint in checkpoints for one in checkpoint.forgetting_kinds)
    rows = [
        HeatRow(
            kind.removeprefix("base/"),
            tuple(cell(next((one for one in of.forgetting_kinds if one.leaf == kind), None)) for of in checkpoints),
        )
        for kind in kinds
    ]
    return [*rows, HeatRow("Mean", tuple(cell(of.forgetting_effect) for of in checkpoints))] if rows else []


def mean_row(checkpoints: Sequence[CheckpointScore]) -> HeatRow:
    return HeatRow("Mean of all scored leaves", tuple(cell(of.overall_effect) for of in checkpoints))


def branches(checkpoint: CheckpointScore) -> list[Effect]:
    """The branches' effects, without those that hold nothing but one branch: it has the same leaves."""
    found = [(effect.leaf, effect.n) for effect in checkpoint.branches]
    return [
        one
        for one in checkpoint.branches
        if not any(path.startswith(f"{one.leaf}/") and count == one.n for path, count in found)
    ]


def _rows(
    branch: Branch, level: int, names: Sequence[str], scored: Mapping[str, Mapping[str, Effect]]
) -> Iterator[HeatRow]:
    for view in branch.leaves:
        yield _leaf(view, view.name, level, names)
    for name, one in branch.branches.items():
        label, inner = name, one
        while not inner.leaves and len(inner.branches) == 1:  # a folder that only holds a folder needs no row
            (further, inner), *_ = inner.branches.items()
            label = f"{label} / {further}"
        if len(inner.leaves) == 1 and not inner.branches:  # nor does one that only holds a leaf
            yield _leaf(inner.leaves[0], f"{label} / {inner.leaves[0].name}", level, names)
            continue
        cells = tuple(cell(scored.get(which, {}).get(inner.path)) for which in names)
        yield HeatRow(label, cells, min(level, DEEPEST), branch=True)
        yield from _rows(inner, level + 1, names, scored)


def _leaf(view: LeafView, label: str, level: int, names: Sequence[str]) -> HeatRow:
    return HeatRow(label, tuple(cell(view.effects.get(name)) for name in names), min(level, DEEPEST), view.anchor)


def cell(effect: Effect | None) -> HeatCell | None:
    return None if effect is None else HeatCell(effect, shade(effect))


def shade(effect: Effect) -> str:
    """Colour only where something is known: by the size of a change that is one, and nothing where it is not."""
    if effect.effect not in ("better", "worse"):
        return effect.effect
    size = sum(abs(effect.delta[1]) >= step for step in STEPS)
    return f"{'up' if effect.effect == 'better' else 'down'}-{size}"
