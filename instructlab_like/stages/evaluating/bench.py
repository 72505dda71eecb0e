"""Who judges whose samples: what is known of a pool before anything is asked, and how near judge and makers are."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import orjson

from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.filters import AskFilter
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.parts.families import Kinship, families, is_named, kinship
from instructlab_like.filters.parts.judge import Judge, MeasuredJudge
from instructlab_like.filters.pool import Pool
from instructlab_like.generation.walk import derived_seed
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.records import Sample
from instructlab_like.stages.generating.asking import Absent

HEAD = 65_536  # bytes of a local model's configuration
STAMPS: dict[Kinship, str] = {
    "itself": "judged by its own maker",
    "family": "the judge is of the maker's own family",
    "unnamed": "maker unknown",
    "unknown": "it is not known whether judge and maker are of one family",
    "none": "",
}
NEAREST: tuple[Kinship, ...] = ("itself", "family", "unnamed", "unknown", "none")


@dataclass
class Survey:
    """What is known of a pool before anything is asked."""

    places: array[int]  # of samples that the filter has a question about
    templates: list[str]
    makers: Counter[str]  # how many of those samples each model made; "": nobody knows who
    drawn: list[int]  # some of those places, in which faults are planted


def surveyed(chosen: AskFilter, pool: Pool, seed: int) -> Survey:
    found = Survey(array("I"), [], Counter(), [])
    count = chosen.planted if isinstance(chosen, MeasuredJudge) else 0
    drawn: list[tuple[int, int]] = []  # the least draws, the largest of them first
    for place in range(len(pool)):
        sample = pool.sample(place)
        asks = chosen.asks(sample)
        if not asks:
            continue
        found.places.append(place)
        found.makers.update(makers(sample))
        found.templates += {ask.template: None for ask in asks if ask.template not in found.templates}
        if count:
            heapq.heappush(drawn, (-derived_seed(seed, sample.id), place))
            if len(drawn) > count:
                heapq.heappop(drawn)
    found.drawn = [place for _, place in sorted(drawn, reverse=True)]
    return found


def makers(sample: Sample) -> frozenset[str]:
    """The models that wrote a sample or a part of it; nobody for one that was computed, "" where it is not known.

    Who judged it on the way is no maker.
    """
    lineage = sample.lineage
    found = {turn.model for turn in lineage.turns if turn.role != "critic" and not turn.template.startswith("judge/")}
    if lineage.method not in ("rules", "simulation"):
        found.add(lineage.model if is_named(lineage.model) else "")
    return frozenset(found)


class Bench:
    """The judge of a filter, and how near it is to the makers of samples."""

    def __init__(self, chosen: AskFilter, told: TeacherRecipe, recipe: GenerateRecipe) -> None:
        self.chosen, self.told = chosen, told
        alone = {"teacher": None, "roles": {chosen.role: told}, "teachers": {}, "routes": {}, "forced_routes": {}}
        self.recipe = recipe.model_copy(update=alone)
        self.lenient = isinstance(chosen, Judge) and chosen.same_family
        self.identity = Absent(told).identity
        self.name = described(told)
        self.others = [one for one in recipe.everybody if one.kind == "local"]
        self.known: dict[str, Kinship] = {}

    @cached_property
    def names(self) -> dict[str, str]:
        """Of the recipe's local models by identity, which is a digest and tells of no family."""
        found: dict[str, str] = {}
        for one in self.others:
            with suppress(ModelError):  # it is not there any more, and is not asked here
                found[Absent(one).identity] = described(one)
        return found

    def name_of(self, maker: str) -> str:
        return self.names.get(maker, maker) if maker.startswith("local:") else maker

    def kin(self, maker: str) -> Kinship:
        found = self.known.get(maker)
        if found is None:
            near = "itself" if maker == self.identity else kinship(self.name, self.name_of(maker))
            found = self.known[maker] = near
        return found

    def admit(self, found: Mapping[str, int]) -> None:
        """Raises RecipeError for a judge that made a sample itself, or is of its maker's family, unless it may be."""
        for maker, count in sorted(found.items()):
            near = self.kin(maker)
            if self.lenient or near not in ("itself", "family"):
                continue
            shared = ", ".join(sorted(families(self.name) & families(self.name_of(maker))))
            who = "is the model that" if near == "itself" else f"is of the family of {maker!r} ({shared}), which"
            what = f"{self.told.model!r} {who} made {count:,} of the samples; it would share its blind spots"
            fix = (
                f"name a model of another family there, or give the filter {self.chosen.name!r} the option "
                "same_family: true; each verdict then says so"
            )
            raise RecipeError(what, where=f"roles.{self.chosen.role}", fix=fix)

    def notes(self, found: Mapping[str, int]) -> Iterator[str]:
        counts: Counter[Kinship] = Counter()
        for maker, count in found.items():
            counts[self.kin(maker)] += count
        for near in NEAREST:
            if STAMPS[near] and counts[near]:
                yield f"{self.chosen.name}, judged by {self.told.model}: {STAMPS[near]} ({counts[near]:,} samples)"

    def stamped(self, sample: Sample, told: Judgement) -> Judgement:
        """The judgement, with what a reader should know of the judge."""
        kin = {self.kin(maker) for maker in makers(sample)}
        stamp = next((STAMPS[near] for near in NEAREST if near in kin), "")
        return replace(told, reason=f"{told.reason} ({stamp})") if stamp else told


def described(told: TeacherRecipe) -> str:
    """A model's name; a local one's folder with the kind that its configuration tells."""
    if told.kind != "local":
        return told.model
    try:
        with (Path(told.model).expanduser() / "config.json").open("rb") as file:
            kind = orjson.loads(file.read(HEAD))["model_type"]
    except (OSError, ValueError, LookupError, TypeError):
        return told.model
    return told.model if families(told.model) else f"{kind}/{Path(told.model).name}"
