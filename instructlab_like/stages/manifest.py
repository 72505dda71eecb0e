"""run.yaml: the recipes with every default written out, versions, leaves with their origins, what stages read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from instructlab_like.console import say
from instructlab_like.errors import InputError, explain
from instructlab_like.generation.ledger import Spent
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, Recipe, TrainRecipe
from instructlab_like.records import LeafCounts, LeafOrigin, PhaseCount, Record, digest
from instructlab_like.teachers.probe import Capabilities
from instructlab_like.workspace import FORMAT, Run, versions, write_whole

BUDGET = "stopped by its budget"  # in the digest of a dataset that is to be gone on with
StageName = Literal["generate", "train", "evaluate", "report"]


class Shortfall(Record):
    """A leaf that gets nothing, or less than it might, and why."""

    leaf: str
    reason: str


class Manifest(Record):
    format: int = FORMAT
    versions: dict[str, str] = {}
    commit: str | None = None  # of the taxonomy's repository
    leaves: tuple[LeafOrigin, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    counts: tuple[LeafCounts, ...] = ()
    phases: tuple[PhaseCount, ...] = ()
    capabilities: dict[str, Capabilities] = {}  # what each teacher was found able to do, by its identity
    spent: dict[str, Spent] = {}  # over all calls of the run, by the teacher's identity
    generate: GenerateRecipe | None = None
    train: TrainRecipe | None = None
    evaluate: EvaluateRecipe | None = None
    inputs: dict[StageName, str] = {}  # digest of all that a finished stage read


def read(run: Run) -> Manifest:
    """The manifest of a run; an empty one for a run that does not exist yet.

    Raises InputError for a run that another version wrote; `renew` takes on an older one.
    """
    if not run.manifest.exists():
        return Manifest()
    run.need_format()
    try:
        told = yaml.load(run.manifest.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        return Manifest.model_validate(told)
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        what = "; ".join(explain(error)) if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"cannot be read: {what}", where=str(run.manifest), fix="choose another --run, or delete this run's folder"
        ) from error


def renew(run: Run) -> None:
    """Take on a run of an older format: its recipes are forgotten, and so every stage writes its files anew.

    What was paid for stays: the ledger brings itself up to date when it is opened.
    """
    found = run.format
    if found is not None and found < FORMAT:
        say(f"this run was written by format {found}: its files are written anew, the answers in its ledger are kept")
        write(run, Manifest())


def finished(manifest: Manifest) -> bool:
    """Whether the files of the run are those of all its walks; a call may still lack its answer."""
    done = manifest.inputs.get("generate")
    return done is not None and BUDGET not in done


def write(run: Run, manifest: Manifest) -> None:
    text = yaml.safe_dump(manifest.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    write_whole(run.manifest, text.encode("utf-8"))


def finish(run: Run, stage: StageName, inputs: str, recipe: Recipe | None = None, **facts: object) -> Manifest:
    """Record that a stage is done with these inputs; the stages after it read its outputs and notice by themselves."""
    before = read(run)
    changed: dict[str, object] = {"versions": versions(), "inputs": before.inputs | {stage: inputs}, **facts}
    if recipe is not None:
        changed[stage] = recipe
    manifest = before.model_copy(update=changed)
    write(run, manifest)
    return manifest


def forget(run: Run, stage: StageName) -> None:
    """Mark a stage as not done before it starts again, so that a stop half-way leaves nothing that looks finished."""
    before = read(run)
    if stage in before.inputs:
        left = {name: value for name, value in before.inputs.items() if name != stage}
        write(run, before.model_copy(update={"inputs": left}))


def changes(before: Recipe | None, after: Recipe, *, but: Sequence[str] = ()) -> list[str]:
    """The options in which two recipes differ, as "name: old → new"; those named in `but` may."""
    if before is None:
        return []
    old, new = (recipe.model_dump(mode="json", exclude=set(but)) for recipe in (before, after))
    return [f"{name}: {old[name]} → {new[name]}" for name in new if old.get(name) != new[name]]


def inputs_digest(parts: Mapping[str, object], files: Mapping[str, Path]) -> str:
    """One digest over JSON values and the bytes of files or folders (absent ones count as absent)."""
    return digest({"parts": dict(parts), "files": {name: file_digest(path) for name, path in files.items()}})


def file_digest(path: Path) -> str | None:
    """SHA-256 of a file, or of the names and digests of a folder's files; None when there is neither."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        return digest([[str(file.relative_to(path)), file_digest(file)] for file in inside])
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
