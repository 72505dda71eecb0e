"""Applies the recipe's filters in order, between parsing and the dataset, and counts that no sample is lost."""

from __future__ import annotations

from collections.abc import Sequence

from instructlab_like.filters import SampleFilter, SetFilter, Surroundings, build
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Item, PhaseCount, Record, Sample, Verdict


class Sifted(Record):
    """`kept` in id order; `verdicts` by filter in the recipe's order, then by id: one for each sample it was given."""

    kept: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    phases: tuple[PhaseCount, ...]


def sift(samples: Sequence[Sample], filters: Sequence[FilterChoice], *, held_out: Sequence[Item]) -> Sifted:
    """Judge the samples with each filter in turn; a later filter sees what the earlier ones kept.

    Raises RecipeError for an unknown filter or option before anything is judged.
    """
    chosen = [build(choice) for choice in filters]
    around = Surroundings(held_out=tuple(held_out))
    kept = sorted(samples, key=lambda sample: (sample.id, sample.lineage.leaf))
    verdicts: list[Verdict] = []
    phases: list[PhaseCount] = []
    for phase in chosen:
        decided = decide(phase, kept, around)
        made = len(kept)
        kept = [sample for sample, verdict in zip(kept, decided, strict=True) if verdict.keep]
        verdicts += decided
        rejected = sum(not verdict.keep for verdict in decided)
        phases.append(PhaseCount(filter=phase.name, made=made, kept=len(kept), rejected=rejected))
    return Sifted(kept=tuple(kept), verdicts=tuple(verdicts), phases=tuple(phases))


def decide(phase: SampleFilter | SetFilter, samples: Sequence[Sample], around: Surroundings) -> list[Verdict]:
    """One verdict per sample, in order. A filter that loses, adds or swaps one is a bug and ends the run."""
    if isinstance(phase, SampleFilter):
        decided = [phase.judge(sample) for sample in samples]
    else:
        decided = phase.judge(samples, around)
    if [verdict.subject for verdict in decided] != [sample.id for sample in samples]:
        raise RuntimeError(
            f"filter {phase.name!r} was given {len(samples)} samples and returned {len(decided)} verdicts, or others"
        )
    return decided
