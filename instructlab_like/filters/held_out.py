"""Rejects samples that would show the model a question it is going to be measured with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.records import Item, Sample, Verdict, ngrams, normalise, with_context


class HeldOutOverlap(SetFilter):
    """Rejects a sample that asks what a held-out item asks; the item is the verdict's partner. No answer is compared.

    Compared is the normalised question: it must not equal an item's, and it must share no run of `words` words with a
    question of heldout.yaml. Questions drawn from a simulation share their phrasing on purpose and are kept apart by
    their parameters, so an item of source "simulation" is compared by equality alone. Shorter questions have no such
    run: for them, too, only equality decides.

    A question about a passage is compared with its passage: equal when both are, overlapping when the passages share a
    run of words. ("Rewrite this text." may be asked again, about another text.)

    Score: the share of the item's runs of words that the sample has, 1 for an equal question; threshold 0.
    """

    version: ClassVar[int] = 1

    words: Annotated[int, Field(ge=2)] = 8
    """Length of a shared run of words that gives a held-out question away."""

    def judge(self, samples: Sequence[Sample], around: Surroundings, /) -> Iterator[Verdict]:
        closed = Index(around.held_out, self.words, with_passage=False)
        opened = Index(around.held_out, self.words, with_passage=True)
        for sample in samples:
            yield self.compare(sample, opened if about_passage(sample) else closed)

    def compare(self, sample: Sample, index: Index) -> Verdict:
        passage = sample.context if about_passage(sample) else None
        same = index.equal.get(normalise(with_context(sample.question, passage)))
        if same is not None:
            return self.reject(sample, "asks a held-out question", score=1.0, threshold=0.0, partner=same.id)
        nearest, share = index.overlap(passage or sample.question)
        if nearest is not None:
            what = f"shares {self.words} words in a row with a held-out {'passage' if passage else 'question'}"
            return self.reject(sample, what, score=share, threshold=0.0, partner=nearest.id)
        return self.keep(sample, "shares nothing with what is held out", score=0.0, threshold=0.0)


def about_passage(sample: Sample) -> bool:
    return sample.kind == "grounded" and bool(sample.context)


class Index:
    """Held-out items by whole text and by run of words, with their passages or without."""

    def __init__(self, items: Iterable[Item], words: int, *, with_passage: bool) -> None:
        self.words = words
        self.equal: dict[str, Item] = {}
        self.runs: dict[tuple[str, ...], list[Item]] = {}
        self.sizes: dict[str, int] = {}
        for item in items:
            passage = item.context if with_passage else None
            self.equal.setdefault(normalise(with_context(item.question, passage)), item)
            if item.source != "simulation":
                runs = self.cut(passage or item.question)
                self.sizes[item.id] = len(runs)
                for run in runs:
                    self.runs.setdefault(run, []).append(item)

    def cut(self, text: str) -> frozenset[tuple[str, ...]]:
        return frozenset(run for run in ngrams(text, self.words) if len(run) == self.words)

    def overlap(self, text: str) -> tuple[Item | None, float]:
        """The item with the largest share of its runs in `text`, and that share."""
        shared: dict[str, int] = {}
        items: dict[str, Item] = {}
        for run in self.cut(text):
            for item in self.runs.get(run, ()):
                items[item.id] = item
                shared[item.id] = shared.get(item.id, 0) + 1
        if not shared:
            return None, 0.0
        nearest = min(shared, key=lambda id: (-shared[id] / self.sizes[id], id))
        return items[nearest], shared[nearest] / self.sizes[nearest]
