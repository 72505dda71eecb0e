"""The filters: each judges samples and says why. One class a file; the file's name is the filter's name in a recipe.

To add one, write `filters/<name>.py` with one subclass of SampleFilter or SetFilter whose fields are its options.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from instructlab_like.errors import RecipeError, explain
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Item, Record, Sample, Verdict

ROOM = frozenset({"sift"})  # modules of this folder that apply filters rather than being one


class Surroundings(Record):
    """What stands around the samples and may decide about them."""

    held_out: tuple[Item, ...] = ()
    scratch: Path | None = None  # folder for what does not fit into memory; None: where temporary files go


class Filter(BaseModel):
    """A filter's fields are its options, plain values with defaults; `version` rises when the same input is judged
    differently."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    version: ClassVar[int]

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def keep(
        self, sample: Sample, reason: str, *, score: float | None = None, threshold: float | None = None
    ) -> Verdict:
        return self._verdict(sample, True, reason, score=score, threshold=threshold, partner=None)

    def reject(
        self,
        sample: Sample,
        reason: str,
        *,
        score: float | None = None,
        threshold: float | None = None,
        partner: str | None = None,
    ) -> Verdict:
        return self._verdict(sample, False, reason, score=score, threshold=threshold, partner=partner)

    def _verdict(
        self,
        sample: Sample,
        keep: bool,
        reason: str,
        *,
        score: float | None,
        threshold: float | None,
        partner: str | None,
    ) -> Verdict:
        return Verdict(
            subject=sample.id,
            leaf=sample.lineage.leaf,
            filter=self.name,
            version=self.version,
            keep=keep,
            reason=reason,
            score=score,
            threshold=threshold,
            partner=partner,
        )


class SampleFilter(Filter, ABC):
    """Judges one sample by itself."""

    @abstractmethod
    def judge(self, sample: Sample) -> Verdict: ...


class SetFilter(Filter, ABC):
    """Judges samples against one another and against what stands around them.

    There may be more samples than fit into memory: each is read when it is looked at, and gone when it is let go.
    """

    @abstractmethod
    def judge(self, samples: Sequence[Sample], around: Surroundings, /) -> Iterable[Verdict]:
        """One verdict per sample, in the order given, which is the order of ids."""


def members() -> list[str]:
    """The names of all filters."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in ROOM)


def find(name: str) -> type[SampleFilter] | type[SetFilter]:
    """The filter class of that name; a RecipeError with the nearest name when there is none."""
    if name not in members():
        raise RecipeError(f"there is no filter {name!r}", where="filters", fix=nearest(name, members()))
    module = import_module(f"{__name__}.{name}")
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, SampleFilter | SetFilter) and kind.__module__ == module.__name__
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module.__name__} defines {len(kinds)} filters, not one")
    return kinds[0]


def build(choice: FilterChoice) -> SampleFilter | SetFilter:
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


def nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
