"""Remove all that a run holds of a leaf, the answers of teachers included, and derive the rest again."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Collection, Sequence
from typing import cast

from pydantic import ValidationError

from instructlab_like.console import say, warn, working
from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.upkeep import erase, keys_of
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Record
from instructlab_like.stages import manifest
from instructlab_like.stages.generating import routes
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.generating.parents import going_on_from, sources
from instructlab_like.stages.lookup import rows_of, samples_of, uses, verdicts_of
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, dump, write_whole

PENDING = ".forgetting"


class Pending(Record):
    """What is being forgotten; on disk until it is, so that a stop half-way can be gone on with. Holds no text."""

    leaves: tuple[str, ...]
    calls: tuple[str, ...]  # that these leaves alone need
    unused: tuple[str, ...]  # that no leaf needs: they may be of an older version of these
    shared: int  # calls that another leaf needs, too: they stay
    samples: int
    verdicts: int


def forget(run: Run, leaf: str, *, keep_unused: bool = False) -> None:
    """Remove a leaf's samples, verdicts and rows, and the calls that it alone needs; it is left out from then on.

    `leaf` may be a folder of leaves. Calls that no leaf needs go, too, unless `keep_unused`: whose they were is not
    known. Nothing is asked. Raises InputError for a run that is not finished, that another command is using, or that
    went on from one that is gone.
    """
    made = manifest.read(run)
    if made.generate is None:
        raise InputError("there is no such run, or it made nothing yet", where=str(run.folder), fix="see: ilk runs")
    told = leaf.strip("/").removeprefix("./").removeprefix(made.generate.taxonomy.strip("/") + "/")
    with Ledger(run.ledger) as ledger:  # nobody else can work on the run meanwhile
        begun = unfinished(run)
        if not begun:
            need_earlier(made.generate)
        pending = begun or gather(run, made, named(made, told), ledger, keep_unused=keep_unused)
        write_whole(run.folder / PENDING, pending.model_dump_json().encode())
        left = without(run, made, pending.leaves)
        with working("erasing"):
            erased = erase(ledger, (*pending.calls, *pending.unused))
        gone = discard(run, pending.leaves)
        (run.folder / PENDING).unlink()
    tell(run, pending, erased, gone)
    assert left.generate is not None
    if left.leaves:
        generate(run, left.generate, agreed=True, asking=False, judging=False)
    else:
        say("forget: no leaf is left in this run")
    if begun and not matching(told, begun.leaves):
        forget(run, leaf, keep_unused=keep_unused)


def unfinished(run: Run) -> Pending | None:
    """What an interrupted `forget` has still to do."""
    path = run.folder / PENDING
    if not path.is_file():
        return None
    try:
        return Pending.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError("is damaged", where=str(path), fix="delete it, then forget the leaf again") from error


def need_earlier(recipe: GenerateRecipe) -> None:
    """Raise InputError where a run that this one went on from is gone: what is left could not be derived without it."""
    for option, names in going_on_from(recipe).items():
        for name in names:
            sources(name, option)


def matching(told: str, leaves: Sequence[str]) -> tuple[str, ...]:
    """The leaf of that path, or those of the folder."""
    return tuple(path for path in leaves if path == told or path.startswith(f"{told}/"))


def named(made: Manifest, told: str) -> tuple[str, ...]:
    known = sorted({origin.path for origin in made.leaves} | {count.leaf for count in made.counts})
    if found := matching(told, known):
        return found
    near = difflib.get_close_matches(told, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "its leaves stand in run.yaml"
    if made.generate and told in made.generate.exclude:
        hint = "it was forgotten before"
    raise InputError("this run has no such leaf", where=told, fix=hint)


def gather(run: Run, made: Manifest, leaves: tuple[str, ...], ledger: Ledger, *, keep_unused: bool) -> Pending:
    """What is to be removed. Only a finished run's files say whose each call is."""
    if not manifest.finished(made):
        raise InputError(
            "is not finished, so that it is not known yet which calls are whose",
            where=str(run.folder),
            fix=f"finish it (ilk generate --run {run.name}), then forget the leaf",
        )
    with working("looking for all that came of it"):
        mine: set[str] = set()
        others: set[str] = set()
        for leaf, call in uses(run):
            (mine if leaf in leaves else others).add(call)
        unused = set() if keep_unused else keys_of(ledger) - mine - others
        return Pending(
            leaves=leaves,
            calls=tuple(sorted(mine - others)),
            unused=tuple(sorted(unused)),
            shared=len(mine & others),
            samples=sum(sample["lineage"]["leaf"] in leaves for sample in samples_of(run)),
            verdicts=sum(verdict["leaf"] in leaves for verdict in verdicts_of(run)),
        )


def without(run: Run, made: Manifest, leaves: Sequence[str]) -> Manifest:
    """Write run.yaml as it is without these leaves: nothing but the training counts as done any more."""
    assert made.generate is not None
    excluded = {*made.generate.exclude, *leaves}
    left = made.model_copy(
        update={
            "generate": made.generate.model_copy(update={"exclude": tuple(sorted(excluded))}),
            "inputs": {name: inputs for name, inputs in made.inputs.items() if name == "train"},
            "leaves": tuple(origin for origin in made.leaves if origin.path not in excluded),
            "counts": tuple(count for count in made.counts if count.leaf not in excluded),
            "shortfalls": (),
            "phases": (),
        }
    )
    manifest.write(run, left)
    return left


def discard(run: Run, leaves: Collection[str]) -> list[str]:
    """Delete every file that may hold text of the leaves; returns the names of those that are not simply derived anew.

    Whose the evaluation's calls are stays known of the other leaves: what was paid for them is needed again.
    """
    routes.without(run, leaves)
    asked = [row for row in rows_of(run.asked) if cast("dict[str, str]", row)["leaf"] not in leaves]
    lasting = [path.name for path in (run.evaluation, *run.reports) if path.exists()]
    index = run.index(run.samples).parent
    scratch = [path for path in run.folder.iterdir() if path.name.startswith(".") and path.name != PENDING]
    for path in (
        run.plan,
        run.samples,
        run.replaced,
        run.verdicts,
        run.judged,
        run.waterfall,
        run.dataset,
        index,
        run.evaluation,
        *run.reports,
        *scratch,
    ):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if asked:
        run.evaluation.mkdir()
        write_whole(run.asked, b"".join(map(dump, asked)))
    return lasting


def tell(run: Run, pending: Pending, erased: int, gone: Sequence[str]) -> None:
    for leaf in pending.leaves:
        say(f"forgotten: {leaf}")
    say(f"  removed: {pending.samples} samples and {pending.verdicts} verdicts, with their rows of the dataset")
    unused = f", {len(pending.unused)} of them needed by no leaf any more" if pending.unused else ""
    say(f"  erased from the ledger: {erased} calls{unused}")
    if pending.shared:
        say(f"  {pending.shared} calls stay: other leaves ask the very same")
    for name in gone:
        again = "report" if name.startswith(run.report.stem) else "evaluate"
        say(f"  removed: {name}, which quotes it; ilk {again} makes it again")
    if run.training.is_dir():
        warn(f"  {run.training.name} was trained on it and stays: ilk train --run {run.name} trains anew without it")
