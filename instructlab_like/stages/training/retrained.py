"""A run trained again on a part of its rows, and asked the same questions: what a leaf did, what more data would do.

No teacher is asked: the rows are those of the run's dataset. Each training is a run of its own below 6-evaluation.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS
from instructlab_like.dataset.mix import REPLAY
from instructlab_like.errors import InputError, StoppedError
from instructlab_like.evaluation.endpoint import asked as as_asked
from instructlab_like.evaluation.endpoint import served
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, TrainRecipe
from instructlab_like.records import Answer, Item
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import answer_here, base_model
from instructlab_like.stages.evaluating.grading import grader
from instructlab_like.stages.evaluating.students import read_choices
from instructlab_like.stages.generating.inquiry import Inquiry, note_uses
from instructlab_like.stages.lookup import rows_of
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training.model_card import WEIGHTS
from instructlab_like.stages.training.train import inputs_of
from instructlab_like.workspace import FORMAT, Run, dump, replacing

Row = Mapping[str, object]


@dataclass(frozen=True)
class Trained:
    """A run as it was trained and evaluated: what a training on a part of its rows is held against."""

    run: Run
    made: Manifest
    recipe: TrainRecipe
    asked: EvaluateRecipe
    checkpoint: str  # the run's own adapter, among answers
    rows: Counter[str]  # of the training files, by leaf


def ready(run: Run, made: Manifest, checkpoint: str) -> Trained:
    """The run, once it is sure that its adapter, its dataset and its answers belong together."""
    if made.train is None or made.evaluate is None:
        raise InputError("this run is not trained and evaluated", where=str(run.folder), fix="ilk train, ilk evaluate")
    if made.inputs.get("train") != inputs_of(run, made.train):
        what = "the adapter is not that of this dataset, base and recipe"
        raise InputError(what, where=str(run.folder), fix="ilk train, then ilk evaluate, then this again")
    return Trained(run, made, made.train, made.evaluate, checkpoint, rows_by_leaf(run.dataset))


def seconds_taken(run: Run) -> float | None:
    """How long the run's own training took, by the times of its files; less where it was stopped and went on."""
    first, last = run.training / "recipe.json", run.adapter / WEIGHTS
    if not (first.is_file() and last.is_file()):
        return None
    took = last.stat().st_mtime - first.stat().st_mtime
    return took if took > 0 else None


def derived(trained: Trained, place: Path, *, inputs: str, generate: GenerateRecipe, without: str | None = None) -> Run:
    """A run at `place` with a manifest like the run's own; `inputs` is the digest of the rows that it is to have.

    `without` is a leaf that it does not know.
    """
    made, other = trained.made, Run(place)
    before = manifest.read(other) if other.manifest.is_file() and other.format == FORMAT else Manifest()
    manifest.write(
        other,
        made.model_copy(
            update={
                "generate": generate,
                "leaves": tuple(one for one in made.leaves if one.path != without),
                "counts": tuple(one for one in made.counts if one.leaf != without),
                "shortfalls": tuple(one for one in made.shortfalls if one.leaf != without),
                "train": before.train,
                "evaluate": None,
                "inputs": {"generate": inputs}
                | {name: digest for name, digest in before.inputs.items() if name == "train"},
            }
        ),
    )
    return other


def part(dataset: Path, into: Path, wanted: Callable[[Row], bool]) -> None:
    """Write the dataset's files with the rows that are wanted, in their order.

    A phase that is left with rows that only repeat others' is no phase: its file is left out, as `ilk generate` would.
    """
    shutil.rmtree(into, ignore_errors=True)
    for name in (KNOWLEDGE, SKILLS):
        if any(own(row, name) and wanted(row) for row in rows(dataset / name)):
            copy(dataset / name, into / name, wanted)


def copy(source: Path, target: Path, wanted: Callable[[Row], bool]) -> None:
    """The file with the rows that are wanted; no file where there is none."""
    if not any(map(wanted, rows(source))):
        return
    with replacing(target) as file:
        for row in filter(wanted, rows(source)):
            file.write(dump(row))


def own(row: Mapping[str, object], name: str) -> bool:
    """Whether the row belongs to the phase of this file, rather than keep older knowledge alive in it."""
    return row["leaf"] != REPLAY and not (name == SKILLS and row.get("kind") == "knowledge")


def rows_by_leaf(dataset: Path) -> Counter[str]:
    return Counter(str(row["leaf"]) for name in (KNOWLEDGE, SKILLS) for row in rows(dataset / name))


def rows(path: Path) -> Iterator[Mapping[str, object]]:
    """The rows of a file of the dataset, as they are written; none of a file that is not there."""
    return (cast("Mapping[str, object]", row) for row in rows_of(path))


def ask(trained: Trained, others: Mapping[str, Path], items: Sequence[Item]) -> list[Answer]:
    """What adapters by these names answer, asked as the run's own was. The base's answers are in the cache."""
    recipe = trained.asked
    model = base_model(trained.run, trained.made, recipe)
    read_as_text = any(served(told) for told in recipe.checkpoints)  # so all of them chose in the same way
    shown = [as_asked(item) for item in items] if read_as_text else items
    answers = answer_here(trained.run, model, list(others.items()), shown, recipe)
    answers = read_choices(items, answers) if read_as_text else answers
    return grade(trained, items, [one for one in answers if one.model in others], model)


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
