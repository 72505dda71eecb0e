"""Sets questions aside for the test split, so that none of them is met in training in other words."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from instructlab_like.digests import Sorter
from instructlab_like.records import Sample, digest, normalise
from instructlab_like.stock import Some

WORDS = 8  # a shared run of so many words makes two questions one
KEY = 12  # bytes of a key's digest: even among a billion of them no two are likely to be the same
ORDER = 16  # bytes of the digest by which groups are put in order
SEVERAL = (1 << 32) - 1  # in place of a leaf: the group spans some


def split(
    samples: Sequence[Sample], *, share: float, seed: int, scratch: Path | None = None
) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The samples to train on and those to test with, each in the order given and looked up when it is wanted.

    Samples that share a question, a run of eight words of it, or (where they are asked about a passage) a passage, a
    run of its words or a chunk, go to the same side. At most `share` of each leaf's samples goes to test, in groups
    taken by digest, so the choice depends on the samples and the seed alone. What would exceed the share stays in
    training: a group larger than what is left of it, one that spans leaves, and all of a leaf with fewer than
    1 / share samples.

    Keys lie in a file in `scratch` where they are too many for memory.
    """
    groups = Groups(samples, scratch)
    budget = [min(int(share * count), count - 1) for _, count in sorted(Counter(groups.leaves).items())]
    tested = bytearray(len(samples))  # by the first sample of each group
    for first in groups.drawn(seed):
        leaf, size = groups.leaf[first], groups.size[first]
        if leaf != SEVERAL and size <= budget[leaf]:
            budget[leaf] -= size
            tested[first] = True
    places = range(len(samples))
    return (
        Some(samples, (place for place in places if not tested[groups.parents[place]])),
        Some(samples, (place for place in places if tested[groups.parents[place]])),
    )


class Groups:
    """Samples by place in groups: any two that share a key, directly or through others, are in one.

    Thirty-odd bytes of each sample and its id are in memory. A group goes by the place of its first sample.
    """

    def __init__(self, samples: Sequence[Sample], scratch: Path | None) -> None:
        self.ids = Texts()
        self.leaves = array("I")  # numbers of the leaves, by place
        self.parents = array("I", range(len(samples)))
        numbers: dict[str, int] = {}
        with Sorter(KEY, scratch) as shared:
            for place, sample in enumerate(samples):
                self.ids.append(sample.id)
                self.leaves.append(numbers.setdefault(sample.lineage.leaf, len(numbers)))
                for key in keys(sample):
                    shared.add(hashlib.blake2b(key.encode("utf-8"), digest_size=KEY).digest(), place)
            for first, *others in shared.shared():
                for other in others:
                    self.join(first, other)
        self.gather()

    def root(self, place: int) -> int:
        parents = self.parents
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    def join(self, one: int, other: int) -> None:
        """The earlier of two firsts becomes the first of both."""
        first, second = self.root(one), self.root(other)
        if first != second:
            self.parents[max(first, second)] = min(first, second)

    def gather(self) -> None:
        """What is known of each group, by its first sample: how many it has, their leaf, which has the lowest id."""
        count = len(self.parents)
        self.size = array("I", bytes(4 * count))
        self.leaf = array("I", self.leaves)
        self.lowest = array("I", range(count))
        for place in range(count):
            first = self.parents[place] = self.root(place)
            self.size[first] += 1
            if self.leaf[first] != self.leaves[place]:
                self.leaf[first] = SEVERAL
            if self.ids[place] < self.ids[self.lowest[first]]:
                self.lowest[first] = place

    def drawn(self, seed: int) -> Iterator[int]:
        """The groups, in an order that follows from their lowest ids and the seed."""
        with Sorter(ORDER) as order:
            for first, size in enumerate(self.size):
                if size:
                    key = digest([seed, self.ids[self.lowest[first]].decode("utf-8")])
                    order.add(bytes.fromhex(key)[:ORDER], first)
            for _, first in order:
                yield first


class Texts:
    """Short texts as UTF-8, which has the same order, one behind the other."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ends = array("Q", [0])

    def append(self, text: str) -> None:
        self.data += text.encode("utf-8")
        self.ends.append(len(self.data))

    def __getitem__(self, place: int) -> bytes:
        return bytes(self.data[self.ends[place] : self.ends[place + 1]])


def keys(sample: Sample) -> Iterator[str]:
    """What a sample must not share with one on the other side.

    A question about a passage is known by its passage: the question itself is an instruction that its whole leaf may
    share. A simulation's question is known by its whole text: its phrasings are few, and the numbers tell it apart.
    """
    yield f"id {sample.id}"
    if sample.kind == "grounded" and sample.context:
        words = normalise(sample.context).split()
        if sample.lineage.chunk:
            yield f"chunk {sample.lineage.chunk}"
    else:
        words = normalise(sample.question).split()
    yield f"text {' '.join(words)}"
    if sample.lineage.method != "simulation":
        for first in range(len(words) - WORDS + 1):
            yield f"run {' '.join(words[first : first + WORDS])}"
