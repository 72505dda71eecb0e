"""What a quote says of a plan, against what asking for all of it takes; the teacher is a function of the prompt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import flow_files
import pytest
from flow_files import ANSWER, ASK, JUDGE, JUDGED, REVISED, TWO_STEPS, groups

from instructlab_like.errors import InputError
from instructlab_like.flows import Flow
from instructlab_like.generation.foresee import Shape, first_prompts, most_samples
from instructlab_like.generation.ledger import Failure, Intent, Ledger
from instructlab_like.generation.plan import starts
from instructlab_like.generation.quote import Costing, Quote, StepCost, Terms
from instructlab_like.generation.reckon import (
    FEWEST,
    Answers,
    Paid,
    Part,
    Paybook,
    Reckoner,
    chosen,
    cutoffs,
    nothing_paid,
    start_id,
)
from instructlab_like.generation.walk import Call, Ready, Start, Walk
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Completion, Leaf, Pair, Seed, Skill

ROLES = ("asker", "answerer", "critic", "reviser")
PRICES = {"asker": (1.0, 3.0), "answerer": (1.0, 3.0), "critic": (10.0, 30.0), "reviser": (1.0, 3.0)}
IDENTITIES = dict.fromkeys(ROLES, "m")
SLOTS = dict.fromkeys(ROLES, ("one", 4))
TERMS = Terms(prices=PRICES, identities=IDENTITIES, slots=SLOTS)
THREE_STRAIGHT = """\
purpose: One question, its answer, and a second opinion that nothing depends on
leaves: [freeform]
steps:
  - {name: question, template: ask.j2, role: asker, each: [seeds]}
  - {name: answers, template: answer.j2, role: answerer, draws: 2}
  - {name: opinion, template: judge.j2, role: critic}
"""


ASK_ALL = ASK.replace(
    "{{ examples[0].pairs[0].question }}", "{% for example in examples %}{{ example.pairs[0].question }} {% endfor %}"
)
TEMPLATES = flow_files.TEMPLATES | {"ask.j2": ASK_ALL}  # no two choices of examples give the same prompt


def flow_in(folder: Path, text: str, templates: Mapping[str, str] = TEMPLATES) -> Flow:
    return flow_files.flow_in(folder, text, templates=templates)


def skill(path: str = "compositional_skills/a", seeds: int = 5) -> Skill:
    pairs = [(Pair(question=f"q{n} of {path}", answer=f"a{n}"),) for n in range(1, seeds + 1)]
    found = tuple(Seed(number=n, line=n, pairs=pair) for n, pair in enumerate(pairs, start=1))
    return Skill(path=path, blob="b", version=3, created_by="x", seeds=found, task=f"adding in {path}")


def recipe(most: int = 30, pairs: int = 3) -> GenerateRecipe:
    return GenerateRecipe(prompts_per_leaf=most, pairs_per_prompt=pairs, max_tokens=200)


class World:
    """A teacher for every prompt there could be: records, judgements and lengths by chance, the same each time.

    `generous` leaves say more and are judged better.
    """

    def __init__(self, seed: object, *, counts: bool = True) -> None:
        self.seed, self.counts = seed, counts
        self.paid: dict[str, Paid] = {}
        self.calls: Counter[str] = Counter()  # by step
        self.money = 0.0

    def answer(self, call: Call) -> Paid:
        prompt = call.prompt
        rng = random.Random(f"{self.seed} {prompt.key}")
        words = min(190, int(rng.lognormvariate(3, 0.6)) + 1)
        generous = "generous" in prompt.lineage.leaf
        text = " ".join(["word"] * words)
        if prompt.yields == ("question",):
            records = rng.choice([2, 3, 3]) if generous else rng.choice([0, 1, 2, 3])
            records = records if call.step.fan_out else 1
            made = groups("QUESTION", *(f"{number} of {prompt.key[:6]} {text}" for number in range(records)))
        elif prompt.yields == ("answer",):
            made = groups("ANSWER", text)
        else:
            made = groups("SCORE", str(rng.choice([2, 3] if generous else [0, 1, 2, 3])))
        tokens_in = sum(len(message.content) for message in prompt.messages) // 5 if self.counts else 0
        completion = Completion(
            key=prompt.key,
            text=made,
            finish_reason="stop",
            prompt_tokens=tokens_in or None,
            completion_tokens=words + 5 if self.counts else None,
        )
        return Paid(completion, tokens_in, words + 5 if self.counts else 0, 0.5)

    def walk(self, walk: Walk, planned: Iterable[Start]) -> None:
        """Answer all that these starts lead to."""
        for start in planned:
            open_ = walk.begin(start)
            while open_:
                outcome = open_.pop()
                if isinstance(outcome, Ready):
                    open_ += walk.calls([outcome])
                elif isinstance(outcome, Call):
                    if outcome.prompt.key not in self.paid:
                        self.paid[outcome.prompt.key] = self.answer(outcome)
                        self.calls[outcome.step.name] += 1
                        self.money += worth(outcome.step.role, self.paid[outcome.prompt.key])
                    found = self.paid[outcome.prompt.key].completion
                    assert found
                    open_ += walk.received(outcome, found)

    @property
    def tokens(self) -> tuple[float, float]:
        return sum(paid.tokens_in for paid in self.paid.values()), sum(paid.tokens_out for paid in self.paid.values())


def worth(role: str, paid: Paid) -> float:
    return (PRICES[role][0] * paid.tokens_in + PRICES[role][1] * paid.tokens_out) / 1e6


@contextmanager
def planned(
    folder: Path, flow: str, *leaves: Leaf, told: GenerateRecipe | None = None
) -> Iterator[tuple[Walk, list[Start]]]:
    flows = [flow_in(folder, flow)]
    with Walk(flows, told or recipe(), IDENTITIES) as walk:
        yield walk, list(starts(leaves or (skill(),), lambda _: (), walk))


def reckoned(walk: Walk, plan: Iterable[Start], answers: Answers = nothing_paid) -> Reckoner:
    reckoner = Reckoner(walk, answers)
    for start in plan:
        reckoner.add(start)
    return reckoner


def probed(world: World, walk: Walk, plan: Sequence[Start]) -> dict[tuple[str, str], int]:
    """Answer what a probe asks; returns how many it picked."""
    picked, asked = picks(walk, plan)
    world.walk(walk, asked)
    return picked


def picks(walk: Walk, plan: Sequence[Start]) -> tuple[dict[tuple[str, str], int], list[Start]]:
    parts = list(reckoned(walk, plan).parts.values())
    picked = chosen(parts)
    last = cutoffs(parts, picked)
    return picked, [start for start in plan if start_id(start) <= last.get((start.flow.name, start.about.leaf), -1)]


def step(quote: Quote, name: str) -> StepCost:
    return next(cost for cost in quote.steps if cost.step == name)


# --- bounds


def test_the_first_step_is_exact_and_what_fans_out_is_at_most_as_much_as_is_asked_for(tmp_path: Path) -> None:
    with planned(tmp_path, JUDGED) as (walk, plan):
        quote = Costing(reckoned(walk, plan), TERMS, {}).quote()
    assert [(cost.step, cost.to_pay.value, cost.to_pay.bound) for cost in quote.steps] == [
        ("questions", 30, "exact"),
        ("answers", 90, "at most"),
        ("judge", 90, "at most"),
    ]
    total = quote.total
    assert (total.calls.value, total.calls.bound, total.answered) == (210, "at most", 0)
    assert (total.tokens_out.value, total.tokens_out.bound) == (210 * 200, "at most")
    assert (step(quote, "questions").tokens_in.bound, total.tokens_in.bound) == ("about", "at most")
    assert total.money.bound == "at most"
    assert total.money.value == pytest.approx(sum(cost.money.value or 0 for cost in quote.steps), rel=1e-5)
    assert total.seconds.bound == "unknown"


def test_a_flow_in_which_nothing_depends_on_an_answer_is_exact(tmp_path: Path) -> None:
    with planned(tmp_path, THREE_STRAIGHT) as (walk, plan):
        quote = Costing(reckoned(walk, plan), TERMS, {}).quote()
        world = World(0)
        world.walk(walk, plan)
    assert [(cost.to_pay.value, cost.to_pay.bound) for cost in quote.steps] == [
        (30, "exact"),
        (60, "exact"),
        (60, "exact"),
    ]
    assert "if every answer can be used" in step(quote, "opinion").to_pay.basis


@pytest.mark.parametrize("flow", [TWO_STEPS, JUDGED, REVISED])
@pytest.mark.parametrize("seed", range(5))
def test_no_bound_is_ever_exceeded(tmp_path: Path, flow: str, seed: int) -> None:
    with planned(tmp_path, flow, skill(), skill("compositional_skills/generous")) as (walk, plan):
        quote = Costing(reckoned(walk, plan), TERMS, {}).quote()
        world = World(seed)
        world.walk(walk, plan)
        after = Costing(reckoned(walk, plan, world.paid.get), TERMS, {}).quote()
    for cost in quote.steps:
        assert world.calls[cost.step] <= (cost.calls.value or 0)
        assert step(after, cost.step).answered == world.calls[cost.step]
    tokens_in, tokens_out = world.tokens
    assert tokens_in <= (quote.total.tokens_in.value or 0)
    assert tokens_out <= (quote.total.tokens_out.value or 0)
    assert (after.total.to_pay.value, after.total.money.value, after.walked) == (0, 0, len(plan))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_way_what_is_paid_and_what_is_left_add_up(tmp_path: Path, share: float) -> None:
    """With answers lost at random, as a stop leaves them, at any step."""
    with planned(tmp_path, JUDGED) as (walk, plan):
        world = World(3)
        world.walk(walk, plan)
        rng = random.Random(share)
        held = {key: paid for key, paid in world.paid.items() if rng.random() < share}
        costing = Costing(reckoned(walk, plan, held.get), TERMS, {})
        quote, everything = costing.quote(), costing.quote(everything=True)
    for cost in quote.steps:
        assert cost.answered <= world.calls[cost.step] <= (cost.calls.value or 0)
        assert cost.calls.value == (cost.to_pay.value or 0) + cost.answered
    met = {key: held[key] for key in held if key in reached(walk, plan, held)}
    assert quote.total.answered == len(met)
    spent = sum(paid.tokens_out for paid in met.values())
    assert (everything.total.tokens_out.value or 0) - (quote.total.tokens_out.value or 0) == spent


def reached(walk: Walk, plan: Sequence[Start], held: dict[str, Paid]) -> set[str]:
    """The calls that a walk comes to with these answers."""
    met: set[str] = set()

    def answers(key: str) -> Paid | None:
        met.add(key)
        return held.get(key)

    reckoned(walk, plan, answers)
    return met


def test_a_call_that_failed_is_left_to_pay_and_what_it_was_charged_is_paid(tmp_path: Path) -> None:
    with planned(tmp_path, TWO_STEPS) as (walk, plan):
        key = plan[0].task.prompt.key  # type: ignore[union-attr]
        held = {key: Paid(None, 40, 2, None)}
        costing = Costing(reckoned(walk, plan, held.get), TERMS, {})
        left, everything = costing.quote(), costing.quote(everything=True)
    assert (step(left, "questions").to_pay.value, step(left, "questions").answered) == (30, 0)
    assert (everything.total.tokens_out.value or 0) - (left.total.tokens_out.value or 0) == 2


def test_the_same_prompt_of_two_leaves_is_paid_for_once(tmp_path: Path) -> None:
    twin = skill().model_copy(update={"path": "compositional_skills/b"})
    with planned(tmp_path, TWO_STEPS, skill(), twin) as (walk, plan):
        quote = Costing(reckoned(walk, plan), TERMS, {}).quote()
    assert len(plan) == 60
    assert step(quote, "questions").to_pay.value == 30


def test_without_prices_money_is_unknown_and_the_role_is_named(tmp_path: Path) -> None:
    terms = Terms(prices=PRICES | {"critic": None}, identities=IDENTITIES, slots=SLOTS)
    with planned(tmp_path, JUDGED) as (walk, plan):
        quote = Costing(reckoned(walk, plan), terms, {}).quote()
    assert quote.total.money.value is None
    assert "critic" in quote.total.money.basis
    assert step(quote, "questions").money.value is not None


def test_tokens_are_reckoned_by_what_the_teacher_counted(tmp_path: Path) -> None:
    with planned(tmp_path, TWO_STEPS) as (walk, plan):
        world = World(1)
        world.walk(walk, plan[:3])
        quote = Costing(reckoned(walk, plan, world.paid.get), TERMS, {}).quote()
        silent = World(1, counts=False)
        silent.walk(walk, plan)
        uncounted = Costing(reckoned(walk, plan, silent.paid.get), TERMS, {}).quote(everything=True)
    assert "characters a token as the teacher counted in" in quote.total.tokens_in.basis
    characters = sum(len(message.content) for start in plan for message in start.task.prompt.messages)  # type: ignore[union-attr]
    assert step(uncounted, "questions").tokens_in.value == pytest.approx(characters / 4, abs=1)


# --- intervals


def test_nine_of_ten_runs_lie_in_the_intervals_of_their_probe(tmp_path: Path) -> None:
    """Leaves of two sorts; each world is another teacher over the same plan."""
    worlds = 200
    leaves = [skill(), skill("compositional_skills/generous"), skill("compositional_skills/c")]
    inside: Counter[str] = Counter()
    with planned(tmp_path, JUDGED, *leaves, told=recipe(most=20)) as (walk, plan):
        picked, asked = picks(walk, plan)
        assert sum(picked.values()) == len(asked) == FEWEST
        for seed in range(worlds):
            world = World(seed)
            world.walk(walk, asked)
            quote = Costing(reckoned(walk, plan, world.paid.get), TERMS, picked).quote(everything=True)
            world.walk(walk, plan)
            tokens_in, tokens_out = world.tokens
            real = {"calls": len(world.paid), "tokens_in": tokens_in, "tokens_out": tokens_out, "money": world.money}
            for name, value in real.items():
                interval = getattr(quote.total, name).interval
                assert interval is not None
                inside[name] += interval[0] - 1e-6 <= value <= interval[1] + 1e-6
    assert min(inside.values()) >= 0.9 * worlds, inside


def test_a_probe_that_asked_everything_knows_everything(tmp_path: Path) -> None:
    with planned(tmp_path, JUDGED, told=recipe(most=12)) as (walk, plan):
        world = World(5)
        picked = probed(world, walk, plan)
        quote = Costing(reckoned(walk, plan, world.paid.get), TERMS, picked).quote()
    assert quote.walked == len(plan) == 12
    assert (quote.total.to_pay.value, quote.total.to_pay.bound) == (0, "exact")


def test_a_probe_that_was_broken_off_gives_bounds_and_no_intervals(tmp_path: Path) -> None:
    with planned(tmp_path, JUDGED, told=recipe(most=100)) as (walk, plan):
        world = World(5)
        picked = probed(world, walk, plan)
        world.paid.popitem()
        broken = Costing(reckoned(walk, plan, world.paid.get), TERMS, picked).quote()
        told = Costing(reckoned(walk, plan, world.paid.get), TERMS, picked, part_way=True).quote()
    assert (broken.total.to_pay.bound, broken.total.to_pay.interval) == ("at most", None)
    assert told.total.to_pay.bound == "about"


def test_time_is_that_of_the_teacher_with_most_to_do(tmp_path: Path) -> None:
    with planned(tmp_path, THREE_STRAIGHT) as (walk, plan):
        world = World(5)
        world.walk(walk, plan[:2])
        reckoner = reckoned(walk, plan, world.paid.get)
        alone = Costing(reckoner, TERMS, {}).quote().total.seconds
        slots = {"asker": ("one", 4), "answerer": ("one", 4), "critic": ("two", 1)}
        apart = Costing(reckoner, Terms(PRICES, IDENTITIES, slots), {}).quote().total.seconds
    left = 28 * 5  # each start is a question, two answers, two opinions
    assert alone.value == pytest.approx(left * 0.5 / 4 + 1.0)
    assert apart.value == pytest.approx(28 * 2 * 0.5 + 1.0)
    assert "0.50 s a call" in alone.basis


# --- which starts a probe asks


def parts_of(folder: Path, *sizes: int) -> tuple[list[Part], dict[tuple[str, str], int]]:
    flow = flow_in(folder, TWO_STEPS)
    rng = random.Random(0)
    parts = []
    for number, size in enumerate(sizes):
        part = Part(flow, f"leaf {number}")
        part.ids.extend(rng.getrandbits(64) for _ in range(size))
        parts.append(part)
    return parts, chosen(parts)


@pytest.mark.parametrize(
    ("sizes", "count"), [((5,), 5), ((100,), 20), ((2000,), 20), ((3000,), 30), ((100, 100, 2800), 30), ((1,) * 50, 20)]
)
def test_a_hundredth_is_asked_at_least_twenty_and_at_most_all(
    tmp_path: Path, sizes: tuple[int, ...], count: int
) -> None:
    parts, picked = parts_of(tmp_path, *sizes)
    assert sum(picked.values()) == count
    everything = sum(sizes)
    for part in parts:
        share = count * len(part.ids) / everything
        assert share - 1 < picked[part.flow.name, part.leaf] < share + 1


def test_the_same_starts_are_asked_again_and_a_leaf_more_changes_little(tmp_path: Path) -> None:
    one, more = skill(), skill("compositional_skills/b")
    with planned(tmp_path, TWO_STEPS, one, told=recipe(most=60)) as (walk, plan):
        first, again = World(0), World(0)
        probed(first, walk, plan)
        probed(again, walk, plan)
        assert first.paid == again.paid
    with planned(tmp_path, TWO_STEPS, one, more, told=recipe(most=60)) as (walk, plan):
        wider = World(0)
        picked = probed(wider, walk, plan)
    assert picked == {("own", one.path): 10, ("own", more.path): 10}
    questions = {key for key in wider.paid if key in first.paid}
    assert len(questions) >= 10


# --- shapes


def test_each_text_is_counted_as_often_as_a_template_shows_it(tmp_path: Path) -> None:
    templates = TEMPLATES | {
        "answer.j2": ANSWER.replace("answer {{ question }}", "{{ question }} and {{ question }}: {{ task }}")
    }
    flow = flow_in(tmp_path, TWO_STEPS, templates=templates)
    with Walk([flow], recipe(pairs=2), IDENTITIES) as walk:
        (start, *_) = starts([skill()], lambda _: (), walk)
        shape = Shape(flow, walk)
        skeleton = shape.skeletons(start)[1]
    assert (skeleton.times["question"], skeleton.times["task"]) == (2, 1)
    assert skeleton.characters == len(" and : \n[ANSWER 1]\n[END 1]")
    assert shape.answers_in(skeleton, 1, 0) == 2 * 200 / 2  # twice, and two questions share an answer of 200 tokens
    assert shape.answers_in(skeleton, 1, 1) == 0


def test_a_template_that_computes_with_an_answer_is_bounded_all_the_same(tmp_path: Path) -> None:
    judge = JUDGE.replace("judge {{ question }}", "{{ 10 // (question | int) }} {{ question }}")
    flow = flow_in(tmp_path, JUDGED, templates=TEMPLATES | {"judge.j2": judge})
    with Walk([flow], recipe(), IDENTITIES) as walk:
        (start, *_) = starts([skill()], lambda _: (), walk)
        skeleton = Shape(flow, walk).skeletons(start)[2]
    assert skeleton.times["answer"] == skeleton.times["question"] == 1
    assert skeleton.characters > 0


def test_prompts_and_samples_are_foreseen_as_they_are_planned(tmp_path: Path) -> None:
    flow: Flow = flow_in(tmp_path, TWO_STEPS)
    cold = flow_in(
        tmp_path / "cold",
        TWO_STEPS,
        templates=TEMPLATES | {"ask.j2": ASK_ALL.replace("---\n=== user", "sampling: {temperature: 0}\n---\n=== user")},
    )
    for each in (flow, cold):
        for seeds in (1, 3, 5):
            leaf = skill(seeds=seeds)
            with Walk([each], recipe(), IDENTITIES) as walk:
                assert first_prompts(leaf, each, 0, recipe()) == len(list(starts([leaf], lambda _: (), walk)))
    assert most_samples(flow, recipe()) == 3
    assert most_samples(flow_in(tmp_path / "straight", THREE_STRAIGHT), recipe()) == 2


# --- the ledger as a quote reads it


def test_the_ledger_is_read_as_it_was_charged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Paybook(path) as answers:
        assert answers("k") is None
    assert not path.exists()
    with Ledger(path) as ledger:
        ledger.write(Intent("a", "{}", "m"), Intent("b", "{}", "m"), Intent("c", "{}", "m"))
        ledger.write(Failure("b", "slow", "timeout", 7, 0))
        ledger.write(Completion(key="a", text="yes", finish_reason="stop", prompt_tokens=3, completion_tokens=1))
    with Paybook(path) as answers:
        paid, failed = answers("a"), answers("b")
        assert answers("c") is None
        assert answers("d") is None
    assert paid is not None
    assert paid.completion is not None
    assert (paid.completion.text, paid.tokens_in, paid.tokens_out) == ("yes", 3, 1)
    assert paid.seconds is not None
    assert failed == Paid(None, 7, 0, None)


def test_a_damaged_answer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write(Intent("a", "{}", "m"))
        ledger.connection.execute("UPDATE calls SET state = 'answered', answer = '{' WHERE key = 'a'")
    with Paybook(path) as answers, pytest.raises(InputError, match="the answer to call a is damaged"):
        answers("a")
