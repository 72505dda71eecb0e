"""Which first prompts come next where a mix is wanted: those that fill what is short, by what such prompts have given.

Pure. A stream is the first prompts of a flow for a leaf, with one value of each axis that steers; what a prompt of it
gives is learned from those that were walked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from instructlab_like.filters.parts.mixture import Cell
from instructlab_like.records import Record

STEERING = ("difficulty", "length", "language")  # axes of these names are dimensions of a mix
LENT = 2.0  # prompts for which what others of the flow gave stands
HOPED = 0.5  # prompts for which it stands that all of a prompt's samples are kept, and are what is wanted
HOPELESS = 0.01  # of a prompt's samples: where no more than this can be hoped for, prompts are not asked for hope
FEWEST = 4  # prompts that a stream may be given at once, however few it had
PATIENCE = 2  # rounds without any gain, after which there is no more to be had
PARTLY = 0.3  # worth of a sample that is not short in everything, and makes room for others all the same
WORTHY = 0.25  # of the worth of the best stream's prompts, from which on a stream is given some
NOTHING = 1e-9

Guess = tuple[int | None, ...]  # as a cell; None: whatever is wanted
Steps = tuple[tuple[str, str], ...]  # axes that steer, with their values


@dataclass
class Stream:
    """First prompts that are alike in all that is known before they are asked."""

    leaf: str
    flow: str
    steps: Steps
    guess: Guess
    most: float  # samples of a prompt
    limit: int  # first prompts of the flow for the leaf
    free: bool = False  # nothing is paid for it: all of it comes in the first round
    begun: int = 0
    ended: bool = False  # there are no more prompts
    gave: Counter[Cell] = field(default_factory=Counter)  # samples that came as far as the mix
    idle: int = 0  # rounds in a row in which it was asked, and gave nothing that is wanted

    @property
    def name(self) -> tuple[str, str, Steps]:
        return self.leaf, self.flow, self.steps

    @property
    def open(self) -> bool:
        return not self.ended and self.idle < PATIENCE


class Part(Record):
    """How many first prompts of a stream were begun in a round."""

    leaf: str
    flow: str
    axes: dict[str, str] = {}
    prompts: int

    @property
    def name(self) -> tuple[str, str, Steps]:
        return self.leaf, self.flow, tuple(self.axes.items())


Round = tuple[Part, ...]
Needs = Sequence[Sequence[float]]  # samples short of each value, dimension by dimension
Helps = Callable[
    [Cell], bool
]  # whether more samples of a cell leave less missing, though they are not short in everything


def never(_: Cell) -> bool:
    return False


def allotted(streams: Sequence[Stream], needs: Needs, missing: float, helps: Helps = never) -> list[int]:
    """How many first prompts each stream is to be given next, within its limit.

    One after the other, those that are worth most now, until what they are expected to give is no longer missing.
    A stream that was asked before gets at most as many as it had, by when it is better known what it gives; one that
    has given nothing of what is short, only a few.
    """
    counts = [0] * len(streams)
    used: Counter[tuple[str, str]] = Counter()
    for stream in streams:
        used[stream.leaf, stream.flow] += stream.begun
    short = [list(map(float, of_dimension)) for of_dimension in needs]
    gifts = [expected(stream, streams) for stream in streams]
    known = [value(dict.fromkeys(given(stream, streams), 1.0), short, helps) > 0 for stream in streams]

    def room(at: int) -> bool:
        stream = streams[at]
        grown = not stream.begun or counts[at] < (max(FEWEST, stream.begun) if known[at] else FEWEST)
        return stream.open and grown and used[stream.leaf, stream.flow] < stream.limit

    while missing > NOTHING:
        worth = [value(gifts[at], short, helps) if room(at) else 0.0 for at in range(len(streams))]
        best = max(worth, default=0.0)
        if best <= NOTHING:
            break
        for at, told in enumerate(worth):
            if told < WORTHY * best or missing <= NOTHING or not room(at):
                continue
            if value(gifts[at], short, helps) < WORTHY * best:
                continue  # what it gives is no longer missing
            counts[at] += 1
            used[streams[at].leaf, streams[at].flow] += 1
            missing -= taken(gifts[at], short, helps)
    return counts


def expected(stream: Stream, streams: Sequence[Stream]) -> dict[Guess, float]:
    """Samples of each kind that a prompt of a stream will give: by its own, lent by others, and hoped for."""
    prompts = sum(one.begun for one in kin(stream, streams))
    if not prompts:
        return {stream.guess: stream.most}
    found = given(stream, streams)
    hope = HOPED / (prompts + HOPED)
    if hope > HOPELESS:
        found[stream.guess] = found.get(stream.guess, 0.0) + hope * stream.most
    return found


def promising(stream: Stream, streams: Sequence[Stream], needs: Needs, helps: Helps) -> bool:
    """Whether more prompts of a stream would give what is short, if there were any."""
    return stream.idle < PATIENCE and value(expected(stream, streams), needs, helps) > NOTHING


def kin(stream: Stream, streams: Sequence[Stream]) -> list[Stream]:
    """The streams of the same flow that were asked; those with the same values of its axes, if there are any."""
    flow = [one for one in streams if one.flow == stream.flow and one.begun]
    return [one for one in flow if one.steps == stream.steps] or flow


def given(stream: Stream, streams: Sequence[Stream]) -> dict[Guess, float]:
    """What a prompt has given, of the stream itself and, for a few prompts, of its kin."""
    alike = kin(stream, streams)
    found: dict[Guess, float] = {}
    own = stream.begun + LENT
    for cell, count in sorted(stream.gave.items()):
        found[cell] = found.get(cell, 0.0) + count / own
    lent = LENT / max(1, sum(one.begun for one in alike)) / own
    for one in alike:
        for cell, count in sorted(one.gave.items()):
            here = known_here(cell, stream)
            found[here] = found.get(here, 0.0) + count * lent
    return found


def known_here(cell: Cell, stream: Stream) -> Guess:
    """What a sample of another stream would be in this one."""
    return tuple(own if own is not None else place for own, place in zip(stream.guess, cell, strict=True))


def value(gift: Mapping[Guess, float], short: Needs, helps: Helps) -> float:
    """What a prompt is worth: the samples that fit, and a part of those that make room for others."""
    return sum(count * fit(guess, short, helps) for guess, count in gift.items())


def fit(guess: Guess, short: Needs, helps: Helps) -> float:
    hits = [is_short(place, of_dimension) for place, of_dimension in zip(guess, short, strict=True)]
    if all(hits):
        return 1.0
    cell = tuple(place for place in guess if place is not None)
    return PARTLY if any(hits) and len(cell) == len(guess) and helps(cell) else 0.0


def is_short(place: int | None, of_dimension: Sequence[float]) -> bool:
    return any(one > NOTHING for one in of_dimension) if place is None else of_dimension[place] > NOTHING


def taken(gift: Mapping[Guess, float], short: Sequence[list[float]], helps: Helps) -> float:
    """Take what a prompt is expected to give off what is short; returns how much less is missing."""
    filled = 0.0
    for guess, count in gift.items():
        fits = fit(guess, short, helps)
        if not fits:
            continue
        filled += count * fits
        for place, of_dimension in zip(guess, short, strict=True):
            at = place if place is not None else max(range(len(of_dimension)), key=of_dimension.__getitem__)
            of_dimension[at] = max(0.0, of_dimension[at] - count)
    return filled


def useful(gave: Mapping[Cell, int], needs: Needs, helps: Helps = never) -> bool:
    """Whether any of what a stream gave in a round leaves less missing."""
    return any(count and fit(cell, needs, helps) for cell, count in gave.items())


def parts(streams: Sequence[Stream], counts: Sequence[int]) -> Iterator[Part]:
    for stream, count in zip(streams, counts, strict=True):
        if count:
            yield Part(leaf=stream.leaf, flow=stream.flow, axes=dict(stream.steps), prompts=count)
