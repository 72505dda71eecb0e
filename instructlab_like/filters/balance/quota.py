"""Keeps any leaf, kind, method, length or difficulty from outweighing the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Annotated, ClassVar

import orjson
from pydantic import Field

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, rejected
from instructlab_like.filters.parts.difficulty import difficulty
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

KEY = 8  # bytes of the lot that a sample draws
SHOWN = 10  # groups named in the remarks
SHORTEST = 16  # words of the first group of lengths; each next one reaches twice as far
Limit = Annotated[float, Field(ge=0)]


class Quota(SetFilter):
    """Rejects what is over the most that a group may have: of one leaf, kind, method, length or difficulty.

    A limit from 1 on is a number of samples; below 1 it is a share of what is kept: with `per_leaf: 0.3` no leaf has
    more than 30 % of it. Where there are too few groups for that, they get equal parts. Limits apply one after the
    other, in the order below. Who goes is drawn by lot of the seed and the sample's id: a sample that stays within its
    number stays when others are added, unless theirs are the better lots.

    Length is that of question and answer in words: up to 16, 32, 64 and so on. Difficulty is what the sample's lineage
    says (`params: {difficulty: hard}`). Where it says nothing, a proxy stands in for it and is called one: a point each
    for an answer in three steps or more, for three numbers or more in the question, for an answer of more than 80
    words, and for one long word in six; none is proxy-easy, one proxy-medium, more proxy-hard. What it cannot know: how
    hard a question really is, and which of two samples is the better one.

    Nothing is rejected without a limit. Score: how many the group has; threshold: how many it may have.
    """

    version: ClassVar[int] = 1

    per_leaf: Limit = 0
    """Most samples of a leaf; 0: no limit."""
    per_kind: Limit = 0
    """Most samples of a kind: knowledge, freeform, grounded."""
    per_method: Limit = 0
    """Most samples of a method: teacher, rules, simulation, given."""
    per_length: Limit = 0
    """Most samples of a length, in doubling steps."""
    per_difficulty: Limit = 0
    """Most samples of a difficulty, as the lineage says, or by proxy."""
    within_leaf: bool = False
    """Count kind, method, length and difficulty in each leaf by itself."""

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        told = {
            "leaf": self.per_leaf,
            "kind": self.per_kind,
            "method": self.per_method,
            "length": self.per_length,
            "difficulty": self.per_difficulty,
        }
        return tuple((name, limit) for name, limit in told.items() if limit)

    def sketch(self, sample: Sample) -> bytes:
        limited = {name for name, _ in self.limits}
        groups = {"leaf": sample.lineage.leaf, "kind": sample.kind, "method": sample.lineage.method}
        if "length" in limited:
            groups["length"] = length(sample)
        if "difficulty" in limited:
            groups["difficulty"] = difficulty(sample)
        return orjson.dumps([sample.id, groups])

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        if not self.limits:
            return
        drawn = self.drawn(pool, around.seed)
        told: dict[int, Judgement] = {}
        for name, limit in self.limits:
            groups: dict[str, list[int]] = defaultdict(list)
            for place in drawn:
                if place not in told:
                    groups[self.group(pool, place, name)].append(place)
            most = allowed([len(places) for places in groups.values()], limit)
            for group, places in groups.items():
                reason = f"over the quota: {name} {group!r} has {len(places):,}, and may have {most:,}"
                over = rejected(f"per-{name}", reason, score=len(places), threshold=most)
                told.update(dict.fromkeys(places[most:], over))
        yield from sorted(told.items(), key=lambda one: one[0])

    def drawn(self, pool: Pool, seed: int) -> list[int]:
        """All places in the order of the lots."""
        salt = seed.to_bytes(16, "big", signed=True)
        lots = [blake2b(id_of(pool.sketch(place)), key=salt, digest_size=KEY).digest() for place in range(len(pool))]
        return sorted(range(len(pool)), key=lambda place: (lots[place], place))

    def group(self, pool: Pool, place: int, name: str) -> str:
        groups = orjson.loads(pool.sketch(place))[1]
        group: str = groups[name]
        return f"{groups['leaf']}: {group}" if self.within_leaf and name != "leaf" else group

    def remarks(self, pool: Pool, gone: Sequence[int], _around: Surroundings, /) -> tuple[str, ...]:
        """What the report of a run says of this filter's work: the largest groups before and after."""
        without = frozenset(gone)
        return tuple(self.remark(pool, without, name) for name, _ in self.limits) if gone else ()

    def remark(self, pool: Pool, gone: Collection[int], name: str) -> str:
        before, after = Counter[str](), Counter[str]()
        for place in range(len(pool)):
            group = self.group(pool, place, name)
            before[group] += 1
            after[group] += place not in gone
        largest = sorted(before, key=lambda group: (-before[group], group))
        told = [f"{group or 'unknown'} {after[group]:,} of {before[group]:,}" for group in largest[:SHOWN]]
        more = f" and {len(largest) - SHOWN:,} more" if len(largest) > SHOWN else ""
        return f"quota, kept by {name}: {', '.join(told)}{more}"


def id_of(sketch: bytes) -> bytes:
    return sketch[2 : sketch.index(b'"', 2)]  # '["…",…': what stands first


def length(sample: Sample) -> str:
    count = len(sample.question.split()) + len(sample.answer.split())
    most = SHORTEST
    while most < count:
        most *= 2
    return f"up to {most} words"


def allowed(sizes: Sequence[int], limit: float) -> int:
    """The most samples that a group may have: a number, or the most that is within a share of all that are kept."""
    if limit >= 1:
        return int(limit)
    return largest(sizes, max(limit, 1 / max(1, len(sizes))))


def largest(sizes: Sequence[int], share: float) -> int:
    """The largest limit that is within the share of what it leaves; the larger the limit, the less of it is."""
    low, high = 1, max(sizes, default=1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= share * sum(min(size, middle) for size in sizes) + 1e-9:
            low = middle
        else:
            high = middle - 1
    return low
