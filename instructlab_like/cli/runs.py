"""`ilk runs`: what there is, and what may go."""

from __future__ import annotations

from typing import Annotated

import typer

from instructlab_like.cli.options import RunName, TextOrJson

app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, form: TextOrJson = "text") -> None:
    """List the runs with what they hold, cost and lack; forget a leaf, merge runs, clean up."""
    if context.invoked_subcommand is None:
        from instructlab_like.stages.keeping.runs import show

        show(form=form)


@app.command(name="forget")
def runs_forget(
    leaf: Annotated[str, typer.Argument(help="path of the leaf, or of a folder of leaves")],
    run: RunName = "default",
    keep_unused: Annotated[
        bool, typer.Option("--keep-unused", help="keep calls that no leaf needs now, though they may be of this leaf")
    ] = False,
) -> None:
    """Remove all that a run holds of a leaf, answers of teachers included; the leaf stays excluded. Asks nothing."""
    from instructlab_like.stages.keeping.forget import forget as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), leaf, keep_unused=keep_unused)


@app.command(name="merge")
def runs_merge(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN [RUN]…", help="runs of one recipe")],
    into: Annotated[str, typer.Option("--into", help="name of the new run")],
) -> None:
    """Join the answers of several runs in a new one, and derive its dataset. Asks nothing."""
    from instructlab_like.stages.keeping.merge import merge as stage
    from instructlab_like.workspace import run_folder

    stage([run_folder(name) for name in names], run_folder(into))


@app.command(name="clean")
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
    from instructlab_like.stages.keeping.runs import clean
    from instructlab_like.workspace import run_folder

    clean([run_folder(name) for name in names or ()], checkpoints=checkpoints, calls=calls, agreed=yes)
