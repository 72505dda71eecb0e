"""Held-out questions to scores: base and checkpoints side by side on every leaf and on the base's own tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say, warn, working
from instructlab_like.errors import GateError, InputError, StoppedError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.endpoint import Served
from instructlab_like.evaluation.endpoint import asked as as_asked
from instructlab_like.evaluation.summary import Summary
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item, Leaf, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating import grading
from instructlab_like.stages.evaluating.examining import gathered
from instructlab_like.stages.evaluating.grading import Grader
from instructlab_like.stages.evaluating.students import Heard, Students, ask, enrolled, read_choices, remarks
from instructlab_like.stages.generating.inquiry import Inquiry, note_uses
from instructlab_like.stages.library import read_leaves
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import model_card
from instructlab_like.stages.training.model_card import CONFIG, WEIGHTS
from instructlab_like.stages.training.train import inputs_of, need_stack
from instructlab_like.tuning.measures import under
from instructlab_like.workspace import Run, find, write_records

TUNED = "tuned"  # the run's own final adapter, in answers and tables
INCOMPLETE = "answers missing"  # in the digest of an evaluation that is to be gone on with


def evaluate(run: Run, recipe: EvaluateRecipe, *, gate: bool = False, strict: bool = False) -> None:
    """Ask base and checkpoints what they were not trained on, write 6-evaluation, print the table.

    Raises InputError when there is nothing to evaluate or a checkpoint does not exist; StoppedError when a model that
    is served is gone or left questions open; with `gate` GateError when something got worse or was lost, with `strict`
    also when it is undecided whether something was.
    """
    made = manifest.read(run)
    if made.generate is None:
        raise InputError("this run has no dataset", where=str(run.folder), fix="ilk generate, then ilk train")
    leaves = read_leaves(find(made.generate.taxonomy), made.generate.leaves, made.generate.exclude)
    students = students_of(run, made, recipe)
    protect = protected(run, made, recipe, leaves)
    questions, left_out = gathered(run, made.generate, leaves, recipe)
    bases = [one.name if isinstance(one, Served) else str(one) for one in (students.base, *students.served.values())]
    bases += [made.train.model] if students.served and made.train else []
    grader = grading.grader(run, made, recipe, questions, bases)
    inputs = inputs_digest(made, recipe, students, questions, left_out, protect, grader)
    heard = Heard()
    if made.inputs.get("evaluate") == inputs and run.summary.is_file():
        say(f"evaluate: up to date ({run.summary})")
    else:
        students.ready(recipe)
        grader.ready()
        manifest.forget(run, "evaluate")
        say(f"evaluate: {len(questions)} questions, {len(students.names)} models")
        heard = score(run, students, questions, recipe, made, left_out, protect, grader)
        spent = {"spent": heard.spent} if heard.spent else {}
        manifest.finish(run, "evaluate", f"{inputs}, {INCOMPLETE}" if heard.failed else inputs, recipe, **spent)
        model_card.scored(run, dict(students.adapters))
    found = summary.read(run.summary)
    say(summary.table(found))
    for gap in made.shortfalls:
        warn(f"  {gap.leaf}: no samples: {gap.reason}")
    if heard.failed:
        raise_incomplete(heard.failed, where=str(run.summary))
    if gate or strict:
        stop(found, strict=strict, where=str(run.summary))


def students_of(run: Run, made: Manifest, recipe: EvaluateRecipe) -> Students:
    """Who is evaluated, once it is sure that all of it is there."""
    found = enrolled(base_model(run, made, recipe), recipe.checkpoints, (TUNED, run.adapter))
    if found.local is not None:
        need_stack()
    if (TUNED, run.adapter) in found.adapters and made.train and made.inputs.get("train") != inputs_of(run, made.train):
        warn("evaluate: the adapter is older than the dataset; ilk train brings it up to date")
    if found.local is not None and made.train and made.train.quantize != "none":
        warn(f"evaluate: the base was in 4 bits in training ({made.train.quantize}); here it is asked as it is")
    return found


def inputs_digest(
    made: Manifest,
    recipe: EvaluateRecipe,
    students: Students,
    questions: Sequence[Item],
    left_out: Sequence[Item],
    protect: Sequence[str],
    grader: Grader,
) -> str:
    """Of all that decides the summary; of a served model its name in the place of its bytes."""
    weights = {f"{name}/{file}": path / file for name, path in students.adapters for file in (CONFIG, WEIGHTS)}
    return manifest.inputs_digest(
        {
            "version": __version__,
            "recipe": recipe.model_dump(mode="json"),
            "items": [plain(item) for item in questions],
            "left_out": [item.id for item in left_out],
            "counts": [plain(leaf) for leaf in made.counts],
            "protect": protect,
            "judge": grader.inputs(),
            "served": students.identities(made.inputs.get("train", "")),
        },
        {"model": find(students.local), **weights} if students.local is not None else weights,
    )


def raise_incomplete(failed: Counter[str], *, where: str) -> None:
    """Raise StoppedError for questions that a served model, or the judge, left open."""
    told = ", ".join(f"{count} {kind}" for kind, count in failed.most_common())
    fix = "see to the server, then run the same command again: it asks for these alone"
    raise StoppedError(f"{failed.total()} answers are missing ({told}), and have no score", where=where, fix=fix)


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


def score(
    run: Run,
    students: Students,
    questions: Sequence[Item],
    recipe: EvaluateRecipe,
    made: Manifest,
    left_out: Sequence[Item],
    protect: Sequence[str],
    grader: Grader,
) -> Heard:
    """Write items, answers, grades and their summary; returns what was heard of models that are served."""
    heard = Heard()
    if students.served:  # first, since a server may be down
        with Ledger(run.ledger) as ledger:
            inquiry = Inquiry(ledger, empty=True)
            try:
                ask(students, questions, recipe, inquiry, trained=made.inputs.get("train", ""), heard=heard)
            finally:
                note_uses(run, heard.uses)
    graded = grading.grade(run, grader, answers_of(run, students, questions, recipe, heard), heard.uses)
    heard.failed.update(graded.failed)
    heard.spent = graded.spent or heard.spent
    write_records(run.evaluation / "items.jsonl", questions)
    write_records(run.evaluation / "answers.jsonl", graded.answers)
    found = summary.summarise(
        questions,
        graded.answers,
        enough=recipe.enough,
        leaves=made.counts,
        base=students.title,
        seen=left_out,
        protect=protect,
        margin=recipe.margin,
        judge=graded.card,
        remarks=tuple(remarks(students, questions)),
    )
    summary.write(run.summary, found)
    if grader.judge is None:
        note_uses(run, heard.uses)
    return heard


def answers_of(
    run: Run, students: Students, questions: Sequence[Item], recipe: EvaluateRecipe, heard: Heard
) -> list[Answer]:
    """Every student's answer to every question, the base's first; all of them choose in the same way."""
    found = dict(heard.answers)
    if students.local is not None:
        shown = [as_asked(item) for item in questions] if students.served else questions
        near = answer_here(run, students.local, students.adapters, shown, recipe)
        for one in read_choices(questions, near) if students.served else near:
            found.setdefault(one.model, []).append(one)
    return [one for name in students.names for one in found.get(name, ())]


def answer_here(
    run: Run, model: str, adapters: Sequence[tuple[str, Path]], questions: Sequence[Item], recipe: EvaluateRecipe
) -> list[Answer]:
    from instructlab_like.evaluation.answering import answer  # brings torch, which no other command here needs

    def heard(done: int, total: int) -> None:
        if done == total or (done and done % (4 * recipe.batch) < recipe.batch):
            say(f"  {done}/{total} answers")

    with working("answering"):
        return answer(model, adapters, questions, recipe, cache=run.evaluation / "answers.sqlite", on_progress=heard)
