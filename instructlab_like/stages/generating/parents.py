"""What earlier runs kept: the samples that flows begin with, and those that are carried into a new dataset.

Of each it is known whether it may be used here and, if not, why; 1-parents.jsonl says so of every parent.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple, cast

import orjson
from pydantic import ValidationError

from instructlab_like.console import say, warn, working
from instructlab_like.dataset.carried import Joined, joined
from instructlab_like.errors import InputError, RecipeError, explain, position
from instructlab_like.flows import Flow, kind_of
from instructlab_like.generation.walk import Start
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    Chunk,
    Knowledge,
    Leaf,
    Record,
    Sample,
    digest,
    ngrams,
    normalise,
    plain,
    with_context,
)
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.ancestry import run_of
from instructlab_like.stages.lookup import SampleRow, verdicts_of
from instructlab_like.taxonomy.tree import QNA
from instructlab_like.workspace import RUNS, Run, find, write_records

FILE = "1-parents.jsonl"
ID = 32  # characters of a sample's id
EIGHT = 8  # words in a row that give a held-out question away

GONE = "its leaf is not in the tree any more"
LEFT_OUT = "its leaf is not among those of this run"
CHANGED = "its leaf has changed since"
WITHHELD = "its question is held out, or shares eight words in a row with one that is"
UNTAKEN = "no chosen flow begins with samples of its kind"
UNKNOWN = "nobody says who made it"
PASSAGE = "its passage is none that prompts may show any more"
TWICE = "it is there twice"
CAPPED = "it is at the depth cap of"


class ParentUse(Record):
    """What became of one sample of an earlier run."""

    id: str
    leaf: str
    depth: int
    run: str  # as the recipe names it
    used: bool
    reason: str = ""  # why it is not


class Entry(NamedTuple):
    """A sample in a file."""

    id: str
    depth: int
    source: int
    start: int  # bytes
    size: int


@dataclass(frozen=True)
class Source:
    """A file with samples of an earlier run, less those that were rejected."""

    name: str  # as the recipe has it
    path: Path
    without: Collection[str] = ()
    own: bool = True  # whether a run wrote it, rather than somebody

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """The lines of what was kept, and where each begins."""
        start = 0
        with self.path.open("rb") as file:
            for line in file:
                if line.strip() and (not self.without or str(orjson.loads(line)["id"]) not in self.without):
                    yield start, line
                start += len(line)


@dataclass
class Held:
    """The held-out questions, by what a sample must not ask."""

    whole: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)  # of those that are asked about a passage, without it
    eights: set[tuple[str, ...]] = field(default_factory=set)

    @classmethod
    def of(cls, leaves: Iterable[Leaf]) -> Held:
        held = cls()
        for one in (one for leaf in leaves for one in leaf.held_out):
            held.whole.add(digest(normalise(with_context(one.question, one.context))))
            (held.bare if one.context else held.whole).add(digest(normalise(one.question)))
            if not one.context:
                held.eights |= {gram for gram in ngrams(one.question, EIGHT) if len(gram) == EIGHT}
        return held

    def asks(self, sample: SampleRow) -> bool:
        """Whether the sample's question is one of them; about another passage the same may be asked."""
        question, passage = sample["question"], sample["context"] if sample["kind"] == "grounded" else None
        keys = {digest(normalise(question)), digest(normalise(with_context(question, passage)))}
        if keys & self.whole or (not passage and keys & self.bare):
            return True
        return bool(self.eights) and bool(self.eights & ngrams(question, EIGHT))


class Earlier:
    """What earlier runs kept, as far as it may be used beside these leaves. Every reason against one is counted."""

    def __init__(
        self, recipe: GenerateRecipe, flows: Sequence[Flow], leaves: Sequence[Leaf], *, own: Run | None = None
    ) -> None:
        check(recipe, flows, own)
        self.recipe, self.root = recipe, find(recipe.taxonomy)
        self.leaves = {leaf.path: leaf for leaf in leaves}
        self.kinds = {kind for flow in flows if flow.begins_with_samples for kind in flow.plan.leaves}
        self.sources: list[Source] = []
        self.usable: dict[str, list[Entry]] = {}
        self.unused: list[ParentUse] = []
        self.carried: list[Entry] = []
        self.not_carried: Counter[str] = Counter()
        self.used: set[str] = set()
        self.without_passage: dict[str, set[str]] = {}  # by leaf
        self.digests: dict[str, str] = {}  # of what decides the dataset's bytes, none where no run is named
        if recipe.parents or recipe.carry:
            with working("reading earlier runs"):
                self.held = Held.of(leaves)
                self.read_parents()
                self.read_carried()

    # --- reading

    def read_parents(self) -> None:
        seen: set[str] = set()
        whole = hashlib.sha256()
        for number, source in self.opened("parents"):
            for start, line in source.rows():
                row = parsed(line, source)
                why = TWICE if row["id"] in seen else self.reason(row)
                seen.add(row["id"])
                lineage = row["lineage"]
                if why:
                    self.refuse(row["id"], lineage["leaf"], lineage["depth"], source.name, why)
                    continue
                entry = Entry(row["id"], lineage["depth"], number, start, len(line))
                self.usable.setdefault(lineage["leaf"], []).append(entry)
                whole.update(line)
        for entries in self.usable.values():
            entries.sort()
        if self.recipe.parents:
            self.digests["parents"] = whole.hexdigest()

    def read_carried(self) -> None:
        if not self.recipe.carry:
            return
        whole = hashlib.sha256()
        for number, source in self.opened("carry"):
            for start, line in source.rows():
                row = parsed(line, source)
                if why := self.misplaced(row):
                    self.not_carried[why] += 1
                    continue
                self.carried.append(Entry(row["id"], row["lineage"]["depth"], number, start, len(line)))
                whole.update(line)
        self.carried.sort()
        self.digests["carried"] = whole.hexdigest()

    def opened(self, option: str) -> Iterator[tuple[int, Source]]:
        for name in going_on_from(self.recipe)[option]:
            for source in sources(name, option):
                self.sources.append(source)
                yield len(self.sources) - 1, source

    def reason(self, row: SampleRow) -> str:
        """Why a parent may not be used; empty where it may."""
        if why := self.misplaced(row):
            return why
        leaf, lineage = self.leaves[row["lineage"]["leaf"]], row["lineage"]
        if kind_of(leaf) not in self.kinds:
            return UNTAKEN
        if lineage["depth"] >= self.recipe.max_depth:
            return f"{CAPPED} {self.recipe.max_depth}"
        return UNKNOWN if lineage["method"] == "given" else ""

    def misplaced(self, row: SampleRow) -> str:
        """Why nothing may be made of a sample here, nor may it be trained again."""
        path = row["lineage"]["leaf"]
        leaf = self.leaves.get(path)
        if leaf is None:
            return LEFT_OUT if (self.root / path / QNA).is_file() else GONE
        if leaf.blob != row["lineage"]["leaf_blob"]:
            return CHANGED
        return WITHHELD if self.held.asks(row) else ""

    def refuse(self, id: str, leaf: str, depth: int, name: str, why: str) -> None:
        self.unused.append(ParentUse(id=id, leaf=leaf, depth=depth, run=name, used=False, reason=why))

    # --- as the plan sees them

    def of(self, leaf: Leaf, chunks: Sequence[Chunk], /) -> Sequence[Sample]:
        """Those of a leaf that may be used, in the order of their ids; a knowledge leaf's only with their passage."""
        samples = self.load(self.usable.get(leaf.path, ()))
        if not isinstance(leaf, Knowledge):
            return samples
        known = {chunk.id for chunk in chunks}
        found = [sample for sample in samples if sample.lineage.chunk in known]
        kept = {sample.id for sample in found}
        self.without_passage[leaf.path] = {sample.id for sample in samples} - kept
        return found

    def count(self, leaf: Leaf, /) -> int:
        return len(self.usable.get(leaf.path, ()))

    def noting(self, planned: Iterator[Start]) -> Iterator[Start]:
        """The starts as they come, with a note of what they take up."""
        for start in planned:
            if start.about.parent:
                self.used.add(start.about.parent.id)
            yield start

    def load(self, entries: Sequence[Entry]) -> list[Sample]:
        found: dict[str, Sample] = {}
        for number in sorted({entry.source for entry in entries}):
            with self.sources[number].path.open("rb") as file:
                for entry in entries:
                    if entry.source == number:
                        file.seek(entry.start)
                        found[entry.id] = as_sample(file.read(entry.size), self.sources[number].path)
        return [found[entry.id] for entry in entries]

    # --- what is written and said

    def beside(self, kept: Sequence[Sample]) -> Sequence[Sample]:
        """What was kept, and the samples that are carried beside it; says how many."""
        if not self.recipe.carry:
            return kept
        share, test = self.recipe.carry_share, self.recipe.test_share
        # so that it holds in training whichever of them are set aside for test
        least = share + test * (1 - share) if share else 0.0
        found = joined(kept, self.load(self.carried), share=least, seed=self.recipe.seed)
        for line in self.told_of_carried(found):
            say(f"  {line}")
        return found

    def told_of_carried(self, found: Joined) -> Iterator[str]:
        yield (
            f"carried: {len(found.carried)} of the dataset's {len(found)} samples are those of {self.recipe.carry}, "
            f"{found.share:.0%} (in training at least {self.recipe.carry_share:.0%} of each leaf's); "
            f"{found.answered_anew} others are answered anew"
        )
        if found.left_out:
            yield f"carried: {found.left_out} new samples found no room beside them, and are not trained"
        for why, count in sorted(self.not_carried.items()):
            yield f"carried: {count} not, for each: {why}"

    def uses(self) -> Iterator[ParentUse]:
        """Every parent, and what became of it; known once all walks are planned."""
        yield from self.unused
        for leaf, entries in self.usable.items():
            for entry in entries:
                used = entry.id in self.used
                bare = entry.id in self.without_passage.get(leaf, ())
                why = PASSAGE if bare else f"others were chosen (prompts_per_leaf: {self.recipe.prompts_per_leaf})"
                name = self.sources[entry.source].name
                reason = "" if used else why
                yield ParentUse(id=entry.id, leaf=leaf, depth=entry.depth, run=name, used=used, reason=reason)

    def record(self, run: Run) -> None:
        """Write 1-parents.jsonl, and say what became of the parents; without any there is no such file."""
        path = run.folder / FILE
        if not self.recipe.parents:
            path.unlink(missing_ok=True)
            return
        uses = sorted(self.uses(), key=lambda use: (use.id, use.reason))
        write_records(path, uses)
        reasons = Counter(use.reason for use in uses if not use.used)
        told = f"parents: {sum(use.used for use in uses)} of {len(uses)} samples that were kept are taken up"
        deepest = max((use.depth for use in uses if use.used), default=0)
        say(f"  {told}" + (f", at most {deepest} deep" if deepest else ""))
        for why, count in sorted(reasons.items()):
            warn(f"  parents: {count} not, for each: {why}")


def going_on_from(recipe: GenerateRecipe) -> Mapping[str, Sequence[str]]:
    """The earlier runs that a recipe names, by option."""
    return {"parents": recipe.parents, "carry": (recipe.carry,) if recipe.carry else ()}


def check(recipe: GenerateRecipe, flows: Sequence[Flow], own: Run | None) -> None:
    """Raise RecipeError where a flow begins with samples and no run is named that has some, or the other way round.

    Also where `own`, the run that the recipe is for, is named as an earlier one.
    """
    for option, names in going_on_from(recipe).items():
        for name in names:
            if own and (other := run_of(name)) and other.folder.resolve() == own.folder.resolve():
                fix = "name an earlier one, or make this under another name (--run)"
                raise RecipeError("is this very run", where=f"{option}: {name}", fix=fix)
    beginning = [flow.name for flow in flows if flow.begins_with_samples]
    if beginning and not recipe.parents:
        what = f"the flow {beginning[0]!r} begins with samples that an earlier run kept, and none is named"
        fix = "name it in the recipe, parents: RUN; ilk runs lists them"
        raise RecipeError(what, where="generate: parents", fix=fix)
    if recipe.parents and not beginning:
        what = "none of the chosen flows begins with samples of an earlier run"
        fix = "choose one that does, e.g. self-improve-freeform, or leave `parents` out"
        raise RecipeError(what, where="generate: parents", fix=fix)


# --- earlier runs


def sources(name: str, option: str = "parents") -> list[Source]:
    """The files with what a run kept, or a file of samples; InputError, at the recipe's option, for what is neither."""
    path = Path(name).expanduser()
    run = run_of(name)
    if run is not None:
        made = manifest.read(run)
        if made.generate is None or not manifest.finished(made) or not run.samples.is_file():
            fix = f"finish it first: ilk generate --run {run.name}"
            raise InputError("this run is not finished", where=str(run.folder), fix=fix)
        without = {row["subject"] for row in verdicts_of(run) if not row["keep"] and len(row["subject"]) == ID}
        return [Source(name, file, without) for file in (run.samples, run.replaced) if file.is_file()]
    if path.is_file():
        return [Source(name, path, own=False)]
    there = [folder.name for folder in RUNS.iterdir()] if RUNS.is_dir() else []
    near = difflib.get_close_matches(name, there, n=1)
    fix = f"did you mean {near[0]!r}?" if near else "name a run (ilk runs), its folder, or a JSONL file of samples"
    raise InputError("is neither a run nor a file of samples", where=f"{option}: {name}", fix=fix)


def forebears(run: Run) -> list[Run]:
    """The runs that a run goes on from, by what it took up or carried, and those that these went on from."""
    found: dict[Path, Run] = {}
    waiting = [run]
    while waiting:
        made = manifest.read(waiting.pop()).generate
        names = chain.from_iterable(going_on_from(made).values()) if made else ()
        for other in filter(None, map(run_of, names)):
            place = other.folder.resolve()
            if place not in found and place != run.folder.resolve() and other.samples.is_file():
                found[place] = other
                waiting.append(other)
    return list(found.values())


def kept(run: Run) -> list[Sample]:
    """All samples that a finished run kept, in the order of their ids."""
    found = [as_sample(line, source.path) for source in sources(str(run.folder)) for _, line in source.rows()]
    return sorted(found, key=lambda sample: sample.id)


def parsed(line: bytes, source: Source) -> SampleRow:
    """A line that is a sample; raises InputError with its number for one that is not."""
    told = orjson.loads(line) if source.own else plain(as_sample(line, source.path))
    return cast("SampleRow", told)


def as_sample(line: bytes, path: Path) -> Sample:
    try:
        return Sample.model_validate_json(line)
    except ValidationError as error:
        with path.open("rb") as file:
            number = next((number for number, other in enumerate(file, start=1) if other == line), 1)
        fix = "lines are samples as in a run's 2-samples.jsonl"
        raise InputError("; ".join(explain(error)), where=position(path, number), fix=fix) from error


def at_cap(use: ParentUse) -> bool:
    """Whether a parent is as deep as the recipe lets one be."""
    return use.reason.startswith(CAPPED)
