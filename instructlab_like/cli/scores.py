"""The commands that say what a model knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from instructlab_like.cli.options import KeyEnv, RecipeFile, RunName


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
    from instructlab_like.stages.evaluating.evaluate import evaluate as stage
    from instructlab_like.stages.evaluating.grading import with_judge
    from instructlab_like.workspace import run_folder

    overrides: dict[str, object] = {
        "checkpoints": tuple(checkpoint) if checkpoint else None,
        "model": model,
        "key_env": key_env,
    }
    told = with_judge(load(EvaluateRecipe, recipe, overrides), judge, key_env)
    stage(run_folder(run), told, gate=gate, strict=strict)


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
    from instructlab_like.stages.evaluating.ask import Wish
    from instructlab_like.stages.evaluating.ask import ask as stage
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


def report(
    run: RunName = "default",
    form: Annotated[
        Literal["html", "markdown", "json"], typer.Option("--format", help="a page, a comment, or for programs")
    ] = "html",
) -> None:
    """Write the run's report: one self-contained HTML page, or its figures as Markdown or JSON."""
    from instructlab_like.stages.telling.report import report as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), form)


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
    from instructlab_like.stages.evaluating.effects import effects as stage
    from instructlab_like.workspace import run_folder

    stage(
        run_folder(run),
        leaves=leaf or (),
        left_out=leave_one_out or (),
        another_seed=another_seed,
        dry_run=dry_run,
        form=form,
    )
