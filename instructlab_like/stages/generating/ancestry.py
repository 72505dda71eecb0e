"""The samples that a sample descends from, through the runs that its run went on from, as far as they are still there.

No pydantic, as in `lookup`: `ilk why` is told from this.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson
import yaml

from instructlab_like.stages.lookup import Lookup, SampleRow
from instructlab_like.workspace import Run, run_folder

SAMPLES = "2-samples.jsonl"
MOST = 200  # ancestors that are told of


@dataclass(frozen=True)
class Ancestor:
    """A sample that another descends from; of one that cannot be found only its id is known, and `note` says why."""

    id: str
    question: str | None = None
    answer: str | None = None
    run: str | None = None  # the earlier run that it is in; None: the descendant's own
    depth: int | None = None
    leaf: str | None = None
    leaf_blob: str | None = None
    flow: str | None = None
    model: str | None = None
    seed: int | None = None  # number of the seed example that its first prompt showed
    chunk: str | None = None
    parents: tuple[str, ...] = ()
    note: str = ""


def ancestors(run: Run, lookup: Lookup, sample: SampleRow) -> tuple[Ancestor, ...]:
    """All of a sample's ancestors, its parents first, each once."""
    waiting = deque((parent, Place(run, None, lookup)) for parent in sample["lineage"]["parents"])
    found: dict[str, Ancestor] = {}
    while waiting and len(found) < MOST:
        id, place = waiting.popleft()
        if id in found:
            continue
        row, where = place.find(id)
        if row is None:
            found[id] = Ancestor(id, note=place.lost())
            continue
        found[id] = ancestor(row, where.name)
        waiting += [(parent, where) for parent in row["lineage"]["parents"]]
    return tuple(found.values())


def ancestor(row: SampleRow, run: str | None) -> Ancestor:
    lineage = row["lineage"]
    return Ancestor(
        id=row["id"],
        question=row["question"],
        answer=row["answer"],
        run=run,
        depth=lineage["depth"],
        leaf=lineage["leaf"],
        leaf_blob=lineage["leaf_blob"],
        flow=lineage["flow"],
        model=lineage["model"],
        seed=lineage["seed"],
        chunk=lineage["chunk"],
        parents=tuple(lineage["parents"]),
    )


@dataclass(frozen=True)
class Place:
    """Where samples are looked for: a run, then the runs and files that it went on from."""

    run: Run | None  # None: a file
    name: str | None
    lookup: Lookup | None = None
    file: Path | None = None

    def find(self, id: str) -> tuple[SampleRow | None, Place]:
        for place in (self, *self.earlier()):
            if row := place.own(id):
                return row, place
        return None, self

    def own(self, id: str) -> SampleRow | None:
        if self.lookup is not None:
            return self.lookup.sample(id)
        if self.run is not None:
            with Lookup(self.run) as lookup:
                return lookup.sample(id)
        return in_file(self.file, id) if self.file else None

    def earlier(self) -> Iterator[Place]:
        for name in named(self.run) if self.run else ():
            run = run_of(name)
            if run is not None:
                yield Place(run, name)
            elif Path(name).expanduser().is_file():
                yield Place(None, name, file=Path(name).expanduser())

    def lost(self) -> str:
        """Why a parent cannot be found."""
        names = named(self.run) if self.run else ()
        gone = [name for name in names if run_of(name) is None and not Path(name).expanduser().is_file()]
        if gone:
            return f"{', '.join(gone)} is not there any more, so that it cannot be told further"
        return f"{', '.join(names) or 'its run'} does not have it any more, so that it cannot be told further"


def in_file(path: Path, id: str) -> SampleRow | None:
    key = id.encode()
    with path.open("rb") as file:
        for line in file:
            if key in line:
                row = orjson.loads(line)
                if row["id"] == id:
                    return cast("SampleRow", row)
    return None


def run_of(name: str) -> Run | None:
    """The run of that name or folder, or whose samples the file holds; None if there is none."""
    path = Path(name).expanduser()
    folders = [path.parent] if path.name == SAMPLES else [run_folder(name).folder, path]
    return next((run for run in map(Run, folders) if run.manifest.is_file()), None)


def named(run: Run) -> Sequence[str]:
    """The runs and files that a run went on from, as its recipe names them."""
    if not run.manifest.is_file():
        return ()
    told = section(run.manifest.read_text(encoding="utf-8", errors="replace"), "generate")
    try:
        recipe = yaml.load(told, Loader=yaml.CSafeLoader)["generate"]
        names = [*recipe.get("parents", ()), recipe.get("carry", "")]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(dict.fromkeys(str(name) for name in names if name))


def elsewhere(run: Run, subject: str) -> str | None:
    """The earlier run that has a sample whose id begins so, as --run takes it."""
    seen: set[Path] = {run.folder.resolve()}
    waiting = deque([run])
    while waiting and subject.isascii() and subject:
        for name in named(waiting.popleft()):
            other = run_of(name)
            if other is None or other.folder.resolve() in seen:
                continue
            seen.add(other.folder.resolve())
            with Lookup(other) as lookup:
                if lookup.samples(subject, most=1):
                    return other.name
            waiting.append(other)
    return None


def section(told: str, name: str) -> str:
    """The text of one top-level key of run.yaml: all of it would be long to read for a tree of thousands of leaves."""
    found = re.search(rf"^{name}:.*\n(?:[ -].*\n|\n)*", told, re.MULTILINE)
    return found[0] if found else ""
