"""Applies the recipe's filters in order, between parsing and the dataset, and counts that no sample is lost."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, zip_longest
from pathlib import Path

from instructlab_like.filters import SampleFilter, SetFilter, Surroundings, build
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Item, PhaseCount, Record, Sample, Verdict
from instructlab_like.stock import Some

Tell = Callable[[int, Verdict], object]  # takes a verdict of the filter with that place in the recipe


class Sifted(Record):
    """`kept` in id order; `verdicts` by filter in the recipe's order, then by id: one for each sample it was given."""

    kept: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    phases: tuple[PhaseCount, ...]


def sift(samples: Iterable[Sample], filters: Sequence[FilterChoice], *, held_out: Sequence[Item]) -> Sifted:
    """Judge the samples with each filter in turn; a later filter sees what the earlier ones kept.

    Raises RecipeError for an unknown filter or option before anything is judged.
    """
    told: list[list[Verdict]] = [[] for _ in filters]
    ordered = sorted(samples, key=lambda sample: (sample.id, sample.lineage.leaf))
    kept, phases = passed(ordered, filters, held_out=held_out, tell=lambda place, verdict: told[place].append(verdict))
    return Sifted(kept=tuple(kept), verdicts=tuple(verdict for one in told for verdict in one), phases=phases)


def passed(
    samples: Sequence[Sample],
    filters: Sequence[FilterChoice],
    *,
    held_out: Iterable[Item],
    tell: Tell,
    scratch: Path | None = None,
) -> tuple[Sequence[Sample], tuple[PhaseCount, ...]]:
    """What every filter kept of samples in id order, and what each filter did; verdicts are told as they are reached.

    Holds no sample and no verdict: those of one filter are told in id order, but filters that judge each sample by
    itself take turns. Raises RecipeError for an unknown filter or option before anything is judged.
    """
    chosen = [build(choice) for choice in filters]
    around = Surroundings(held_out=tuple(held_out), scratch=scratch)
    given = Given(samples)
    made = []
    for alone, together in groupby(enumerate(chosen), key=lambda one: isinstance(one[1], SampleFilter)):
        if alone:
            phases = [(place, phase) for place, phase in together if isinstance(phase, SampleFilter)]
            made += given.one_by_one(phases, tell)
        else:
            for place, phase in together:
                assert isinstance(phase, SetFilter)
                made.append(given.all_together(phase, around, partial(tell, place)))
    left = [*made, len(given.samples)][1:]
    counts = tuple(
        PhaseCount(filter=phase.name, made=before, kept=after, rejected=before - after)
        for phase, before, after in zip(chosen, made, left, strict=True)
    )
    return given.samples, counts


class Given:
    """The samples that a filter is given, which are those that all before it kept."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples
        self.marks: array[int] | None = None  # hashes of their ids

    def one_by_one(self, phases: Sequence[tuple[int, SampleFilter]], tell: Tell) -> list[int]:
        """Have filters in a row judge each sample in turn; returns how many each was given."""
        made = [0] * len(phases)
        places, marks = array("I"), array("q")
        for place, sample in enumerate(self.samples):
            for number, (index, phase) in enumerate(phases):
                verdict = phase.judge(sample)
                if verdict.subject != sample.id:
                    raise astray(phase, len(self.samples), place)
                made[number] += 1
                tell(index, verdict)
                if not verdict.keep:
                    break
            else:
                places.append(place)
                marks.append(hash(sample.id))
        self.samples, self.marks = Some(self.samples, places), marks
        return made

    def all_together(self, phase: SetFilter, around: Surroundings, tell: Callable[[Verdict], object]) -> int:
        """Have one filter judge all of them; returns how many it was given."""
        before = self.marks or marked(self.samples)
        places, marks = array("I"), array("q")
        for place, (mark, verdict) in enumerate(zip(before, decide(phase, self.samples, around, before), strict=True)):
            tell(verdict)
            if verdict.keep:
                places.append(place)
                marks.append(mark)
        self.samples, self.marks = Some(self.samples, places), marks
        return len(before)


def decide(
    phase: SampleFilter | SetFilter,
    samples: Sequence[Sample],
    around: Surroundings,
    marks: Sequence[int] | None = None,
) -> Iterator[Verdict]:
    """One verdict per sample, in order. A filter that loses, adds or swaps one is a bug and ends the run."""
    expected = marked(samples) if marks is None else marks
    decided = map(phase.judge, samples) if isinstance(phase, SampleFilter) else phase.judge(samples, around)
    for place, (mark, verdict) in enumerate(zip_longest(expected, decided)):
        if verdict is None or hash(verdict.subject) != mark:
            raise astray(phase, len(expected), place)
        yield verdict


def marked(samples: Iterable[Sample]) -> array[int]:
    """What tells the samples apart where their verdicts are checked: eight bytes of each."""
    return array("q", (hash(sample.id) for sample in samples))


def astray(phase: SampleFilter | SetFilter, given: int, place: int) -> RuntimeError:
    what = f"filter {phase.name!r} was given {given} samples, and its verdict {place + 1} is not about that one of them"
    return RuntimeError(what)
