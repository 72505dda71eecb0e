"""The runs of a workspace: what there is, what it cost, what may be deleted."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from instructlab_like.console import say, working
from instructlab_like.errors import InputError
from instructlab_like.generation.books import Books, InUseError, Totals
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.upkeep import erase
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Record
from instructlab_like.stages import manifest
from instructlab_like.stages.keeping.forget import unfinished
from instructlab_like.stages.keeping.merge import scratch_of
from instructlab_like.stages.lookup import uses
from instructlab_like.workspace import FORMAT, RUNS, Run, scratch

MILLION = 1_000_000
NUMBERS = range(3, 9)  # columns of the table
OLD = 3600.0  # seconds after which a file that nobody finished writing is taken to be left over

State = Literal["finished", "incomplete", "running", "half forgotten", "older format", "newer format", "unreadable"]
What = Literal["leftovers", "index", "checkpoints", "calls"]


class RunFacts(Record):
    """A run as it is listed; None: not known."""

    name: str
    state: State
    when: str  # of its last change, UTC
    stages: tuple[str, ...]  # that are done
    leaves: int | None
    samples: int | None  # that were kept
    calls: int | None  # requests to teachers
    tokens_in: int | None
    tokens_out: int | None
    money: float | None  # by the recipe's prices, in their currency
    bytes: int
    format: int | None


class RunList(Record):
    """The JSON form of the list."""

    format: int = 1
    runs: tuple[RunFacts, ...]


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something of a run that may be deleted."""

    what: What
    run: Run
    told: str
    size: int
    paths: tuple[Path, ...] = ()
    calls: frozenset[str] = frozenset()


# --- the list ---------------------------------------------------------------------------------------------------


def show(*, form: Literal["text", "json"] = "text", root: Path = RUNS) -> None:
    """Print the runs below `root` with what they hold, what they cost, and in which state they are."""
    with working("reading the runs"):
        found = tuple(facts(run) for run in all_runs(root))
    if form == "json":
        say(orjson.dumps(RunList(runs=found).model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        say(f"no runs in {root}; ilk generate makes one")
        return
    say_table(found)


def all_runs(root: Path) -> list[Run]:
    folders = sorted(root.iterdir()) if root.is_dir() else []
    runs = [Run(folder) for folder in folders if not folder.name.startswith(".")]
    return [run for run in runs if run.manifest.is_file() or run.ledger.is_file()]


def facts(run: Run) -> RunFacts:
    state, made = look(run)
    totals, busy = spent(run)
    kept = made and "generate" in made.inputs
    files = [path for path in (run.manifest, run.ledger) if path.is_file()]
    changed = max(path.stat().st_mtime for path in files)
    return RunFacts(
        name=run.folder.name,
        state="running" if busy else state,
        when=datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds"),
        stages=tuple(made.inputs) if made else (),
        leaves=len(made.leaves) if made and kept else None,
        samples=sum(leaf.kept for leaf in made.counts) if made and kept else None,
        calls=sum(one.calls for one in totals.values()) if totals is not None else None,
        tokens_in=sum(one.tokens_in for one in totals.values()) if totals is not None else None,
        tokens_out=sum(one.tokens_out for one in totals.values()) if totals is not None else None,
        money=money(made.generate, totals) if made and made.generate and totals is not None else None,
        bytes=size_of(run.folder),
        format=run.format,
    )


def look(run: Run) -> tuple[State, manifest.Manifest | None]:
    found = run.format
    if found is not None and found != FORMAT:
        return ("newer format" if found > FORMAT else "older format"), None
    try:
        made = manifest.read(run)
    except InputError:
        return "unreadable", None
    if unfinished(run):
        return "half forgotten", made
    done = manifest.finished(made) and "," not in made.inputs["generate"] and run.dataset.is_dir()
    return ("finished" if done else "incomplete"), made


def spent(run: Run) -> tuple[dict[str, Totals] | None, bool]:
    """What the ledger's calls came to, and whether a run is using it."""
    if not run.ledger.is_file():
        return {}, False
    try:
        with Books(run.ledger) as books:
            return books.totals(), False
    except InUseError:
        return None, True
    except InputError:
        return None, False


def money(recipe: GenerateRecipe, totals: dict[str, Totals]) -> float | None:
    """What the calls cost, if the recipe knows the price of every teacher that was asked."""
    prices: dict[str, tuple[float, float]] = {}
    local: tuple[float, float] | None = None
    for told in recipe.everybody:
        if told.price_in is None or told.price_out is None:
            continue
        if told.kind == "http":
            prices[f"http:{told.model}"] = (told.price_in, told.price_out)
        else:
            local = (told.price_in, told.price_out)
    found = 0.0
    for model, one in totals.items():
        price = prices.get(model) or (local if model.startswith("local:") else None)
        if price is None:
            return None
        found += (one.tokens_in * price[0] + one.tokens_out * price[1]) / MILLION
    return found if prices or local else None


def say_table(found: Sequence[RunFacts]) -> None:
    head = ("run", "state", "changed (UTC)", "leaves", "kept", "calls", "tokens", "money", "size", "done")
    lines = [
        (
            run.name,
            run.state,
            run.when[:16].replace("T", " "),
            number(run.leaves),
            number(run.samples),
            number(run.calls),
            number(None if run.tokens_in is None or run.tokens_out is None else run.tokens_in + run.tokens_out),
            "–" if run.money is None else f"{run.money:.2f}",
            readable(run.bytes),
            ", ".join(run.stages) or "–",
        )
        for run in found
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        cells = [
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def readable(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(inside.lstat().st_size for inside in path.rglob("*") if inside.is_symlink() or inside.is_file())


# --- cleaning ---------------------------------------------------------------------------------------------------


def clean(runs: Sequence[Run], *, checkpoints: bool, calls: bool, agreed: bool, root: Path = RUNS) -> None:
    """Delete leftovers and indexes of these runs, and what else is told, after saying how much; without runs, only say.

    Raises InputError without the user's consent, and for a run that is being used.
    """
    if not runs and (checkpoints or calls or agreed):
        raise InputError("no run is named", where="ilk runs clean", fix="name those to delete from: ilk runs")
    chosen = {"leftovers", "index"} | {name for name, told in (("checkpoints", checkpoints), ("calls", calls)) if told}
    with working("looking for what may be deleted"):
        found = [one for run in runs or all_runs(root) for one in rubbish(run, skip_busy=not runs)]
    going = [one for one in found if runs and one.what in chosen]
    for one in found:
        kept = f" (stays without --{one.what})" if runs and one not in going else ""
        say(f"{one.run.name}: {one.what:<11} {readable(one.size):>8}  {one.told}{kept}")
    if not found:
        say("nothing may be deleted")
    elif not runs:
        say("ilk runs clean RUN deletes leftovers and index; --checkpoints and --calls the rest")
    elif going:
        consent(going, agreed=agreed)
        for one in going:
            remove(one)
        say(f"deleted {readable(sum(one.size for one in going))}")


def consent(going: Sequence[Rubbish], *, agreed: bool) -> None:
    if agreed:
        return
    total = readable(sum(one.size for one in going))
    if sys.stdin.isatty() and input(f"delete {total}? [y/N] ").strip().lower() in ("y", "yes"):
        return
    raise InputError(f"{total} may be deleted, and were not", where="ilk runs clean", fix="--yes deletes them")


def rubbish(run: Run, *, skip_busy: bool) -> Iterator[Rubbish]:
    if not run.folder.is_dir():
        raise InputError("there is no such run", where=str(run.folder), fix="ilk runs lists them")
    if run.ledger.is_file():
        try:
            with Books(run.ledger):
                pass
        except InUseError:
            if skip_busy:
                return
            raise
    if left := tuple(leftovers(run)):
        told = f"{len(left)} files that nobody finished writing"
        yield Rubbish("leftovers", run, told, sum(map(size_of, left)), left)
    index = run.index(run.samples).parent
    if index.is_dir():
        yield Rubbish("index", run, "made again when ilk why needs it", size_of(index), (index,))
    checkpoints = run.training / "checkpoints"
    if checkpoints.is_dir() and run.adapter.is_dir():
        told = "of the phases before the adapter was whole; a changed phase is trained from the start without them"
        yield Rubbish("checkpoints", run, told, size_of(checkpoints), (checkpoints,))
    yield from unused_calls(run)


def leftovers(run: Run) -> Iterator[Path]:
    """Scratch files and folders of writes that were interrupted, and of merges."""
    training, index = run.training / "checkpoints", run.index(run.samples).parent
    for folder in (run.folder, run.dataset, run.dataset / "data", run.training, training, run.evaluation, index):
        yield from filter(left, scratch(folder))
    merging = scratch_of(run)
    if merging.is_dir() and left(merging):
        yield merging


def left(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > OLD


def unused_calls(run: Run) -> Iterator[Rubbish]:
    """Calls that no leaf of a finished run needs: of an earlier recipe, or of a leaf that has gone or was different."""
    state, made = look(run)
    if made is None or state == "half forgotten" or not manifest.finished(made) or not run.ledger.is_file():
        return
    with Books(run.ledger) as books:
        sizes = books.sizes()
    for _, call in uses(run):
        sizes.pop(call, None)
    if sizes:
        told = f"{len(sizes)} calls that no leaf needs now; they were paid for, and would be needed by what comes back"
        yield Rubbish("calls", run, told, sum(sizes.values()), calls=frozenset(sizes))


def remove(rubbish: Rubbish) -> None:
    if rubbish.calls:
        with Ledger(rubbish.run.ledger) as ledger:
            erase(ledger, rubbish.calls)
    for path in rubbish.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
