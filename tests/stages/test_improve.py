"""Rounds of critique, revision and training: really trained, with a critic and a reviser who know better."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import Fault, failing
from ilk_process import file_digests
from improving import BASE, RIGHT, WRONG, recipe, reply, write_boats
from server import TeacherServer

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.evaluation.gate import GateResult
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, ImproveRecipe, TeacherRecipe, TrainRecipe
from instructlab_like.records import Effect, Row, Sample
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.improve import (
    FILE,
    Round,
    Rounds,
    Settled,
    Wish,
    decided,
    improve,
    read,
    settled,
)
from instructlab_like.stages.generating.parents import kept
from instructlab_like.workspace import Run, read_records

RUN, FIRST, SECOND = (Run(Path("runs") / name) for name in ("t", "t-round-1", "t-round-2"))
STOPPING = 60  # requests after which the server is gone: in the first round


def wish(url: str, **told: object) -> Wish:
    sections = recipe(url, Path("taxonomy"), **told)
    return Wish(
        generate=GenerateRecipe.model_validate(sections["generate"]),
        train=TrainRecipe.model_validate(sections["train"]),
        evaluate=EvaluateRecipe.model_validate(sections["evaluate"]),
        improve=ImproveRecipe.model_validate(sections["improve"]),
    )


@dataclass(frozen=True)
class Improved:
    folder: Path
    rounds: Rounds
    answered: Counter[bytes]  # requests, before and after the server was gone
    url: str


@pytest.fixture(scope="module")
def improved(tmp_path_factory: pytest.TempPathFactory) -> Improved:
    """Stopped in the first round, gone on with, until a round gained nothing."""
    folder = tmp_path_factory.mktemp("improved")
    write_boats(folder / "taxonomy")

    def gone(number: int) -> Fault | None:
        return failing(503, "gone") if number >= STOPPING else None

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with TeacherServer(gone, answer=reply) as first, pytest.raises(StoppedError):
            improve(RUN, wish(first.url))
        begun = read(RUN.folder / FILE)
        assert (begun.stopped, len(begun.rounds)) == (None, 1)
        with TeacherServer(answer=reply) as second:
            rounds = improve(RUN, wish(second.url))
        return Improved(folder, rounds, first.served + second.served, second.url)


@pytest.fixture
def home(improved: Improved, monkeypatch: pytest.MonkeyPatch) -> Improved:
    monkeypatch.chdir(improved.folder)
    return improved


@pytest.fixture
def copied(improved: Improved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Improved:
    """The same, to be changed."""
    folder = Path(shutil.copytree(improved.folder, tmp_path / "w"))
    monkeypatch.chdir(folder)
    return improved


# --- really trained


def test_a_round_that_gains_goes_on_and_one_that_gains_nothing_is_the_last(home: Improved) -> None:
    rounds = home.rounds
    assert [one.run for one in rounds.rounds] == ["t", "t-round-1", "t-round-2"]
    _, first, second = rounds.rounds
    assert first.change
    assert (first.change.effect, first.gained) == ("better", True)
    assert first.change.delta[0] > 0
    assert first.change.n == 24
    assert first.score is not None
    assert first.score > 0.9
    assert second.change
    assert not second.gained
    assert second.change.delta[0] <= 0
    assert (rounds.stopped, rounds.best) == ("no gain", 1)
    assert rounds.adapter == str(FIRST.adapter)
    assert read(RUN.folder / FILE) == rounds


def test_the_same_questions_are_put_to_both_rounds(home: Improved) -> None:
    for run in (FIRST, SECOND):
        told = manifest.read(run).evaluate
        assert told
        earlier = RUN if run is FIRST else FIRST
        assert told.checkpoints == (str(earlier.adapter), str(run.adapter))


def test_parents_are_cited_and_depth_grows_by_one_a_round(home: Improved) -> None:
    before = RUN
    for depth, run in enumerate((FIRST, SECOND), start=2):
        parents = {sample.id: sample for sample in kept(before)}
        for sample in read_records(run.samples, Sample):
            (parent,) = sample.lineage.parents
            assert parents[parent].lineage.depth == depth - 1
            assert sample.lineage.depth == depth
        before = run
    assert [one.depths for one in home.rounds.rounds] == [
        {depth: one.kept} for depth, one in enumerate(home.rounds.rounds, 1)
    ]


def test_better_answers_replace_worse_ones_and_a_share_of_the_runs_own_stays(home: Improved) -> None:
    own = {sample.id for sample in kept(RUN)}
    for run, done in ((FIRST, home.rounds.rounds[1]), (SECOND, home.rounds.rounds[2])):
        rows = list(read_records(run.dataset / "data" / "skills-train.jsonl", Row))
        answers = Counter(row.messages[-1].content for row in rows)
        assert answers[RIGHT] > answers[WRONG] > 0
        assert len({row.messages[0].content for row in rows}) == len(rows)
        assert (done.trained, done.own) == (len(rows), sum(row.sample in own for row in rows))
        assert done.own >= 0.1 * done.trained


def test_nothing_that_was_answered_was_asked_again(home: Improved) -> None:
    """Over a server that was gone half-way, and the command that went on; but for the other rounds' own ledgers."""
    flow = {body: times for body, times in home.answered.items() if b"<answer>" in body or b"Write 1 new" in body}
    assert flow
    scored = {body: times for body, times in flow.items() if b"[SCORE 1]" in body}
    assert {times for body, times in flow.items() if body not in scored} == {1}
    assert max(scored.values()) <= 2  # what the second round scores first was scored last in the first


def test_done_is_done(copied: Improved, capsys: pytest.CaptureFixture[str]) -> None:
    """No server is there any more."""
    before = file_digests(Path("runs"))
    assert improve(RUN, wish(copied.url)) == copied.rounds
    assert file_digests(Path("runs")) == before
    printed = capsys.readouterr().out
    assert "improve: stopped (no gain): held-out" in printed
    assert f"improve: the best is round 1 → {FIRST.adapter}" in printed
    assert "carried:" not in printed  # said when the round was made


def test_a_run_is_improved_by_its_own_recipes_where_none_is_given(copied: Improved) -> None:
    whole = wish(copied.url)
    assert improve(RUN, Wish(evaluate=whole.evaluate, improve=whole.improve)) == copied.rounds


def test_a_torn_round_is_made_whole_to_the_same_bytes(copied: Improved) -> None:
    """As after a stop between the training and its evaluation, and in the middle of writing a dataset."""
    before = {name: data for name, data in file_digests(SECOND.folder).items() if name.startswith("4-dataset")}
    shutil.rmtree(SECOND.dataset)
    shutil.rmtree(SECOND.evaluation)
    manifest.forget(SECOND, "evaluate")
    manifest.forget(SECOND, "generate")
    (RUN.folder / FILE).unlink()
    assert improve(RUN, wish(copied.url)) == copied.rounds
    after = {name: data for name, data in file_digests(SECOND.folder).items() if name.startswith("4-dataset")}
    assert after == before


def test_it_stops_after_as_many_rounds_as_are_asked_for(copied: Improved, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = improve(RUN, wish(copied.url, rounds=1))
    assert (rounds.stopped, rounds.best, len(rounds.rounds)) == ("rounds", 1, 2)
    assert "improve: stopped (rounds): 1 were asked for, and the last one still gained" in capsys.readouterr().out


def test_it_stops_where_the_depth_cap_leaves_no_parents(copied: Improved) -> None:
    told = wish(copied.url)
    assert told.generate
    capped = Wish(told.generate.model_copy(update={"max_depth": 1}), told.train, told.evaluate, told.improve)
    rounds = improve(RUN, capped)
    assert (rounds.stopped, rounds.best, len(rounds.rounds)) == ("depth cap", 0, 1)
    assert rounds.reason == f"no sample of t may be taken up ({len(kept(RUN))}: it is at the depth cap of 1)"
    assert rounds.adapter == str(RUN.adapter)


def test_the_student_may_revise_and_where_it_cannot_nothing_is_kept(copied: Improved) -> None:
    """The tiny model of round 0 knows no tags, so that no revision of its can be read."""
    with TeacherServer(answer=reply) as server:
        rounds = improve(RUN, wish(server.url, student=["reviser"]), agreed=True)
    assert (rounds.stopped, len(rounds.rounds)) == ("nothing kept", 1)
    made = manifest.read(FIRST)
    assert made.generate
    assert made.generate.roles["reviser"].adapter == str(RUN.adapter)
    models = {turn.model for sample in read_records(FIRST.samples, Sample) for turn in sample.lineage.turns}
    assert models == {"http:judge"}  # whose score came first; the reviews could not be read


def test_a_run_that_only_has_a_rounds_name_is_left_alone(copied: Improved) -> None:
    made = manifest.read(FIRST)
    assert made.generate
    manifest.write(FIRST, made.model_copy(update={"generate": made.generate.model_copy(update={"parents": ("x",)})}))
    with pytest.raises(InputError, match="exists, and is no round of t"):
        improve(RUN, wish(copied.url))


# --- what is told


def told(run: Run, **improving: object) -> Settled:
    teacher = TeacherRecipe(url="http://127.0.0.1:9/v1", model="m")
    how = GenerateRecipe(flows=("freeform-simple",), teacher=teacher, taxonomy="taxonomy")
    wanted = ImproveRecipe.model_validate({"flows": ["self-improve-freeform"], **improving})
    return settled(run, Wish(how, TrainRecipe(model=str(BASE)), None, wanted))


def test_a_round_asks_whom_the_recipe_names_and_the_student_of_the_round_before(tmp_path: Path) -> None:
    run, previous = Run(tmp_path / "t"), Run(tmp_path / "t-round-1")
    judge = {"url": "http://127.0.0.1:9/v1", "model": "judge"}
    asked = told(run, roles={"critic": judge}, student=["reviser"], own_share=0.3).of_round(run, previous)
    assert asked.flows == ("self-improve-freeform",)
    assert asked.roles["critic"].model == "judge"
    student = asked.roles["reviser"]
    assert (student.kind, student.model, student.adapter) == ("local", str(BASE), str(previous.adapter))
    assert (asked.parents, asked.carry, asked.carry_share) == ((previous.name,), run.name, 0.3)


@pytest.mark.parametrize(
    ("improving", "said"),
    [
        ({"student": ["critic"]}, "the critic scores in 'self-improve-freeform', and the student would judge itself"),
        ({"student": ["asker"]}, "no flow has a role 'asker'"),
        (
            {"student": ["reviser"], "roles": {"reviser": {"model": "m", "url": "http://127.0.0.1:9/v1"}}},
            "the role 'reviser' is both the student's and somebody else's",
        ),
        ({"flows": ["freeform"]}, "the flow 'freeform' does not begin with samples of an earlier run"),
        ({"flows": ["self-imprve-freeform"]}, "there is no flow 'self-imprve-freeform'"),
        ({"roles": {"asker": {"model": "m", "url": "http://127.0.0.1:9/v1"}}}, "no chosen flow or filter has a role"),
    ],
)
def test_what_no_round_can_be_made_with_is_refused_at_once(
    tmp_path: Path, improving: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        told(Run(tmp_path / "t"), **improving)
    assert said in str(caught.value)


def test_one_model_that_scores_what_it_wrote_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(Run(tmp_path / "t"))
    assert "critic and reviser are one model, which scores what it wrote itself" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such run"):
        settled(Run(tmp_path / "t"), Wish())


# --- what is decided


def done(effect: str, *, delta: tuple[float, float, float] = (0.1, 0.2, 0.3), gate: GateResult | None = None) -> Round:
    change = Effect.model_validate(
        {
            "leaf": "overall",
            "n": 24,
            "base": 0.5,
            "base_interval": (0.3, 0.7),
            "tuned": 0.5 + delta[1],
            "tuned_interval": (0.4, 0.9),
            "delta": delta,
            "p": 0.01,
            "effect": effect,
        }
    )
    passing = GateResult(passed=True, passed_strictly=True, reasons=(), undecided=(), unchecked=())
    return Round(
        number=1, run="t-round-1", adapter="a1", made=2, kept=1, trained=4, own=2, score=0.7, change=change,
        gates=(gate or passing,), gained=effect == "better",
    )  # fmt: skip


BEFORE = Rounds(
    run="t", adapter="a0", rounds=(Round(number=0, run="t", adapter="a0", made=1, kept=1, trained=1, own=1),)
)


def test_a_gain_makes_a_round_the_best() -> None:
    found = decided(BEFORE, done("better"), strict=False)
    assert (found.stopped, found.best, found.adapter) == (None, 1, "a1")


@pytest.mark.parametrize(
    ("effect", "delta", "told"),
    [
        ("tied", (-0.05, 0.0, 0.05), "change +0.00 [-0.05 to +0.05]"),
        ("worse", (-0.3, -0.2, -0.1), "change -0.20 [-0.30 to -0.10]"),
        ("underpowered", (0.01, 0.2, 0.5), "too few to call it a gain"),
    ],
)
def test_no_gain_ends_it_with_the_figures(effect: str, delta: tuple[float, float, float], told: str) -> None:
    found = decided(BEFORE, done(effect, delta=delta), strict=False)
    assert (found.stopped, found.best, found.adapter, len(found.rounds)) == ("no gain", 0, "a0", 2)
    assert told in found.reason


def test_a_gate_that_says_no_ends_it_even_where_scores_gain() -> None:
    lost = GateResult(
        passed=False, passed_strictly=False, reasons=("a1: base lost more than 0.05",), undecided=(), unchecked=()
    )
    found = decided(BEFORE, done("better", gate=lost), strict=False)
    assert (found.stopped, found.best, found.reason) == ("gate", 0, "a1: base lost more than 0.05")


@pytest.mark.parametrize(("strict", "stopped"), [(False, None), (True, "gate")])
def test_what_is_undecided_ends_it_where_it_is_strict(strict: bool, stopped: str | None) -> None:
    unsure = GateResult(
        passed=True, passed_strictly=False, reasons=(), undecided=("a1: base may have lost",), unchecked=()
    )
    assert decided(BEFORE, done("better", gate=unsure), strict=strict).stopped == stopped
