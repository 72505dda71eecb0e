"""Sets questions aside for the test split, so that none of them is met in training in other words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from instructlab_like.records import Sample, digest, ngrams, normalise

WORDS = 8  # a shared run of so many words makes two questions one


def split(samples: Sequence[Sample], *, share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """The samples to train on and those to test with, each in the order given.

    Samples that share a question, a run of eight words of it, or (where they are asked about a passage) a passage, a
    run of its words or a chunk, go to the same side. At most `share` of each leaf's samples goes to test, in groups
    taken by digest, so the choice depends on the samples and the seed alone. What would exceed the share stays in
    training: a group larger than what is left of it, one that spans leaves, and all of a leaf with fewer than
    1 / share samples.
    """
    budget: dict[str, int] = defaultdict(int)
    for leaf, count in _per_leaf(samples).items():
        budget[leaf] = min(int(share * count), count - 1)
    tested: set[str] = set()
    for group in sorted(groups(samples), key=lambda group: digest([seed, min(sample.id for sample in group)])):
        leaves = {sample.lineage.leaf for sample in group}
        leaf = min(leaves)
        if len(leaves) == 1 and len(group) <= budget[leaf]:
            budget[leaf] -= len(group)
            tested |= {sample.id for sample in group}
    train = [sample for sample in samples if sample.id not in tested]
    return train, [sample for sample in samples if sample.id in tested]


def _per_leaf(samples: Sequence[Sample]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for sample in samples:
        counts[sample.lineage.leaf] += 1
    return counts


def groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples in groups: any two that share a key, directly or through others, are in one."""
    parents = list(range(len(samples)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[object, int] = {}
    for index, sample in enumerate(samples):
        for key in keys(sample):
            parents[root(index)] = root(first.setdefault(key, index))
    gathered: dict[int, list[Sample]] = defaultdict(list)
    for index, sample in enumerate(samples):
        gathered[root(index)].append(sample)
    return list(gathered.values())


def keys(sample: Sample) -> Iterator[tuple[str, object]]:
    """What a sample must not share with one on the other side.

    A question about a passage is known by its passage: the question itself is an instruction that its whole leaf may
    share. A simulation's question is known by its whole text: its phrasings are few, and the numbers tell it apart.
    """
    yield "id", sample.id
    if sample.kind == "grounded" and sample.context:
        yield "text", normalise(sample.context)
        if sample.lineage.chunk:
            yield "chunk", sample.lineage.chunk
        words = sample.context
    else:
        yield "text", normalise(sample.question)
        words = sample.question
    if sample.lineage.method != "simulation":
        for run in ngrams(words, WORDS):
            yield "run", run
