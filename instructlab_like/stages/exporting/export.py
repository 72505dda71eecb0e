"""A finished run for other programs: asks a format what is to be written, and writes it into a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from instructlab_like.console import say, warn, working
from instructlab_like.dataset import formats
from instructlab_like.dataset.formats import Asked, Question
from instructlab_like.dataset.write import write_pieces
from instructlab_like.errors import InputError, explain
from instructlab_like.evaluation import choices, score
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item, Leaf, LeafOrigin, Preference, Record, Row, Sample, blob_id, with_context
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.examining import gathered
from instructlab_like.stages.library import read_leaves
from instructlab_like.taxonomy.read import examine_qna
from instructlab_like.taxonomy.repository import Repository, enclosing
from instructlab_like.taxonomy.sizes import LARGEST_FILE
from instructlab_like.taxonomy.tree import QNA, LeafFiles, content, place_of
from instructlab_like.workspace import Run, dump, find, read_records, write_whole

LIST = ".ilk-export.json"  # what an export wrote; `datasets` passes over names that begin with a point


class Written(Record):
    """Which files of a folder an export wrote, and may therefore replace or remove."""

    format: int = 1
    files: tuple[str, ...]


class FinishedRun:
    """What a run has, read when it is asked for."""

    def __init__(self, run: Run, taxonomy: str | None) -> None:
        self._run = run
        self._manifest = manifest.read(run)
        recipe = self._manifest.generate
        if recipe is None or "generate" not in self._manifest.inputs:
            what = "this run is not finished" if run.folder.is_dir() else "there is no such run"
            raise InputError(what, where=str(run.folder), fix="run ilk generate first, or name another with --run")
        self.seed = recipe.seed
        self._root = find(taxonomy or recipe.taxonomy)

    @property
    def card(self) -> str:
        path = self._run.dataset / "README.md"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("cannot be read", where=str(path), fix="run ilk generate again") from error

    def rows(self, name: str) -> Iterator[Row]:
        path = self._run.dataset / name
        return read_records(path, Row) if path.exists() else iter(())

    def samples(self) -> Iterator[Sample]:
        for path in (self._run.samples, self._run.replaced):
            if path.is_file():
                yield from read_records(path, Sample)

    def preferences(self) -> Iterator[Preference]:
        path = self._run.preferences
        return read_records(path, Preference) if path.is_file() else iter(())

    def leaves(self) -> Sequence[Leaf]:
        if not self._root.is_dir():
            raise InputError(
                "the run's taxonomy is not there", where=str(self._root), fix="name it with --taxonomy DIR"
            )
        with enclosing(self._root) as repository:
            return [leaf_of(self._root, origin, repository) for origin in self._manifest.leaves]

    def asked(self) -> Asked:
        recipe = self._manifest.evaluate or EvaluateRecipe()
        evaluated = self._run.evaluation / "items.jsonl"
        found = list(read_records(evaluated, Item)) if evaluated.is_file() else self._to_ask(recipe)
        sources = [Path(str(module.__file__)) for module in (score, choices)]
        scoring = {source.name: source.read_bytes() for source in sources}
        return Asked([as_asked(item) for item in found], new_tokens=recipe.max_new_tokens, scoring=scoring)

    def _to_ask(self, recipe: EvaluateRecipe) -> list[Item]:
        """What `ilk evaluate` would ask."""
        assert self._manifest.generate
        generated = self._manifest.generate.model_copy(update={"taxonomy": str(self._root)})
        leaves = read_leaves(self._root, generated.leaves, generated.exclude)
        return gathered(self._run, generated, leaves, recipe).questions


def as_asked(item: Item) -> Question:
    """The item as `ilk evaluate` puts it to a model: options are weighed, not listed."""
    return Question(item, with_context(item.question, item.context), item.answer, item.options)


def leaf_of(root: Path, origin: LeafOrigin, repository: Repository | None) -> Leaf:
    """The leaf as it stood when the run was made: in the working tree, or else in Git's objects."""
    place = place_of(root, origin.path)
    data = content(root, f"{origin.path}/{QNA}")
    if data is None or blob_id(data) != origin.blob:
        data = former(origin.blob, repository)
    if data is None:
        fix = "run ilk generate again, or name the tree that the run was made of with --taxonomy DIR"
        raise InputError(
            "has changed since the run was made, and Git does not have it", where=place.naming(QNA), fix=fix
        )
    folders = (root.resolve().name, *origin.path.split("/"))
    reading = examine_qna(place, LeafFiles({QNA: data}, {}), folders=folders)
    if reading.leaf is None:
        raise InputError("cannot be read any more", where=place.naming(QNA), fix=f"ilk check {place.folder} says why")
    return reading.leaf


def former(blob: str, repository: Repository | None) -> bytes | None:
    try:
        return repository.blob(blob, largest=LARGEST_FILE) if repository else None
    except InputError:
        return None


def export(run: Run, name: str, folder: Path, options: Mapping[str, object], *, taxonomy: str | None = None) -> None:
    """Write the run's dataset in the format `name` into `folder`.

    Files of an earlier export there are replaced, or removed where they have nothing to hold any more. Raises
    InputError for an unknown format or option, a run that is not finished, and a file that no export wrote.
    """
    form = formats.build(name, options)
    with working("reading the run"):
        made = form.export(FinishedRun(run, taxonomy), folder)
    names = [file.name for file in made.files]
    before = earlier(folder)
    for name_of in names:
        if name_of not in before and os.path.lexists(folder / name_of):
            fix = "name another folder, or move the file away"
            raise InputError("is there already, and no export wrote it", where=str(folder / name_of), fix=fix)
    # Whatever a stop leaves behind is listed, so the next export knows it for its own.
    write_whole(folder / LIST, dump(Written(files=tuple(sorted({*before, *names}))).model_dump(mode="json")))
    with working("writing"):
        for file in made.files:
            say(f"  {file.name}: {shown(file.name, *write_pieces(folder / file.name, file.chunks))}")
    for gone in before - set(names):
        (folder / gone).unlink(missing_ok=True)
    write_whole(folder / LIST, dump(Written(files=tuple(sorted(names))).model_dump(mode="json")))
    for note in made.notes:
        warn(f"  {note}")
    say(f"export: {len(names)} files for {name} → {folder}")


def earlier(folder: Path) -> set[str]:
    """The files that an earlier export wrote into the folder."""
    path = folder / LIST
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir():
        raise InputError("is no folder", where=str(folder), fix="name a folder, new or empty")
    if not path.exists():
        return set()
    try:
        files = Written.model_validate_json(path.read_bytes()).files
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=str(path), fix="name another folder") from error
    for file in map(PurePosixPath, files):
        if file.is_absolute() or ".." in file.parts:
            raise InputError(f"lists a file outside the folder: {file}", where=str(path), fix="name another folder")
    return set(files)


def shown(path: str, pieces: int, size: int) -> str:
    return f"{pieces} rows" if path.endswith(".jsonl") else f"{size:,} bytes"
