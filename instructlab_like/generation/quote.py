"""What asking for a whole plan takes: calls, tokens, money and time, each figure with how sure it is and why.

Made of what a `Reckoner` took: bounds where nothing is known of the answers, and where the starts that a probe asked
were walked to their end, a reckoning from these with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from instructlab_like.flows import AskStep, Flow
from instructlab_like.generation.extrapolate import Amounts, Estimate, Stratum, estimate
from instructlab_like.generation.figures import Figure
from instructlab_like.generation.foresee import Shape
from instructlab_like.generation.purse import MILLION, Price
from instructlab_like.generation.reckon import CHARACTERS, Part, Reckoner, Sum
from instructlab_like.generation.walk import Seats
from instructlab_like.records import Record

UNNAMED = "unnamed"  # the identity of a teacher that is planned for and not asked
FEW = 5  # starts walked to their end, below which there is no interval
ENOUGH = 10  # starts of a leaf that were walked to their end, from which on it is reckoned by itself


class Cost(Record):
    """Of some calls. `calls` are all, `answered` are in the ledger; the rest is of those that are left to pay for."""

    calls: Figure
    answered: int
    to_pay: Figure
    tokens_in: Figure
    tokens_out: Figure
    money: Figure
    seconds: Figure


class StepCost(Cost):
    flow: str
    step: str
    role: str
    teacher: str | None = None  # of several that routes choose from; None: the role's
    template: str


class Quote(Record):
    starts: int  # first prompts that are planned
    walked: int  # of them, to their end
    steps: tuple[StepCost, ...]
    total: Cost


@dataclass(frozen=True)
class Terms:
    """What is known of the teachers, by role, or by seat where routes choose who has it."""

    prices: Mapping[str, Price | None]
    identities: Mapping[str, str]
    slots: Mapping[str, tuple[str, int]]  # who it is, for roles may share one, and how many calls at once
    seats: Seats = field(default_factory=dict)

    def seat(self, leaf: str, role: str) -> str:
        """Who is asked in a role for a leaf."""
        return self.seats.get((leaf, role), role)


@dataclass
class Line:
    """One step of a flow over some leaves, for which the same teacher is asked."""

    flow: Flow
    number: int
    seat: str  # of whoever is asked: the role, or one of several who have it
    parts: Sequence[Part]
    paid: Sum
    due: Sum
    later: Sum

    @property
    def step(self) -> AskStep:
        step = self.flow.steps[self.number]
        assert isinstance(step, AskStep)
        return step


class Costing:
    """Puts figures to what a `Reckoner` took, for all leaves or some.

    `picked` says how many starts of each flow and leaf were asked by chance, so that others may be reckoned from them.
    A flow is reckoned only if all of these were walked to their end, or with `part_way` from those that were.
    """

    def __init__(
        self,
        reckoner: Reckoner,
        terms: Terms,
        picked: Mapping[tuple[str, str], int],
        *,
        part_way: bool = False,
    ) -> None:
        self.reckoner, self.terms, self.picked, self.part_way = reckoner, terms, picked, part_way
        self.samples = {name: self.sample(name) for name in reckoner.shapes}

    def quote(self, leaves: Iterable[str] | None = None, *, everything: bool = False) -> Quote:
        """For all leaves, or some; `everything`: what is paid already is in the amounts."""
        wanted = None if leaves is None else set(leaves)
        parts = [part for part in self.reckoner.parts.values() if wanted is None or part.leaf in wanted]
        lines = list(self.lines(parts))
        return Quote(
            starts=sum(len(part.ids) for part in parts),
            walked=sum(part.whole for part in parts),
            steps=tuple(
                StepCost(
                    flow=line.flow.name,
                    step=line.step.name,
                    role=line.step.role,
                    teacher=line.seat.partition(": ")[2] or None,
                    template=line.step.template,
                    **dict(Costs(self, line.parts, [line], everything=everything).cost()),
                )
                for line in lines
            ),
            total=Costs(self, parts, lines, everything=everything).cost(),
        )

    def lines(self, parts: Sequence[Part]) -> Iterator[Line]:
        for name in (flow.name for flow in self.reckoner.walk.flows if flow.name in self.reckoner.shapes):
            shape = self.reckoner.shapes[name]
            members = [part for part in parts if part.flow.name == name]
            for number in shape.asking if members else ():
                by_seat: dict[str, list[Part]] = {}
                for part in members:
                    by_seat.setdefault(self.seat(part, number), []).append(part)
                for seat, served in by_seat.items():
                    line = Line(shape.flow, number, seat, served, Sum(), Sum(), Sum())
                    for part in served:
                        line.paid.add(part.paid.get(number, Sum()))
                        line.due.add(part.due.get(number, Sum()))
                        line.later.add(part.later.get(number, Sum()))
                    yield line

    def seat(self, part: Part, number: int) -> str:
        """Who is asked in a step for a part's leaf."""
        step = part.flow.steps[number]
        assert isinstance(step, AskStep)
        return self.terms.seat(part.leaf, step.role)

    def rate(self, seat: str) -> tuple[float, int]:
        """Characters a token of a teacher, and in how many of its answers that was counted."""
        characters, tokens, answers = self.reckoner.counted.get(self.terms.identities.get(seat, UNNAMED), (0, 0, 0))
        return (characters / tokens, answers) if tokens else (CHARACTERS, 0)

    # --- the starts that were seen

    def sample(self, flow: str) -> Sample | None:
        """Of a flow: the starts that were asked by chance, with the strata that they are drawn from."""
        members = [part for part in self.reckoner.parts.values() if part.flow.name == flow]
        seen: dict[str, list[Amounts]] = {}
        for part in members:
            picked = set(sorted(part.ids)[: self.picked.get((flow, part.leaf), 0)])
            rows = [self.changed(row, part) for number, row in part.seen if number in picked]
            if len(rows) < len(picked) and not self.part_way:
                return None
            if rows:
                seen[part.leaf] = rows
        if not seen:
            return None
        return Sample(flow, members, seen, self.reckoner.shapes[flow], self)

    def changed(self, row: Amounts, part: Part) -> Amounts:
        """The first prompt's tokens as their distance from what its length says, which is known of every start."""
        if not part.flow.asks:
            return row[:-1]
        return [row[0], row[1] - row[-1] / self.rate(self.seat(part, 0))[0], *row[2:-1]]


@dataclass(frozen=True)
class Sample:
    flow: str
    members: Sequence[Part]
    seen: Mapping[str, Sequence[Amounts]]
    shape: Shape
    costing: Costing

    @property
    def size(self) -> int:
        return sum(map(len, self.seen.values()))

    def strata(self, parts: Sequence[Part]) -> list[Stratum]:
        """The starts that are left of some leaves: a leaf of which enough was seen by itself, the others together."""
        found, pooled = [], 0
        for part in (part for part in parts if part.flow.name == self.flow):
            rows = self.seen.get(part.leaf, ())
            if len(rows) >= ENOUGH:
                found.append(self.stratum(part.left, rows))
            else:
                pooled += part.left
        if pooled:
            few = {leaf: rows for leaf, rows in self.seen.items() if len(rows) < ENOUGH}
            unfinished = {part.leaf for part in self.members if part.left}
            rows = [row for leaf, rows in few.items() if leaf in unfinished for row in rows]
            found.append(self.stratum(pooled, rows or [row for rows in self.seen.values() for row in rows]))
        return found

    def stratum(self, left: int, rows: Sequence[Amounts]) -> Stratum:
        later = {later.step: later.calls for later in self.shape.later[0]}
        if not later:
            return Stratum(left, rows)
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        least, most = [*means[:3]], [*means[:3]]
        for number in self.shape.asking[1:]:
            least += [0.0, 0.0, 0.0]
            most += [later[number], *(later[number] * tokens for tokens in self.each(number))]
        return Stratum(left, rows, least, most)

    def each(self, number: int) -> tuple[float, float]:
        """Tokens in and out of one call of a step, as seen, or else as bounded."""
        place = 3 * self.shape.asking.index(number)
        every = [row for rows in self.seen.values() for row in rows]
        calls = sum(row[place] for row in every)
        if calls:
            return sum(row[place + 1] for row in every) / calls, sum(row[place + 2] for row in every) / calls
        calls, tokens = 0, 0.0
        for part in self.members:
            later = part.later.get(number, Sum())
            calls += later.calls
            tokens += later.characters / self.costing.rate(self.costing.seat(part, number))[0] + later.tokens_in
        return tokens / max(1, calls), self.shape.lengths[number]

    def rest(self, parts: Sequence[Part], weights: Mapping[int, tuple[float, float, float]]) -> Estimate:
        """What is left to pay of calls, tokens in and tokens out, each by its weight of the step."""
        told = [weights.get(number, (0.0, 0.0, 0.0)) for number in self.shape.asking]
        found = estimate(self.strata(parts), [weight for three in told for weight in three])
        own = [part for part in parts if part.flow.name == self.flow]
        of_first, known = weights.get(0, (0.0, 0.0, 0.0))[1], 0.0
        for part in own:
            known += of_first * part.open_characters / self.costing.rate(self.costing.seat(part, 0))[0]
            for number, (calls, tokens_in, tokens_out) in weights.items():
                paid = part.paid_open.get(number, Sum())
                known -= calls * paid.calls + tokens_in * paid.tokens_in + tokens_out * paid.tokens_out
        return Estimate(found.value + known, found.low + known, found.high + known)


@dataclass
class Busy:
    """What a teacher has to do: seconds of calls one after the other, and the ends of their interval."""

    slots: int
    calls: float = 0.0
    sums: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, figure: Figure, each: float) -> None:
        value = figure.value or 0
        low, high = figure.interval or (value, value)
        self.calls += value
        self.sums = (self.sums[0] + value * each, self.sums[1] + low * each, self.sums[2] + high * each)

    @property
    def together(self) -> int:
        return max(1, min(self.slots, round(self.calls)))

    def seconds(self, place: int) -> float:
        return self.sums[place] / self.together


@dataclass
class Costs:
    """The figures of some lines."""

    costing: Costing
    parts: Sequence[Part]
    lines: Sequence[Line]
    everything: bool

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """By flow, if every flow of these lines that has starts left can be reckoned from some; else none."""
        found: dict[str, Sample] = {}
        for name in dict.fromkeys(line.flow.name for line in self.lines):
            sample = self.costing.samples[name]
            if sample is not None:
                found[name] = sample
            elif any(part.left for part in self.parts if part.flow.name == name):
                return {}
        return found

    @cached_property
    def starts(self) -> tuple[int, int]:
        """Of the reckoned flows: starts seen, and all."""
        names = set(self.samples)
        every = [part for part in self.costing.reckoner.parts.values() if part.flow.name in names]
        return sum(sample.size for sample in self.samples.values()), sum(len(part.ids) for part in every)

    def cost(self) -> Cost:
        answered = sum(line.paid.calls for line in self.lines)
        return Cost(
            calls=self.calls(answered),
            answered=answered,
            to_pay=self.calls(),
            tokens_in=self.tokens_in(),
            tokens_out=self.tokens_out(),
            money=self.money(),
            seconds=self.seconds(),
        )

    @property
    def left(self) -> int:
        """Calls that are left, at most."""
        return sum(line.due.calls + line.later.calls for line in self.lines)

    @property
    def unsure(self) -> int:
        return sum(line.later.unsure for line in self.lines)

    def reckoned(self, found: Estimate, basis: str, *, whole: bool = False) -> Figure:
        """A figure from the starts that were seen; of too few there is no interval that means anything."""
        few, every = self.starts
        value, low, high = (round(one) if whole else round(one, 6) for one in (found.value, found.low, found.high))
        seen = f"reckoned from {few:,} of {every:,} starts, walked to their end; {basis}"
        if few < FEW:
            return Figure(value=value, bound="about", basis=seen)
        return Figure(value=value, bound="about", basis=f"{seen}; 95 % interval", interval=(low, high))

    def calls(self, paid: int = 0) -> Figure:
        """Those that are left, with so many that are paid."""
        due = sum(line.due.calls for line in self.lines)
        if not self.unsure:
            followed = sum(line.later.calls for line in self.lines)
            basis = "the prompts of the plan, each asked once"
            if followed:
                basis += ", and those that follow if every answer can be used"
            return Figure(value=paid + self.left, bound="exact", basis=basis)
        pairs = self.costing.reckoner.walk.recipe.pairs_per_prompt
        if not self.samples:
            basis = f"at most {pairs} records of an answer that may hold several; no further call for what is rejected"
            return Figure(value=paid + self.left, bound="at most", basis=basis)
        found = moved(within(self.rest({}, (1.0, 0.0, 0.0)), due, self.left), paid)
        return self.reckoned(found, f"{paid + self.left:,} at most", whole=True)

    def tokens_in(self) -> Figure:
        paid = sum(line.paid.tokens_in for line in self.lines) if self.everything else 0.0
        if not self.left:
            return Figure(value=round(paid), bound="exact", basis=self.nothing("tokens as the teachers counted"))
        if self.samples:
            found = moved(within(self.rest({}, (0.0, 1.0, 0.0)), 0.0), paid)
            return self.reckoned(found, self.per_token(), whole=True)
        value = paid + sum(self.bounded_in(line) for line in self.lines)
        characters = sum(line.due.characters + line.later.characters for line in self.lines)
        basis = f"{characters:,} characters of prompts as rendered, {self.per_token()}"
        if not any(line.later.calls for line in self.lines):
            return Figure(value=round(value), bound="about", basis=basis)
        return Figure(value=round(value), bound="at most", basis=f"{basis}; answers in them at max_tokens")

    def per_token(self) -> str:
        seats = dict.fromkeys(line.seat for line in self.lines)
        rates = {self.costing.terms.identities.get(seat): self.costing.rate(seat) for seat in seats}
        counted = sum(answers for _, answers in rates.values())
        if not counted:
            return f"{CHARACTERS:g} characters a token"
        told = " or ".join(dict.fromkeys(f"{rate:.2f}" for rate, answers in rates.values() if answers))
        return f"{told} characters a token as the teacher counted in {counted:,} of its answers"

    def bounded_in(self, line: Line) -> float:
        rate, _ = self.costing.rate(line.seat)
        return (line.due.characters + line.later.characters) / rate + line.later.tokens_in

    def tokens_out(self) -> Figure:
        paid = sum(line.paid.tokens_out for line in self.lines) if self.everything else 0.0
        if not self.left:
            return Figure(value=round(paid), bound="exact", basis=self.nothing("tokens as the teachers counted"))
        most = sum(line.due.tokens_out + line.later.tokens_out for line in self.lines)
        if not self.samples:
            basis = "max_tokens of every call: too few answers are known to say more"
            return Figure(value=round(paid + most), bound="at most", basis=basis)
        found = moved(within(self.rest({}, (0.0, 0.0, 1.0)), 0.0, most), paid)
        return self.reckoned(found, f"{paid + most:,.0f} at most", whole=True)

    def money(self) -> Figure:
        """By the prices of each step's teacher."""
        prices: dict[str, Price] = {}
        for line in self.lines:
            price = self.costing.terms.prices.get(line.seat)
            if price is None:
                fix = "--price-in and --price-out, for a million tokens, or price_in and price_out in the recipe"
                role, _, name = line.seat.partition(": ")
                return Figure.unknown(f"the {role}'s teacher {name and repr(name) + ' '}has no price: {fix}")
            prices[line.seat] = price
        if not prices:
            return Figure(value=0, bound="exact", basis="no flow asks a teacher")
        told = " or ".join(dict.fromkeys(f"{price[0]:g} and {price[1]:g}" for price in prices.values()))
        basis = f"{told} for a million tokens in and out, of the tokens above"

        def worth(line: Line, tokens_in: float, tokens_out: float) -> float:
            price = prices[line.seat]
            return (tokens_in * price[0] + tokens_out * price[1]) / MILLION

        paid = sum(worth(line, line.paid.tokens_in, line.paid.tokens_out) for line in self.lines)
        paid = paid if self.everything else 0.0
        if not self.left:
            return Figure(value=round(paid, 6), bound="exact", basis=self.nothing(basis))
        if self.samples:
            each = {seat: (0.0, price[0] / MILLION, price[1] / MILLION) for seat, price in prices.items()}
            found = moved(within(self.rest(each, (0.0, 0.0, 0.0)), 0.0), paid)
            return self.reckoned(found, basis)
        most = sum(
            worth(line, self.bounded_in(line), line.due.tokens_out + line.later.tokens_out) for line in self.lines
        )
        return Figure(value=round(paid + most, 6), bound="at most", basis=basis)

    def nothing(self, basis: str) -> str:
        return basis if self.everything else "nothing is left to be asked"

    def rest(self, each: Mapping[str, tuple[float, float, float]], weights: tuple[float, float, float]) -> Estimate:
        """What is left, of the amounts by their weights, which `each` has for some seats.

        Of independent flows the intervals add up as their squares; of the leaves of a flow for which different teachers
        are asked, which are reckoned from the same walks, as they are.
        """
        found = [
            total(
                sample.rest(parts, {line.number: each.get(line.seat, weights) for line in lines})
                for parts, lines in self.alike(name)
            )
            for name, sample in self.samples.items()
        ]
        value = sum(one.value for one in found)
        below = sum((one.value - one.low) ** 2 for one in found) ** 0.5
        above = sum((one.high - one.value) ** 2 for one in found) ** 0.5
        return Estimate(value, value - below, value + above)

    def alike(self, flow: str) -> Iterator[tuple[Sequence[Part], Sequence[Line]]]:
        """The parts of a flow with their lines, apart where others are asked."""
        groups: dict[tuple[int, ...], list[Part]] = {}
        lines = [line for line in self.lines if line.flow.name == flow]
        served = [{part.leaf for part in line.parts} for line in lines]
        for part in (part for part in self.parts if part.flow.name == flow):
            mine = tuple(number for number, leaves in enumerate(served) if part.leaf in leaves)
            groups.setdefault(mine, []).append(part)
        for numbers, parts in groups.items():
            yield parts, [lines[number] for number in numbers]

    # --- time

    def seconds(self) -> Figure:
        """Until the last answer, if all slots stay busy: that of the teacher who has most to do."""
        terms, measured = self.costing.terms, self.costing.reckoner.seconds
        each = [(line, Costs(self.costing, line.parts, [line], everything=self.everything)) for line in self.lines]
        paid = [line.paid.calls if self.everything else 0 for line in self.lines]
        figures = [(line, costs.calls(more)) for (line, costs), more in zip(each, paid, strict=True)]
        figures = [(line, figure) for line, figure in figures if figure.value]
        if not figures:
            return Figure(value=0, bound="exact", basis="nothing is asked")
        if not measured:
            return Figure.unknown("no answer was timed: --probe asks a few")
        total = sum(seconds for seconds, _ in measured.values())
        answers = sum(count for _, count in measured.values())
        busy: dict[str, Busy] = {}
        for line, figure in figures:
            summed, count = measured.get((line.flow.name, line.number), (total, answers))
            owner, slots = terms.slots.get(line.seat, (UNNAMED, 1))
            busy.setdefault(owner, Busy(slots)).add(figure, summed / count)
        path = self.path(measured)
        value, low, high = (max(one.seconds(place) for one in busy.values()) + path for place in (0, 1, 2))
        together = max(busy.values(), key=lambda one: one.seconds(0)).together
        return Figure(
            value=round(value, 3),
            bound="at most" if any(figure.bound == "at most" for _, figure in figures) else "about",
            basis=f"{total / answers:.2f} s a call, the mean of {answers:,} answers, {together} calls at once",
            interval=(round(low, 3), round(high, 3)) if low < high else None,
        )

    def path(self, measured: Mapping[tuple[str, int], tuple[float, int]]) -> float:
        """Seconds for the steps after the first of one record, in which the slots empty."""
        paths: dict[str, float] = {}
        for (flow, number), (summed, count) in measured.items():
            if number and any(line.flow.name == flow for line in self.lines):
                paths[flow] = paths.get(flow, 0.0) + summed / count
        return max(paths.values(), default=0.0)


def within(found: Estimate, least: float, most: float = float("inf")) -> Estimate:
    value, low, high = (min(max(number, least), most) for number in (found.value, found.low, found.high))
    return Estimate(value, low, high)


def total(found: Iterable[Estimate]) -> Estimate:
    """The sum of what rises and falls together."""
    every = list(found)
    return Estimate(sum(one.value for one in every), sum(one.low for one in every), sum(one.high for one in every))


def moved(found: Estimate, by: float) -> Estimate:
    return Estimate(found.value + by, found.low + by, found.high + by)
