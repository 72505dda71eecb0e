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
from types import FrameType, TracebackType
from typing import Annotated

import typer

from instructlab_like import __version__
from instructlab_like.cli import leaves, models, runs, samples, scores, whole
from instructlab_like.errors import IlkError, StoppedError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    help="From a Git tree of skill and knowledge leaves to a fine-tuned model, measured leaf by leaf.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


# In the order in which `ilk --help` lists them.
for command in (
    *(leaves.check, leaves.diff, leaves.new, leaves.init, leaves.preview),
    *(samples.generate, samples.sift, samples.coverage, samples.why),
    *(models.train, models.combine, models.doctor),
    *(scores.evaluate, scores.ask, scores.report, scores.effects),
    models.export,
):
    app.command()(command)
app.command("import")(samples.import_)
app.command()(whole.improve)
app.command("all")(whole.whole)
app.add_typer(runs.app, name="runs")


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
