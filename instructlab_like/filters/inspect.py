"""What can be found out of each sample by itself: who rejects it, and its sketches for the filters over the whole set.

All of it is pure, so it is done in any process, and remembered as the bytes of a `Finding`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from instructlab_like.filters import AnyFilter, LeafFacts, SetFilter
from instructlab_like.filters.judgement import Judgement
from instructlab_like.records import Record, Sample, plain

PASSED, VERSION = "sift", 2  # the filter that the verdict on a sample names when all filters kept it
HEAD = struct.Struct("<HQ")
COUNT = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one sample: the place of the filter that rejected it, or how many there are, and what is to be told then."""

    stop: int
    unapplied: int  # a bit for each place whose filter could not judge it
    leaf: str
    line: bytes  # of 3-verdicts.jsonl: the rejection, or that all filters kept it
    pardons: bytes  # lines that say what would have been a rejection
    instead: bytes  # the sample that goes on in its place from there, as JSON, and what was found of that
    found: bytes
    sketches: tuple[bytes, ...]  # for each SetFilter in turn; of those behind `stop` nothing

    def pack(self) -> bytes:
        parts = (self.leaf.encode(), self.line, self.pardons, self.instead, self.found, *self.sketches)
        sizes = struct.pack(f"<{len(parts)}I", *map(len, parts))
        return b"".join((HEAD.pack(self.stop, self.unapplied), COUNT.pack(len(parts)), sizes, *parts))

    @classmethod
    def unpack(cls, data: bytes) -> Finding:
        """Raises ValueError for bytes that are no finding."""
        try:
            stop, unapplied = HEAD.unpack_from(data)
            (count,) = COUNT.unpack_from(data, HEAD.size)
            at = HEAD.size + COUNT.size
            sizes = struct.unpack_from(f"<{count}I", data, at)
        except struct.error as error:
            raise ValueError("no finding") from error
        at += 4 * count
        parts: list[bytes] = []
        for size in sizes:
            parts.append(data[at : at + size])
            at += size
        if at != len(data) or count < 5:
            raise ValueError("no finding")
        leaf, line, pardons, instead, found, *sketches = parts
        return cls(stop, unapplied, leaf.decode(), line, pardons, instead, found, tuple(sketches))


def nothing(_: Sample) -> bytes:
    """The sketch of a filter that has nothing to do."""
    return b""


class Inspector:
    """Applies what judges samples one by one, and sketches them for the rest."""

    def __init__(
        self,
        chosen: Sequence[AnyFilter],
        leaves: Mapping[str, LeafFacts],
        pardons: Sequence[str] = (),
        idle: Collection[int] = (),
    ) -> None:
        self.chosen, self.leaves, self.pardons = chosen, leaves, tuple(pardons)
        self.idle = frozenset(idle)  # places of filters over the whole set that have nothing to do
        self.names = tuple(one.name for one in chosen)
        self.turns = tuple(self._turns())

    def _turns(self) -> Iterator[tuple[int, bool, bool, Callable[..., Judgement] | None, Callable[..., bytes]]]:
        """For each filter that looks at one sample: its place, whether it wants the leaf, whether it sketches, and its
        method. Looked up once, since a run calls them for every sample."""
        for place, one in enumerate(self.chosen):
            if one.kind == "set":
                yield place, False, True, None, nothing if place in self.idle else one.sketch
            elif one.kind != "ask":
                yield place, one.kind == "leaf", False, one.judge, nothing

    def look(self, sample: Sample, *, begin: int = 0) -> Finding:
        """What is found of the sample by the filters from place `begin` on."""
        leaf = self.leaves.get(sample.lineage.leaf)
        unapplied, sketches, scores, pardons = 0, list[bytes](), dict[str, float](), list[bytes]()
        for place, of_leaf, of_set, judge, sketch in self.turns:
            if of_set:
                sketches.append(sketch(sample) if place >= begin else b"")
                continue
            if place < begin or judge is None:
                continue
            if not of_leaf:
                told = judge(sample)
            elif leaf is None:
                unapplied |= 1 << place
                continue
            else:
                told = judge(sample, leaf)
            if told.keep:
                if not told.applied:
                    unapplied |= 1 << place
                elif told.score is not None:
                    scores[self.names[place]] = round(float(told.score), 6)
            elif self.pardons and is_pardoned(self.pardons, sample.id, self.names[place]):
                pardons.append(verdict_line(self.chosen[place], sample, pardoned(told)))
            else:
                return self.stopped(place, sample, told, unapplied, sketches, pardons)
        line = orjson.dumps(
            {
                "filter": PASSED,
                "keep": True,
                "leaf": sample.lineage.leaf,
                "partner": None,
                "reason": passed(self.names, unapplied),
                "rule": "",
                "score": None,
                "scores": dict(sorted(scores.items())) or None,
                "subject": sample.id,
                "threshold": None,
                "version": VERSION,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        stop = len(self.chosen)
        return Finding(stop, unapplied, sample.lineage.leaf, line, b"".join(pardons), b"", b"", tuple(sketches))

    def stopped(
        self,
        place: int,
        sample: Sample,
        told: Judgement,
        unapplied: int,
        sketches: Sequence[bytes],
        pardons: Sequence[bytes],
    ) -> Finding:
        later = sum(isinstance(one, SetFilter) for one in self.chosen[place:])
        instead = found = b""
        if told.instead is not None:
            instead = orjson.dumps(plain(told.instead), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
            found = self.look(told.instead, begin=place + 1).pack()
        line = verdict_line(self.chosen[place], sample, told)
        sides = (*sketches, *([b""] * later))
        return Finding(place, unapplied, sample.lineage.leaf, line, b"".join(pardons), instead, found, sides)


@lru_cache(maxsize=1024)
def passed(names: tuple[str, ...], unapplied: int) -> str:
    without = [name for place, name in enumerate(names) if unapplied >> place & 1]
    if not without:
        return "every filter kept it"
    return f"every filter kept it but for those that could not be applied: {', '.join(without)}"


def is_pardoned(pardons: Sequence[str], id: str, name: str) -> bool:
    for pardon in pardons:
        beginning, _, only = pardon.partition(":")
        if id.startswith(beginning) and (not only or only == name):
            return True
    return False


def pardoned(told: Judgement) -> Judgement:
    return Judgement(True, f"pardoned: {told.reason}", told.rule, told.score, told.threshold, told.partner)


def verdict_line(one: AnyFilter, sample: Sample, told: Judgement) -> bytes:
    verdict = one.verdict(sample, told)
    return orjson.dumps(vars(verdict), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


class Task(Record):
    """What a process that inspects is told before its first sample."""

    filters: tuple[dict[str, object], ...]
    leaves: Mapping[str, LeafFacts]
    pardons: tuple[str, ...]
    idle: tuple[int, ...] = ()
