"""What a leaf repeats of the rest of the tree: seeds, held-out questions, contexts, and passages of its documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from instructlab_like.filters import build
from instructlab_like.filters.novelty.held_out import HeldOutOverlap
from instructlab_like.filters.novelty.near_duplicate import NearDuplicate, read_quickly
from instructlab_like.filters.parts.changes import Text
from instructlab_like.filters.parts.shelves import bands, signature
from instructlab_like.filters.parts.tokens import Spoken
from instructlab_like.preview.facts import Overlap
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Chunk, Knowledge, Leaf, Lineage, Sample, Skill, ngrams, normalise, with_context

PASSAGE = 0.5  # of its runs of words that a context or chunk shares with another, from which on it repeats it
ALIKE = 0.25  # of what a signature is made of; with less in common, no two agree enough
_ANYWHERE = Lineage(leaf="", leaf_blob="", method="teacher", model="")  # one leaf for all: leaves are compared

Run = tuple[str, ...]
Kind = TypeVar("Kind", NearDuplicate, HeldOutOverlap)


@dataclass(frozen=True)
class Part:
    """A question of a leaf, or the context of one of a knowledge leaf's seeds."""

    leaf: str
    what: str  # "seed 2, question 1"
    question: str
    answer: str | None = None  # None: this is a context
    context: str | None = None  # that the question is about

    @property
    def text(self) -> str:
        return with_context(self.question, self.context)

    @cached_property
    def whole(self) -> str:
        """What makes another the same."""
        return normalise(self.text)

    @property
    def is_context(self) -> bool:
        return self.answer is None

    def runs(self, words: int) -> frozenset[Run]:
        return _runs(self.context or self.question, words)

    @cached_property
    def sample(self) -> Sample:
        """As the near_duplicate filter compares it."""
        kind: Literal["grounded", "freeform"] = "grounded" if self.context else "freeform"
        return Sample(
            id=self.what,
            kind=kind,
            question=self.question,
            answer=self.answer or "",
            context=self.context,
            lineage=_ANYWHERE,
        )

    @cached_property
    def spoken(self) -> Spoken:
        return read_quickly(self.sample)

    @cached_property
    def near(self) -> Text:
        return Text.of(self.sample)

    @cached_property
    def bands(self) -> tuple[tuple[int, bytes], ...]:
        return tuple(bands(signature(self.spoken.features())))


class Shelves:
    """The parts of the `subjects`, and of the other leaves those that could be alike, found by their words."""

    def __init__(self, leaves: Iterable[Leaf], filters: Sequence[FilterChoice], *, subjects: Collection[str]) -> None:
        self.filter = _filter(filters, "near_duplicate", NearDuplicate)
        self.size = _filter(filters, "held_out", HeldOutOverlap).words
        self.parts: dict[str, list[Part]] = defaultdict(list)
        self.wholes: dict[str, list[Part]] = defaultdict(list)
        self.runs: dict[Run, list[Part]] = defaultdict(list)
        self.bands: dict[tuple[int, bytes], list[Part]] = defaultdict(list)
        self.features: set[bytes] = set()
        others: list[Part] = []
        for leaf in leaves:
            if leaf.path in subjects:
                self.parts[leaf.path] = list(_parts(leaf))
            else:
                others += _parts(leaf)
        for part in [part for parts in self.parts.values() for part in parts]:
            self._shelve(part)
        for part in others:
            self._shelve_if_met(part)

    def repeated(self, leaf: str) -> Iterator[Overlap]:
        """For each part of the leaf that another leaf has too, or nearly so, the nearest one there."""
        for part in self.parts.get(leaf, ()):
            found = self._same(part) or self._near(part) or self._shared(part)
            if found is not None:
                yield found

    def _is_comparable(self, part: Part) -> bool:
        return not part.is_context and part.spoken.length >= self.filter.min_words

    def _shelve(self, part: Part) -> None:
        self.wholes[part.whole].append(part)
        for run in part.runs(self.size):
            self.runs[run].append(part)
        if self._is_comparable(part):
            self.features.update(part.spoken.features())
            for band in part.bands:
                self.bands[band].append(part)

    def _shelve_if_met(self, part: Part) -> None:
        """Put a part of another leaf only where one of the subjects' has been put: most meet none."""
        if part.whole in self.wholes:
            self.wholes[part.whole].append(part)
        for run in part.runs(self.size) & self.runs.keys():
            self.runs[run].append(part)
        if not self._is_comparable(part):
            return
        features = set(part.spoken.features())
        if len(features & self.features) >= ALIKE * len(features):
            for band in part.bands:
                if band in self.bands:
                    self.bands[band].append(part)

    def _same(self, part: Part) -> Overlap | None:
        others = [other for other in self.wholes[part.whole] if other.leaf != part.leaf]
        if not others:
            return None
        return _overlap(part, others[0], "the same as", 1.0, "equal but for case, punctuation and spacing")

    def _near(self, part: Part) -> Overlap | None:
        if not self._is_comparable(part):
            return None
        candidates = {
            (other.leaf, other.what): other
            for band in part.bands
            for other in self.bands[band]
            if other.leaf != part.leaf
        }
        alike = [
            (score, other)
            for _, other in sorted(candidates.items())
            if (score := self.filter.compare(part.near, other.near)) is not None
        ]
        if not alike:
            return None
        score, nearest = max(alike, key=lambda pair: pair[0])
        return _overlap(part, nearest, "a few words away from", score, "of the words of question and answer")

    def _shared(self, part: Part) -> Overlap | None:
        shared: dict[tuple[str, str], int] = defaultdict(int)
        others: dict[tuple[str, str], Part] = {}
        runs = part.runs(self.size)
        for run in runs:
            for other in self.runs[run]:
                if other.leaf != part.leaf:
                    others[other.leaf, other.what] = other
                    shared[other.leaf, other.what] += 1
        if not shared:
            return None
        nearest = min(shared, key=lambda name: (-shared[name], name))
        share = shared[nearest] / len(runs)
        if part.is_context and share < PASSAGE:
            return None
        how = f"shares {self.size} words in a row with"
        return _overlap(part, others[nearest], how, share, f"of its runs of {self.size} words")


def _parts(leaf: Leaf) -> Iterator[Part]:
    grounded = isinstance(leaf, Skill)
    for seed in leaf.seeds:
        if isinstance(leaf, Knowledge) and seed.context:
            yield Part(leaf.path, f"seed {seed.number}, context", seed.context)
        for number, pair in enumerate(seed.pairs, start=1):
            what = f"seed {seed.number}, question {number}" if len(seed.pairs) > 1 else f"seed {seed.number}"
            yield Part(leaf.path, what, pair.question, pair.answer, seed.context if grounded else None)
    for held in leaf.held_out:
        yield Part(leaf.path, f"held-out question, line {held.line}", held.question, held.answer, held.context)


class Passages:
    """The chunks of some leaves that stand in other leaves' documents too, wholly or by half; one pass over all."""

    def __init__(self, leaves: Iterable[str], chunks: Mapping[str, Sequence[Chunk]], *, words: int) -> None:
        self.words = words
        self.own = {leaf: [(chunk, _runs(chunk.text, words)) for chunk in chunks.get(leaf, ())] for leaf in leaves}
        self.met: dict[tuple[str, str], dict[int, set[Run]]] = defaultdict(lambda: defaultdict(set))
        wanted: dict[Run, list[tuple[str, int]]] = defaultdict(list)
        for leaf, passages in self.own.items():
            for number, (_, runs) in enumerate(passages):
                for run in runs:
                    wanted[run].append((leaf, number))
        for other, there in sorted(chunks.items()):
            for chunk in there:
                for run in _runs(chunk.text, words) & wanted.keys():
                    for leaf, number in wanted[run]:
                        if leaf != other:
                            self.met[leaf, other][number].add(run)

    def repeated(self, leaf: str) -> Iterator[Overlap]:
        """For each other leaf whose documents hold passages of this leaf's documents, how many."""
        own = self.own.get(leaf, [])
        for other in [other for mine, other in self.met if mine == leaf]:
            met = self.met[leaf, other]
            numbers = sorted(number for number, runs in met.items() if len(runs) >= PASSAGE * len(own[number][1]))
            if not numbers:
                continue
            first, _ = own[numbers[0]]
            yield Overlap(
                what=f"{len(numbers)} of {len(own)} chunks",
                text=f"{first.document}, bytes {first.start} to {first.end}: {first.text}",
                other=other,
                other_what="the documents",
                how=f"share at least {PASSAGE:.0%} of their runs of {self.words} words with",
                score=round(len(numbers) / len(own), 4),
                measure="of its chunks",
            )


def _overlap(part: Part, other: Part, how: str, score: float, measure: str) -> Overlap:
    return Overlap(
        what=part.what,
        text=part.text,
        other=other.leaf,
        other_what=other.what,
        how=how,
        score=round(score, 4),
        measure=measure,
    )


def _runs(text: str, words: int) -> frozenset[Run]:
    """The runs of so many words; a shorter text has none."""
    return frozenset(run for run in ngrams(text, words) if len(run) == words)


def _filter(filters: Sequence[FilterChoice], name: str, kind: type[Kind]) -> Kind:
    """The recipe's filter of that name, with its options; one by default if the recipe has none."""
    found = next((build(choice) for choice in filters if choice.name == name), None)
    return found if isinstance(found, kind) else kind()
