"""What more data would do: train on 10 and 30 % of the run's rows, too, ask all models the same, and draw the curve.

The parts are nested, each leaf gives the same share, and each training makes about as many steps as the whole one, so
that the curve tells of data and not of time. What was measured stands in 6-evaluation/scaling.json.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

from pydantic import ValidationError

from instructlab_like.console import say
from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.evaluation.scaling import Scaling, curve
from instructlab_like.evaluation.summary import BASE
from instructlab_like.generation.figures import span_of_time
from instructlab_like.recipe import EvaluateRecipe, TrainRecipe
from instructlab_like.records import Answer, Item, digest, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import TUNED, evaluate
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import retrained
from instructlab_like.stages.training.retrained import Trained, ask, copy, part, ready, rows, seconds_taken
from instructlab_like.stages.training.train import Place, expect_ready, train
from instructlab_like.workspace import FORMAT, Run, dump, read_records, write_records, write_whole

SHARES = (0.1, 0.3)  # of the rows, beside all of them and none
FILE, FOLDER = "scaling.json", "scaling"  # of 6-evaluation


def scaling(run: Run, recipe: TrainRecipe, *, agreed: bool = False, restart: bool = False) -> None:
    """Train and evaluate the run where that is not done, then its parts, and say what the data did.

    Interrupted, the same command goes on; what is finished is not done again. Raises what `train` and `evaluate` do.
    """
    Place.alone(recipe)
    expect_ready(run, recipe)
    train(run, recipe, agreed=agreed, restart=restart)
    asked = manifest.read(run).evaluate or EvaluateRecipe()
    evaluate(run, asked.model_copy(update={"checkpoints": (), "judge": None}))
    made = manifest.read(run)
    inputs = inputs_of_curve(made)
    if measured := known(run, inputs):
        say(f"scaling: up to date ({run.evaluation / FILE})")
    else:
        measured = measure(ready(run, made, TUNED), inputs)
        write_whole(run.evaluation / FILE, dump(plain(measured)))
    for line in measured.lines():
        say(f"  {line}")


def inputs_of_curve(made: Manifest) -> str:
    return digest([FORMAT, made.inputs.get("train"), made.inputs.get("evaluate"), SHARES])


def known(run: Run, inputs: str) -> Scaling | None:
    """What was measured before of the same; nothing where it cannot be read, for then it is measured again."""
    try:
        found = Scaling.model_validate_json((run.evaluation / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.inputs == inputs else None


def measure(trained: Trained, inputs: str) -> Scaling:
    run = trained.run
    took = seconds_taken(run)
    long = f", about {span_of_time(took * len(SHARES))} by what this run's own took" if took else ""
    say(f"scaling: {len(SHARES)} trainings on {' and '.join(f'{share:.0%}' for share in SHARES)} of the rows{long}")
    sizes: dict[float, int] = {0.0: 0, 1.0: trained.rows.total()}
    items = list(read_records(run.evaluation / "items.jsonl", Item))
    before = list(read_records(run.evaluation / "answers.jsonl", Answer))
    ends: dict[float, str] = {0.0: BASE, 1.0: trained.checkpoint}
    drawn(trained, items, before, ends, sizes, inputs)  # what cannot be drawn is said before anything is trained
    adapters: dict[str, Path] = {}
    for share in SHARES:
        other = derived(trained, share)
        sizes[share] = retrained.rows_by_leaf(other.dataset).total()
        train(other, as_long(trained, share), agreed=True)
        shutil.rmtree(other.training / "checkpoints", ignore_errors=True)
        adapters[f"{share:.0%}"] = other.adapter
    answers = ask(trained, adapters, items)
    write_records(run.evaluation / FOLDER / "answers.jsonl", answers)
    named = ends | {share: f"{share:.0%}" for share in SHARES}
    return drawn(trained, items, [*before, *answers], named, sizes, inputs)


def drawn(
    trained: Trained,
    items: Sequence[Item],
    said: Sequence[Answer],
    named: Mapping[float, str],
    sizes: Mapping[float, int],
    inputs: str,
) -> Scaling:
    """The curve of the models that are named so among answers, by their shares."""
    return curve(
        items,
        {share: [one for one in said if one.model == name] for share, name in named.items()},
        sizes,
        counts=trained.made.counts,
        enough=trained.asked.enough,
        inputs=inputs,
    )


def derived(trained: Trained, share: float) -> Run:
    """The run with so large a part of the rows of each leaf and phase; a part of the parts that are larger."""
    run, told = trained.run, trained.made.generate
    assert told is not None
    place = run.evaluation / FOLDER / f"{share:.0%}".rstrip("%")
    wanted = first(run.dataset, share)
    into = Run(place).dataset
    part(run.dataset, into, lambda row: str(row["sample"]) in wanted)
    copy(run.dataset / TEST, into / TEST, lambda _: True)
    inputs = digest([inputs_of_curve(trained.made), share])
    return retrained.derived(trained, place, inputs=inputs, generate=told)


def first(dataset: Path, share: float) -> frozenset[str]:
    """The samples in the part, whichever phase they are in: of each leaf those with the least digests, one at least."""
    leaves: dict[str, set[str]] = {}
    for name in (KNOWLEDGE, SKILLS):
        for row in rows(dataset / name):
            leaves.setdefault(str(row["leaf"]), set()).add(str(row["sample"]))
    found: list[str] = []
    for leaf, samples in leaves.items():
        drawn = sorted(samples, key=lambda sample: digest([leaf, sample]))
        found += drawn[: max(1, round(share * len(drawn)))]
    return frozenset(found)


def as_long(trained: Trained, share: float) -> TrainRecipe:
    """The run's own recipe with as many more epochs as there is less data, in steps of the same size."""
    recipe = trained.recipe
    phases = tuple(phase.model_copy(update={"epochs": phase.epochs / share}) for phase in recipe.phases)
    # tuning.phases knows these records, but brings transformers with it
    made = cast("Iterator[Mapping[str, int]]", rows(trained.run.training / "plan.jsonl"))
    step = recipe.batch_tokens or round(fmean(one["rows_per_step"] * one["tokens"] / one["rows"] for one in made))
    # What it logs elsewhere is of the run alone.
    return recipe.model_copy(update={"phases": phases, "batch_tokens": max(64, step), "trackers": ()})
