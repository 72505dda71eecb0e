"""The held-out questions of a run: heldout.yaml, made from chunks, drawn by simulations, and the base's own tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from instructlab_like.dataset import base_tasks
from instructlab_like.errors import InputError
from instructlab_like.evaluation.met import Met
from instructlab_like.generation import simulation
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import HeldOut, Item, Leaf, digest, normalise, with_context


def items(
    leaves: Sequence[Leaf],
    *,
    recipe: EvaluateRecipe,
    avoid: Collection[str],
    made: Sequence[Item] = (),
    teachers: Collection[str] = (),
) -> list[Item]:
    """Every question that the leaves are measured with, in leaf order.

    `avoid` holds the normalised user turns, passages included, met in generation and training: what `seen` finds among
    the questions of heldout.yaml is left out, and simulations draw around it. `made` are items that no person wrote,
    each with its maker: what `shared` finds among them is left out, and so is what a person has written as well. Raises
    InputError for a maker that is among `teachers`, the identities of the models that made the training data.
    """
    refuse_teachers(made, teachers)
    met = frozenset(avoid)
    known = {item.id for item in shared(made, met)} if made else set()
    found: list[Item] = []
    for leaf in leaves:
        written = from_file(leaf)
        asked = {item.id for item in seen(written, met, closed=(leaf.path,) if leaf.kind == "knowledge" else ())}
        found += [item for item in written if item.id not in asked]
        own = {normalise(item.question) for item in written if not item.context}
        found += [
            item
            for item in made
            if item.leaf == leaf.path and item.id not in known and (item.context or normalise(item.question) not in own)
        ]
        if leaf.kind == "skill" and leaf.simulation is not None:
            found += simulation.held_out(leaf, count=recipe.simulation_items, seed=recipe.seed, avoid=met)
    return distinct(found)


def refuse_teachers(made: Iterable[Item], teachers: Collection[str]) -> None:
    """Raise InputError for an item made by one of the models that made what is trained: it would mark its own work."""
    for item in made:
        if item.maker and item.maker in teachers:
            what = f"{item.maker} made what is trained, and cannot also make the questions that measure it"
            raise InputError(what, where=item.leaf, fix="name another model for the questions")


def from_file(leaf: Leaf) -> list[Item]:
    """The questions of the leaf's heldout.yaml, all of them."""
    return distinct(
        Item(
            id=item_id(leaf.path, held.question, held.context),
            leaf=leaf.path,
            source="heldout",
            question=held.question,
            answer=held.answer,
            accept=held.accept,
            context=held.context,
            metric=held.metric,
            options=held.options,
            rubric=held.rubric,
            cluster=_cluster(leaf, held),
        )
        for held in leaf.held_out
    )


def base_items(path: Path) -> list[Item]:
    """The base's own tasks, one JSON object a line: kind, context, question, answer; their leaf is "base/<kind>"."""
    return distinct(
        Item(
            id=item_id(f"base/{task.kind}", task.question, task.context or None),
            leaf=f"base/{task.kind}",
            source="base",
            question=task.question,
            answer=task.answer,
            context=task.context or None,
            cluster=digest(task.context)[:32] if task.context else None,
        )
        for task in base_tasks.read(path)
    )


def item_id(leaf: str, question: str, context: str | None) -> str:
    """The same for the same question, whatever its answer: corrected answers keep their place in a comparison."""
    return digest([leaf, question, context])[:32]


def distinct(found: Iterable[Item]) -> list[Item]:
    """The items without repetitions; one question with two different answers is an InputError."""
    first: dict[str, Item] = {}
    for item in found:
        other = first.setdefault(item.id, item)
        if right(other) != right(item):
            told = f"{other.answer!r} and {item.answer!r}"
            what = f"{item.question!r} is asked twice with different answers, metrics or options: {told}"
            raise InputError(what, where=item.leaf, fix="keep one of them; list further right answers under accept")
    return list(first.values())


def right(item: Item) -> tuple[object, ...]:
    """What makes an answer to it right."""
    return (item.answer, item.accept, item.metric, item.options, item.rubric)


def seen(asked: Iterable[Item], avoid: Collection[str], *, closed: Collection[str] = ()) -> list[Item]:
    """The items that are among the normalised texts of `avoid`, an item with a passage together with its passage.

    Of the leaves in `closed`, which are trained without passages, the question alone is enough.
    """
    return [
        item
        for item in asked
        if normalise(with_context(item.question, item.context)) in avoid
        or (item.leaf in closed and normalise(item.question) in avoid)
    ]


def shared(made: Iterable[Item], avoid: Collection[str]) -> list[Item]:
    """The items whose question is among the normalised texts of `avoid`, or has eight words in a row of one."""
    met = Met(avoid)
    return [item for item in made if met.shares(item.question)]


def _cluster(leaf: Leaf, held: HeldOut) -> str | None:
    """Questions on one passage go together; so do phrasings of one fact, known by its answer, in a knowledge leaf."""
    if held.context:
        return digest(normalise(held.context))[:32]
    return digest(normalise(held.answer))[:32] if leaf.kind == "knowledge" else None
