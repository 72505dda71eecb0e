"""Several teachers behind servers of their own: calls go where 1-routes.jsonl says, and none is made twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ilk_process import PATIENCE, file_digests, ilk, start_ilk
from server import TeacherServer
from teacher_answers import answered

from instructlab_like.generation.routing import Route
from instructlab_like.records import Sample, Verdict
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.routes import works
from instructlab_like.workspace import Run, read_records

TAXONOMY = Path(__file__).parents[1] / "taxonomy"
REFUSAL = "compositional_skills/writing/freeform/polite_refusal"
SUMMARY = "compositional_skills/writing/grounded/notice_summary"
VELMOUTH = "knowledge/history/towns/velmouth"
USUAL, SMALL, LARGE = "usual", "small", "large"
NAMES = (USUAL, SMALL, LARGE)
ROUTES: dict[str, object] = {
    "answerer": [{"kinds": ["knowledge"], "teachers": LARGE}, {"teachers": [LARGE, SMALL]}],
    "expert": LARGE,
}


def said(name: str) -> Any:
    """What a teacher answers: signed where it answers a question; the usual one finds small's answers too weak."""

    def answer(request: dict) -> str:
        told = request["messages"][-1]["content"]
        made = answered(request, always_good=True)
        if "[ANSWER 1]" in told and "[QUESTION 1]" not in told:
            return re.sub(r"(\[ANSWER 1\]\n.*)", rf"\1 So says {name}.", made)
        if "So says small." in told.rpartition("<answer>")[2]:
            return made.replace("[SCORE 1]\n3", "[SCORE 1]\n1").replace("[SCORE 1]\n5", "[SCORE 1]\n1")
        return made

    return answer


@dataclass
class House:
    """A workspace with three leaves, and a server for each teacher."""

    folder: Path
    servers: dict[str, TeacherServer]

    def recipe(self, name: str = "r.yaml", **more: object) -> list[str]:
        """The words that name a recipe with these options."""
        prices = {SMALL: (0.1, 0.3), LARGE: (1.0, 4.0), USUAL: (0.5, 0.5)}
        told = {
            one: {"url": server.url, "model": f"{one}-model", "price_in": prices[one][0], "price_out": prices[one][1]}
            for one, server in self.servers.items()
        }
        options: dict[str, object] = {
            "taxonomy": str(self.folder / "taxonomy"),
            "flows": ["distil-freeform", "distil-grounded", "distil-knowledge"],
            "prompts_per_leaf": 2,
            "filters": [],
            "teacher": told[USUAL],
            "teachers": {one: told[one] for one in (SMALL, LARGE)},
            "routes": ROUTES,
        }
        (self.folder / name).write_text(json.dumps({"generate": options | more}))
        return ["generate", "--recipe", name]

    def run(self, name: str) -> Run:
        return Run(self.folder / "runs" / name)

    @property
    def asked(self) -> dict[str, int]:
        """Requests of flows that each server got: what finds out what a server can do has no system message."""
        return {
            one: sum(len(json.loads(body)["messages"]) > 1 for body in server.bodies)
            for one, server in self.servers.items()
        }

    def refused(self, *words: str) -> str:
        """What is said by a command that ends with exit code 2 before anything is asked."""
        before = self.asked
        done = subprocess.run(
            [sys.executable, "-m", "instructlab_like", *words],
            cwd=self.folder,
            env=os.environ | {"ILK_CACHE": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert self.asked == before
        return done.stderr


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    for leaf in (REFUSAL, SUMMARY, VELMOUTH):
        shutil.copytree(TAXONOMY / leaf, folder / "taxonomy" / leaf)
    with ExitStack() as stack:
        yield House(folder, {name: stack.enter_context(TeacherServer(answer=said(name))) for name in NAMES})


@dataclass
class Made:
    run: Run
    printed: str
    asked: dict[str, int]


@pytest.fixture(scope="module")
def made(house: House) -> Made:
    """Run `one`, by kind and price."""
    printed = ilk(*house.recipe(), "--run", "one", cwd=house.folder)
    return Made(house.run("one"), printed, house.asked)


def routes(run: Run) -> dict[tuple[str, str], Route]:
    return {(one.leaf, one.role): one for one in read_records(run.routes, Route)}


def samples(run: Run) -> list[Sample]:
    return list(read_records(run.samples, Sample))


def calls(run: Run) -> Counter[str]:
    """Calls of flows in the ledger, by the model that was asked."""
    with closing(sqlite3.connect(run.ledger)) as ledger:
        rows = ledger.execute("SELECT model, count(*) FROM calls WHERE purpose = 'flow' GROUP BY model").fetchall()
    return Counter(dict(rows))


def test_every_call_went_where_the_log_says(made: Made, house: House) -> None:
    log = routes(made.run)
    assert {key: one.teacher for key, one in log.items()} == {
        (REFUSAL, "answerer"): SMALL,
        (SUMMARY, "answerer"): SMALL,
        (VELMOUTH, "answerer"): LARGE,
        **{(leaf, "expert"): LARGE for leaf in (REFUSAL, SUMMARY, VELMOUTH)},
    }
    for name, server in house.servers.items():
        assert {json.loads(body)["model"] for body in server.bodies} == {f"{name}-model"}
    assert calls(made.run) == {f"http:{name}-model": count for name, count in made.asked.items()}
    turned = set()
    for sample in samples(made.run):
        for turn in sample.lineage.turns:
            route = log.get((sample.lineage.leaf, turn.role))
            assert turn.model == (route.model if route else "http:usual-model")
            turned.add((sample.lineage.leaf, turn.role))
        assert sample.answer.endswith("So says large.")
    assert turned >= {(REFUSAL, "expert"), (SUMMARY, "expert"), (VELMOUTH, "answerer")}
    assert (VELMOUTH, "expert") not in turned


def test_what_was_decided_about_each_record_is_a_verdict_and_told(made: Made, house: House) -> None:
    decided = [one for one in read_records(made.run.verdicts, Verdict) if one.filter.endswith("/expert-answers/when")]
    assert {(one.leaf, one.keep, one.reason.partition("; because")[0]) for one in decided} == {
        (REFUSAL, True, "pair_score is 1, at most 1: asked the expert"),
        (SUMMARY, True, "pair_score is 1, at most 1: asked the expert"),
        (VELMOUTH, True, "pair_score is 5, more than 3: the expert was not asked"),
    }
    for flow, noted in (("freeform", ""), ("knowledge", "  (not applied to any)")):
        assert re.search(rf"distil-{flow}/expert-answers/when +\d+ +0 +\d+{re.escape(noted)}\n", made.printed)
    assert "route of answerer: large 1, small 2 of 3 leaves; 1-routes.jsonl says why" in made.printed
    assert "route of expert: large 3 of 3 leaves; 1-routes.jsonl says why" in made.printed
    sample = next(one for one in samples(made.run) if one.lineage.leaf == REFUSAL)
    told = ilk("why", sample.id, "--run", "one", cwd=house.folder)
    assert "route     answerer: small (http:small-model): rule 2: the cheapest of 2 that qualify\n" in told
    assert (
        "rule 2, large: 1 in and 4 out; qualifies: no quality is asked for; dearer than small, 1.75 to 0.15\n" in told
    )
    assert "rule 2, small: 0.1 in and 0.3 out; chosen: no quality is asked for\n" in told
    assert re.search(
        r"decided   distil-freeform/expert-answers/when/\d: pair_score is 1, at most 1: asked the exp", told
    )
    assert "turn 3    answers: answerer http:small-model" in told
    assert "turn 5    expert-answers: expert http:large-model" in told
    row = json.loads(ilk("why", sample.id, "--run", "one", "--format", "json", cwd=house.folder))
    assert [one["role"] for one in row["routes"]] == ["answerer", "expert"]


def test_a_second_run_asks_nothing_and_changes_nothing(made: Made, house: House) -> None:
    before, asked = file_digests(made.run.folder), house.asked
    assert "generate: up to date" in ilk(*house.recipe(), "--run", "one", cwd=house.folder)
    assert (file_digests(made.run.folder), house.asked) == (before, asked)
    copy = shutil.copytree(made.run.folder, house.folder / "runs" / "again")
    ilk(*house.recipe("again.yaml", test_share=0.5), "--run", "again", "--yes", cwd=house.folder)
    assert house.asked == asked
    for path in (made.run.routes, made.run.plan, made.run.samples, made.run.verdicts):
        assert (copy / path.name).read_bytes() == path.read_bytes()


def test_another_teacher_is_asked_what_it_was_not_asked_and_nobody_else_is(made: Made, house: House) -> None:
    """The questions stand in the ledger, and so do large's answers to them where it was the expert."""
    shutil.copytree(made.run.folder, house.folder / "runs" / "forced")
    run, before = house.run("forced"), house.asked
    told = house.refused(*house.recipe(), "--run", "forced", "--route", "answerer=large")
    assert "forced_routes: {} → {'answerer': 'large'}; answerer of " in told
    printed = ilk(*house.recipe(), "--run", "forced", "--route", "answerer=large", "--yes", cwd=house.folder)
    assert "route of answerer: large 3 of 3 leaves, forced" in printed
    assert house.asked == before
    assert all(one.forced and one.why == "forced" for one in routes(run).values() if one.role == "answerer")
    assert not any(turn.role == "expert" for one in samples(run) for turn in one.lineage.turns)
    made_by = manifest.read(run).generate
    assert made_by
    assert made_by.forced_routes == {"answerer": LARGE}
    again = ilk(*house.recipe(), "--run", "forced", "--route", "answerer=large", cwd=house.folder)
    assert "generate: up to date" in again
    third = house.asked
    ilk(*house.recipe(), "--run", "forced", "--route", "answerer=small", "--yes", cwd=house.folder)
    asked = {name: count - third[name] for name, count in house.asked.items()}
    knowledge = sum(one.lineage.leaf == VELMOUTH for one in samples(run))
    assert asked == {USUAL: knowledge, SMALL: knowledge, LARGE: 0}  # its answers, and whether they will do


def test_a_killed_run_goes_on_by_the_same_routes(made: Made, house: House, tmp_path: Path) -> None:
    children: list[subprocess.Popen[str]] = []
    half = sum(made.asked.values()) // 2

    def kill(_: int) -> None:
        if sum(server.answers for server in others.servers.values()) >= half and not children[0].poll():
            children[0].kill()

    shutil.copytree(house.folder / "taxonomy", tmp_path / "taxonomy")
    with ExitStack() as stack:
        named = {name: stack.enter_context(TeacherServer(answer=said(name), on_served=kill)) for name in NAMES}
        others = House(tmp_path, named)
        children.append(start_ilk(*others.recipe(), "--run", "one", cwd=tmp_path))
        children[0].communicate(timeout=PATIENCE)
    assert children[0].returncode == -signal.SIGKILL
    run = others.run("one")
    assert not run.dataset.exists()
    assert run.routes.read_bytes() == made.run.routes.read_bytes()
    committed = sum(calls(run).values())
    with ExitStack() as stack:
        again = House(tmp_path, {name: stack.enter_context(TeacherServer(answer=said(name))) for name in NAMES})
        ilk(*again.recipe(), "--run", "one", cwd=tmp_path)
        assert 0 < sum(again.asked.values()) < sum(made.asked.values()) - committed // 2
    for path in (run.routes, run.plan, run.samples, run.verdicts):
        assert path.read_bytes() == (made.run.folder / path.name).read_bytes()
    assert file_digests(run.dataset) == file_digests(made.run.dataset)


# --- quality


def test_quality_is_what_the_judges_of_an_earlier_run_kept(made: Made, house: House) -> None:
    """In run one all of small's answers were asked for again; large's were kept."""
    counted = {(one.leaf, one.role, one.model): (one.kept, one.judged) for one in works(made.run)}
    every = Counter(one.lineage.leaf for one in samples(made.run))
    assert counted[REFUSAL, "answerer", "http:small-model"] == (0, every[REFUSAL])
    assert counted[REFUSAL, "expert", "http:large-model"] == (every[REFUSAL], every[REFUSAL])
    assert counted[VELMOUTH, "answerer", "http:large-model"] == (every[VELMOUTH], every[VELMOUTH])
    assert counted[REFUSAL, "asker", "http:usual-model"] == (every[REFUSAL], every[REFUSAL])


def test_who_has_not_shown_enough_is_passed_by(made: Made, house: House) -> None:
    only = {"leaves": ["compositional_skills/writing/freeform", "knowledge"]}
    rule = {"teachers": [SMALL, LARGE], "quality": {"at_least": 0.99, "run": "one"}, **only}
    lower = {"teachers": [SMALL, LARGE], "quality": {"at_least": 0.3, "run": "one"}}
    told = house.recipe("quality.yaml", routes={"answerer": [rule, lower, USUAL]}, teachers=third(house))
    ilk(*told, "--run", "measured", cwd=house.folder)
    log = routes(house.run("measured"))
    assert {leaf: one.teacher for (leaf, _), one in log.items()} == {REFUSAL: LARGE, SUMMARY: LARGE, VELMOUTH: LARGE}
    small, large, *_ = log[REFUSAL, "answerer"].candidates
    assert small.quality
    assert large.quality
    assert (small.quality.kept, small.quality.low, small.quality.role) == (0, 0.0, "answerer")
    assert (large.quality.kept, large.quality.role) == (large.quality.judged, "")  # as the expert it wrote them all
    assert log[VELMOUTH, "answerer"].candidates[0].why.startswith("unknown: in one it made no judged sample on knowl")
    assert log[REFUSAL, "answerer"].why == "nobody qualifies by rule 1; rule 2: the only one of 2 that qualifies"
    sample = next(one for one in samples(house.run("measured")) if one.lineage.leaf == REFUSAL)
    shown = ilk("why", sample.id, "--run", "measured", cwd=house.folder)
    assert "rule 1, small: 0.5 in and 0.5 out; does not qualify: 0 of " in shown


def third(house: House) -> dict[str, dict[str, object]]:
    """All three as teachers to choose from, at one price."""
    prices = {"price_in": 0.5, "price_out": 0.5}
    return {name: {"url": server.url, "model": f"{name}-model", **prices} for name, server in house.servers.items()}


# --- before anything is asked


def test_a_quote_tells_the_teachers_apart(made: Made, house: House) -> None:
    printed = ilk(*house.recipe(), "--run", "quoted", "--dry-run", "--format", "json", cwd=house.folder)
    quote = json.loads(printed)
    lines = {(one["flow"], one["step"], one["role"], one["teacher"]) for one in quote["quote"]["steps"]}
    assert ("distil-freeform", "answers", "answerer", SMALL) in lines
    assert ("distil-knowledge", "answers", "answerer", LARGE) in lines
    assert ("distil-knowledge", "pair-judge", "critic", None) in lines
    assert "route of expert: large 3 of 3 leaves" in quote["notes"]
    assert routes(house.run("quoted")) == routes(made.run)
    shown = ilk(*house.recipe(), "--run", "quoted", "--dry-run", cwd=house.folder)
    assert re.search(r"distil-freeform / answers +answerer: small ", shown)
    paid = json.loads(ilk(*house.recipe(), "--run", "one", "--dry-run", "--format", "json", cwd=house.folder))
    total = paid["quote"]["total"]
    assert (total["to_pay"]["value"], total["answered"]) == (0, sum(made.asked.values()))


def test_what_is_paid_is_priced_by_who_was_asked(made: Made) -> None:
    spent = manifest.read(made.run).spent
    price = {f"http:{SMALL}-model": (0.1, 0.3), f"http:{LARGE}-model": (1.0, 4.0), f"http:{USUAL}-model": (0.5, 0.5)}
    money = sum((one.tokens_in * price[who][0] + one.tokens_out * price[who][1]) / 1e6 for who, one in spent.items())
    assert f"{money:.4f} in money" in made.printed


@pytest.mark.parametrize(
    ("more", "words", "told"),
    [
        ({"routes": {"answerer": "smal"}}, (), "there is no teacher 'smal'\n  → did you mean 'small'?"),
        ({}, ("--route", "answerer=larg"), "there is no teacher 'larg'\n  → did you mean 'large'?"),
        ({}, ("--route", "answerer"), "--route: not ROLE=TEACHER: 'answerer'"),
        (
            {},
            ("--route", "answerer=small", "--route", "answerer=large"),
            "'answerer' is given to 'small' and to 'large'",
        ),
        ({}, ("--route", "answrer=small"), "no chosen flow has a role 'answrer'\n  → did you mean 'answerer'?"),
        ({"routes": {"answerer": [SMALL, LARGE]}}, (), "rule 2: is never reached: rule 1 takes every leaf"),
        (
            {"routes": {"answerer": {"teachers": SMALL, "leaves": ["knowledge/histery"]}}},
            (),
            "has no 'knowledge/histery'\n  → did you mean knowledge/history?",
        ),
        (
            {"routes": {"answerer": {"teachers": SMALL, "quality": {"at_least": 0.5, "run": "onne"}}}},
            (),
            "rule 1: there is no earlier run 'onne' with samples and verdicts\n  → did you mean 'one'?",
        ),
        (
            {"routes": {"answerer": {"teachers": SMALL, "quality": {"at_least": 0.5, "run": "wrong"}}}},
            (),
            "rule 1: measures quality in this very run, 'wrong'",
        ),
        (
            {"routes": {"answerer": {"teachers": [SMALL, LARGE], "quality": {"at_least": 0.9, "run": "one"}}}},
            (),
            "no teacher qualifies as answerer of ",
        ),
        ({"teacher": None}, (), "needs a teacher (asker, critic)"),
        (
            {
                "teacher": None,
                "routes": {**ROUTES, "asker": {"kinds": ["knowledge"], "teachers": SMALL}, "critic": LARGE},
            },
            (),
            "no rule takes it, and neither `roles` nor `teacher` names anybody",
        ),
        (
            {"teachers": {SMALL: {"model": "x", "url": "http://localhost:9/v1"}}, "routes": {"answerer": SMALL}},
            ("--budget", "5.00"),
            "budget: is in money, and the answerer's teacher 'small' has no price",
        ),
        (
            {"teachers": {name: {"model": "x", "url": "http://localhost:9/v1"} for name in (SMALL, LARGE)}},
            (),
            "teachers: 'small' and 'large' are the same model, http:x",
        ),
    ],
)
def test_what_is_wrong_in_a_route_is_said_before_anything_is_asked(
    made: Made, house: House, more: dict[str, object], words: tuple[str, ...], told: str
) -> None:
    assert told in house.refused(*house.recipe("wrong.yaml", **more), "--run", "wrong", *words)
    assert not house.run("wrong").ledger.exists() or not calls(house.run("wrong"))


def test_a_forgotten_leaf_is_gone_from_the_log_and_no_earlier_run_is_needed(made: Made, house: House) -> None:
    rule = {"teachers": [SMALL, LARGE], "quality": {"at_least": 0.3, "run": "past"}}
    shutil.copytree(made.run.folder, house.folder / "runs" / "past")
    told = house.recipe("forget.yaml", routes={"answerer": [rule, USUAL]}, teachers=third(house))
    ilk(*told, "--run", "forgetful", cwd=house.folder)
    before = routes(house.run("forgetful"))
    shutil.rmtree(house.folder / "runs" / "past")
    asked = house.asked
    ilk("runs", "forget", REFUSAL, "--run", "forgetful", cwd=house.folder)
    assert house.asked == asked
    left = {key: one for key, one in before.items() if key[0] != REFUSAL}
    assert routes(house.run("forgetful")) == left
    assert REFUSAL not in house.run("forgetful").routes.read_text("utf-8")


def test_a_quote_of_a_run_that_was_made_leaves_its_log_and_says_what_would_change(made: Made, house: House) -> None:
    """Else the next `ilk generate` would not ask before it pays another teacher."""
    shutil.copytree(made.run.folder, house.folder / "runs" / "quoting")
    before = house.run("quoting").routes.read_bytes()
    dear = {name: {**told, "price_in": 9.0 if name == SMALL else 0.1} for name, told in third(house).items()}
    told = house.recipe("dear.yaml", teachers={name: dear[name] for name in (SMALL, LARGE)})
    shown = ilk(*told, "--run", "quoting", "--dry-run", cwd=house.folder)
    assert f"routes are other than those that the run was made by: answerer of {REFUSAL}: http:small-model → " in shown
    assert house.run("quoting").routes.read_bytes() == before
    assert f"answerer of {REFUSAL}: http:small-model → http:large-model" in house.refused(*told, "--run", "quoting")


def test_a_recipe_without_routes_leaves_no_log(made: Made, house: House) -> None:
    run = house.run("plain")
    shutil.copytree(made.run.folder, run.folder)
    ilk(*house.recipe("plain.yaml", routes={}, teachers={}), "--run", "plain", "--yes", cwd=house.folder)
    assert not run.routes.exists()
    assert {turn.model for one in samples(run) for turn in one.lineage.turns} == {"http:usual-model"}
