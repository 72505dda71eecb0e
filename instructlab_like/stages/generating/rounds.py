"""Rounds of asking towards a wanted mix: after each, all filters decide, and the next begins what fills what is short.

What a round begins depends on answers alone, never on the order in which they came: a run that was stopped goes the
same way again, and the ledger answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, count, islice, product

import orjson

from instructlab_like.axes import Axes
from instructlab_like.console import say, working
from instructlab_like.errors import StoppedError
from instructlab_like.filters import Surroundings
from instructlab_like.filters.parts.languages import named
from instructlab_like.filters.parts.mixture import Cell, Marks, Reading, Wanted, lacking, marks_of
from instructlab_like.filters.sift import passed
from instructlab_like.flows import Flow
from instructlab_like.generation import targets
from instructlab_like.generation.foresee import most_samples
from instructlab_like.generation.plan import Seen, tasks
from instructlab_like.generation.targets import PATIENCE, STEERING, Round, Stream
from instructlab_like.generation.walk import Start, Walk
from instructlab_like.recipe import TARGET, GenerateRecipe
from instructlab_like.records import Chunk, Knowledge, Leaf, Sample
from instructlab_like.stages.filtering.judging import Judging
from instructlab_like.stages.generating.harvest import Harvest
from instructlab_like.stages.generating.progress import Sized
from instructlab_like.stages.library import Library
from instructlab_like.stock import Stock
from instructlab_like.workspace import Run, cores

Named = tuple[str, str, targets.Steps]
Bring = Callable[[Iterator[Start], Sized], None]
ALL = 1 << 62  # first prompts: as many as there are
TRIED = 40  # cells of a round that are tried for the room that they make
MIXED, NO_GAIN = "the mix is reached", "no gain in {} rounds"
USED_UP, NONE_GIVES = "there are no more first prompts for what is short", "no first prompts give what is short"


class Rounds:
    """The streams of a run, and what they have given. `before` are the rounds of an earlier time, to be gone again."""

    def __init__(
        self,
        run: Run,
        recipe: GenerateRecipe,
        around: Surroundings,
        walk: Walk,
        leaves: Sequence[Leaf],
        library: Library,
        before: Sequence[Round] | None = None,
    ) -> None:
        assert recipe.target is not None
        self.run, self.recipe, self.around, self.walk, self.library = run, recipe, around, walk, library
        self.reading = Reading(Wanted(recipe.target), {path: leaf.seeds for path, leaf in around.leaves.items()})
        self.wanted = self.reading.wanted
        self.before = before
        self.number = count()
        self.sources: dict[Named, Iterator[Start]] = {}
        self.streams: list[Stream] = []
        self.seen: defaultdict[tuple[str, str], Seen] = defaultdict(set)  # by leaf and flow, over its streams
        self.chunks: dict[str, Sequence[Chunk]] = {}  # of leaves that were begun, at hand for the next round
        for leaf in leaves:
            for flow in walk.flows:
                if flow.takes(leaf):
                    self.add(leaf, flow)
        self.rounds: list[Round] = []
        self.missing = self.least = self.wanted.samples
        self.needs: targets.Needs = tuple(one.numbers(self.missing) for one in self.wanted.dimensions)
        self.helps: targets.Helps = targets.never
        self.tried = 0  # cells whose samples might make room for others
        self.idle = 0  # rounds in a row that were paid for, and left no less missing
        self.ended = ""
        self.stopped: StoppedError | None = None  # by the budget, while a filter's judge was asked

    def add(self, leaf: Leaf, flow: Flow) -> None:
        """The streams of a flow for a leaf, but for those of which the mix wants nothing."""
        axes = flow.axes(self.recipe.seed, flow.own(leaf, self.library.beside(leaf) if flow.drawn else ()))
        stated = {dimension.name for dimension in self.wanted.dimensions}
        steering = [axis for axis in axes.values if axis in STEERING and axis in stated]
        for names in product(*(axes.order[axis] for axis in steering)):
            steps = tuple(zip(steering, names, strict=True))
            guess = self.guess(leaf, dict(steps))
            shares = zip(self.wanted.dimensions, guess, strict=True)
            if any(place is not None and not dimension.shares[place] for dimension, place in shares):
                continue
            most = float(most_samples(flow, self.recipe))
            limit = self.recipe.prompts_per_leaf if flow.asks else ALL
            stream = Stream(leaf.path, flow.name, steps, guess, most, limit, free=not flow.roles)
            self.streams.append(stream)
            self.sources[stream.name] = self.source(leaf, flow, axes, dict(steps))

    def guess(self, leaf: Leaf, steps: Mapping[str, str]) -> targets.Guess:
        """What is known of a stream's samples before there are any."""
        told = Marks(leaf.path, 0, steps.get("difficulty", ""), named(steps.get("language", "")))
        known = {"leaf", *(name for name in ("difficulty", "language") if getattr(told, name))}
        places: list[int | None] = []
        for dimension in self.wanted.dimensions:
            stated = dimension.values[:-1]
            if dimension.name == "length":
                places.append(stated.index(steps["length"]) if steps.get("length") in stated else None)
            else:
                places.append(dimension.place(told) if dimension.name in known else None)
        return tuple(places)

    def source(self, leaf: Leaf, flow: Flow, axes: Axes, within: Mapping[str, str]) -> Iterator[Start]:
        if isinstance(leaf, Knowledge) and leaf.path not in self.chunks:
            self.chunks[leaf.path] = self.library.of(leaf)
        chunks = self.chunks.get(leaf.path, ())
        for about, task in tasks(leaf, flow, chunks, self.walk, axes, within, self.seen[leaf.path, flow.name]):
            yield Start(next(self.number), flow, about, task)

    def go(self, bring: Bring, harvest: Harvest, judging: Callable[[], Judging]) -> None:
        """All rounds; raises what `bring` raises. `ended` says why there is no other, `stopped` that a judge's budget
        is why.
        """
        if self.before is not None:
            for told in self.before:
                self.bring([self.had(stream, told) for stream in self.streams], bring)
            self.ended = "gone again as it was before; nobody was asked"
            return
        counts = [ALL if stream.free else 0 for stream in self.streams]
        while not self.ended:
            if any(counts):
                self.bring(counts, bring)
                self.learn(counts, self.gave(harvest, judging))
            self.ended = self.reason()
            if not self.ended:
                counts = self.following()

    def reason(self) -> str:
        """Why there is no other round."""
        if self.stopped is not None:
            return str(self.stopped.what)
        if not self.missing:
            return MIXED
        return NO_GAIN.format(PATIENCE) if self.idle >= PATIENCE else ""

    def following(self) -> list[int]:
        """How many first prompts each stream gets in the next round; none: `ended` says why."""
        asked = [stream for stream in self.streams if not stream.free]
        found = targets.allotted(asked, self.needs, self.missing, self.helps)
        if not any(found):
            gone = [stream for stream in asked if not self.is_left(stream)]
            used_up = any(targets.promising(stream, asked, self.needs, self.helps) for stream in gone)
            self.ended = USED_UP if used_up else NONE_GIVES
        counts = iter(found)
        return [0 if stream.free else next(counts) for stream in self.streams]

    def is_left(self, stream: Stream) -> bool:
        begun = sum(one.begun for one in self.streams if (one.leaf, one.flow) == (stream.leaf, stream.flow))
        return not stream.ended and begun < stream.limit

    def had(self, stream: Stream, told: Round) -> int:
        return next((part.prompts for part in told if part.name == stream.name), 0)

    def bring(self, counts: Sequence[int], bring: Bring) -> None:
        """Walk a round to its end."""
        begun = [stream.begun for stream in self.streams]
        try:
            bring(self.next(counts), Sized(sum(n for n in counts if n < ALL)))
        finally:
            new = [stream.begun - before for stream, before in zip(self.streams, begun, strict=True)]
            self.rounds.append(tuple(targets.parts(self.streams, new)))

    def next(self, counts: Sequence[int]) -> Iterator[Start]:
        for stream, wanted in zip(self.streams, counts, strict=True):
            had = stream.begun
            for start in islice(self.sources[stream.name], wanted):
                stream.begun += 1
                yield start
            stream.ended = stream.ended or stream.begun - had < wanted

    # --- what came of it

    def gave(self, harvest: Harvest, judging: Callable[[], Judging]) -> Mapping[Named, Counter[Cell]]:
        """By stream, the samples that all filters before the mix have kept so far."""
        harvest.rows.show()
        over: set[str] = set()

        def tell(_: int, line: bytes) -> None:
            told = orjson.loads(line)
            if told["filter"] == TARGET:
                over.add(told["subject"])

        found: dict[Named, Counter[Cell]] = {}
        with Stock(self.run.samples, without=harvest.rejected) as stock, judging() as asking, working("filtering"):
            outcome = passed(
                stock,
                self.recipe.filters,
                self.around,
                tell=tell,
                pardons=self.recipe.pardons,
                ask=asking,
                scratch=self.run.folder,
                memory=self.run.remembered,
                processes=cores(),
            )
            for sample in outcome.kept:
                over.discard(sample.id)  # it was pardoned
                self.enter(sample, found)
            for sample in chain(stock, outcome.made_anew) if over else ():
                if sample.id in over:
                    self.enter(sample, found)
            self.stopped = asking.stopped
        return found

    def enter(self, sample: Sample, found: dict[Named, Counter[Cell]]) -> None:
        lineage = sample.lineage
        cell = self.reading.cell(marks_of(sample))
        params = lineage.params or {}
        for stream in self.of_flow(lineage.leaf, lineage.flow or ""):
            if all(str(params.get(axis)) == value for axis, value in stream.steps):
                found.setdefault(stream.name, Counter())[cell] += 1

    def of_flow(self, leaf: str, flow: str) -> Iterable[Stream]:
        return (stream for stream in self.streams if (stream.leaf, stream.flow) == (leaf, flow))

    def learn(self, counts: Sequence[int], gave: Mapping[Named, Counter[Cell]]) -> None:
        """Enter what came of a round, and what is missing now."""
        paid = False
        for stream, asked in zip(self.streams, counts, strict=True):
            now = gave.get(stream.name, Counter())
            if asked:
                stream.idle = 0 if targets.useful(now - stream.gave, self.needs, self.helps) else stream.idle + 1
                paid = paid or not stream.free
            stream.gave = now
        there = sum((stream.gave for stream in self.streams), Counter[Cell]())
        self.missing, self.needs = lacking(self.wanted, there)
        self.tried = 0
        self.helps = cache(partial(self.makes_room, there, self.missing))
        self.idle = 0 if self.missing < self.least else self.idle + paid
        self.least = min(self.least, self.missing)
        self.tell()

    def makes_room(self, there: Mapping[Cell, int], missing: int, cell: Cell) -> bool:
        """Whether more samples of a cell would leave less missing, by the room that they make for others."""
        self.tried += 1
        return self.tried <= TRIED and lacking(self.wanted, {**there, cell: there.get(cell, 0) + missing})[0] < missing

    def tell(self) -> None:
        prompts = sum(part.prompts for part in self.rounds[-1])
        whole = f"{self.missing:,} of {self.wanted.samples:,} missing"
        reached = whole if self.missing else "all that is wanted can be had"
        say(f"  round {len(self.rounds)}: {prompts:,} first prompts begun; {reached}")
