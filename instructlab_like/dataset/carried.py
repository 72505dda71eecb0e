"""Samples of an earlier run that are trained again beside new ones, so that answers do not drift from round to round.

Where each generation learns from the last alone, what is rare is lost (Shumailov et al. 2024); where the first data
stay among the new, the error stays bounded (Gerstgrasser et al., arXiv 2404.01413).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from instructlab_like.records import Sample, digest, normalise
from instructlab_like.stock import Some


@dataclass(frozen=True)
class Joined(Sequence[Sample]):
    """The new samples that are trained, and those that are carried; looked up when they are wanted."""

    new: Sequence[Sample]
    carried: Sequence[Sample]
    left_out: int = 0  # new samples for which there is no room beside those that are carried
    answered_anew: int = 0  # samples that would be carried, had no new one their question

    def __len__(self) -> int:
        return len(self.new) + len(self.carried)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return Some(self, range(len(self))[place])
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self.new[place] if place < len(self.new) else self.carried[place - len(self.new)]

    @property
    def share(self) -> float:
        """Of the samples, those that are carried."""
        return len(self.carried) / len(self) if len(self) else 0.0


def joined(new: Sequence[Sample], old: Sequence[Sample], *, share: float, seed: int) -> Joined:
    """New samples beside old ones, of which a question that is answered anew is left out.

    Of each leaf's samples at least `share` are old: new ones are taken in an order that depends on the seed and their
    ids as long as that holds, and what an old one answered stays where its new answer finds no room.
    """
    places: dict[str, dict[str, list[int]]] = {}  # of the old, by leaf and question
    for place, sample in enumerate(old):
        places.setdefault(sample.lineage.leaf, {}).setdefault(question(sample), []).append(place)
    left = Counter({leaf: sum(map(len, asked.values())) for leaf, asked in places.items()})
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    gone: set[int] = set()
    order = sorted((digest([seed, sample.id]), place) for place, sample in enumerate(new))
    for _, place in order:
        leaf, asked = new[place].lineage.leaf, question(new[place])
        replaced = [one for one in places.get(leaf, {}).get(asked, ()) if one not in gone]
        rest = left[leaf] - len(replaced)
        if rest < share * (rest + taken[leaf] + 1):
            continue
        chosen.append(place)
        taken[leaf] += 1
        left[leaf] = rest
        gone.update(replaced)
    return Joined(
        new=Some(new, sorted(chosen)),
        carried=Some(old, [place for place in range(len(old)) if place not in gone]),
        left_out=len(new) - len(chosen),
        answered_anew=len(gone),
    )


def question(sample: Sample) -> str:
    """What is asked, passage and all: two answers to it would contradict each other in training."""
    return digest([normalise(message.content) for message in sample.messages[:-1]])
