"""Gathers what an exam by rules needs to know of a run: its leaves' chunks, and which of them were trained."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from instructlab_like.console import warn, working
from instructlab_like.evaluation.exam import exam, untouched
from instructlab_like.evaluation.met import Met
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Item, Knowledge, Leaf, Row, Sample
from instructlab_like.stages.library import read_chunks
from instructlab_like.workspace import Run, find, read_records


def examined(
    run: Run, generated: GenerateRecipe, leaves: Sequence[Leaf], recipe: EvaluateRecipe, *, avoid: Collection[str]
) -> list[Item]:
    """The items that rules make for the run's knowledge leaves; none unless the recipe asks for some.

    `avoid` holds the normalised user turns met in generation and training. A leaf whose documents cannot be had gets
    no items, and a warning says why.
    """
    if not (recipe.closed_book or recipe.choices or recipe.open_book):
        return []
    with working("reading documents"):
        chunks, lacking = read_chunks(leaves, find(generated.taxonomy), generated)
    for gap in lacking:
        warn(f"  {gap.leaf}: no questions about its documents: {gap.reason}")
    taught, met = taught_chunks(run), Met(avoid)
    every = (chunk for found in chunks.values() for chunk in found)
    fresh = untouched(every, touched_chunks(run), (seed for leaf in leaves for seed in leaf.seeds))
    return [
        item
        for leaf in leaves
        if isinstance(leaf, Knowledge) and leaf.path in chunks
        for item in exam(leaf, chunks[leaf.path], taught=taught.get(leaf.path, ()), fresh=fresh, met=met, recipe=recipe)
    ]


def taught_chunks(run: Run) -> dict[str, set[str]]:
    """The ids of the chunks of each leaf that rows were trained on."""
    found: dict[str, set[str]] = {}
    for path in sorted((run.dataset / "data").glob("*-train.jsonl")):
        for row in read_records(path, Row):
            if row.chunk:
                found.setdefault(row.leaf, set()).add(row.chunk)
    return found


def touched_chunks(run: Run) -> set[str]:
    """The ids of the chunks that any sample came from, kept or not, or that any row was trained on."""
    sampled = {sample.lineage.chunk for sample in read_records(run.samples, Sample) if sample.lineage.chunk}
    return sampled.union(*taught_chunks(run).values())
