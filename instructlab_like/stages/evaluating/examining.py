"""Gathers the questions of an evaluation: written, drawn, made by rules of a run's chunks, and the base's own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from instructlab_like.console import warn, working
from instructlab_like.evaluation import outside
from instructlab_like.evaluation.exam import exam, untouched
from instructlab_like.evaluation.items import base_items, distinct, from_file, items, refuse_teachers, seen
from instructlab_like.evaluation.met import Met
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Item, Knowledge, Leaf, Row, Sample, normalise, with_context
from instructlab_like.stages.generating.parents import forebears
from instructlab_like.stages.library import read_chunks
from instructlab_like.workspace import Run, find, read_records


class Gathered(NamedTuple):
    questions: list[Item]
    left_out: list[Item]  # generation or training had seen them


def gathered(run: Run, generated: GenerateRecipe, leaves: Sequence[Leaf], recipe: EvaluateRecipe) -> Gathered:
    """All that the recipe asks of the run's leaves and of the base's own tasks, in this order.

    Raises InputError for questions that cannot be read, that have two right answers, or that a teacher of the run made.
    """
    met = seen_questions(run, leaves)
    brought = outside.read(recipe.items, leaves=[leaf.path for leaf in leaves])
    if any(item.maker for item in brought):
        samples = read_records(run.samples, Sample)
        refuse_teachers(brought, {one.lineage.model for one in samples if one.lineage.method == "teacher"})
    own = base_items(find(recipe.base_tasks)) if recipe.base_tasks else []
    knowledge = {leaf.path for leaf in leaves if isinstance(leaf, Knowledge)}
    written = [item for leaf in leaves for item in from_file(leaf)]
    known = seen([*written, *brought, *own], met, closed=knowledge)
    passed, told = {item.id for item in known}, {item.id for item in brought}
    made = [item for item in examined(run, generated, leaves, recipe, avoid=met) if item.id not in told]
    found = items(leaves, recipe=recipe, avoid=met, made=made)
    found += [item for item in (*brought, *own) if item.id not in passed]
    return Gathered(distinct(found), known)


def seen_questions(run: Run, leaves: Sequence[Leaf]) -> set[str]:
    """The normalised questions that generation or training met: seeds, samples, and every user turn of the dataset.

    Those of earlier runs count that this one goes on from: their adapters are asked the same questions.
    """
    pairs = [(pair.question, seed.context) for leaf in leaves for seed in leaf.seeds for pair in seed.pairs]
    found = {normalise(text) for asked, about in pairs for text in (asked, with_context(asked, about))}
    for one in (run, *forebears(run)):
        found |= {normalise(sample.question) for sample in read_records(one.samples, Sample)}
        for path in sorted((one.dataset / "data").glob("*.jsonl")):
            for row in read_records(path, Row):
                found |= {normalise(message.content) for message in row.messages if message.role == "user"}
    return found


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
    passages = (sample.context for sample in read_records(run.samples, Sample) if sample.context)
    fresh = untouched(every, touched_chunks(run), (seed for leaf in leaves for seed in leaf.seeds), passages)
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
    """The ids of the chunks that any sample came from, kept or not, or that any row was trained on.

    Those of earlier runs count that this one goes on from: their adapters are asked the same questions.
    """
    found: set[str] = set()
    for one in (run, *forebears(run)):
        found |= {sample.lineage.chunk for sample in read_records(one.samples, Sample) if sample.lineage.chunk}
        found.update(*taught_chunks(one).values())
    return found
