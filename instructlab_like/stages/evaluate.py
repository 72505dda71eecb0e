"""Held-out questions to scores: base and checkpoints side by side on every leaf and on the base's own tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say, warn, working
from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.items import base_items, from_file, items, seen
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item, Leaf, Row, Sample, normalise, plain, with_context
from instructlab_like.stages import manifest
from instructlab_like.stages.library import read_leaves
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.train import inputs_of, need_stack
from instructlab_like.workspace import Run, find, read_records, write_records

TUNED = "tuned"  # the run's own final adapter, in answers and tables


def evaluate(run: Run, recipe: EvaluateRecipe) -> None:
    """Ask base and checkpoints what they were not trained on, write 6-evaluation, print the table.

    Raises InputError when there is nothing to evaluate or a checkpoint does not exist.
    """
    need_stack()
    made = manifest.read(run)
    if made.generate is None:
        raise InputError("this run has no dataset", where=str(run.folder), fix="ilk generate, then ilk train")
    leaves = read_leaves(find(made.generate.taxonomy), made.generate.leaves)
    model = base_model(run, made, recipe)
    adapters = checkpoints(run, recipe)
    if made.train and not recipe.checkpoints and made.inputs.get("train") != inputs_of(run, made.train):
        warn("evaluate: the adapter is older than the dataset; ilk train brings it up to date")
    asked = seen_questions(run, leaves)
    questions = items(leaves, recipe=recipe, avoid=asked)
    written = [item for leaf in leaves for item in from_file(leaf)]
    questions += base_items(find(recipe.base_tasks)) if recipe.base_tasks else []
    inputs = manifest.inputs_digest(
        {
            "version": __version__,
            "recipe": recipe.model_dump(mode="json"),
            "items": [plain(item) for item in questions],
            "counts": [plain(leaf) for leaf in made.counts],
        },
        {"model": find(model), **dict(adapters)},
    )
    if made.inputs.get("evaluate") == inputs and run.summary.is_file():
        say(f"evaluate: up to date ({run.summary})")
    else:
        manifest.forget(run, "evaluate")
        say(f"evaluate: {len(questions)} questions, {1 + len(adapters)} models")
        score(run, model, adapters, questions, recipe, made, seen(written, asked))
        manifest.finish(run, "evaluate", inputs, recipe)
    say(summary.table(summary.read(run.summary)))
    for gap in made.shortfalls:
        warn(f"  {gap.leaf}: no samples: {gap.reason}")


def base_model(run: Run, made: Manifest, recipe: EvaluateRecipe) -> str:
    if recipe.model:
        return recipe.model
    if made.train is None:
        raise InputError("this run is not trained", where=str(run.folder), fix="ilk train, or name a model: --model")
    return made.train.model


def checkpoints(run: Run, recipe: EvaluateRecipe) -> list[tuple[str, Path]]:
    """The adapters by name: those the recipe names, else the run's own."""
    if not recipe.checkpoints:
        if not run.adapter.is_dir():
            raise InputError("this run has no adapter", where=str(run.adapter), fix="ilk train, or --checkpoint DIR")
        return [(TUNED, run.adapter)]
    found = []
    for told in recipe.checkpoints:
        path = Path(told)
        if not path.is_dir():
            raise InputError("there is no such checkpoint folder", where=told, fix="name a folder with an adapter")
        found.append(
            (path.name if [Path(other).name for other in recipe.checkpoints].count(path.name) == 1 else told, path)
        )
    return found


def seen_questions(run: Run, leaves: Sequence[Leaf]) -> set[str]:
    """The normalised questions that generation or training met: seeds, samples, and every user turn of the dataset."""
    pairs = [(pair.question, seed.context) for leaf in leaves for seed in leaf.seeds for pair in seed.pairs]
    found = {normalise(text) for asked, about in pairs for text in (asked, with_context(asked, about))}
    found |= {normalise(sample.question) for sample in read_records(run.samples, Sample)}
    for path in sorted((run.dataset / "data").glob("*.jsonl")):
        for row in read_records(path, Row):
            found |= {normalise(message.content) for message in row.messages if message.role == "user"}
    return found


def score(
    run: Run,
    model: str,
    adapters: Sequence[tuple[str, Path]],
    questions: Sequence[Item],
    recipe: EvaluateRecipe,
    made: Manifest,
    left_out: Sequence[Item],
) -> None:
    from instructlab_like.evaluation.answering import answer  # brings torch, which no other command here needs

    def heard(done: int, total: int) -> None:
        if done == total or (done and done % (4 * recipe.batch) < recipe.batch):
            say(f"  {done}/{total} answers")

    with working("answering"):
        answers = answer(model, adapters, questions, recipe, cache=run.evaluation / "answers.sqlite", on_progress=heard)
    write_records(run.evaluation / "items.jsonl", questions)
    write_records(run.evaluation / "answers.jsonl", answers)
    found = summary.summarise(questions, answers, enough=recipe.enough, leaves=made.counts, base=model, seen=left_out)
    summary.write(run.summary, found)
