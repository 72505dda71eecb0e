"""The engine: once per call key, bounded, without barriers, and with nothing committed lost when it ends early."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from flow_files import JUDGED, TWO_STEPS, flow_in, groups

from instructlab_like.errors import InputError, PassingError, RefusedError, StoppedError, TeacherError
from instructlab_like.generation import engine as engine_room
from instructlab_like.generation.engine import Desk, End, Engine, Tally
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.plan import starts
from instructlab_like.generation.purse import Purse
from instructlab_like.generation.walk import Finished, Start, Walk
from instructlab_like.recipe import Budget, GenerateRecipe
from instructlab_like.records import Completion, Leaf, Pair, Prompt, Seed, Skill

ROLES = ("asker", "answerer", "critic")
NO_LIMIT = Budget()


def skill(number: int) -> Leaf:
    """A leaf with one seed, and so with one prompt of its own."""
    pairs = (Pair(question=f"q{number}", answer=f"a{number}"),)
    seeds = (Seed(number=1, line=1, pairs=pairs),)
    return Skill(
        path=f"compositional_skills/s{number:05}", blob="b", version=3, created_by="x", seeds=seeds, task="adding"
    )


def answer_of(prompt: Prompt) -> str:
    told = prompt.messages[0].content.splitlines()[0]
    if prompt.yields == ("question",):
        return groups("QUESTION", f"first of {told}", f"second of {told}")
    if prompt.yields == ("answer",):
        return groups("ANSWER", f"to {told}")
    return groups("SCORE", "3")


class Scripted:
    """Answers after a few turns of the loop; `trouble` is told the prompt and how often it was asked, and may raise."""

    identity = "scripted"
    notices: list[str] = []

    def __init__(self, *, capacity: int = 4, trouble: Callable[[Prompt, int], None] = lambda *_: None) -> None:
        self.capacity = capacity
        self.trouble = trouble
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        self.open = self.most = 0
        self.step = asyncio.sleep

    async def answer(self, prompt: Prompt) -> Completion:
        self.asked[prompt.key] += 1
        self.order.append(prompt.yields[0])
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            for _ in range(3):
                await self.step(0)
            self.trouble(prompt, self.asked[prompt.key])
        finally:
            self.open -= 1
        return Completion(
            key=prompt.key, text=answer_of(prompt), finish_reason="stop", prompt_tokens=10, completion_tokens=5
        )

    async def close(self) -> None:
        pass


class Ran:
    """One run over `leaves`; what it came to."""

    def __init__(
        self,
        folder: Path,
        teacher: Scripted,
        *,
        leaves: Iterable[Leaf] = tuple(map(skill, range(6))),
        flow: str = TWO_STEPS,
        budget: Budget = NO_LIMIT,
        retries: int = 3,
    ) -> None:
        self.ends: dict[int, list[End]] = {}
        self.tally = Tally()
        self.error: BaseException | None = None
        recipe = GenerateRecipe(prompts_per_leaf=1, pairs_per_prompt=2)
        with (
            Walk([flow_in(folder / "flow", flow)], recipe, dict.fromkeys(ROLES, "scripted")) as walk,
            Ledger(folder / "ledger.sqlite") as ledger,
        ):
            self.purse = Purse(budget, ledger.spent_by(), {})
            desks = dict.fromkeys(ROLES, Desk(teacher, retries=retries, price=None))
            running = Engine(walk, desks, ledger, self.purse, self.take, self.tally)
            try:
                asyncio.run(running.run(starts(leaves, lambda _: (), walk)))
            except (InputError, StoppedError) as error:
                self.error = error
            self.spent, self.counts, self.failures = ledger.spent, ledger.counts, ledger.failures

    def take(self, start: Start, ends: list[End]) -> None:
        assert start.number not in self.ends
        self.ends[start.number] = ends

    @property
    def samples(self) -> list[tuple[str, str]]:
        ends = [end for _, ends in sorted(self.ends.items()) for end in ends]
        return [(end.sample.id, end.sample.answer) for end in ends if isinstance(end, Finished) and end.kept]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_room, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(engine_room, "GRACE", 1.0)


def test_all_walks_end_and_every_call_is_asked_once(tmp_path: Path) -> None:
    ran = Ran(tmp_path, teacher := Scripted())
    assert len(ran.samples) == 12
    assert len({id_ for id_, _ in ran.samples}) == 12
    assert set(teacher.asked.values()) == {1}
    assert ran.spent.calls == len(teacher.asked) == 18
    assert (ran.spent.tokens_in, ran.spent.tokens_out) == (180, 90)


def test_a_second_run_asks_nothing_and_comes_to_the_same(tmp_path: Path) -> None:
    first = Ran(tmp_path, Scripted())
    second = Ran(tmp_path, teacher := Scripted())
    assert not teacher.asked
    assert second.samples == first.samples
    assert second.tally.reused == 18


def test_a_walk_goes_on_to_its_end_when_the_ledger_holds_the_last_answers_too(tmp_path: Path) -> None:
    leaves = [skill(1)]
    first = Ran(tmp_path, Scripted(), leaves=leaves, flow=JUDGED)
    second = Ran(tmp_path, teacher := Scripted(capacity=1), leaves=leaves, flow=JUDGED)
    assert not teacher.asked
    assert second.samples == first.samples


@pytest.mark.parametrize("capacity", [1, 8, 64])
def test_the_outcome_does_not_depend_on_how_many_are_asked_at_once(tmp_path: Path, capacity: int) -> None:
    ran = Ran(tmp_path / "this", teacher := Scripted(capacity=capacity))
    assert teacher.most <= capacity
    assert ran.samples == Ran(tmp_path / "that", Scripted(capacity=3)).samples


def test_samples_are_finished_before_more_walks_are_begun(tmp_path: Path) -> None:
    Ran(tmp_path, teacher := Scripted(capacity=2), leaves=map(skill, range(200)))
    assert teacher.order.index("answer") <= 6
    behind = 0
    for step in teacher.order:
        behind += 2 if step == "question" else -1
        assert behind <= 12


def test_an_identical_prompt_of_another_leaf_is_asked_once(tmp_path: Path) -> None:
    twin = skill(1).model_copy(update={"path": "compositional_skills/twin"})
    ran = Ran(tmp_path, teacher := Scripted(), leaves=[skill(1), twin])
    assert set(teacher.asked.values()) == {1}
    assert len(teacher.asked) == 3
    assert len({id_ for id_, _ in ran.samples}) == 4


def test_a_passing_failure_is_repeated_and_counted(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        if times < 3:
            raise PassingError("busy", kind="server_error", prompt_tokens=1)

    ran = Ran(tmp_path, teacher := Scripted(trouble=trouble))
    assert len(ran.samples) == 12
    assert set(teacher.asked.values()) == {3}
    assert ran.spent.calls == 54
    assert ran.spent.tokens_in == 180 + 36
    assert ran.tally.retried == {"server_error": 36}


def test_a_call_that_fails_for_good_ends_its_own_walk_alone(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        if "second of ask 2 about adding (1 examples, q3)" in prompt.messages[0].content:
            raise PassingError("no answer within 1 s", kind="timeout")

    ran = Ran(tmp_path, Scripted(trouble=trouble))
    assert ran.error is None
    assert len(ran.samples) == 11
    assert ran.tally.failed == {"timeout": 1}
    (lost,) = [end for ends in ran.ends.values() for end in ends if isinstance(end, Finished) and not end.kept]
    assert "no answer (timeout)" in lost.verdicts[-1].reason
    assert [failure.kind for failure in ran.failures] == ["timeout"]
    again = Ran(tmp_path, teacher := Scripted())
    assert teacher.asked.total() == 1
    assert len(again.samples) == 12


def test_a_refused_prompt_is_not_repeated(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        if "q3" in prompt.messages[0].content and prompt.yields == ("question",):
            raise RefusedError("too long")

    ran = Ran(tmp_path, teacher := Scripted(trouble=trouble))
    assert len(ran.samples) == 10
    assert set(teacher.asked.values()) == {1}


def test_a_prompt_refused_before_it_was_sent_is_no_call(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        if "q3" in prompt.messages[0].content:
            raise RefusedError("longer than the context", sent=False)

    ran = Ran(tmp_path, Scripted(trouble=trouble))
    assert ran.spent.calls == 15
    assert ran.tally.failed == {"refused": 1}


def test_a_teacher_that_is_gone_stops_the_run_and_keeps_what_is_there(tmp_path: Path) -> None:
    count = iter(range(1000))

    def trouble(prompt: Prompt, times: int) -> None:
        if next(count) >= 9:
            raise TeacherError("is gone", fix="start it")

    ran = Ran(tmp_path, Scripted(trouble=trouble))
    assert isinstance(ran.error, TeacherError)
    assert "answers are in the ledger" in str(ran.error)
    again = Ran(tmp_path, teacher := Scripted())
    assert teacher.asked.total() == 18 - ran.counts.answered
    assert len(again.samples) == 12


def test_a_teacher_that_refuses_everything_is_told_something_wrong(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        raise RefusedError("wants another field")

    ran = Ran(tmp_path, teacher := Scripted(trouble=trouble), leaves=map(skill, range(100)))
    assert isinstance(ran.error, TeacherError)
    assert teacher.asked.total() < 20


def test_wrong_input_ends_the_run_as_wrong_input(tmp_path: Path) -> None:
    def trouble(prompt: Prompt, times: int) -> None:
        raise InputError("no key")

    assert type(Ran(tmp_path, Scripted(trouble=trouble)).error) is InputError


@pytest.mark.parametrize("limit", [0, 1, 7, 17])
def test_a_budget_of_calls_is_kept_exactly_and_the_run_goes_on_from_there(tmp_path: Path, limit: int) -> None:
    ran = Ran(tmp_path, teacher := Scripted(), budget=Budget(calls=limit))
    assert isinstance(ran.error, StoppedError)
    assert "budget" in str(ran.error)
    assert teacher.asked.total() == ran.spent.calls == limit
    again = Ran(tmp_path, rest := Scripted())
    assert rest.asked.total() == 18 - limit
    assert len(again.samples) == 12


def test_a_budget_of_tokens_is_not_exceeded(tmp_path: Path) -> None:
    leaves = [skill(n) for n in range(100)]
    ran = Ran(tmp_path, Scripted(capacity=64), leaves=leaves, budget=Budget(tokens=4000))
    assert isinstance(ran.error, StoppedError)
    assert 0.6 * 4000 <= ran.spent.tokens_in + ran.spent.tokens_out <= 1.01 * 4000


def test_many_walks_leave_nothing_behind_in_memory(tmp_path: Path) -> None:
    ran = Ran(tmp_path, Scripted(capacity=16), leaves=map(skill, range(300)), flow=JUDGED)
    assert len(ran.samples) == 600
    assert ran.tally.begun == ran.tally.ended == 300
