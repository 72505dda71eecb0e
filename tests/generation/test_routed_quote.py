"""What a quote says where leaves are asked of different teachers: each by its own price, and together what it costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flow_files import ASK, JUDGED, TEMPLATES, flow_in, groups

from instructlab_like.flows import AskStep
from instructlab_like.generation.plan import starts
from instructlab_like.generation.quote import Costing, Quote, Terms
from instructlab_like.generation.reckon import Answers, Paid, Reckoner, chosen, nothing_paid, start_id
from instructlab_like.generation.routing import seat
from instructlab_like.generation.walk import Call, Candidate, Ready, Start, Walk
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Completion, Leaf, Pair, Seed, Skill

CHEAP, DEAR = "compositional_skills/cheap", "compositional_skills/dear"
PRICES = {"asker": (1.0, 2.0), "critic": (1.0, 2.0), "answerer: small": (1.0, 1.0), "answerer: large": (50.0, 80.0)}
SEATS = {(CHEAP, "answerer"): "answerer: small", (DEAR, "answerer"): "answerer: large"}
TERMS = Terms(
    prices={**PRICES, "answerer": None},
    identities={name: f"http:{name}" for name in PRICES},
    slots={name: (name, 2) for name in PRICES},
    seats=SEATS,
)
FILES = TEMPLATES | {"ask.j2": ASK.replace("{{ task }}", "{{ task }} {{ examples }}")}


def leaf(path: str) -> Leaf:
    seeds = tuple(Seed(number=n, line=n, pairs=(Pair(question=f"q{n} of {path}", answer="a"),)) for n in range(1, 8))
    return Skill(path=path, blob="b", version=3, created_by="x", seeds=seeds, task=f"task of {path}")


class World:
    """A teacher for every prompt; what it costs is kept by the seat that was asked."""

    def __init__(self) -> None:
        self.paid: dict[str, Paid] = {}
        self.money = 0.0

    def answer(self, call: Call) -> Paid:
        rng = random.Random(call.prompt.key)
        words = " ".join(["word"] * rng.randint(3, 60))
        made = groups("QUESTION", *(f"{n} {call.prompt.key[:6]}" for n in range(rng.choice([1, 2, 2, 3]))))
        if call.step.role != "asker":
            made = groups("ANSWER", words) if call.step.role == "answerer" else groups("SCORE", rng.choice("0123"))
        tokens = sum(len(message.content) for message in call.prompt.messages) // 4, rng.randint(5, 90)
        completion = Completion(
            key=call.prompt.key, text=made, finish_reason="stop", prompt_tokens=tokens[0], completion_tokens=tokens[1]
        )
        price = PRICES[TERMS.seat(call.candidate.start.about.leaf, call.step.role)]
        self.money += (tokens[0] * price[0] + tokens[1] * price[1]) / 1e6
        return Paid(completion, *tokens, 0.5)

    def walk(self, walk: Walk, planned: list[Start]) -> None:
        for start in planned:
            open_ = walk.begin(start)
            while open_:
                outcome = open_.pop()
                if isinstance(outcome, Ready):
                    open_ += walk.calls([outcome])
                elif isinstance(outcome, Call):
                    if outcome.prompt.key not in self.paid:
                        self.paid[outcome.prompt.key] = self.answer(outcome)
                    found = self.paid[outcome.prompt.key].completion
                    assert found
                    open_ += walk.received(outcome, found)


@contextmanager
def planned(folder: Path) -> Iterator[tuple[Walk, list[Start]]]:
    recipe = GenerateRecipe(prompts_per_leaf=30, max_tokens=100)
    with Walk([flow_in(folder, JUDGED, templates=FILES)], recipe, TERMS.identities, SEATS) as walk:
        yield walk, list(starts([leaf(CHEAP), leaf(DEAR)], lambda _: (), walk))


def quoted(walk: Walk, plan: list[Start], answers: Answers = nothing_paid, *, everything: bool = False) -> Quote:
    reckoner = Reckoner(walk, answers)
    for start in plan:
        reckoner.add(start)
    picked = chosen(list(reckoner.parts.values()))
    return Costing(reckoner, TERMS, picked).quote(everything=everything)


def test_a_step_has_a_line_for_each_teacher_that_is_asked_in_it(tmp_path: Path) -> None:
    with planned(tmp_path) as (walk, plan):
        quote = quoted(walk, plan)
        assert [(one.step, one.role, one.teacher) for one in quote.steps] == [
            ("questions", "asker", None),
            ("answers", "answerer", "small"),
            ("answers", "answerer", "large"),
            ("judge", "critic", None),
        ]
        assert sum(one.to_pay.value or 0 for one in quote.steps) == quote.total.to_pay.value
        money = {(one.step, one.teacher): one.money.value or 0 for one in quote.steps}
        assert money["answers", "large"] > 40 * money["answers", "small"] > 0
        assert quote.total.money.value == pytest.approx(sum(money.values()), abs=1e-5)
        step = walk.flows[0].steps[1]
        assert isinstance(step, AskStep)
        call = next(walk.calls([Ready(behind(walk, plan, DEAR), step)]))
        assert call.prompt.lineage.model == "http:answerer: large"


def behind(walk: Walk, plan: list[Start], path: str) -> Candidate:
    """A record of a leaf behind its first answer."""
    start = next(one for one in plan if one.about.leaf == path)
    call = walk.begin(start)[0]
    assert isinstance(call, Call)
    told = Completion(key=call.prompt.key, text=groups("QUESTION", "what?"), finish_reason="stop")
    ready = walk.received(call, told)[0]
    assert isinstance(ready, Ready)
    return ready.candidate


def test_what_is_all_paid_costs_what_it_cost(tmp_path: Path) -> None:
    with planned(tmp_path) as (walk, plan):
        world = World()
        world.walk(walk, plan)
        quote = quoted(walk, plan, world.paid.get, everything=True)
        assert (quote.total.to_pay.value, quote.total.money.bound) == (0, "exact")
        assert quote.total.money.value == pytest.approx(world.money, abs=1e-6)
        assert quote.total.money.value == pytest.approx(sum(one.money.value or 0 for one in quote.steps), abs=1e-5)


def test_a_probe_reckons_each_leaf_at_the_price_of_its_teacher(tmp_path: Path) -> None:
    with planned(tmp_path) as (walk, plan):
        world, whole = World(), World()
        whole.walk(walk, plan)
        reckoner = Reckoner(walk, nothing_paid)
        for start in plan:
            reckoner.add(start)
        few = chosen(list(reckoner.parts.values()))
        ids = {key: sorted(part.ids)[: few[key]] for key, part in reckoner.parts.items()}
        world.walk(walk, [one for one in plan if start_id(one) in ids["own", one.about.leaf]])
        money = quoted(walk, plan, world.paid.get, everything=True).total.money
        assert money.interval
        assert money.interval[0] <= whole.money <= money.interval[1]
        assert money.interval[1] < 3 * whole.money


def test_a_seat_without_a_price_is_named(tmp_path: Path) -> None:
    with planned(tmp_path) as (walk, plan):
        reckoner = Reckoner(walk, nothing_paid)
        for start in plan:
            reckoner.add(start)
        named = seat("answerer", "large")
        terms = Terms({**PRICES, named: None}, TERMS.identities, TERMS.slots, SEATS)
        money = Costing(reckoner, terms, {}).quote().total.money
        assert money.bound == "unknown"
        assert money.basis.startswith("the answerer's teacher 'large' has no price: --price-in")
