"""The commands of those who contribute a leaf and of those who take it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from instructlab_like.cli.options import (
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
    generate_options,
    price_options,
    teacher_options,
)
from instructlab_like.errors import InputError


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="leaves, files or folders; default: taxonomy")] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="only leaves that differ from where the tree left this Git ref")
    ] = None,
    profile: Annotated[
        Literal["strict", "compatible"], typer.Option("--profile", help="all this project asks, or upstream's verdict")
    ] = "strict",
    schema_version: Annotated[
        Literal["from-file", "latest"], typer.Option("--schema-version", help="each file's own version, or the newest")
    ] = "from-file",
    warnings_as_errors: Annotated[
        bool, typer.Option("--warnings-as-errors", help="a warning fails, too; upstream's: the YAML lint's alone")
    ] = False,
    document_host: DocumentHost = None,
    form: Annotated[
        Literal["text", "json", "github", "sarif"], typer.Option("--format", help="for people or for programs")
    ] = "text",
    fix: Annotated[
        bool, typer.Option("--fix", help="first repair blanks, line ends, indentation and the order of keys in place")
    ] = False,
) -> None:
    """Validate leaves: every problem with its line and what to do. Exit code 2 when there are errors."""
    from instructlab_like.checking.leaf import Options
    from instructlab_like.stages.contributing.check import check as stage

    options = Options(
        profile=profile,
        schema_version=schema_version,
        document_hosts=tuple(document_host or ()),
        warnings_as_errors=warnings_as_errors,
    )
    raise typer.Exit(stage(paths or [Path("taxonomy")], options, base=base, form=form, fix=fix))


def diff(
    base: Base = None,
    taxonomy: Folder = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="for people or for programs")] = "text",
) -> None:
    """Say which leaves and seed examples were added, changed, moved or removed since the working tree left a ref."""
    from instructlab_like.stages.contributing.diff import diff as stage

    stage(taxonomy or "taxonomy", base, form=form)


def new(
    path: Annotated[str, typer.Argument(help="folder of the leaf below the tree, e.g. knowledge/science/tides")],
    kind: Annotated[
        Literal["knowledge", "freeform", "grounded", "simulation"] | None,
        typer.Option("--kind", help="what the leaf teaches; may be left out below knowledge/"),
    ] = None,
    document: Annotated[
        Path | None, typer.Option("--from", help="Markdown or text: copied beside the leaf, with passages proposed")
    ] = None,
    taxonomy: Folder = None,
) -> None:
    """Scaffold a leaf; `ilk check` then names what is left to fill in."""
    from instructlab_like.stages.contributing.contribute import new as stage

    stage(taxonomy or "taxonomy", path, kind=kind, document=document)


def init(folder: Annotated[str, typer.Argument(help="a new or empty folder")]) -> None:
    """Start a taxonomy repository: starter leaves, Makefile, workflows, contribution rules."""
    from instructlab_like.stages.contributing.init import init as stage

    if not folder.strip():
        raise InputError("the folder has no name", where="ilk init", fix="name a new or empty folder: ilk init DIR")
    stage(Path(folder))


def preview(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="leaves or folders; default: what the branch changes")
    ] = None,
    base: Base = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="shown of each leaf")] = 5,
    run: RunName = "default",
    recipe: RecipeFile = None,
    taxonomy: Folder = None,
    flow: FlowName = None,
    teacher: TeacherPlace = None,
    teacher_model: TeacherModel = None,
    key_env: KeyEnv = None,
    mirror: Mirror = None,
    document_host: DocumentHost = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    form: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--format", help="markdown: a comment for a pull request")
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", help="write to this file, not to standard output")] = None,
) -> None:
    """Say what changed leaves would give and cost: samples, rejections, calls, tokens, overlap, shift of the mix.

    Without a teacher nothing is asked. Answers of a teacher are kept in the run, and generate finds them there.
    """
    from instructlab_like.recipe import GenerateRecipe, load
    from instructlab_like.stages.contributing.preview import Wish
    from instructlab_like.stages.contributing.preview import preview as stage
    from instructlab_like.workspace import run_folder

    wish = Wish(
        paths=tuple(map(str, paths or ())), base=base, samples=samples, price=price_options(price_in, price_out)
    )
    told = teacher_options(recipe, teacher, teacher_model, key_env)
    chosen, overrides = generate_options(recipe, taxonomy, flow, told, mirror, document_host)
    stage(run_folder(run), load(GenerateRecipe, chosen, overrides), wish, form=form, output=output)
