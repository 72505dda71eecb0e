"""What a leaf does to the others: train again without its samples, ask the same questions, and compare.

No teacher is asked: the leaf's rows are taken out of the run's dataset. Each training is a run of its own in
6-evaluation/without/, made by `ilk train`'s stage; what was measured stands in 6-evaluation/leave-one-out.jsonl.
With `NOTHING` in a leaf's place all rows stay and the seed is another: what that moves, chance moves.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from instructlab_like.console import say
from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.mix import REPLAY
from instructlab_like.errors import InputError, StoppedError
from instructlab_like.evaluation.endpoint import asked as as_asked
from instructlab_like.evaluation.endpoint import served
from instructlab_like.evaluation.leave_one_out import NOTHING, LeftOut, called, compare
from instructlab_like.evaluation.summary import BASE
from instructlab_like.generation.figures import span_of_time
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import EvaluateRecipe, TrainRecipe
from instructlab_like.records import Answer, Item, digest
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluate import answer_here, base_model
from instructlab_like.stages.grading import grader
from instructlab_like.stages.inquiry import Inquiry, note_uses
from instructlab_like.stages.lookup import rows_of
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.model_card import WEIGHTS
from instructlab_like.stages.students import read_choices
from instructlab_like.stages.train import inputs_of, need_stack, train
from instructlab_like.workspace import FORMAT, Run, dump, read_records, replacing, write_records

FILE = "leave-one-out.jsonl"  # of 6-evaluation
FOLDER = "without"  # of 6-evaluation: a run for each leaf that was left out
WITHOUT = "without"  # what a model trained without the leaf is called among answers
ODD = re.compile(r"[^A-Za-z0-9_.-]")
NAME = 48  # characters of a leaf's name in a folder's


@dataclass(frozen=True)
class Trained:
    """A run as it was trained and evaluated: what a training without a leaf is held against."""

    run: Run
    made: Manifest
    recipe: TrainRecipe
    asked: EvaluateRecipe
    checkpoint: str  # the run's own adapter, among answers
    rows: Counter[str]  # of the training files, by leaf

    def digest(self, leaf: str) -> str:
        """Of all that decides what leaving the leaf out shows."""
        return inputs_of_leaf(self.made, leaf)


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


def ready(run: Run, made: Manifest, checkpoint: str) -> Trained:
    """The run, once it is sure that its adapter, its dataset and its answers belong together."""
    if made.train is None or made.evaluate is None:
        raise InputError("this run is not trained and evaluated", where=str(run.folder), fix="ilk train, ilk evaluate")
    if made.inputs.get("train") != inputs_of(run, made.train):
        what = "the adapter is not that of this dataset, base and recipe"
        raise InputError(what, where=str(run.folder), fix="ilk train, then ilk evaluate, then this again")
    return Trained(run, made, made.train, made.evaluate, checkpoint, rows_by_leaf(run.dataset))


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


def seconds_taken(run: Run) -> float | None:
    """How long the run's own training took, by the times of its files; less where it was stopped and went on."""
    first, last = run.training / "recipe.json", run.adapter / WEIGHTS
    if not (first.is_file() and last.is_file()):
        return None
    took = last.stat().st_mtime - first.stat().st_mtime
    return took if took > 0 else None


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
        answers = ask(trained, other, items)
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
        inputs=trained.digest(leaf),
        rows=(trained.rows[leaf], trained.rows.total()),
    )


def recipe_without(recipe: TrainRecipe, leaf: str) -> TrainRecipe:
    """The run's own recipe; what it logs elsewhere is of the run alone."""
    return recipe.model_copy(update={"trackers": (), "seed": recipe.seed + (leaf == NOTHING)})


def derived(trained: Trained, leaf: str) -> Run:
    """The run without the leaf: its dataset, and a manifest that says so."""
    run, made = trained.run, trained.made
    assert made.generate is not None
    other = Run(run.evaluation / FOLDER / slug(leaf))
    excluded = (*made.generate.exclude, *([leaf] if leaf != NOTHING else []))
    take_out(run.dataset, other.dataset, leaf)
    before = manifest.read(other) if other.manifest.is_file() and other.format == FORMAT else Manifest()
    manifest.write(
        other,
        made.model_copy(
            update={
                "generate": made.generate.model_copy(update={"exclude": excluded}),
                "leaves": tuple(one for one in made.leaves if one.path != leaf),
                "counts": tuple(one for one in made.counts if one.leaf != leaf),
                "shortfalls": tuple(one for one in made.shortfalls if one.leaf != leaf),
                "train": before.train,
                "evaluate": None,
                "inputs": {"generate": trained.digest(leaf)}
                | {name: inputs for name, inputs in before.inputs.items() if name == "train"},
            }
        ),
    )
    return other


def slug(leaf: str) -> str:
    """A folder's name for a leaf: its own name as far as it is plain, and a digest that tells it from others."""
    name = leaf.rpartition("/")[2] or "another_seed"
    return f"{ODD.sub('_', name)[:NAME].lstrip('.')}-{digest(leaf)[:8]}"


def take_out(dataset: Path, into: Path, leaf: str) -> None:
    """Write the dataset's files without the leaf's rows, all others in their order.

    A phase that is left with rows that only repeat others' is no phase: its file is left out, as `ilk generate` would.
    """
    shutil.rmtree(into, ignore_errors=True)
    for name in (KNOWLEDGE, SKILLS):
        if any(own(row, name) and row["leaf"] != leaf for row in rows(dataset / name)):
            copy(dataset / name, into / name, leaf)
    if (into / "data").is_dir():
        copy(dataset / TEST, into / TEST, leaf)


def copy(source: Path, target: Path, leaf: str) -> None:
    """The file without the leaf's rows; no file where none is left."""
    if not any(row["leaf"] != leaf for row in rows(source)):
        return
    with replacing(target) as file:
        for row in rows(source):
            if row["leaf"] != leaf:
                file.write(dump(row))


def own(row: Mapping[str, object], name: str) -> bool:
    """Whether the row belongs to the phase of this file, rather than keep older knowledge alive in it."""
    return row["leaf"] != REPLAY and not (name == SKILLS and row.get("kind") == "knowledge")


def rows_by_leaf(dataset: Path) -> Counter[str]:
    return Counter(str(row["leaf"]) for name in (KNOWLEDGE, SKILLS) for row in rows(dataset / name))


def rows(path: Path) -> Iterator[Mapping[str, object]]:
    """The rows of a file of the dataset, as they are written; none of a file that is not there."""
    return (cast("Mapping[str, object]", row) for row in rows_of(path))


def ask(trained: Trained, other: Run, items: Sequence[Item]) -> list[Answer]:
    """What the model without the leaf answers, asked as the others were. The base's answers are in the cache."""
    recipe = trained.asked
    model = base_model(trained.run, trained.made, recipe)
    read_as_text = any(served(told) for told in recipe.checkpoints)  # so all of them chose in the same way
    shown = [as_asked(item) for item in items] if read_as_text else items
    answers = answer_here(trained.run, model, [(WITHOUT, other.adapter)], shown, recipe)
    answers = read_choices(items, answers) if read_as_text else answers
    return grade(trained, items, [one for one in answers if one.model == WITHOUT], model)


def grade(trained: Trained, items: Sequence[Item], answers: Sequence[Answer], model: str) -> list[Answer]:
    """The answers with the grades of the judge that graded the others; raises StoppedError where some are missing."""
    told = trained.asked
    if told.judge is not None:  # which was itself judged when the others were
        judge = told.judge.model_copy(update={"pairwise": False, "planted": 0, "labels": ""})
        told = told.model_copy(update={"judge": judge})
    judging = grader(trained.run, trained.made, told, items, [model])
    if judging.judge is None:
        return judging.unjudged(answers).answers
    judging.ready()
    with Ledger(trained.run.ledger) as ledger:
        known = [(row["leaf"], row["call"]) for row in cast("list[dict[str, str]]", list(rows_of(trained.run.asked)))]
        inquiry = Inquiry(ledger, empty=True)
        found = judging.grade(answers, inquiry, lambda uses: note_uses(trained.run, [*known, *uses]))
    if found.failed:
        what = f"{found.failed.total()} answers have no grade yet"
        fix = "see to the judge's server, then run the same command again: it asks for these alone"
        raise StoppedError(what, where=told.judge.model if told.judge else "", fix=fix)
    return found.answers


def remember(run: Run, made: Manifest, found: LeftOut) -> None:
    """Enter what was found; what was measured on other inputs goes."""
    known = {one.leaf: one for one in (*measured(run, made), found)}
    write_records(run.evaluation / FILE, [known[leaf] for leaf in sorted(known)])
