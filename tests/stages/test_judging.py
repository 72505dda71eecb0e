"""Judges over real HTTP: asked once, within the budget, never of the maker's family, and judged themselves."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import judges
import orjson
import pytest
from faults import Fault, failing
from judged_pool import GOOD, JUDGE, MAKER, judged, recipe, tower, towers
from run_books import books, received
from server import Arrival, Latency, TeacherServer

from instructlab_like.errors import InputError, RecipeError, StoppedError, TeacherError
from instructlab_like.filters import AskFilter, Surroundings
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.safety.toxicity import Toxicity
from instructlab_like.filters.sift import passed
from instructlab_like.filters.truth.answerable import Answerable
from instructlab_like.filters.truth.critic import Critic
from instructlab_like.filters.truth.relevancy import Relevancy
from instructlab_like.filters.truth.round_trip import RoundTrip
from instructlab_like.filters.truth.vote import Vote
from instructlab_like.generation import engine
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import Budget, FilterChoice, GenerateRecipe, TeacherRecipe
from instructlab_like.records import Sample, Turn, Verdict
from instructlab_like.stages.evaluating.bench import described
from instructlab_like.stages.filtering.judging import Calibration, Judging
from instructlab_like.workspace import Run

CHILD = Path(__file__).parents[1] / "judged_pool.py"
PLAIN = Critic(planted=0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(engine, "LONGEST_PAUSE", 0.05)


def is_good(request: dict) -> bool:
    return (judges.part(request, "question"), judges.part(request, "answer")) in GOOD


def heard(
    folder: Path,
    judge: judges.Judge,
    chosen: AskFilter,
    samples: Sequence[Sample],
    *,
    model: str = JUDGE,
    choose: Callable[[Arrival], Fault | None] | None = None,
    latency: Latency | None = None,
    retries: int = 3,
) -> tuple[list[Judgement], Judging]:
    with TeacherServer(answer=judge, choose=choose, latency=latency) as server:
        return judged(folder, recipe(server.url, judge=model, retries=retries), chosen, samples)


def calibrated(judging: Judging) -> Calibration:
    (found,) = judging.calibrations
    return found


# --- judges of all kinds


def test_a_perfect_judge_keeps_what_is_good_and_is_told_to_be_one(tmp_path: Path) -> None:
    found, judging = heard(tmp_path, judges.perfect(is_good), Critic(), towers(80))
    assert all(told.keep and told.score == 5 for told in found)
    made = calibrated(judging)
    assert made.separation is not None
    assert (made.separation.area, made.pairs, made.unjudged, made.caught, made.lost) == (1.0, 40, 0, 40, 0)
    assert 0.9 < made.separation.low < 1.0
    assert len(made.faults) >= 4
    (remark,) = judging.remarks
    assert remark.startswith("critic: AUC 1.00 [0.95-1.00] on 40 planted pairs: cut off 1.00 (")
    assert remark.endswith("; it rejects 40 of the 40 faulty ones and 0 of the others")


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_a_judge_that_rolls_dice_holds_a_half(tmp_path: Path, seed: int) -> None:
    _, judging = heard(tmp_path, judges.guessing(seed), Critic(), towers(60))
    made = calibrated(judging).separation
    assert made is not None
    assert made.low < 0.5 < made.high
    assert made.high - made.low < 0.3


def test_a_judge_that_likes_everything_is_worth_nothing(tmp_path: Path) -> None:
    found, judging = heard(tmp_path, judges.always("5"), Critic(), towers(60))
    assert all(told.keep for told in found)
    made = calibrated(judging)
    assert made.separation is not None
    assert made.separation.area == 0.5
    assert (made.caught, made.lost) == (0, 0)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (judges.always("11/10"), "'11/10'"),
        (judges.always("excellent"), "'excellent'"),
        (judges.always("0"), "outside of the scale"),
        (judges.saying("Sure! A fine answer, I give it a 5."), "the answer holds no tags such as [CLAIMS 1]"),
        (judges.saying("[CLAIMS 1]\nfine\n[ACCURATE 1]\n5\n"), "none of the 1 begun in the answer is whole"),
        (judges.saying("<think>5 is what I"), "the answer is thoughts alone"),
    ],
)
def test_what_is_no_judgement_rejects_with_that_reason_and_has_no_score(
    tmp_path: Path, judge: judges.Judge, said: str
) -> None:
    found, judging = heard(tmp_path, judge, Critic(), towers(12))
    assert {(told.keep, told.rule, told.score) for told in found} == {(False, "no-judgement", None)}
    assert all(said in told.reason for told in found)
    made = calibrated(judging)
    assert made.separation is None
    assert made.unjudged == made.pairs == 12
    assert judging.remarks == (f"critic: of 12 planted pairs too few were judged to say how well {JUDGE} judges",)
    assert not judging.failed


def test_two_judgements_where_one_was_asked_for_are_none(tmp_path: Path) -> None:
    once = judges.always("5")
    twice = heard(tmp_path, lambda asked: once(asked) + "\n" + once(asked).replace(" 1]", " 2]"), PLAIN, towers(2))[0]
    assert [told.reason for told in twice] == [
        "the judge gave no judgement: the answer holds 2 where one was asked for"
    ] * 2


def test_an_empty_answer_is_no_answer_and_is_asked_for_again(tmp_path: Path) -> None:
    found, judging = heard(tmp_path, judges.perfect(is_good), PLAIN, towers(6), choose=empty_for("tower 2?"), retries=1)
    told = {(one.keep, one.rule) for one in found}
    assert told == {(True, ""), (False, "no-answer")}
    assert judging.failed == {"empty": 1}
    again, judging = heard(tmp_path, judges.perfect(is_good), PLAIN, towers(6))
    assert all(one.keep for one in again)
    assert (judging.answered, judging.reused, not judging.failed) == (1, 5, True)


def empty_for(words: str) -> Callable[[Arrival], Fault | None]:
    def change(completion: dict) -> None:
        completion["choices"][0]["message"]["content"] = ""

    return lambda arrival: Fault(kind="altered", change=change) if words.encode() in arrival.body else None


def test_a_refused_question_rejects_its_sample_alone_and_says_by_what_it_was_refused(tmp_path: Path) -> None:
    refusing = failing(400, "this is too long for me")
    choose = lambda arrival: refusing if b"tower 3?" in arrival.body else None  # noqa: E731
    found, judging = heard(tmp_path, judges.perfect(is_good), PLAIN, towers(8), choose=choose)
    (told,) = [one for one in found if not one.keep]
    assert told.rule == "no-answer"
    assert told.reason.startswith("the critic gave no answer (refused): ")
    assert "this is too long for me" in told.reason
    assert judging.failed == {"refused": 1}


def test_a_judge_that_stumbles_is_asked_again_and_pays_no_sample_for_it(tmp_path: Path) -> None:
    choose = lambda arrival: failing(503) if arrival.times == 0 and arrival.number % 3 == 0 else None  # noqa: E731
    found, judging = heard(tmp_path, judges.perfect(is_good), PLAIN, towers(20), choose=choose)
    assert all(told.keep for told in found)
    assert not judging.failed


def test_answers_out_of_order_are_told_in_order(tmp_path: Path) -> None:
    samples = towers(40)
    slow, _ = heard(tmp_path / "a", judges.guessing(), PLAIN, samples, latency=Latency(0.0, 0.3, 0.05))
    fast, _ = heard(tmp_path / "b", judges.guessing(), PLAIN, samples)
    assert slow == fast
    assert len({told.keep for told in fast}) == 2


def test_a_judge_that_is_gone_ends_it_with_what_is_there_kept(tmp_path: Path) -> None:
    samples = towers(30)
    leaving = Fault(kind="gone", seconds=60.0)
    with TeacherServer(answer=judges.guessing(), choose=lambda told: leaving if told.served >= 10 else None) as server:
        told = recipe(server.url, retries=2).roles["critic"].model_copy(update={"patience": 0.3})
        with pytest.raises(TeacherError) as caught:
            judged(tmp_path, GenerateRecipe(roles={"critic": told}), PLAIN, samples)
    assert "answers are in the ledger" in str(caught.value)
    assert not (tmp_path / "used.jsonl").exists()
    _, judging = heard(tmp_path, judges.guessing(), PLAIN, samples)
    assert judging.reused > 0
    assert judging.answered + judging.reused == 30


# --- nothing is paid for twice


@pytest.mark.parametrize("chosen", [Critic(), Relevancy(), Answerable(), RoundTrip(), Vote(), Toxicity()])
def test_judging_the_same_again_asks_nothing_and_says_the_same(tmp_path: Path, chosen: AskFilter) -> None:
    samples = towers(30)
    with TeacherServer() as server:
        first, before = judged(tmp_path, recipe(server.url), chosen, samples)
        asked = server.requests
        again, after = judged(tmp_path, recipe(server.url), chosen, samples)
        assert server.requests == asked
    unreachable = recipe("http://127.0.0.1:9/v1")
    unasked, judging = judged(tmp_path, unreachable, chosen, samples, asking=False)
    assert first == again == unasked
    assert before.remarks == after.remarks == judging.remarks
    assert after.answered == judging.answered == 0
    assert not judging.failed


def test_without_asking_what_is_not_in_the_ledger_is_told_as_such(tmp_path: Path) -> None:
    found, judging = judged(tmp_path, recipe("http://127.0.0.1:9/v1"), PLAIN, towers(3), asking=False)
    assert {(told.rule, told.reason) for told in found} == {
        ("no-answer", "the critic gave no answer (not asked): was not asked")
    }
    assert judging.failed == {"not asked": 3}


def test_a_sample_more_costs_one_call_more(tmp_path: Path) -> None:
    with TeacherServer(answer=judges.guessing()) as server:
        judged(tmp_path, recipe(server.url), PLAIN, towers(20))
        before, calls = server.requests, recipe(server.url)
        judged(tmp_path, calls, PLAIN, towers(21))
        assert server.requests - before == 1


def test_each_draw_of_a_vote_is_a_call_with_a_seed_of_its_own(tmp_path: Path) -> None:
    with TeacherServer(answer=judges.answering(lambda _: "12")) as server:
        found, judging = judged(tmp_path, recipe(server.url), Vote(), [towers(1)[0]])
        seeds = [orjson.loads(body).get("seed") for body in server.bodies if b"work out answers" in body]
    assert len(set(seeds)) == judging.answered == 5
    assert found[0].rule == "outvoted"


class Killer:
    """Kills a process when the server has given so many answers."""

    def __init__(self) -> None:
        self.at = 0
        self.child: subprocess.Popen[bytes] | None = None

    def __call__(self, answers: int) -> None:
        if answers == self.at and self.child is not None:
            self.child.send_signal(signal.SIGKILL)


def test_a_killed_process_goes_on_where_it_was_and_writes_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    with TeacherServer(answer=judges.guessing()) as server:
        subprocess.run([sys.executable, CHILD, whole, server.url], check=True, timeout=300)
    killer = Killer()
    with TeacherServer(answer=judges.guessing(), on_served=killer) as server:
        committed: set[tuple[object, ...]] = set()
        since = 0
        for at in (20, 45, 85, 0):  # among the samples, twice; among the planted pairs; not at all
            killer.at = at
            killer.child = subprocess.Popen([sys.executable, CHILD, broken, server.url])
            assert killer.child.wait(timeout=300) == (-signal.SIGKILL if at else 0)
            assert (broken / "verdicts.jsonl").exists() == (not at)
            assert not committed & set(received(server, since)), "what was answered is asked again"
            before, committed, since = len(committed), set(books(Run(broken)).committed.values()), len(server.bodies)
            assert len(committed) > before
    assert (broken / "verdicts.jsonl").read_bytes() == (whole / "verdicts.jsonl").read_bytes()
    uses = [sorted((folder / "used.jsonl").read_bytes().splitlines()) for folder in (whole, broken)]
    assert uses[0] == uses[1]


# --- what it costs


def test_a_budget_that_is_used_up_leaves_the_rest_unjudged_and_the_next_run_goes_on(tmp_path: Path) -> None:
    samples = towers(40)
    with TeacherServer(answer=judges.perfect(is_good)) as server:
        found, judging = judged(tmp_path, recipe(server.url, budget=Budget(calls=15)), Critic(planted=10), samples)
        assert server.requests == 15
        rules = Counter((told.keep, told.rule) for told in found)
        assert rules == {(True, ""): 15, (False, "no-answer"): 25}
        left = next(told for told in found if not told.keep)
        assert left.reason == "the critic was not asked: the budget of 15 calls is used up"
        assert isinstance(judging.stopped, StoppedError)
        assert judging.stopped.where == "budget"
        found, judging = judged(tmp_path, recipe(server.url, budget=Budget(calls=70)), Critic(planted=10), samples)
        assert all(told.keep for told in found)
        assert judging.stopped is None
        assert max(server.times.values()) == 1


def test_a_budget_counts_what_the_run_has_spent_on_its_teacher(tmp_path: Path) -> None:
    teacher = TeacherRecipe(model="teacher", url="http://127.0.0.1:9/v1", price_in=1e6, price_out=1e6)
    samples = towers(4)
    with TeacherServer(answer=judges.perfect(is_good)) as server:
        cheap = recipe(server.url).roles["critic"].model_copy(update={"price_in": 0.0, "price_out": 0.0})
        told = GenerateRecipe(teacher=teacher, roles={"critic": cheap}, budget=Budget(money=5.0))
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            ledger.connection.execute(
                "INSERT INTO calls (key, request, model, state, attempts, intended, tokens_in) "
                "VALUES ('k', '{}', 'http:teacher', 'failed', 1, 0, 6)"
            )
        _, judging = judged(tmp_path, told, PLAIN, samples)
        assert server.requests == 0
    assert isinstance(judging.stopped, StoppedError)


# --- who may judge


@pytest.mark.parametrize(
    ("judge", "maker", "said"),
    [
        ("llama3:70b", MAKER, "is of the family of 'http:meta-llama/Llama-3.1-8B' (llama), which made 1 of"),
        ("deepseek-r1-distill-llama-8b", MAKER, "(llama), which made 1 of the samples"),
        ("acme/house-model-AWQ", "http:house-model", "is the model that made 1 of the samples"),
    ],
)
def test_a_judge_of_the_makers_family_is_refused_before_anything_is_asked(
    tmp_path: Path, judge: str, maker: str, said: str
) -> None:
    mixed = [*(tower(number, model="http:phi-4") for number in range(5)), tower(77, model=maker)]
    with TeacherServer() as server:
        with pytest.raises(RecipeError) as caught:
            judged(tmp_path, recipe(server.url, judge=judge), PLAIN, mixed)
        assert server.requests == 0
    assert said in str(caught.value)
    assert "roles.critic" in str(caught.value)
    assert "same_family: true" in caught.value.fix
    assert isinstance(caught.value, InputError)


def test_where_it_is_allowed_every_verdict_says_so(tmp_path: Path) -> None:
    chosen = Critic(planted=0, same_family=True)
    found, judging = heard(tmp_path, judges.guessing(), chosen, towers(20), model="llama3:70b")
    assert all(told.reason.endswith("(the judge is of the maker's own family)") for told in found)
    assert judging.remarks == ("critic, judged by llama3:70b: the judge is of the maker's own family (20 samples)",)
    itself, _ = heard(tmp_path, judges.always("11/10"), chosen, [tower(1, model="http:solo")], model="solo")
    assert itself[0].reason.endswith("(judged by its own maker)")


@pytest.mark.parametrize(
    ("lineage", "stamp"),
    [
        ({"method": "given", "model": "given/1"}, "(maker unknown)"),
        ({"method": "given", "model": ""}, "(maker unknown)"),
        ({"method": "given", "model": "gpt-4o"}, ""),
        ({"method": "rules", "model": "rules/1"}, ""),
        ({"method": "simulation", "model": "simulation/1"}, ""),
        ({"model": "http:house-model"}, "(it is not known whether judge and maker are of one family)"),
    ],
)
def test_what_is_not_known_of_the_maker_is_stamped(tmp_path: Path, lineage: dict, stamp: str) -> None:
    told = tower(1, **lineage)
    (found,), judging = heard(tmp_path, judges.always("5"), PLAIN, [told])
    assert found.reason == f"accurate 5, faithful 5, complete 5, clear 5 of 5{stamp and f' {stamp}'}"
    assert bool(judging.remarks) == bool(stamp)


def turn(model: str, role: str, template: str = "skill/answer.j2") -> Turn:
    return Turn(step="s", role=role, template=template, template_blob="b", model=model, call="c" * 64)


def test_who_wrote_a_part_is_a_maker_and_who_judged_it_before_is_none(tmp_path: Path) -> None:
    wrote = tower(1, model="http:phi-4", turns=(turn(f"http:{JUDGE}", "asker"), turn("http:phi-4", "answerer")))
    with pytest.raises(RecipeError):
        heard(tmp_path, judges.always("5"), PLAIN, [wrote])
    checked = tower(1, model="http:phi-4", turns=(turn("http:phi-4", "asker"), turn(f"http:{JUDGE}", "critic")))
    (found,), _ = heard(tmp_path, judges.always("5"), PLAIN, [checked])
    assert found.keep


def test_without_a_judge_nothing_is_judged_and_the_teacher_does_not_stand_in(tmp_path: Path) -> None:
    with TeacherServer() as server:
        told = GenerateRecipe(teacher=TeacherRecipe(model="phi-4", url=server.url))
        found, judging = judged(tmp_path, told, Critic(), towers(4))
        assert server.requests == 0
    assert {(one.keep, one.applied, one.reason) for one in found} == {
        (True, False, "no judge is named: the recipe's `roles` have no 'critic'")
    }
    assert judging.remarks == ()


def test_a_filter_may_ask_somebody_else(tmp_path: Path) -> None:
    with TeacherServer(answer=judges.answering(lambda _: "12")) as server:
        told = recipe(server.url)
        told = told.model_copy(update={"roles": {"answerer": told.roles["critic"]}})
        found, _ = judged(tmp_path, told, RoundTrip(role="answerer"), towers(3))
        assert {one.rule for one in found} == {"other-answer"}
        assert server.requests >= 3


# --- in the chain


def test_in_a_chain_every_judged_sample_has_its_verdict_and_nothing_vanishes(tmp_path: Path) -> None:
    samples = towers(40)
    chosen = [FilterChoice(name="exact_duplicate"), FilterChoice(name="critic"), FilterChoice(name="relevancy")]
    told: list[tuple[int, bytes]] = []
    with (
        TeacherServer(answer=judges.guessing()) as server,
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        Judging(ledger, recipe(server.url)) as judging,
    ):
        outcome = passed(
            samples, chosen, Surroundings(), tell=lambda place, line: told.append((place, line)), ask=judging
        )
    critic = next(phase for phase in outcome.waterfall.phases if phase.filter == "critic")
    verdicts = [Verdict.model_validate_json(line) for place, line in told if place == 1]
    assert len(verdicts) == critic.made == critic.kept + critic.rejected == 40
    assert Counter(verdict.keep for verdict in verdicts) == {True: critic.kept, False: critic.rejected}
    assert all(verdict.score is not None and verdict.threshold == 4 for verdict in verdicts)
    relevancy = next(phase for phase in outcome.waterfall.phases if phase.filter == "relevancy")
    assert relevancy.made == critic.kept
    assert len(outcome.kept) == relevancy.kept


def test_the_calls_that_each_leaf_needed_are_written_down(tmp_path: Path) -> None:
    samples = towers(9)
    heard(tmp_path, judges.guessing(), Critic(planted=4), samples)
    used = [orjson.loads(line) for line in (tmp_path / "used.jsonl").read_bytes().splitlines()]
    assert {row["call"] for row in used} == set(books(Run(tmp_path)).committed)
    assert {row["leaf"] for row in used} == {sample.lineage.leaf for sample in samples}


def test_a_template_of_ones_own_may_ask_for_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "templates" / "judge" / "relevancy.j2"
    own.parent.mkdir(parents=True)
    own.write_text(
        "---\npurpose: JSON\nschema:\n  type: object\n  properties:\n    fit: {type: string}\n"
        "    relevancy: {type: integer, minimum: 0, maximum: 2}\n---\n=== user\n{{ question }} / {{ answer }}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    with TeacherServer() as server:
        found, _ = judged(tmp_path, recipe(server.url), Relevancy(), towers(20))
    assert {told.rule for told in found} <= {"", "beside-the-point"}
    assert all(told.score in (0, 1, 2) for told in found)
    assert any(told.keep for told in found)


def test_a_filter_without_a_question_says_so_and_asks_nothing(tmp_path: Path) -> None:
    long = tower(1).model_copy(update={"answer": "word " * 100})
    with TeacherServer() as server:
        (found,), _ = judged(tmp_path, recipe(server.url), RoundTrip(), [long])
        assert server.requests == 0
        empty, _ = judged(tmp_path, recipe(server.url), RoundTrip(), [])
    assert (found.keep, found.applied) == (True, False)
    assert empty == []


def test_a_local_judge_is_known_by_its_configuration_where_its_folder_does_not_tell(tmp_path: Path) -> None:
    for name, kind, wanted in (("judge", "qwen2", "qwen2/judge"), ("llama-judge", "qwen2", None), ("none", None, None)):
        folder = tmp_path / name
        folder.mkdir()
        if kind is not None:
            (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}', encoding="utf-8")
        told = TeacherRecipe(kind="local", model=str(folder))
        assert described(told) == (wanted or str(folder))
