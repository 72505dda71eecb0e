"""Several adapters of one base as one, which is written only where its answers pass the gate."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from instructlab_like.console import say, working
from instructlab_like.errors import GateError, InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.summary import BASE, Summary
from instructlab_like.records import Answer, Item, digest
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import base_model
from instructlab_like.stages.exporting.export_model import conversations
from instructlab_like.stages.training.model_card import weights_digest
from instructlab_like.stages.training.retrained import Trained, ask
from instructlab_like.stages.training.train import need_stack
from instructlab_like.workspace import Run, cores, read_records

if TYPE_CHECKING:
    from instructlab_like.tuning.combined import Combined, How

MERGED = "combined"  # what the new adapter is called among answers


def combine(
    run: Run,
    folder: Path,
    adapters: Sequence[Path],
    *,
    how: How = "linear",
    weights: Sequence[float] = (),
    density: float = 0.5,
    rank: int | None = None,
    seed: int = 0,
) -> None:
    """Combine adapters, put the run's own questions to the result and its parts, and write it into `folder`, new.

    Raises InputError for adapters, weights or a folder that will not do, and for a run that was not evaluated;
    StoppedError where the result computes something else than its parts add up to; GateError where the gate stops it.
    Nothing is written then.
    """
    need_stack()
    trained, items = ready(run)
    weights = tuple(weights) or (1 / len(adapters),) * len(adapters)
    expect(adapters, weights, density, rank)
    import torch  # on demand, as the next: `need_stack` has made sure of it

    from instructlab_like.tuning.combined import combinable
    from instructlab_like.tuning.combined import combine as together
    from instructlab_like.tuning.merged import refuse_target

    refuse_target(folder)
    for adapter in adapters:
        combinable(adapter)
    torch.set_num_threads(trained.asked.threads or cores())
    told = f"{how} of " + ", ".join(f"{weight:g} × {path}" for weight, path in zip(weights, adapters, strict=True))
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"combine: {told}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        place = Path(scratch) / folder.name
        with working("combining"):
            facts = together(
                base_model(run, trained.made, trained.asked),
                adapters,
                place,
                how=how,
                weights=weights,
                density=density,
                rank=rank,
                seed=seed,
                conversations=conversations(run),
                card=lambda found: card(told, density if how != "linear" else None, found),
                inputs=digest([how, weights, density, rank, seed, [weights_digest(path) for path in adapters]]),
            )
        for line in facts.lines():
            say(f"  {line}")
        judge(trained, items, place, adapters)
        place.rename(folder)
    say(f"combine: {folder}")


def ready(run: Run) -> tuple[Trained, list[Item]]:
    """The run with its questions; InputError where it was not evaluated."""
    made = manifest.read(run)
    if made.train is None or made.evaluate is None or not run.summary.is_file():
        what = "a combination is written only after it was asked, and this run has no questions yet"
        raise InputError(what, where=str(run.folder), fix="ilk train and ilk evaluate first, or another --run")
    items = list(read_records(run.evaluation / "items.jsonl", Item))
    return Trained(run, made, made.train, made.evaluate, MERGED, Counter()), items


def expect(adapters: Sequence[Path], weights: Sequence[float], density: float, rank: int | None) -> None:
    """Raise InputError for what needs no model to be seen to be wrong."""
    if len(set(adapters)) < 2:
        raise InputError("there is nothing to combine", where="--adapter", fix="give it for two adapters or more")
    if len(weights) != len(adapters):
        what = f"{len(weights)} weights for {len(adapters)} adapters"
        raise InputError(what, where="--weight", fix="give one for each --adapter, in their order, or none")
    if not all(map(math.isfinite, weights)) or not any(weights):
        what = f"are {', '.join(f'{weight:g}' for weight in weights)}"
        raise InputError(what, where="--weight", fix="numbers, one of them other than 0")
    if not 0 < density <= 1:
        raise InputError(f"is {density:g}", where="--density", fix="a part of each update to keep: above 0, up to 1")
    if rank is not None and rank < 1:
        raise InputError(f"is {rank}", where="--rank", fix="1 or more")


def judge(trained: Trained, items: Sequence[Item], place: Path, adapters: Sequence[Path]) -> None:
    """Ask the combination and its parts, show them beside the base, and raise GateError where the first fails."""
    parts = {f"{number}: {path.parent.name}/{path.name}": path for number, path in enumerate(adapters, start=1)}
    answers = ask(trained, {MERGED: place, **parts}, items)
    base = [one for one in read_records(trained.run.evaluation / "answers.jsonl", Answer) if one.model == BASE]
    say(summary.table(summarised(trained, items, [*base, *answers])))
    found = summarised(trained, items, [*base, *(one for one in answers if one.model == MERGED)])
    if found.gate and found.gate.reasons:
        fix = "other --weight, --density or --how; the parts themselves stay as they are"
        what = "\n  ".join(["the gate says no, and nothing was written:", *found.gate.reasons])
        raise GateError(what, where=MERGED, fix=fix)


def summarised(trained: Trained, items: Sequence[Item], answers: Sequence[Answer]) -> Summary:
    recipe = trained.asked
    return summary.summarise(
        items,
        answers,
        enough=recipe.enough,
        leaves=trained.made.counts,
        base=trained.recipe.model,
        protect=(*recipe.protect, *trained.recipe.protect),
        margin=recipe.margin,
    )


def card(told: str, density: float | None, found: Combined) -> str:
    lines = ["# A combination of adapters", "", f"{told}" + (f", density {density:g}" if density else ""), ""]
    return "\n".join([*lines, *(f"- {line}" for line in found.lines()), ""])
