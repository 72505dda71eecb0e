"""What a leaf does to the others: train again without its samples, ask the same questions, and compare.

No teacher is asked: the leaf's rows are taken out of the run's dataset. Each training is a run of its own in
6-evaluation/without/, made by `ilk train`'s stage; what was measured stands in 6-evaluation/leave-one-out.jsonl.
With `NOTHING` in a leaf's place all rows stay and the seed is another: what that moves, chance moves.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from instructlab_like.console import say
from instructlab_like.dataset.card import TEST
from instructlab_like.errors import InputError
from instructlab_like.evaluation.leave_one_out import NOTHING, LeftOut, called, compare
from instructlab_like.evaluation.summary import BASE
from instructlab_like.generation.figures import span_of_time
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Answer, Item, digest
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import retrained
from instructlab_like.stages.training.retrained import Trained, ask, copy, part, ready, seconds_taken
from instructlab_like.stages.training.train import need_stack, train
from instructlab_like.workspace import FORMAT, Run, read_records, write_records

FILE = "leave-one-out.jsonl"  # of 6-evaluation
FOLDER = "without"  # of 6-evaluation: a run for each leaf that was left out
WITHOUT = "without"  # what a model trained without the leaf is called among answers
ODD = re.compile(r"[^A-Za-z0-9_.-]")
NAME = 48  # characters of a leaf's name in a folder's


def measured(run: Run, made: Manifest) -> tuple[LeftOut, ...]:
    """What was found of leaves left out of the training and the evaluation that the run has now."""
    path = run.evaluation / FILE
    if not path.is_file():
        return ()
    try:
        found = list(read_records(path, LeftOut))
    except InputError as error:
        fix = "delete it: ilk effects --leave-one-out measures again, and trains nothing twice"
        raise InputError(error.what, where=error.where, fix=fix) from error
    return tuple(one for one in found if one.inputs == inputs_of_leaf(made, one.leaf))


def inputs_of_leaf(made: Manifest, leaf: str) -> str:
    return digest([FORMAT, made.inputs.get("train"), made.inputs.get("evaluate"), leaf])


def leave_out(run: Run, made: Manifest, leaves: Sequence[str], *, checkpoint: str, dry_run: bool = False) -> None:
    """Measure each leaf that is not measured yet, in turn; what was finished before an interruption stays.

    `checkpoint` is the run's own adapter among its answers. With `dry_run` only say what it would take.

    Raises InputError for a leaf without training rows and for a run whose adapter is not that of its dataset.
    """
    need_stack()
    trained = ready(run, made, checkpoint)
    bare = [leaf for leaf in leaves if leaf != NOTHING and not trained.rows[leaf]]
    if bare:
        what = "has no training rows, so that there is nothing to take out"
        raise InputError(what, where=bare[0], fix="name leaves with samples; the table of ilk effects says which")
    known = {one.leaf for one in measured(run, made)}
    todo = [leaf for leaf in leaves if leaf not in known]
    for line in outlook(trained, leaves, todo):
        say(line)
    for number, leaf in enumerate(() if dry_run else todo):
        began = time.monotonic()
        found = without(trained, leaf)
        remember(run, made, found)
        took = time.monotonic() - began
        left = len(todo) - number - 1
        more = f"; {left} to go" if left else ""
        say(f"leave one out: {told_as(leaf)} done in {span_of_time(took)}{more}")


def outlook(trained: Trained, leaves: Sequence[str], todo: Sequence[str]) -> Iterator[str]:
    """What is going to be done, before it is."""
    known = len(leaves) - len(todo)
    if known:
        yield f"leave one out: {known} of {len(leaves)} measured before, from the same inputs"
    if not todo:
        return
    every, took = trained.rows.total(), seconds_taken(trained.run)
    share = sum(1 - trained.rows[leaf] / every for leaf in todo)
    long = f", about {span_of_time(took * share)} by what this run's own took" if took else ""
    yield f"leave one out: {len(todo)} training{'' if len(todo) == 1 else 's'} of {trained.recipe.model}{long}"
    for leaf in todo:
        yield f"  {told_as(leaf)}: {every - trained.rows[leaf]:,} of {every:,} rows"


def told_as(leaf: str) -> str:
    return "another seed" if leaf == NOTHING else f"without {leaf}"


# --- one leaf ---------------------------------------------------------------------------------------------------


def without(trained: Trained, leaf: str) -> LeftOut:
    """Train without the leaf, let that model answer every question, and compare."""
    run = trained.run
    other = derived(trained, leaf)
    said = list(read_records(run.evaluation / "answers.jsonl", Answer))
    items = list(read_records(run.evaluation / "items.jsonl", Item))
    base = [one for one in said if one.model == BASE]
    if (other.dataset / "data").is_dir():
        train(other, recipe_without(trained.recipe, leaf), agreed=True)
        shutil.rmtree(other.training / "checkpoints", ignore_errors=True)
        answers = ask(trained, {WITHOUT: other.adapter}, items)
    else:
        say(f"leave one out: {told_as(leaf)} nothing is left to train on; what is left is the base")
        answers = called(WITHOUT, base)
    write_records(other.evaluation / "answers.jsonl", answers)
    return compare(
        leaf,
        items,
        base=base,
        with_it=[one for one in said if one.model == trained.checkpoint],
        without_it=answers,
        counts=trained.made.counts,
        enough=trained.asked.enough,
        inputs=inputs_of_leaf(trained.made, leaf),
        rows=(trained.rows[leaf], trained.rows.total()),
    )


def recipe_without(recipe: TrainRecipe, leaf: str) -> TrainRecipe:
    """The run's own recipe; what it logs elsewhere is of the run alone."""
    return recipe.model_copy(update={"trackers": (), "seed": recipe.seed + (leaf == NOTHING)})


def derived(trained: Trained, leaf: str) -> Run:
    """The run without the leaf: its dataset, and a manifest that says so."""
    run, told = trained.run, trained.made.generate
    assert told is not None
    place = run.evaluation / FOLDER / slug(leaf)
    take_out(run.dataset, Run(place).dataset, leaf)
    return retrained.derived(
        trained,
        place,
        inputs=inputs_of_leaf(trained.made, leaf),
        generate=told.model_copy(update={"exclude": (*told.exclude, *([leaf] if leaf != NOTHING else []))}),
        without=leaf,
    )


def slug(leaf: str) -> str:
    """A folder's name for a leaf: its own name as far as it is plain, and a digest that tells it from others."""
    name = leaf.rpartition("/")[2] or "another_seed"
    return f"{ODD.sub('_', name)[:NAME].lstrip('.')}-{digest(leaf)[:8]}"


def take_out(dataset: Path, into: Path, leaf: str) -> None:
    """Write the dataset's files without the leaf's rows; its test rows, too, where anything is left to train."""

    def wanted(row: Mapping[str, object]) -> bool:
        return row["leaf"] != leaf

    part(dataset, into, wanted)
    if (into / "data").is_dir():
        copy(dataset / TEST, into / TEST, wanted)


def remember(run: Run, made: Manifest, found: LeftOut) -> None:
    """Enter what was found; what was measured on other inputs goes."""
    known = {one.leaf: one for one in (*measured(run, made), found)}
    write_records(run.evaluation / FILE, [known[leaf] for leaf in sorted(known)])
