"""`ilk generate --dry-run`, `--probe`, `--budget` and `--changed` as a user runs them, against a server that counts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from leaf_files import commit_all, git, skill, write_leaf
from server import TeacherServer, by_share

TAXONOMY = Path(__file__).parents[1] / "taxonomy"
VELMOUTH = "knowledge/history/towns/velmouth"
REFUSAL = "compositional_skills/writing/freeform/polite_refusal"
SECOND = "compositional_skills/adding"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for leaf in (VELMOUTH, REFUSAL):
        shutil.copytree(TAXONOMY / leaf, tmp_path / "taxonomy" / leaf)
    return tmp_path


@pytest.fixture
def teacher() -> Iterator[TeacherServer]:
    with TeacherServer() as server:
        yield server


def ilk(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        env=os.environ | {"ILK_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def generate(*words: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = ilk("generate", *words, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def quoted(*words: str, cwd: Path) -> Any:
    return json.loads(generate("--format", "json", *words, cwd=cwd).stdout)


def recipe(cwd: Path, server: TeacherServer, *flows: str, **options: object) -> list[str]:
    """A recipe file with these flows and options, and the words that name it."""
    told: dict[str, object] = {"flows": list(flows), **options}
    teacher: dict[str, object] = {"url": server.url, "model": "test-teacher", "concurrency": 64}
    told["teacher"] = teacher | told.pop("teacher", {})  # type: ignore[operator]
    (cwd / "r.yaml").write_text(json.dumps({"generate": told}))
    return ["--recipe", "r.yaml"]


def prompts(server: TeacherServer) -> list[bytes]:
    """The requests that flows made: what finds out what a server can do has no system message."""
    return [body for body in server.bodies if len(json.loads(body)["messages"]) > 1]


def charged(server: TeacherServer) -> tuple[int, int]:
    return sum(entry.prompt_tokens for entry in server.log), sum(entry.completion_tokens for entry in server.log)


def of_any_length(request: dict[str, Any]) -> str:
    """A pair with an answer of 1 to about 400 words, most of them short."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
    words = 1 + int(400 * (digest[0] / 256) ** 3)
    return f"[QUESTION 1]\nWhat is {digest.hex()[:8]}?\n[ANSWER 1]\n{'word ' * words}\n[END 1]"


# --- before anything is asked


def test_a_dry_run_sends_nothing_and_writes_the_prompts(place: Path, teacher: TeacherServer) -> None:
    told = recipe(place, teacher, "knowledge", "freeform", prompts_per_leaf=30)
    done = generate(*told, "--dry-run", "--price-in", "1", "--price-out", "3", cwd=place)
    assert teacher.requests == 0
    assert sorted(path.name for path in (place / "runs/default").iterdir()) == ["1-plan.jsonl"]
    plan = [json.loads(row) for row in (place / "runs/default/1-plan.jsonl").read_text().splitlines()]
    assert len(plan) == 60
    assert all(row["prompt"]["messages"][0]["role"] == "system" for row in plan)
    for said in (
        "nothing was sent",
        "knowledge / judge",
        "≤ 90",
        "freeform / pair-judge",
        "total",
        "finish in  unknown",
    ):
        assert said in done.stdout
    quote = quoted(*told, "--dry-run", cwd=place)
    assert quote["sent"] == 0
    assert [cost["to_pay"]["value"] for cost in quote["quote"]["steps"]] == [30, 90, 30, 90, 90, 90]
    assert [cost["to_pay"]["bound"] for cost in quote["quote"]["steps"]] == ["exact", "at most", "exact"] + [
        "at most"
    ] * 3
    assert quote["quote"]["total"]["money"]["bound"] == "unknown"


def test_a_dry_run_needs_no_teacher_and_no_key(place: Path, teacher: TeacherServer) -> None:
    found = quoted("--flow", "freeform", "--dry-run", cwd=place)
    assert found["quote"]["total"]["calls"]["value"] == 200 * 10
    assert any("nobody is named for asker, critic, answerer" in note for note in found["notes"])
    told = recipe(place, teacher, "freeform", teacher={"key_env": "NO_SUCH_VARIABLE"})
    assert quoted(*told, "--dry-run", cwd=place)["quote"]["total"]["calls"]["value"] == 200 * 10
    assert generate(*told, cwd=place, code=2).stderr.startswith("ilk: teacher.key_env")


def test_what_the_bounds_say_is_never_exceeded_and_what_is_exact_is_met(place: Path, teacher: TeacherServer) -> None:
    told = recipe(place, teacher, "knowledge", "freeform", prompts_per_leaf=12)
    before = quoted(*told, "--dry-run", "--price-in", "1", "--price-out", "3", cwd=place)
    generate(*told, cwd=place)
    after = quoted(*told, "--dry-run", "--price-in", "1", "--price-out", "3", cwd=place)
    made = {(cost["flow"], cost["step"]): cost["answered"] for cost in after["quote"]["steps"]}
    for cost in before["quote"]["steps"]:
        limit, bound = cost["calls"]["value"], cost["calls"]["bound"]
        asked = made[cost["flow"], cost["step"]]
        assert asked == limit if bound == "exact" else 0 < asked <= limit
    assert sum(made.values()) == len(prompts(teacher))
    tokens_in, tokens_out = charged(teacher)
    assert tokens_in <= before["quote"]["total"]["tokens_in"]["value"]
    assert tokens_out <= before["quote"]["total"]["tokens_out"]["value"]
    left = after["quote"]["total"]
    assert [left[name]["value"] for name in ("to_pay", "tokens_in", "tokens_out", "money", "seconds")] == [0] * 5
    assert {left[name]["bound"] for name in ("to_pay", "tokens_in", "tokens_out", "money", "seconds")} == {"exact"}


def test_the_plan_of_a_dry_run_is_that_of_the_run_and_a_finished_run_stays_up_to_date(
    place: Path, teacher: TeacherServer
) -> None:
    told = recipe(place, teacher, "knowledge-simple", prompts_per_leaf=4)
    generate(*told, "--dry-run", cwd=place)
    plan = (place / "runs/default/1-plan.jsonl").read_bytes()
    generate(*told, cwd=place)
    assert (place / "runs/default/1-plan.jsonl").read_bytes() == plan
    generate(*told, "--dry-run", cwd=place)
    assert "up to date" in generate(*told, cwd=place).stdout
    more = recipe(place, teacher, "knowledge-simple", prompts_per_leaf=5)
    generate(*more, "--dry-run", cwd=place)
    told = recipe(place, teacher, "knowledge-simple", prompts_per_leaf=4)
    assert "up to date" not in generate(*told, cwd=place).stdout
    assert (place / "runs/default/1-plan.jsonl").read_bytes() == plan


# --- a probe


def test_a_probe_asks_a_few_once_and_the_run_asks_the_rest(place: Path, teacher: TeacherServer) -> None:
    told = recipe(place, teacher, "knowledge", "freeform", prompts_per_leaf=60)
    prices = ("--price-in", "1", "--price-out", "3")
    first = quoted(*told, "--probe", *prices, cwd=place)
    asked = len(prompts(teacher))
    assert first["sent"] == teacher.requests
    assert sum(cost["answered"] for cost in first["quote"]["steps"] if cost["step"] in ("pairs", "questions")) == 20
    again = quoted(*told, "--probe", *prices, cwd=place)
    assert len(prompts(teacher)) == asked
    assert (again["sent"], again["quote"]) == (0, first["quote"])
    assert quoted(*told, "--dry-run", *prices, cwd=place)["quote"] == first["quote"]
    total = first["quote"]["total"]
    for name in ("calls", "tokens_in", "tokens_out", "money", "seconds"):
        assert total[name]["bound"] == "about"
        low, high = total[name]["interval"]
        assert low <= total[name]["value"] <= high
    probed_in, probed_out = charged(teacher)
    generate(*told, cwd=place)
    low, high = total["calls"]["interval"]
    assert low <= len(prompts(teacher)) <= high
    tokens_in, tokens_out = charged(teacher)
    assert total["tokens_in"]["interval"][0] <= tokens_in - probed_in <= total["tokens_in"]["interval"][1]
    assert total["tokens_out"]["interval"][0] <= tokens_out - probed_out <= total["tokens_out"]["interval"][1]
    assert len({json.dumps(json.loads(body), sort_keys=True) for body in prompts(teacher)}) == len(prompts(teacher))


def test_a_probe_without_a_teacher_says_that_it_needs_one(place: Path) -> None:
    assert "needs a teacher" in generate("--flow", "knowledge", "--probe", cwd=place, code=2).stderr


# --- budgets


@pytest.mark.parametrize("budget", ["1calls", "25calls", "150 calls"])
def test_a_budget_of_calls_is_never_exceeded(place: Path, teacher: TeacherServer, budget: str) -> None:
    told = recipe(place, teacher, "freeform", prompts_per_leaf=200)
    done = generate(*told, "--budget", budget, cwd=place, code=3)
    assert teacher.requests == int(budget.removesuffix("calls"))
    assert "is used up" in done.stderr
    assert f"--budget {2 * teacher.requests}calls" in done.stderr


def test_attempts_that_fail_count_as_calls_of_a_budget(place: Path) -> None:
    with TeacherServer(choose=by_share({"500": 0.2, "reset": 0.1})) as server:
        told = recipe(place, server, "freeform-simple", prompts_per_leaf=200)
        generate(*told, "--budget", "60calls", cwd=place, code=3)
        assert server.requests == 60
    with sqlite3.connect(place / "runs/default/ledger.sqlite") as ledger:
        assert ledger.execute("SELECT SUM(attempts) FROM calls").fetchone() == (60,)


@pytest.mark.parametrize("tokens", [20_000, 120_000])
def test_a_budget_of_tokens_is_kept_and_used_with_64_calls_at_once(place: Path, tokens: int) -> None:
    with TeacherServer(answer=of_any_length) as server:
        told = recipe(place, server, "freeform-simple", prompts_per_leaf=1000, max_tokens=512)
        done = generate(*told, "--budget", f"{tokens}tokens", cwd=place, code=3)
        spent = sum(charged(server))
    assert 0.85 * tokens <= spent <= 1.01 * tokens
    assert f"the budget of {tokens:,} tokens is used up" in done.stderr
    with sqlite3.connect(place / "runs/default/ledger.sqlite") as ledger:
        assert ledger.execute("SELECT SUM(tokens_in + tokens_out) FROM calls").fetchone() == (spent,)


def test_a_budget_of_money_is_kept_by_the_prices_of_each_role(place: Path) -> None:
    with TeacherServer(answer=of_any_length) as asker, TeacherServer(answer=judging) as critic:
        roles = {"critic": {"url": critic.url, "model": "critic", "concurrency": 64, "price_in": 0.1, "price_out": 0.2}}
        told = recipe(place, asker, "freeform", prompts_per_leaf=500, max_tokens=512, roles=roles)
        done = generate(*told, "--price-in", "10", "--price-out", "30", "--budget", "1.50", cwd=place, code=3)
        dear, cheap = charged(asker), charged(critic)
    money = (10 * dear[0] + 30 * dear[1] + 0.1 * cheap[0] + 0.2 * cheap[1]) / 1e6
    assert 1.35 <= money <= 1.515
    assert "the budget of 1.50 in money is used up" in done.stderr
    assert f"{money:.4f} in money" in done.stdout


def judging(request: dict[str, Any]) -> str:
    return "[REASON 1]\nso\n[SCORE 1]\n2\n[END 1]"


def test_what_a_budget_stops_goes_on_with_a_larger_one_and_asks_nothing_twice(
    place: Path, teacher: TeacherServer
) -> None:
    told = recipe(place, teacher, "knowledge-simple", prompts_per_leaf=30)
    generate(*told, "--budget", "12calls", cwd=place, code=3)
    assert (place / "runs/default/4-dataset").is_dir()
    generate(*told, "--budget", "12calls", cwd=place, code=3)
    assert teacher.requests == 12
    generate(*told, "--budget", "500calls", cwd=place)
    assert len(prompts(teacher)) == 30
    assert len(set(prompts(teacher))) == 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "much"), "'much' is no budget"),
        (("--budget", "5calls", "--budget", "6calls"), "given twice"),
        (("--budget", "1.00"), "the asker's teacher has no price"),
        (("--price-in", "1", "--dry-run"), "one price is missing"),
        (("--format", "json"), "belongs to --dry-run and --probe"),
        (("--base", "main"), "belongs to --changed"),
        (("--changed",), "is not in a Git repository"),
    ],
)
def test_wrong_options_end_with_2_and_one_message(
    place: Path, teacher: TeacherServer, words: tuple[str, ...], said: str
) -> None:
    told = recipe(place, teacher, "freeform-simple")
    assert said in generate(*told, *words, cwd=place, code=2).stderr
    assert teacher.requests == 0


# --- scope


def test_only_leaves_that_differ_from_the_base_are_asked_about(place: Path, teacher: TeacherServer) -> None:
    (place / ".gitignore").write_text("runs/\ncache/\nr.yaml\n")
    git(place, "init", "--quiet")
    commit_all(place)
    told = recipe(place, teacher, "knowledge-simple", "freeform-simple", prompts_per_leaf=3)
    done = generate(*told, "--changed", cwd=place)
    assert "no leaf differs from main" in done.stderr
    write_leaf(place / "taxonomy", SECOND, skill())
    generate(*told, "--changed", "--base", "main", cwd=place)
    assert len(prompts(teacher)) == 3
    assert all(b"Add numbers." in body for body in prompts(teacher))
    generate(*told, "--changed", "--leaf", REFUSAL, "--run", "other", cwd=place)
    assert len(prompts(teacher)) == 3


def test_a_leaf_that_is_added_to_a_run_is_all_that_is_asked_about(place: Path, teacher: TeacherServer) -> None:
    told = recipe(place, teacher, "knowledge-simple", "freeform-simple", prompts_per_leaf=5)
    generate(*told, cwd=place)
    before = len(prompts(teacher))
    write_leaf(place / "taxonomy", SECOND, skill())
    quote = quoted(*told, "--dry-run", cwd=place)
    assert quote["quote"]["total"]["to_pay"] == quote["quote"]["total"]["to_pay"] | {"value": 5, "bound": "exact"}
    generate(*told, cwd=place)
    asked = prompts(teacher)[before:]
    assert len(asked) == 5
    assert all(b"Add numbers." in body for body in asked)
