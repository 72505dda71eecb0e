"""The command `ilk`. Each command reads its options, builds a recipe, and calls one stage; errors end here.

Stages are imported by the command that needs them, so that `ilk --help` is quick and no command but train and
evaluate needs torch.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Literal

import typer

from instructlab_like import __version__
from instructlab_like.errors import IlkError, InputError

app = typer.Typer(
    help="From a Git tree of skill and knowledge leaves to a fine-tuned model, measured leaf by leaf.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunName = Annotated[str, typer.Option("--run", help="name of the run: the folder runs/NAME, or a path")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="YAML file with sections generate, train, evaluate")]
Agreed = Annotated[bool, typer.Option("--yes", help="agree to redo a run whose recipe changed")]
Mirror = Annotated[
    list[str] | None,
    typer.Option("--mirror", help="URL=PATH: read this document repository from a git bundle or bare repository"),
]
DocumentHost = Annotated[
    list[str] | None,
    typer.Option("--document-host", help="fetch documents from this host, too; may be given again"),
]
Methods = Annotated[str | None, typer.Option("--methods", help="of teacher, rules, simulation; with commas")]
TeacherPlace = Annotated[
    str | None, typer.Option("--teacher", help="URL of an OpenAI-compatible endpoint, up to /v1, or a model folder")
]
TeacherModel = Annotated[str | None, typer.Option("--teacher-model", help="the model's name at the endpoint")]
KeyEnv = Annotated[str | None, typer.Option("--key-env", help="environment variable that holds the API key")]
Folder = Annotated[str | None, typer.Option("--taxonomy", help="the tree of leaves")]
Base = Annotated[
    str | None,
    typer.Option("--base", help="compare with where the working tree left this Git ref; default: origin/HEAD, or main"),
]


def version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ilk {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    pass


@app.command()
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
    from instructlab_like.stages.check import check as stage

    options = Options(
        profile=profile,
        schema_version=schema_version,
        document_hosts=tuple(document_host or ()),
        warnings_as_errors=warnings_as_errors,
    )
    raise typer.Exit(stage(paths or [Path("taxonomy")], options, base=base, form=form, fix=fix))


@app.command()
def diff(
    base: Base = None,
    taxonomy: Folder = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="for people or for programs")] = "text",
) -> None:
    """Say which leaves and seed examples were added, changed, moved or removed since the working tree left a ref."""
    from instructlab_like.stages.diff import diff as stage

    stage(taxonomy or "taxonomy", base, form=form)


@app.command()
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
    from instructlab_like.stages.contribute import new as stage

    stage(taxonomy or "taxonomy", path, kind=kind, document=document)


@app.command()
def init(folder: Annotated[str, typer.Argument(help="a new or empty folder")]) -> None:
    """Start a taxonomy repository: starter leaves, Makefile, workflows, contribution rules."""
    from instructlab_like.stages.init import init as stage

    if not folder.strip():
        raise InputError("the folder has no name", where="ilk init", fix="name a new or empty folder: ilk init DIR")
    stage(Path(folder))


@app.command()
def preview(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="leaves or folders; default: what the branch changes")
    ] = None,
    base: Base = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="shown of each leaf")] = 5,
    run: RunName = "default",
    recipe: RecipeFile = None,
    taxonomy: Folder = None,
    methods: Methods = None,
    teacher: TeacherPlace = None,
    teacher_model: TeacherModel = None,
    key_env: KeyEnv = None,
    mirror: Mirror = None,
    document_host: DocumentHost = None,
    price_in: Annotated[
        float | None, typer.Option("--price-in", min=0, help="of a million tokens to the teacher, in any currency")
    ] = None,
    price_out: Annotated[float | None, typer.Option("--price-out", min=0, help="of a million tokens from it")] = None,
    form: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--format", help="markdown: a comment for a pull request")
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", help="write to this file, not to standard output")] = None,
) -> None:
    """Say what changed leaves would give and cost: samples, rejections, calls, tokens, overlap, shift of the mix.

    Without a teacher nothing is asked. Answers of a teacher are kept in the run, and generate finds them there.
    """
    from instructlab_like.preview.estimate import Prices
    from instructlab_like.recipe import GenerateRecipe, load
    from instructlab_like.stages.preview import Wish
    from instructlab_like.stages.preview import preview as stage
    from instructlab_like.workspace import run_folder

    if (price_in is None) != (price_out is None):
        raise InputError("one price is missing", where="--price-in, --price-out", fix="give both, for a million tokens")
    prices = None if price_in is None or price_out is None else Prices(price_in, price_out)
    wish = Wish(paths=tuple(map(str, paths or ())), base=base, samples=samples, prices=prices)
    told = teacher_options(recipe, teacher, teacher_model, key_env)
    chosen, overrides = generate_options(recipe, taxonomy, methods, told, mirror, document_host)
    stage(run_folder(run), load(GenerateRecipe, chosen, overrides), wish, form=form, output=output)


@app.command()
def generate(
    run: RunName = "default",
    recipe: RecipeFile = None,
    taxonomy: Folder = None,
    leaf: Annotated[list[str] | None, typer.Option("--leaf", help="only this leaf; may be given again")] = None,
    methods: Methods = None,
    teacher: TeacherPlace = None,
    teacher_model: TeacherModel = None,
    key_env: KeyEnv = None,
    mirror: Mirror = None,
    document_host: DocumentHost = None,
    yes: Agreed = False,
) -> None:
    """Plan, ask, parse, filter, and write the dataset. Run again after a stop: nothing is asked twice."""
    from instructlab_like.recipe import GenerateRecipe, load
    from instructlab_like.stages.generate import generate as stage
    from instructlab_like.workspace import run_folder

    told = teacher_options(recipe, teacher, teacher_model, key_env)
    chosen, overrides = generate_options(recipe, taxonomy, methods, told, mirror, document_host)
    overrides["leaves"] = tuple(leaf) if leaf else None
    stage(run_folder(run), load(GenerateRecipe, chosen, overrides), agreed=yes)


def generate_options(
    recipe: Path | None,
    taxonomy: str | None,
    methods: str | None,
    teacher: dict[str, object] | None,
    mirror: list[str] | None,
    document_host: list[str] | None,
) -> tuple[Path | None, dict[str, object]]:
    """The recipe file in force, and what the options say on top of it."""
    overrides: dict[str, object] = {
        "taxonomy": taxonomy,
        "methods": tuple(name.strip() for name in methods.split(",")) if methods else None,
        "mirrors": mirrors(mirror) if mirror else None,
        "document_hosts": tuple(document_host) if document_host else None,
        "teacher": teacher,
    }
    if teacher and not methods and recipe is None:
        overrides["methods"] = ("teacher", "simulation")
    return recipe or (None if teacher else tiny_base()), overrides


def tiny_base() -> Path:
    """The recipe in force when neither a recipe, a teacher nor a model is named: that of the tiny base model."""
    from instructlab_like.workspace import find

    return find("training/recipes/tiny_base.yaml")


def teacher_options(
    recipe: Path | None, teacher: str | None, model: str | None, key_env: str | None
) -> dict[str, object] | None:
    """The `teacher` section that the options describe, on top of the recipe file's."""
    from instructlab_like.recipe import read_section

    given = read_section(recipe, "generate").get("teacher") if recipe else None
    told: dict[str, object] = dict(given) if isinstance(given, dict) else {}
    if teacher is None and model is None and key_env is None:
        return told or None
    if teacher is not None and "://" in teacher:
        told |= {"kind": "http", "url": teacher}
    elif teacher is not None:
        told |= {"kind": "local", "model": teacher}
    if model is not None:
        told["model"] = model
    if key_env is not None:
        told["key_env"] = key_env
    if "model" not in told:
        raise InputError("the teacher's model is not named", where="--teacher", fix="add --teacher-model NAME")
    return told


def mirrors(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        url, separator, path = text.partition("=")
        if not separator or not path:
            raise InputError(
                f"not URL=PATH: {text!r}", where="--mirror", fix="e.g. --mirror https://host/repo=repo.bundle"
            )
        found[url] = path
    return found


@app.command()
def train(
    run: RunName = "default",
    recipe: RecipeFile = None,
    model: Annotated[str | None, typer.Option("--model", help="folder or hub name of the base model")] = None,
    yes: Agreed = False,
) -> None:
    """Fine-tune with LoRA on the run's dataset: a knowledge phase, then a skills phase."""
    from instructlab_like.recipe import TrainRecipe, load
    from instructlab_like.stages.train import train as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), load(TrainRecipe, recipe or (None if model else tiny_base()), {"model": model}), agreed=yes)


@app.command()
def evaluate(
    run: RunName = "default",
    recipe: RecipeFile = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="adapter folder; may be given again")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="base model; default: the run's own")] = None,
) -> None:
    """Score base and checkpoints side by side on held-out questions, leaf by leaf, with intervals."""
    from instructlab_like.recipe import EvaluateRecipe, load
    from instructlab_like.stages.evaluate import evaluate as stage
    from instructlab_like.workspace import run_folder

    overrides: dict[str, object] = {"checkpoints": tuple(checkpoint) if checkpoint else None, "model": model}
    stage(run_folder(run), load(EvaluateRecipe, recipe, overrides))


@app.command()
def report(run: RunName = "default") -> None:
    """Write the run's report: one self-contained HTML page."""
    from instructlab_like.stages.report import report as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run))


@app.command()
def why(
    subject: Annotated[str, typer.Argument(help="a sample's id, or its beginning")],
    run: RunName = "default",
) -> None:
    """Tell a sample's whole story: leaf, chunk, template, model, and every verdict."""
    from instructlab_like.stages.why import why as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), subject)


@app.command(name="all")
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


def again() -> str:
    """The command that continues what was interrupted."""
    return " ".join(["ilk", *sys.argv[1:]])


def terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nothing expected is a bug of ours: show it whole and exit with 70."""
    traceback.print_exception(kind, error, trace)
    print("ilk: this is a bug of ilk; please report it with the lines above", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(70)


def main() -> None:
    """Run a command; a user's mistake ends in one message and its exit code, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a character shows its number
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminated)
    sys.excepthook = crash
    try:
        app()
    except IlkError as error:
        print(f"ilk: {error}", file=sys.stderr)
        sys.exit(error.code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(
            f"ilk: the disk is full ({error.filename or 'while writing'})\n  → free space, then: {again()}",
            file=sys.stderr,
        )
        sys.exit(3)
    except SystemExit as end:
        if end.code in (130, 143):
            print(f"\nilk: interrupted; to continue: {again()}", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
