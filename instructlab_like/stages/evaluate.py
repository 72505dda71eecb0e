"""Held-out questions to scores: base and checkpoints side by side on every leaf and on the base's own tasks."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say, warn, working
from instructlab_like.errors import GateError, InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.items import base_items, from_file, items, seen
from instructlab_like.evaluation.summary import Summary
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item, Leaf, Row, Sample, normalise, plain, with_context
from instructlab_like.stages import manifest, model_card
from instructlab_like.stages.library import read_leaves
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.model_card import CONFIG, WEIGHTS
from instructlab_like.stages.train import inputs_of, need_stack
from instructlab_like.tuning.measures import under
from instructlab_like.workspace import Run, find, read_records, write_records

TUNED = "tuned"  # the run's own final adapter, in answers and tables


def evaluate(run: Run, recipe: EvaluateRecipe, *, gate: bool = False, strict: bool = False) -> None:
    """Ask base and checkpoints what they were not trained on, write 6-evaluation, print the table.

    Raises InputError when there is nothing to evaluate or a checkpoint does not exist; with `gate` GateError when
    something got worse or was lost, with `strict` also when it is undecided whether something was.
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
    protect = protected(run, made, recipe, leaves)
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
            "protect": protect,
        },
        {
            "model": find(model),
            **{f"{name}/{file}": path / file for name, path in adapters for file in (CONFIG, WEIGHTS)},
        },
    )
    if made.inputs.get("evaluate") == inputs and run.summary.is_file():
        say(f"evaluate: up to date ({run.summary})")
    else:
        manifest.forget(run, "evaluate")
        say(f"evaluate: {len(questions)} questions, {1 + len(adapters)} models")
        score(run, model, adapters, questions, recipe, made, seen(written, asked), protect)
        manifest.finish(run, "evaluate", inputs, recipe)
        model_card.scored(run, dict(adapters))
    found = summary.read(run.summary)
    say(summary.table(found))
    for gap in made.shortfalls:
        warn(f"  {gap.leaf}: no samples: {gap.reason}")
    if gate or strict:
        stop(found, strict=strict, where=str(run.summary))


def stop(found: Summary, *, strict: bool, where: str) -> None:
    """Raise GateError unless the gate passes, strictly if so wanted."""
    if found.gate is None:
        raise InputError("this summary has no gate", where=where, fix="delete it, and ilk evaluate writes it anew")
    reasons = [*found.gate.reasons, *(found.gate.undecided if strict else ())]
    if reasons:
        fix = "ilk report shows the answers; what could not be checked needs a heldout.yaml beside its qna.yaml"
        if not found.gate.reasons:
            fix = "more held-out questions decide it, or a wider margin; without --strict the gate passes"
        raise GateError("\n  ".join(["the gate says no:", *reasons]), where=where, fix=fix)


def protected(run: Run, made: Manifest, recipe: EvaluateRecipe, leaves: Sequence[Leaf]) -> tuple[str, ...]:
    """The names that recipe and training protect; InputError for one of the recipe's that no leaf lies under."""
    paths = [leaf.path for leaf in leaves]
    known = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 2)}
    own = summary.OWN.rstrip("/")
    for name in recipe.protect:
        if not (name.rstrip("/") in known or under(name, own)):
            near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            what = f"protect: {name!r} is no leaf and no branch of this run"
            fix = f"did you mean {near[0]!r}?" if near else "name a leaf or a branch as they stand in run.yaml"
            raise InputError(what, where=str(run.manifest), fix=fix)
    trained = made.train.protect if made.train else ()
    return tuple(dict.fromkeys(name.rstrip("/") for name in (*recipe.protect, *trained)))


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
    protect: Sequence[str],
) -> None:
    from instructlab_like.evaluation.answering import answer  # brings torch, which no other command here needs

    def heard(done: int, total: int) -> None:
        if done == total or (done and done % (4 * recipe.batch) < recipe.batch):
            say(f"  {done}/{total} answers")

    with working("answering"):
        answers = answer(model, adapters, questions, recipe, cache=run.evaluation / "answers.sqlite", on_progress=heard)
    write_records(run.evaluation / "items.jsonl", questions)
    write_records(run.evaluation / "answers.jsonl", answers)
    found = summary.summarise(
        questions,
        answers,
        enough=recipe.enough,
        leaves=made.counts,
        base=model,
        seen=left_out,
        protect=protect,
        margin=recipe.margin,
    )
    summary.write(run.summary, found)
