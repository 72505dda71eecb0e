"""The filters: each judges samples and says why. One class a file; the file's name is the filter's name in a recipe,
its folder the phase.

To add one, write `filters/<phase>/<name>.py` with one subclass of SampleFilter, LeafFilter, SetFilter or AskFilter
whose fields are its options. What several files share lies in `filters/parts/`.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from instructlab_like.errors import RecipeError, explain
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.pool import Pool
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice, TargetRecipe
from instructlab_like.records import Item, Record, Sample, Seed, Simulation, Verdict, digest

PHASES = ("shape", "novelty", "truth", "safety", "balance")


class LeafFacts(Record):
    """What a leaf says that may decide about its samples."""

    path: str
    seeds: tuple[Seed, ...] = ()
    simulation: Simulation | None = None
    private: tuple[str, ...] = ()  # names that the leaf's own documents mark as nobody's business


class Surroundings(Record):
    """What stands around the samples and may decide about them."""

    held_out: tuple[Item, ...] = ()
    leaves: Mapping[str, LeafFacts] = {}  # by path; those of samples from elsewhere are not in it
    seed: int = 0  # of all that is drawn
    target: TargetRecipe | None = None  # the mix that is wanted of all samples together


class Filter(BaseModel):
    """A filter's fields are its options, plain values with defaults; `version` rises when the same input is judged
    differently."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    version: ClassVar[int]
    kind: ClassVar[Literal["sample", "leaf", "set", "ask"]]

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @property
    def phase(self) -> str:
        return type(self).__module__.split(".")[-2]

    def identity(self) -> str:
        """The digest of all that decides its judgements besides the sample and what stands around it.

        A filter that reads files which its options name adds their contents.
        """
        return digest([self.name, self.version, self.model_dump(mode="json")])

    def verdict(self, sample: Sample, told: Judgement) -> Verdict:
        return Verdict(
            subject=sample.id,
            leaf=sample.lineage.leaf,
            filter=self.name,
            version=self.version,
            keep=told.keep,
            rule=told.rule,
            reason=told.reason,
            score=told.score,
            threshold=told.threshold,
            partner=told.partner,
        )


class SampleFilter(Filter, ABC):
    """Judges one sample by itself. Pure: its judgement is remembered, and asked for in any process."""

    kind = "sample"

    @abstractmethod
    def judge(self, sample: Sample) -> Judgement: ...


class LeafFilter(Filter, ABC):
    """Judges one sample by what its leaf says; not applied to samples of unknown leaves. Pure, as a SampleFilter."""

    kind = "leaf"

    @abstractmethod
    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement: ...


class SetFilter(Filter, ABC):
    """Judges samples against one another and against what stands around them.

    There may be more samples than fit into memory. What is to be known of each is its sketch, made once, in any
    process, and remembered; judging looks at sketches, and at few samples.
    """

    kind = "set"

    def idle(self, _around: Surroundings, /) -> bool:
        """Whether it would reject nothing, whatever the samples are: then nobody is sketched or judged."""
        return False

    @abstractmethod
    def sketch(self, sample: Sample) -> bytes:
        """What judging needs to know of one sample, such as digests. Pure."""

    @abstractmethod
    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        """The places in the pool of the samples that are rejected, or not judged, in order; all others are kept.

        The pool is in the order of ids, so nothing may depend on the order in which samples were made.
        """

    def remarks(self, _pool: Pool, _rejected: Sequence[int], _around: Surroundings, /) -> tuple[str, ...]:
        """What is to be said of the selection as a whole, in a sentence each."""
        return ()


class Ask(Record):
    """One question of an AskFilter to a model: a template with its variables; `draws` times, each a draw of its own."""

    template: str  # as in a flow: "judge/critic.j2"
    variables: Mapping[str, str | int | float]
    draws: int = 1


class Reply(Record):
    """What came back of one draw: the fields that the template yields, or why there are none."""

    fields: Mapping[str, str] = {}
    failure: str | None = None  # no answer, or one that could not be read
    call: str | None = None  # the call's key in the ledger
    model: str = ""


class AskFilter(Filter, ABC):
    """Judges one sample by what a model says of it. The asking is the stage's, through the ledger; this is pure."""

    kind = "ask"

    role: str = "critic"
    """Who is asked, by the recipe's `roles`; unlike in a flow, the teacher does not stand in for it."""

    @abstractmethod
    def asks(self, sample: Sample) -> Sequence[Ask]:
        """What to ask of it; nothing: the filter has no question about such a sample."""

    @abstractmethod
    def judge(self, sample: Sample, replies: Sequence[Sequence[Reply]]) -> Judgement:
        """By the replies to each ask, one a draw. What is no judgement is told as such, and never guessed."""


AnyFilter = SampleFilter | LeafFilter | SetFilter | AskFilter


@cache
def places() -> dict[str, str]:
    """The phase of each filter, by name."""
    folder = Path(__file__).parent
    return {module.name: phase for phase in PHASES for module in iter_modules([str(folder / phase)])}


def members() -> list[str]:
    """The names of all filters, phase by phase."""
    return list(places())


@cache
def find(name: str) -> type[SampleFilter] | type[LeafFilter] | type[SetFilter] | type[AskFilter]:
    """The filter class of that name; a RecipeError with the nearest name when there is none."""
    if name not in places():
        raise RecipeError(f"there is no filter {name!r}", where="filters", fix=nearest(name, (*PHASES, *members())))
    module = import_module(f"{__name__}.{places()[name]}.{name}")
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, AnyFilter) and kind.__module__ == module.__name__
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module.__name__} defines {len(kinds)} filters, not one")
    return kinds[0]


def expand(choices: Iterable[FilterChoice]) -> tuple[FilterChoice, ...]:
    """The choices one by one: the name of a phase stands for its default filters; a second mention is left out."""
    one_by_one: dict[str, FilterChoice] = {}
    for choice in choices:
        if choice.name in PHASES and choice.name not in places():
            if choice.options:
                fix = "name the filter that has the option"
                raise RecipeError(f"{choice.name!r} is a phase, and has no options", where="filters", fix=fix)
            for default in DEFAULT_FILTERS:
                if places().get(default.name) == choice.name:
                    one_by_one.setdefault(default.name, default)
        else:
            one_by_one[choice.name] = choice
    return tuple(one_by_one.values())


def build(choice: FilterChoice) -> AnyFilter:
    """The chosen filter with its options; a RecipeError names the filter and the option that is wrong."""
    kind = find(choice.name)
    for option in choice.options:
        if option not in kind.model_fields:
            raise RecipeError(
                f"filter {choice.name!r} has no option {option!r}",
                where=f"filters.{choice.name}.{option}",
                fix=nearest(option, kind.model_fields),
            )
    try:
        return kind.model_validate(choice.options)
    except ValidationError as error:
        what = "; ".join(explain(error))
        fix = "correct the value, or leave the option out for its default"
        raise RecipeError(what, where=f"filters.{choice.name}", fix=fix) from error


def judges(choices: Iterable[FilterChoice]) -> tuple[str, ...]:
    """The roles that the chosen filters ask; raises RecipeError for a choice that cannot be built."""
    return tuple(dict.fromkeys(one.role for one in map(build, expand(choices)) if isinstance(one, AskFilter)))


def nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
