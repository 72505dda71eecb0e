"""The commands that do the whole line: once, or round after round."""

from __future__ import annotations

from typing import Annotated

import typer

from instructlab_like.cli.models import train
from instructlab_like.cli.options import Agreed, DocumentHost, Folder, Mirror, RecipeFile, RunName
from instructlab_like.cli.samples import generate
from instructlab_like.cli.scores import evaluate, report


def improve(
    run: RunName = "default",
    recipe: RecipeFile = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="most of them; default: 3")] = None,
    student: Annotated[
        list[str] | None,
        typer.Option("--student", help="ask the model of the round before in this role; may be given again"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="undecided whether something was lost stops, too")] = False,
    yes: Agreed = False,
) -> None:
    """Let answers be reviewed and revised, train on the better ones, and again, until held-out scores gain nothing."""
    from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, ImproveRecipe, TrainRecipe, load, read_section
    from instructlab_like.stages.generating.improve import Wish
    from instructlab_like.stages.generating.improve import improve as stage
    from instructlab_like.workspace import run_folder

    overrides = {"rounds": rounds, "student": tuple(student) if student else None, "strict": strict or None}
    wish = Wish(
        generate=load(GenerateRecipe, recipe, {}) if recipe and read_section(recipe, "generate") else None,
        train=load(TrainRecipe, recipe, {}) if recipe and read_section(recipe, "train") else None,
        evaluate=load(EvaluateRecipe, recipe, {}) if recipe and read_section(recipe, "evaluate") else None,
        improve=load(ImproveRecipe, recipe, overrides),
    )
    stage(run_folder(run), wish, agreed=yes)


def whole(
    run: RunName = "default",
    recipe: RecipeFile = None,
    taxonomy: Folder = None,
    mirror: Mirror = None,
    document_host: DocumentHost = None,
    yes: Agreed = False,
) -> None:
    """Generate, train, evaluate and report in one go; by default with the tiny base model, offline."""
    generate(run=run, recipe=recipe, taxonomy=taxonomy, mirror=mirror, document_host=document_host, yes=yes)
    train(run=run, recipe=recipe, yes=yes)
    evaluate(run=run, recipe=recipe)
    report(run=run)
