"""Who is asked in which role, what it costs, and what is seen of it while the answers come in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from instructlab_like.console import board, warn, working
from instructlab_like.errors import RecipeError
from instructlab_like.flows import Flow
from instructlab_like.generation.engine import Desk, Done, Engine, Tally, Walker
from instructlab_like.generation.ledger import Ledger, Spent, total
from instructlab_like.generation.plan import roles
from instructlab_like.generation.purse import Price, Purse, cost
from instructlab_like.generation.quote import UNNAMED, Terms
from instructlab_like.generation.routing import Route, seat, seats
from instructlab_like.generation.walk import Start
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.records import Completion, Prompt
from instructlab_like.stages.generating.probing import Probing, needs
from instructlab_like.stages.generating.progress import Outlook, Progress, Sized
from instructlab_like.teachers import Teacher, open_teacher
from instructlab_like.teachers.probe import Capabilities, Recorder

EVERY = 0.5  # seconds between two looks at how far it is


@dataclass
class Asked:
    """What the asking of a run came to."""

    tally: Tally = field(default_factory=Tally)
    spent: dict[str, Spent] = field(default_factory=dict)  # over all of the run, by teacher
    prices: dict[str, Price] = field(default_factory=dict)
    before: Spent = field(default_factory=Spent)
    capabilities: dict[str, Capabilities] = field(default_factory=dict)  # of the teachers that were asked

    def told(self) -> Iterator[str]:
        """Lines for people: calls, tokens and money of this run of the command and of all before it."""
        everything = total(self.spent.values())
        if not everything.calls:
            return
        tally = self.tally
        yield f"{tally.answered} answers asked for, {tally.reused} were in the ledger"
        money = sum(cost(self.prices.get(model), one.tokens_in, one.tokens_out) for model, one in self.spent.items())
        unpriced = sorted(model for model, one in self.spent.items() if one.calls and model not in self.prices)
        beside = f" beside what {' and '.join(unpriced)} cost, whose price is not known" if unpriced else ""
        priced = f", {money:.4f} in money{beside}" if self.prices else ""
        yield (
            f"the run's calls so far: {everything.calls}, {everything.tokens_in:,} tokens in and "
            f"{everything.tokens_out:,} out{priced}"
        )
        if everything.lost:
            yield f"{everything.lost} of them were under way when a run was stopped, and may have been paid for twice"


class Absent:
    """A teacher's place where nobody is asked: its identity, by which the ledger knows its answers."""

    capacity = 16
    notices: Sequence[str] = ()

    def __init__(self, told: TeacherRecipe) -> None:
        self.identity = f"http:{told.model}" if told.kind == "http" else open_teacher(told).identity

    async def answer(self, prompt: Prompt) -> Completion:
        raise AssertionError(f"nobody is asked: {prompt.key}")

    async def probe(self, _record: Recorder, /) -> Capabilities:
        raise AssertionError("nobody is asked")

    async def close(self) -> None:
        """Nothing is held."""


class Staff:
    """The teachers of a run, one for each recipe of one, whatever roles it has.

    Where routes choose who has a role, the role as each of them has it is a seat of its own: "answerer: small".
    """

    def __init__(
        self,
        flows: Sequence[Flow],
        recipe: GenerateRecipe,
        *,
        asking: bool = True,
        others: Mapping[str, Price] | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        self.flows, self.recipe, self.routes = flows, recipe, routes
        self.others = others or {}  # prices of those whom other parts of the run have asked
        self.asking = asking  # False: the ledger alone answers, and no key or server is needed
        self.seats = seats(routes)
        self.by_role: dict[str, TeacherRecipe] = {}  # or by seat
        routed = {one.role for one in routes} - {one.role for one in routes if one.teacher is None}
        for role in roles(flows):
            told = recipe.roles.get(role) or recipe.teacher
            if told is not None and role not in routed:
                self.by_role[role] = told
        for one in routes:
            if one.teacher is not None:
                self.by_role[seat(one.role, one.teacher)] = recipe.teachers[one.teacher]
        self.teachers: dict[str, Teacher] = {}
        self.capabilities: dict[str, Capabilities] = {}  # by identity, once somebody was asked
        self.open()

    def open(self) -> None:
        """Everybody who is asked; again, once they were closed at the end of an asking and there is more to ask."""
        self.closed = False
        for told in self.by_role.values():
            if told.model_dump_json() not in self.teachers:
                self.teachers[told.model_dump_json()] = open_teacher(told) if self.asking else Absent(told)

    def teacher(self, role: str) -> Teacher:
        return self.teachers[self.by_role[role].model_dump_json()]

    def has(self, role: str) -> bool:
        """Whether somebody is asked in the role, for every leaf."""
        return role in self.by_role or any(one.role == role for one in self.routes)

    @property
    def identities(self) -> dict[str, str]:
        return {role: self.teacher(role).identity for role in self.by_role}

    @property
    def prices(self) -> dict[str, Price]:
        """By the teacher's identity, of those whose price is known."""
        own = {self.teacher(role).identity: price for role, told in self.by_role.items() if (price := price_of(told))}
        waiting = (
            told for told in self.recipe.teachers.values() if told.kind == "http"
        )  # asked by other routes before
        known = {f"http:{told.model}": price for told in waiting if (price := price_of(told))}
        return {**self.others, **known, **own}

    def terms(self, flows: Sequence[Flow], price: Price | None = None) -> Terms:
        """What a quote needs to know of the teachers; `price` is that of roles that nobody has yet."""
        every = tuple(dict.fromkeys((*roles(flows), *self.by_role)))
        return Terms(
            prices={role: price_of(self.by_role[role]) if role in self.by_role else price for role in every},
            identities=dict.fromkeys(every, UNNAMED) | self.identities,
            slots={role: (told.model_dump_json(), self.teacher(role).capacity) for role, told in self.by_role.items()},
            seats=self.seats,
        )

    def bring(
        self,
        planned: Iterator[Start],
        walk: Walker,
        ledger: Ledger,
        done: Done,
        asked: Asked,
        outlook: Outlook | Sized | None = None,
        *,
        whom: str = "the teacher",
    ) -> None:
        """Walk all of it; raises what the engine raises, and RecipeError for a budget that cannot be kept."""
        self.check_budget()
        if self.closed:
            self.teachers.clear()
            self.open()
        before = ledger.spent_by()
        asked.prices, asked.before = self.prices, total(before.values())
        purse = Purse(self.recipe.budget, before, asked.prices)
        progress = Progress(asked.tally, purse, outlook, done)
        if outlook is not None:
            planned = outlook.passing(planned)
        with working(f"waiting for {whom}" if self.teachers else "making samples"):
            asyncio.run(self.session(planned, walk, ledger, purse, progress))

    def check_budget(self) -> None:
        if self.recipe.budget.money is None:
            return
        for role, told in self.by_role.items():
            if price_of(told) is None:
                fix = "give --price-in and --price-out, for a million tokens, or price_in and price_out in the recipe"
                role, _, name = role.partition(": ")
                what = f"is in money, and the {role}'s teacher {name and repr(name) + ' '}has no price"
                raise RecipeError(what, where="budget", fix=fix)

    async def session(
        self, planned: Iterator[Start], walk: Walker, ledger: Ledger, purse: Purse, progress: Progress
    ) -> None:
        by_recipe = {
            told.model_dump_json(): Desk(
                self.teachers[told.model_dump_json()], retries=told.retries, price=price_of(told)
            )
            for told in self.by_role.values()
        }
        desks = {role: by_recipe[told.model_dump_json()] for role, told in self.by_role.items()}
        probing = Probing(
            {teacher.identity: teacher for teacher in self.teachers.values()},
            needs(walk.flows, self.identities, self.recipe),
            self.prices,
            purse,
        )
        aside = probing if self.teachers and self.asking and not self.capabilities else None
        engine = Engine(
            walk, desks, ledger, purse, progress.take, progress.tally, aside, asking=self.asking, seats=self.seats
        )
        watcher = asyncio.create_task(watch(progress))
        try:
            await engine.run(planned)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            for teacher in self.teachers.values():
                await teacher.close()
                for notice in teacher.notices:
                    warn(f"  {notice}")
            self.capabilities |= probing.found
            self.closed = True


async def watch(progress: Progress) -> None:
    """Show how far it is, until cancelled."""
    with board() as shown:
        while True:
            await asyncio.sleep(EVERY)
            shown.show(progress.rows())


def price_of(told: TeacherRecipe) -> Price | None:
    if told.price_in is None or told.price_out is None:
        return None
    return told.price_in, told.price_out


def priced(recipe: GenerateRecipe, price: Price | None) -> GenerateRecipe:
    """The recipe with a price for its teacher, and for everybody in a role or named for routes who has none."""
    if price is None:
        return recipe
    told = {"price_in": price[0], "price_out": price[1]}
    teacher = recipe.teacher and recipe.teacher.model_copy(update=told)

    def known(given: Mapping[str, TeacherRecipe]) -> dict[str, TeacherRecipe]:
        return {name: one if price_of(one) else one.model_copy(update=told) for name, one in given.items()}

    update = {"teacher": teacher, "roles": known(recipe.roles), "teachers": known(recipe.teachers)}
    return recipe.model_copy(update=update)
