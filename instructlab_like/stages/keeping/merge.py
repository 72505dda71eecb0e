"""Several runs into one: the answers of all their ledgers, and the dataset that follows from them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from instructlab_like.console import say, working
from instructlab_like.errors import InputError
from instructlab_like.generation.upkeep import join
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run

FREE = {"leaves", "mirrors", "document_hosts", "budget"}  # what may differ: where things are had, and for how much


def merge(runs: Sequence[Run], into: Run) -> None:
    """Join the ledgers of runs in a new one, and derive its dataset without asking; the first answer to a call counts.

    Raises InputError for recipes that differ in what decides the samples, and for a run that exists already.
    """
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        raise InputError("name two different runs at least", where="ilk runs merge", fix="ilk runs lists them")
    if into.folder.exists():
        raise InputError("exists already", where=str(into.folder), fix="choose a new name for --into")
    recipe = merged([(run, recipe_of(run)) for run in runs])
    scratch = Run(scratch_of(into))
    shutil.rmtree(scratch.folder, ignore_errors=True)
    try:
        with working("joining the ledgers"):
            join(scratch.ledger, [run.ledger for run in runs if run.ledger.is_file()])
        manifest.write(scratch, Manifest(generate=recipe))
        scratch.folder.rename(into.folder)
    except BaseException:
        shutil.rmtree(scratch.folder, ignore_errors=True)
        raise
    say(f"merge: {' + '.join(run.name for run in runs)} → {into.folder}")
    generate(into, recipe, agreed=True, asking=False)


def scratch_of(run: Run) -> Path:
    """Where a merged run is put together before it gets its name."""
    return run.folder.with_name(f".{run.folder.name}.merging")


def recipe_of(run: Run) -> GenerateRecipe:
    made = manifest.read(run)
    if made.generate is None:
        raise InputError("there is no such run, or it made nothing yet", where=str(run.folder), fix="see: ilk runs")
    return made.generate


def merged(given: Sequence[tuple[Run, GenerateRecipe]]) -> GenerateRecipe:
    """The recipe of all; raises InputError naming each option in which they differ."""
    (first_run, first), *others = given
    conflicts = []
    for run, recipe in others:
        mine, theirs = deciding(first), deciding(recipe)
        conflicts += [
            f"{name}: {mine[name]} in {first_run.name}, {theirs[name]} in {run.name}"
            for name in mine
            if mine[name] != theirs[name]
        ]
    if conflicts:
        fix = "bring them to one recipe with ilk generate --yes (answers that are there are not asked again)"
        raise InputError("the runs' recipes differ: " + "; ".join(conflicts), where="ilk runs merge", fix=fix)
    recipes = [recipe for _, recipe in given]
    everything = any(not recipe.leaves for recipe in recipes)
    return first.model_copy(
        update={
            "leaves": () if everything else tuple(sorted({leaf for recipe in recipes for leaf in recipe.leaves})),
            "exclude": tuple(sorted({leaf for recipe in recipes for leaf in recipe.exclude})),
            "mirrors": {url: path for recipe in reversed(recipes) for url, path in recipe.mirrors.items()},
            "document_hosts": tuple(sorted({host for recipe in recipes for host in recipe.document_hosts})),
        }
    )


def deciding(recipe: GenerateRecipe) -> dict[str, object]:
    """The options that decide the samples: not where a teacher is reached, nor how fast it is asked."""
    told = recipe.model_dump(mode="json", exclude=FREE)
    del told["exclude"]  # what one run has forgotten, all of them together have
    told["teacher"] = asked(recipe.teacher)
    told["roles"] = {role: asked(teacher) for role, teacher in recipe.roles.items()}
    told["teachers"] = {name: asked(teacher) for name, teacher in recipe.teachers.items()}
    return told


def asked(teacher: TeacherRecipe | None) -> str | None:
    return f"{teacher.kind} {teacher.model}" if teacher else None
