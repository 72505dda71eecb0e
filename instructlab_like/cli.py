"""The command `ilk`. Each command reads its options, builds a recipe, and calls one stage; errors end here.

Stages are imported by the command that needs them, so that `ilk --help` is quick and no command but those that train,
merge, or let a local model answer needs torch.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Literal

import typer

from instructlab_like import __version__
from instructlab_like.errors import IlkError, InputError, StoppedError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    help="From a Git tree of skill and knowledge leaves to a fine-tuned model, measured leaf by leaf.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

runs_app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
app.add_typer(runs_app, name="runs")

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
FlowName = Annotated[
    list[str] | None,
    typer.Option("--flow", help="how samples are made: a shipped flow, or the path of your own; may be given again"),
]
TeacherPlace = Annotated[
    str | None, typer.Option("--teacher", help="URL of an OpenAI-compatible endpoint, up to /v1, or a model folder")
]
TeacherModel = Annotated[str | None, typer.Option("--teacher-model", help="the model's name at the endpoint")]
PriceIn = Annotated[
    float | None, typer.Option("--price-in", min=0, help="of a million tokens to the teacher, in any currency")
]
PriceOut = Annotated[float | None, typer.Option("--price-out", min=0, help="of a million tokens from it")]
KeyEnv = Annotated[str | None, typer.Option("--key-env", help="environment variable that holds the API key")]
Folder = Annotated[str | None, typer.Option("--taxonomy", help="the tree of leaves")]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="for people or for programs")]
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
    from instructlab_like.stages.preview import Wish
    from instructlab_like.stages.preview import preview as stage
    from instructlab_like.workspace import run_folder

    wish = Wish(
        paths=tuple(map(str, paths or ())), base=base, samples=samples, price=price_options(price_in, price_out)
    )
    told = teacher_options(recipe, teacher, teacher_model, key_env)
    chosen, overrides = generate_options(recipe, taxonomy, flow, told, mirror, document_host)
    stage(run_folder(run), load(GenerateRecipe, chosen, overrides), wish, form=form, output=output)


@app.command()
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
    from instructlab_like.stages.sift import sift as stage

    overrides = {"filters": filters or None, "taxonomy": taxonomy, "pardons": pardon or None}
    told = load(GenerateRecipe, recipe, overrides)
    stage(target, told, told=told.model_fields_set, out=out, what_if=what_if or (), form=form)


@app.command()
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
    from instructlab_like.stages.asking import priced
    from instructlab_like.stages.generate import generate as stage
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
        from instructlab_like.stages.quote import quote

        quote(run_folder(run), made, probe=probe and not dry_run, price=price, form=form)
    else:
        stage(run_folder(run), priced(made, price), agreed=yes)


def price_options(price_in: float | None, price_out: float | None) -> tuple[float, float] | None:
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise InputError("one price is missing", where="--price-in, --price-out", fix="give both, for a million tokens")
    return price_in, price_out


def budget_options(recipe: Path | None, budget: list[str] | None) -> dict[str, object] | None:
    """The `budget` section that the options describe, on top of the recipe file's."""
    from instructlab_like.generation.purse import read_budget
    from instructlab_like.recipe import read_section

    if not budget:
        return None
    given = read_section(recipe, "generate").get("budget") if recipe else None
    return (dict(given) if isinstance(given, dict) else {}) | read_budget(budget)


def route_options(recipe: Path | None, route: list[str] | None) -> dict[str, str] | None:
    """The `forced_routes` that the options describe, on top of the recipe file's."""
    from instructlab_like.recipe import read_section

    if not route:
        return None
    given = read_section(recipe, "generate").get("forced_routes") if recipe else None
    found: dict[str, str] = {}
    for text in route:
        role, separator, teacher = text.partition("=")
        if not separator or not role or not teacher:
            raise InputError(f"not ROLE=TEACHER: {text!r}", where="--route", fix="e.g. --route answerer=small")
        if found.setdefault(role, teacher) != teacher:
            raise InputError(
                f"{role!r} is given to {found[role]!r} and to {teacher!r}", where="--route", fix="keep one"
            )
    return {**(given if isinstance(given, dict) else {}), **found}


def generate_options(
    recipe: Path | None,
    taxonomy: str | None,
    flow: list[str] | None,
    teacher: dict[str, object] | None,
    mirror: list[str] | None,
    document_host: list[str] | None,
) -> tuple[Path | None, dict[str, object]]:
    """The recipe file in force, and what the options say on top of it."""
    overrides: dict[str, object] = {
        "taxonomy": taxonomy,
        "flows": tuple(flow) if flow else None,
        "mirrors": mirrors(mirror) if mirror else None,
        "document_hosts": tuple(document_host) if document_host else None,
        "teacher": teacher,
    }
    if teacher and not flow and recipe is None:
        overrides["flows"] = ("knowledge", "freeform", "grounded", "simulation")
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
    track: Annotated[
        list[str] | None, typer.Option("--track", help="tensorboard, trackio, wandb or mlflow; may be given again")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, how long, and whether it fits")
    ] = False,
    show_batch: Annotated[
        int | None, typer.Option("--show-batch", min=1, help="print this many packed rows as the model sees them")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="train from the start; checkpoints go")] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="train on 10 and 30 % of the data, too: would more of it help?")
    ] = False,
    machine_rank: Annotated[
        int | None, typer.Option("--machine-rank", min=0, help="which of the recipe's `machines` this is, from 0")
    ] = None,
    main_address: Annotated[
        str | None, typer.Option("--main-address", help="HOST:PORT of machine 0, where all of them meet")
    ] = None,
    yes: Agreed = False,
) -> None:
    """Fine-tune with LoRA on the run's dataset: a knowledge phase, then a skills phase. Goes on where it stopped."""
    from instructlab_like.recipe import TrainRecipe, load
    from instructlab_like.stages.train import Place, look
    from instructlab_like.stages.train import train as stage
    from instructlab_like.workspace import run_folder

    overrides: dict[str, object] = {"model": model, "trackers": tuple(track) if track else None}
    told = load(TrainRecipe, recipe or (None if model else tiny_base()), overrides)
    if dry_run or show_batch:
        look(run_folder(run), told, rows=show_batch or 0)
    elif scaling:
        from instructlab_like.stages.scaling import scaling as curve

        curve(run_folder(run), told, agreed=yes, restart=restart)
    else:
        place = Place.of(told, machine_rank, main_address)
        stage(run_folder(run), told, agreed=yes, restart=restart, place=place)


@app.command()
def doctor(
    recipe: RecipeFile = None,
    model: Annotated[str | None, typer.Option("--model", help="folder or hub name; default: the recipe's")] = None,
    form: TextOrJson = "text",
) -> None:
    """Say what of this machine's stack works, what is broken and how to repair it. Exit code 1 if anything is."""
    from instructlab_like.recipe import TrainRecipe, load
    from instructlab_like.stages.doctor import doctor as stage

    stage(load(TrainRecipe, recipe or (None if model else tiny_base()), {"model": model}), form=form)


@app.command()
def evaluate(
    run: RunName = "default",
    recipe: RecipeFile = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option("--checkpoint", help="adapter folder, or NAME@URL of a served model; may be given again"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="base: folder, hub name or NAME@URL; default: the run's own")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", help="who grades judged questions: NAME@URL, or a model folder")
    ] = None,
    key_env: KeyEnv = None,
    gate: Annotated[bool, typer.Option("--gate", help="exit code 1 if a leaf is worse or something was lost")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="the gate, and undecided counts as lost")] = False,
) -> None:
    """Score base and checkpoints side by side on held-out questions, leaf by leaf, with intervals."""
    from instructlab_like.recipe import EvaluateRecipe, load
    from instructlab_like.stages.evaluate import evaluate as stage
    from instructlab_like.stages.grading import with_judge
    from instructlab_like.workspace import run_folder

    overrides: dict[str, object] = {
        "checkpoints": tuple(checkpoint) if checkpoint else None,
        "model": model,
        "key_env": key_env,
    }
    told = with_judge(load(EvaluateRecipe, recipe, overrides), judge, key_env)
    stage(run_folder(run), told, gate=gate, strict=strict)


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="what is asked; `-`: standard input, as one question")] = None,
    run: RunName = "default",
    adapter: Annotated[
        list[str] | None,
        typer.Option("--adapter", help="folder; may be given again; default: the run's own"),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="base model; default: the run's own")] = None,
    context: Annotated[str | None, typer.Option("--context", help="a passage that the questions are about")] = None,
    context_file: Annotated[Path | None, typer.Option("--context-file", help="the same, out of a text file")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", help="of questions: .txt, .jsonl, a leaf's qna.yaml or heldout.yaml; `-`: a line of input each"
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="of an answer; default: as the run was evaluated, or 48")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="ask this OpenAI-compatible endpoint, up to /v1, too")
    ] = None,
    url_model: Annotated[str | None, typer.Option("--url-model", help="the model's name at the endpoint")] = None,
    key_env: KeyEnv = None,
    form: Annotated[
        Literal["text", "markdown", "json"], typer.Option("--format", help="markdown: for a pull request")
    ] = "text",
) -> None:
    """Ask base and adapters the same question; their answers stand side by side. Greedy, as evaluate asks."""
    from instructlab_like.stages.ask import Wish
    from instructlab_like.stages.ask import ask as stage
    from instructlab_like.workspace import run_folder

    wish = Wish(
        question=question,
        file=file,
        context=context,
        context_file=context_file,
        adapters=tuple(adapter or ()),
        model=model,
        max_tokens=max_tokens,
        url=url,
        url_model=url_model,
        key_env=key_env,
    )
    stage(run_folder(run), wish, form=form)


@app.command()
def report(
    run: RunName = "default",
    form: Annotated[
        Literal["html", "markdown", "json"], typer.Option("--format", help="a page, a comment, or for programs")
    ] = "html",
) -> None:
    """Write the run's report: one self-contained HTML page, or its figures as Markdown or JSON."""
    from instructlab_like.stages.report import report as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), form)


@app.command()
def effects(
    run: RunName = "default",
    leaf: Annotated[
        list[str] | None, typer.Option("--leaf", help="only this leaf, or folder of leaves; may be given again")
    ] = None,
    leave_one_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-one-out", help="train again without this leaf; `all`: without each in turn; may be given again"
        ),
    ] = None,
    another_seed: Annotated[
        bool, typer.Option("--another-seed", help="train again with all leaves, too: what chance alone moves")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what these trainings would take; train nothing")
    ] = False,
    form: Annotated[
        Literal["text", "markdown", "json"], typer.Option("--format", help="markdown: for the leaf's pull request")
    ] = "text",
) -> None:
    """Say what each leaf did: gain, loss, samples, cost; and what it did to the other leaves, if left out once."""
    from instructlab_like.stages.effects import effects as stage
    from instructlab_like.workspace import run_folder

    stage(
        run_folder(run),
        leaves=leaf or (),
        left_out=leave_one_out or (),
        another_seed=another_seed,
        dry_run=dry_run,
        form=form,
    )


@app.command()
def combine(
    folder: Annotated[Path, typer.Argument(help="a new folder for the adapter")],
    adapter: Annotated[list[Path], typer.Option("--adapter", help="folder of an adapter; twice or more")],
    weight: Annotated[
        list[float] | None, typer.Option("--weight", help="of each adapter, in their order; equal unless told")
    ] = None,
    how: Annotated[
        Literal["linear", "ties", "dare", "dare-ties"], typer.Option("--how", help="how updates become one")
    ] = "linear",
    density: Annotated[float, typer.Option("--density", help="part of each update that ties and dare keep")] = 0.5,
    rank: Annotated[int | None, typer.Option("--rank", help="of the result; the sum of theirs unless told")] = None,
    seed: Annotated[int, typer.Option("--seed", help="of what dare drops")] = 0,
    run: RunName = "default",
) -> None:
    """Combine adapters of one base into one, checked by its logits and by this run's questions before it is written."""
    from instructlab_like.stages.combine import combine as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), folder, adapter, how=how, weights=weight or (), density=density, rank=rank, seed=seed)


@app.command()
def coverage(
    run: RunName = "default",
    least: Annotated[
        int, typer.Option("--least", min=1, help="samples that a leaf should have kept of each value")
    ] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 if a value is short of them")] = False,
    form: TextOrJson = "text",
) -> None:
    """Show how a run's samples cover the axes of its flows, leaf by leaf, and list the gaps."""
    from instructlab_like.stages.coverage import coverage as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), least=least, strict=strict, form=form)


@app.command("import")
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
    from instructlab_like.stages.importing import import_flows as stage

    stage(path, out, root=root, leaves=leaves, strict=strict, form=form)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="a new folder, or for a dataset that of an earlier export")],
    target: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="instructlab; hf: Parquet with a card; trl, axolotl, llama-factory, unsloth, openai: these trainers; "
            "lm-eval: the held-out questions",
        ),
    ] = None,
    run: RunName = "default",
    merged: Annotated[bool, typer.Option("--merged", help="the model: adapter and base as one, checked first")] = False,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="merged, gguf: folder; default: the run's own")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="merged, gguf: the base, if it has moved")] = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option("--dtype", help="merged, gguf: of the weights; default: the base's; float16: gguf alone"),
    ] = None,
    gguf: Annotated[
        Literal["merged", "base", "adapter"] | None,
        typer.Option("--gguf", help="as one file for llama.cpp and Ollama: adapter and base as one, or either alone"),
    ] = None,
    taxonomy: Annotated[str | None, typer.Option("--taxonomy", help="the run's tree, if it has moved")] = None,
    suffix: Annotated[str | None, typer.Option("--suffix", help="instructlab: in every name; default: gen")] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", help="system prompt: instructlab: of all rows; trainers: of rows that have none"),
    ] = None,
    absolute_paths: Annotated[
        bool | None,
        typer.Option(
            "--absolute-paths",
            help="name data by whole paths: instructlab: in multiple-choice tasks; axolotl: in its YAML",
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", help="what names of tasks (lm-eval) or datasets (llama-factory) begin with; default: ilk"
        ),
    ] = None,
    phases: Annotated[
        Literal["apart", "together"] | None,
        typer.Option("--phases", help="trainers: a file for each phase, or one; default: apart, openai: together"),
    ] = None,
    rows: Annotated[
        Literal["messages", "prompt-completion"] | None,
        typer.Option("--rows", help="trl: whole conversations, or the last answer apart; default: messages"),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option("--push", help="OWNER/NAME on the hub: upload the folder, once written or as it is; private"),
    ] = None,
    public: Annotated[bool | None, typer.Option("--public", help="push: for everybody to read")] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", help="push: show files, sizes and card, and send nothing")
    ] = None,
) -> None:
    """Write a finished run for other programs: its dataset (--for) or model (--merged, --gguf); upload it (--push)."""
    from instructlab_like.stages.export import export as dataset
    from instructlab_like.stages.export_gguf import export_gguf
    from instructlab_like.stages.export_model import export_merged, one_target
    from instructlab_like.stages.push import push as upload
    from instructlab_like.workspace import run_folder

    of_data = {"suffix": suffix, "system": system, "absolute_paths": absolute_paths, "prefix": prefix}
    of_data |= {"phases": phases, "rows": rows}
    takers: dict[str, dict[str, object]] = {
        "--for": {"taxonomy": taxonomy, **of_data},
        "--merged and --gguf": {"adapter": adapter, "model": model, "dtype": dtype},
        "--gguf": {"dtype": dtype if dtype == "float16" else None},
        "--push": {} if push else {"public": public, "dry_run": dry_run},
    }
    one_target({"--for": target is not None, "--merged": merged, "--gguf": gguf is not None}, takers, pushed=bool(push))
    if merged:
        assert dtype != "float16"
        export_merged(run_folder(run), folder, adapter=adapter, model=model, dtype=dtype)
    elif gguf:
        export_gguf(run_folder(run), folder, gguf, adapter=adapter, model=model, dtype=dtype)
    elif target is not None:
        options = {name: value for name, value in of_data.items() if value is not None}
        dataset(run_folder(run), target, folder, options, taxonomy=taxonomy)
    if push:
        upload(folder, push, public=bool(public), dry_run=bool(dry_run))


@app.command()
def why(
    subject: Annotated[str, typer.Argument(help="the id of a sample or the key of a call, or its beginning")],
    run: RunName = "default",
    form: TextOrJson = "text",
) -> None:
    """Tell a sample's whole story: leaf, seed, chunk, every turn with prompt and answer, every verdict. Or a call's."""
    from instructlab_like.stages.why import why as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), subject, form=form)


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, form: TextOrJson = "text") -> None:
    """List the runs with what they hold, cost and lack; forget a leaf, merge runs, clean up."""
    if context.invoked_subcommand is None:
        from instructlab_like.stages.runs import show

        show(form=form)


@runs_app.command(name="forget")
def runs_forget(
    leaf: Annotated[str, typer.Argument(help="path of the leaf, or of a folder of leaves")],
    run: RunName = "default",
    keep_unused: Annotated[
        bool, typer.Option("--keep-unused", help="keep calls that no leaf needs now, though they may be of this leaf")
    ] = False,
) -> None:
    """Remove all that a run holds of a leaf, answers of teachers included; the leaf stays excluded. Asks nothing."""
    from instructlab_like.stages.forget import forget as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), leaf, keep_unused=keep_unused)


@runs_app.command(name="merge")
def runs_merge(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN [RUN]…", help="runs of one recipe")],
    into: Annotated[str, typer.Option("--into", help="name of the new run")],
) -> None:
    """Join the answers of several runs in a new one, and derive its dataset. Asks nothing."""
    from instructlab_like.stages.merge import merge as stage
    from instructlab_like.workspace import run_folder

    stage([run_folder(name) for name in names], run_folder(into))


@runs_app.command(name="clean")
def runs_clean(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]…", help="delete from these; without one, say what may go")
    ] = None,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="also the checkpoints of phases, where the adapter is whole")
    ] = False,
    calls: Annotated[bool, typer.Option("--calls", help="also calls to teachers that no leaf needs any more")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="delete without asking")] = False,
) -> None:
    """Say what may be deleted of runs, with sizes; delete leftovers and indexes from those that are named."""
    from instructlab_like.stages.runs import clean
    from instructlab_like.workspace import run_folder

    clean([run_folder(name) for name in names or ()], checkpoints=checkpoints, calls=calls, agreed=yes)


@app.command()
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
    from instructlab_like.stages.improve import Wish
    from instructlab_like.stages.improve import improve as stage
    from instructlab_like.workspace import run_folder

    overrides = {"rounds": rounds, "student": tuple(student) if student else None, "strict": strict or None}
    wish = Wish(
        generate=load(GenerateRecipe, recipe, {}) if recipe and read_section(recipe, "generate") else None,
        train=load(TrainRecipe, recipe, {}) if recipe and read_section(recipe, "train") else None,
        evaluate=load(EvaluateRecipe, recipe, {}) if recipe and read_section(recipe, "evaluate") else None,
        improve=load(ImproveRecipe, recipe, overrides),
    )
    stage(run_folder(run), wish, agreed=yes)


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
    return shlex.join(["ilk", *sys.argv[1:]])


class Ended:
    """By which signal the user asked the command to end."""

    signal = signal.SIGINT


def terminated(_number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C, which is the way in which what is under way is put in order."""
    Ended.signal = signal.SIGTERM
    signal.raise_signal(signal.SIGINT)


def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nothing expected is a bug of ours: show it whole and exit with 70."""
    traceback.print_exception(kind, error, trace)
    print("ilk: this is a bug of ilk; please report it with the lines above", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(70)


def main() -> None:
    """Run a command; a user's mistake ends in one message and its exit code, never in a traceback."""
    # Torch's threads spin while they wait for each other: on a machine that does anything else, that costs many times
    # the work. Fewer turns (of libgomp's 300,000) cost nothing where it does not.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a character shows its number
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what a script puts behind &
    signal.signal(signal.SIGTERM, terminated)
    sys.excepthook = crash
    try:
        typer.main.get_command(app)(prog_name="ilk")  # calling `app` itself would replace the hook
    except IlkError as error:
        print(f"ilk: {error}", file=sys.stderr)
        if isinstance(error, StoppedError):
            print(f"  to continue: {again()}", file=sys.stderr)
        sys.exit(error.code)
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(
            f"ilk: the disk is full ({error.filename or 'while writing'})\n  → free space, then: {again()}",
            file=sys.stderr,
        )
        sys.exit(3)
    except SystemExit as end:
        if end.code != 128 + signal.SIGINT:
            raise
        print(f"\nilk: interrupted; to continue: {again()}", file=sys.stderr)
        sys.exit(128 + Ended.signal)


if __name__ == "__main__":
    main()
