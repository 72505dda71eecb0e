"""Splitting and mixing as they were first written, with all samples in memory: what the stages must agree with."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from instructlab_like.dataset.card import TEST
from instructlab_like.dataset.mix import REPLAY, Replay, replay_counts
from instructlab_like.dataset.rows import phase_of, row
from instructlab_like.records import Row, Sample, digest, ngrams, normalise, plain


def split(samples: Sequence[Sample], *, share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    counts = Counter(sample.lineage.leaf for sample in samples)
    budget = {leaf: min(int(share * count), count - 1) for leaf, count in counts.items()}
    tested: set[str] = set()
    for group in sorted(groups(samples), key=lambda group: digest([seed, min(sample.id for sample in group)])):
        leaves = {sample.lineage.leaf for sample in group}
        leaf = min(leaves)
        if len(leaves) == 1 and len(group) <= budget[leaf]:
            budget[leaf] -= len(group)
            tested |= {sample.id for sample in group}
    train = [sample for sample in samples if sample.id not in tested]
    return train, [sample for sample in samples if sample.id in tested]


def groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    parents = list(range(len(samples)))

    def root(index: int) -> int:
        while parents[index] != index:
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


def keys(sample: Sample) -> set[tuple[str, object]]:
    about_passage = sample.kind == "grounded" and sample.context
    words = (sample.context if about_passage else sample.question) or ""
    found: set[tuple[str, object]] = {("id", sample.id), ("text", normalise(words))}
    if about_passage and sample.lineage.chunk:
        found.add(("chunk", sample.lineage.chunk))
    if sample.lineage.method != "simulation":
        found |= {("run", run) for run in ngrams(words)}
    return found


def mix(
    train: Sequence[Sample], replay: Sequence[Replay], *, share: float, seed: int, knowledge_share: float
) -> list[Row]:
    knowledge = [row(sample) for sample in train if phase_of(sample) == "knowledge"]
    skills = [row(sample) for sample in train if phase_of(sample) == "skills"]
    again = [sample for sample in train if phase_of(sample) == "knowledge"]
    mixed: list[Row] = []
    for phase, new, older, repeated in (("knowledge", knowledge, [], 0.0), ("skills", skills, again, knowledge_share)):
        if new:
            told = [
                Row(messages=one.messages, phase=phase, leaf=REPLAY, sample=digest(plain(one))[:32]) for one in replay
            ]
            old = shuffled({one.sample: one for one in told}.values(), f"{phase} replay", seed)
            first, second = replay_counts(
                len(new), bases=len(old), knowledge=len(older), share=share if replay else 0.0, repeated=repeated
            )
            mixed += shuffled([*new, *old[:first], *spread(older, second, seed)], phase, seed)
    return mixed


def spread(samples: Sequence[Sample], count: int, seed: int) -> list[Row]:
    """So many, equally far apart where those of a leaf, of a chunk of it, and that answer alike stand together."""

    def order(place: int) -> list[str]:
        sample = samples[place]
        path = [sample.lineage.leaf, sample.lineage.chunk, sample.answer, sample.id]
        return [digest([seed, "skills again", *path[:depth]])[:12] for depth in (1, 2, 3, 4)]

    together = sorted(range(len(samples)), key=order)
    taken = [together[math.ceil(number * len(samples) / count) - 1] for number in range(1, count + 1)]
    return [row(samples[place], "skills") for place in sorted(taken)]


def shuffled(rows: Iterable[Row], purpose: str, seed: int) -> list[Row]:
    return sorted(rows, key=lambda found: digest([seed, purpose, found.leaf, found.sample]))


def counted(files: dict[str, list[Row]]) -> tuple[dict[str, int], ...]:
    """What a card tells of files: rows, those that replay, samples to train on, to test with, and by maker."""
    rows = [row for found in files.values() for row in found]
    train = {(row.leaf, row.sample) for path, found in files.items() if path != TEST for row in found}
    makers = {row.sample: (row.method, row.model) for row in rows if row.method and row.model}
    counts = (
        Counter({path: len(found) for path, found in files.items()}),
        Counter({path: sum(row.leaf == REPLAY for row in found) for path, found in files.items()}),
        Counter(leaf for leaf, _ in train),
        Counter(row.leaf for row in files.get(TEST, [])),
        Counter(makers.values()),
    )
    return tuple({name: number for name, number in count.items() if number} for count in counts)
