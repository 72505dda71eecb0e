"""The commands that make samples and filter them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from instructlab_like.cli.options import (
    Agreed,
    Base,
    DocumentHost,
    FlowName,
    Folder,
    KeyEnv,
    Mirror,
    PriceIn,
    PriceOut,
    RecipeFile,
    RunName,
    TeacherModel,
    TeacherPlace,
    TextOrJson,
    budget_options,
    generate_options,
    price_options,
    route_options,
    teacher_options,
)
from instructlab_like.errors import InputError


def generate(
    run: RunName = "default",
    recipe: RecipeFile = None,
    taxonomy: Folder = None,
    leaf: Annotated[list[str] | None, typer.Option("--leaf", help="only this leaf; may be given again")] = None,
    flow: FlowName = None,
    teacher: TeacherPlace = None,
    teacher_model: TeacherModel = None,
    key_env: KeyEnv = None,
    mirror: Mirror = None,
    document_host: DocumentHost = None,
    changed: Annotated[bool, typer.Option("--changed", help="only leaves that differ from the base")] = False,
    base: Base = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="send nothing: write the prompts, and say what asking them will take")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="ask 1 % of the prompts, and say with intervals what all will take")
    ] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", help="stop before more: 500calls, 200000tokens or 5.00; may be given again"),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", help="of what --dry-run and --probe say")
    ] = "text",
    route: Annotated[
        list[str] | None,
        typer.Option("--route", help="ROLE=TEACHER of the recipe's teachers, for every leaf; may be given again"),
    ] = None,
    yes: Agreed = False,
) -> None:
    """Plan, ask, parse, filter, and write the dataset. Run again after a stop: nothing is asked twice."""
    from instructlab_like.recipe import GenerateRecipe, load
    from instructlab_like.stages.generating.asking import priced
    from instructlab_like.stages.generating.generate import generate as stage
    from instructlab_like.workspace import run_folder

    if form == "json" and not (dry_run or probe):
        raise InputError("belongs to --dry-run and --probe", where="--format json", fix="add one of them")
    if base is not None and not changed:
        raise InputError("belongs to --changed", where="--base", fix="add --changed")
    told = teacher_options(recipe, teacher, teacher_model, key_env)
    chosen, overrides = generate_options(recipe, taxonomy, flow, told, mirror, document_host)
    overrides |= {"leaves": tuple(leaf) if leaf else None, "budget": budget_options(recipe, budget)}
    overrides |= {"forced_routes": route_options(recipe, route)}
    made, price = load(GenerateRecipe, chosen, overrides), price_options(price_in, price_out)
    if changed:
        from instructlab_like.stages.scope import changed_leaves

        made = made.model_copy(update={"leaves": changed_leaves(made.taxonomy, base, made.leaves)})
        if not made.leaves:
            return
    if dry_run or probe:
        from instructlab_like.stages.generating.quote import quote

        quote(run_folder(run), made, probe=probe and not dry_run, price=price, form=form)
    else:
        stage(run_folder(run), priced(made, price), agreed=yes)


def sift(
    target: Annotated[str, typer.Argument(help="a run's name or folder, or a file of conversations")],
    recipe: RecipeFile = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="only this filter, or phase of filters; may be given again")
    ] = None,
    taxonomy: Folder = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="write what is kept and what is not into this folder")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option("--what-if", help="filter.option=value, filter=on or filter=off: try it and write nothing"),
    ] = None,
    pardon: Annotated[
        list[str] | None, typer.Option("--pardon", help="ID or ID:FILTER of a rejected sample: keep it nevertheless")
    ] = None,
    form: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--format", help="for people or for programs")
    ] = "text",
) -> None:
    """Filter a run, or any file of conversations: what is kept, what is rejected, by which rule. Asks nothing twice."""
    from instructlab_like.recipe import GenerateRecipe, load
    from instructlab_like.stages.filtering.sift import sift as stage

    overrides = {"filters": filters or None, "taxonomy": taxonomy, "pardons": pardon or None}
    told = load(GenerateRecipe, recipe, overrides)
    stage(target, told, told=told.model_fields_set, out=out, what_if=what_if or (), form=form)


def coverage(
    run: RunName = "default",
    least: Annotated[
        int, typer.Option("--least", min=1, help="samples that a leaf should have kept of each value")
    ] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 if a value is short of them")] = False,
    form: TextOrJson = "text",
) -> None:
    """Show how a run's samples cover the axes of its flows, leaf by leaf, and list the gaps."""
    from instructlab_like.stages.telling.coverage import coverage as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), least=least, strict=strict, form=form)


def why(
    subject: Annotated[str, typer.Argument(help="the id of a sample or the key of a call, or its beginning")],
    run: RunName = "default",
    form: TextOrJson = "text",
) -> None:
    """Tell a sample's whole story: leaf, seed, chunk, every turn with prompt and answer, every verdict. Or a call's."""
    from instructlab_like.stages.telling.why import why as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), subject, form=form)


def import_(
    path: Annotated[Path, typer.Argument(help="a pipeline of instructlab-sdg, or a folder with several")],
    out: Annotated[Path, typer.Option("--out", help="folder for flows and templates, new or of an earlier import")],
    root: Annotated[
        Path | None,
        typer.Option("--root", help="all files that a pipeline names lie in this folder; default: as in its package"),
    ] = None,
    leaves: Annotated[
        Literal["knowledge", "freeform", "grounded"] | None,
        typer.Option("--leaves", help="which leaves the pipelines are for; default: by their names, or their columns"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 if anything could not be carried over")] = False,
    form: TextOrJson = "text",
) -> None:
    """Turn pipelines of instructlab-sdg into flows and templates, and say what could not be carried over."""
    from instructlab_like.stages.generating.importing import import_flows as stage

    stage(path, out, root=root, leaves=leaves, strict=strict, form=form)
