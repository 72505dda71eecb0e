"""`ilk sift` on files from elsewhere and on runs, as a process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from judges import perfect, saying, shown
from run_books import assert_nothing_vanished
from server import TeacherServer
from small_tree import write_tree

from instructlab_like.workspace import Run


def row(question, answer, **fields):
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **fields}


ROWS = [
    row("Which river runs through Velmouth?", "The Ost runs through it.", source="a"),
    row("Which river runs through Velmouth?", "The Ost runs through it."),
    row("Say <|user|> twice.", "<|user|> <|user|>"),
    row("Why do leaves fall?", "Because the tree lets them go."),
    row("What is empty?", " "),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(one) for one in ROWS]
    path.write_text("\n".join([*lines[:2], "", "no json", *lines[2:], '{"foo": 1}']) + "\n", encoding="utf-8")
    return path


def ilk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *words]
    environment = os.environ | {"ILK_CACHE": str(folder.parent / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def sift(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return ilk(folder, "sift", *arguments)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_of_a_file_is_kept_as_it_stood_or_rejected_with_a_reason(tmp_path, file):
    done = sift(tmp_path, "rows.jsonl", "--out", "out", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kept, rejected = lines(tmp_path / "out" / "kept.jsonl"), lines(tmp_path / "out" / "rejected.jsonl")
    assert told["made"] == 7 == len(kept) + len(rejected)
    assert told["kept"] == 2 == len(kept)
    assert all(one in ROWS for one in kept)
    assert all(one["ilk_verdict"]["reason"] and one["ilk_verdict"]["rule"] for one in rejected)
    assert sum(phase["rejected"] for phase in told["waterfall"]["phases"]) == len(rejected)
    verdicts = lines(tmp_path / "out" / "verdicts.jsonl")
    assert sorted(verdict["keep"] for verdict in verdicts) == [False] * 5 + [True] * 2
    assert json.loads((tmp_path / "out" / "waterfall.json").read_text())["waterfall"] == told["waterfall"]


def test_the_order_of_rows_decides_nothing(tmp_path):
    texts = [json.dumps(row(f"Which is name {n % 9} of the list?", f"It is {n % 4}, as all know.")) for n in range(40)]
    found = []
    for name in ("one", "other"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(texts) + "\n")
        done = sift(tmp_path, f"{name}.jsonl", "--out", name)
        assert done.returncode == 0, done.stderr
        found.append(sorted((tmp_path / name / "kept.jsonl").read_text().splitlines()))
        random.Random(3).shuffle(texts)
    assert found[0] == found[1]


def test_a_second_sifting_looks_at_new_rows_alone_and_writes_the_same(tmp_path, file):
    first = json.loads(sift(tmp_path, "rows.jsonl", "--out", "out", "--format", "json").stdout)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")}
    again = json.loads(sift(tmp_path, "rows.jsonl", "--out", "out", "--format", "json").stdout)
    assert (first["looked_at"], again["looked_at"]) == (5, 0)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")} == before


def test_masked_turns_of_a_conversation_stay_where_they_were(tmp_path):
    told = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello there.\n\nWho are you?"},
            {"role": "assistant", "content": "A clerk of the harbour."},
            {"role": "user", "content": "And where do I write to complain?"},
            {"role": "assistant", "content": "Write to jo.hale@harbour-office.net, please."},
        ],
        "source": 7,
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(told) + "\n")
    recipe = "generate: {filters: [{name: personal, options: {action: mask}}]}"
    (tmp_path / "r.yaml").write_text(recipe)
    done = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    (kept,) = lines(tmp_path / "out" / "kept.jsonl")
    assert kept["source"] == 7
    assert [turn["role"] for turn in kept["messages"]] == [turn["role"] for turn in told["messages"]]
    assert kept["messages"][:4] == told["messages"][:4]
    assert "jo.hale" not in (tmp_path / "out" / "kept.jsonl").read_text()
    assert "goes on with parts masked" in done.stdout or "masked" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "is neither a file nor a run"),
        (("rows.jsonl", "--what-if", "length"), "says nothing that can be tried"),
        (("rows.jsonl", "--what-if", "lenght=off"), "did you mean 'length'?"),
        (("rows.jsonl", "--what-if", "length.min_answer=2"), "has no option 'min_answer'"),
        (("rows.jsonl", "--what-if", "length.min_answer_words=many"), "min_answer_words"),
        (("rows.jsonl", "--filter", "lenght"), "did you mean 'length'?"),
        (("rows.jsonl", "--pardon", "zz"), "pardons"),
        (("rows.jsonl", "--pardon", "0123456789ab"), "no sample has an id that begins with 0123456789ab"),
        (("rows.jsonl", "--pardon", "0123456789ab:lenght"), "did you mean 'length'?"),
        (("empty.jsonl",), "holds no row"),
        (("none.jsonl",), "holds no conversation"),
        (("rows.jsonl", "--out", "full"), "is not empty"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(tmp_path, file, arguments, said):
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "none.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    done = sift(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_if_says_which_samples_would_be_decided_otherwise_and_writes_nothing(tmp_path, file):
    before = sorted(path for path in tmp_path.rglob("*"))
    done = sift(tmp_path, "rows.jsonl", "--what-if", "exact_duplicate=off", "--format", "json")
    told = json.loads(done.stdout)
    assert told["changes"]["newly_kept"] == 1
    assert told["changes"]["newly_rejected"] == 0
    (example,) = told["changes"]["kept"]
    assert example["verdict"]["filter"] == "exact_duplicate"
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_tree(tmp_path / "taxonomy")
    done = ilk(tmp_path, "generate", "--run", "t", "--taxonomy", "taxonomy")
    assert done.returncode == 0, done.stdout + done.stderr
    return Run(tmp_path / "runs" / "t")


def state(run: Run) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.folder)): path.read_bytes()
        for path in run.folder.rglob("*")
        if path.is_file() and ".index" not in path.parts and path.name not in ("ledger.sqlite",)
    }


def test_a_run_is_filtered_anew_and_back_again_to_the_byte(tmp_path, run):
    before = state(run)
    (tmp_path / "r.yaml").write_text(
        "generate: {filters: [shape, {name: length, options: {min_answer_words: 2}}, exact_duplicate]}"
    )
    done = sift(tmp_path, "t", "--recipe", "r.yaml")
    assert done.returncode == 0, done.stderr
    assert_nothing_vanished(run)
    assert "too-short" in done.stdout
    assert state(run)["3-verdicts.jsonl"] != before["3-verdicts.jsonl"]
    names = [word for name in names_of(before) for word in ("--filter", name)]
    again = sift(tmp_path, "t", *names)
    assert again.returncode == 0, again.stderr
    same = {name: data for name, data in state(run).items() if name not in ("run.yaml", "7-report.html")}
    assert same == {name: data for name, data in before.items() if name not in ("run.yaml", "7-report.html")}


def names_of(files: dict[str, bytes]) -> list[str]:
    told = json.loads(files["3-waterfall.json"])
    return [phase["filter"] for phase in told["phases"] if phase["phase"] != "generation"]


def test_beside_a_run_nothing_of_it_changes(tmp_path, run):
    before = state(run)
    done = sift(tmp_path, "t", "--out", "out", "--filter", "length", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["made"] == told["kept"] == len(lines(tmp_path / "out" / "kept.jsonl"))
    assert sift(tmp_path, "t", "--what-if", "length.min_answer_words=2").returncode == 0
    assert state(run) == before


def test_a_pardoned_sample_is_kept_from_then_on_and_why_says_so(tmp_path, run):
    (tmp_path / "r.yaml").write_text("generate: {filters: [{name: length, options: {min_answer_words: 3}}]}")
    assert sift(tmp_path, "t", "--recipe", "r.yaml").returncode == 0
    rejected = next(one for one in lines(run.verdicts) if not one["keep"])
    told = ilk(tmp_path, "why", rejected["subject"], "--run", "t").stdout
    assert "length/too-short removed" in told
    assert sift(tmp_path, "t", "--pardon", f"{rejected['subject'][:12]}:length").returncode == 0
    assert_nothing_vanished(run)
    assert "pardoned" in ilk(tmp_path, "why", rejected["subject"], "--run", "t").stdout
    assert sift(tmp_path, "t").returncode == 0
    assert "pardoned" in ilk(tmp_path, "why", rejected["subject"], "--run", "t").stdout


# --- with a judge -----------------------------------------------------------------------------------------------


def judged_recipe(folder: Path, url: str, *, model: str = "Qwen/Qwen2.5-72B") -> None:
    (folder / "r.yaml").write_text(
        f"""
generate:
  filters: [length, {{name: critic, options: {{planted: 10}}}}]
  roles: {{critic: {{url: "{url}", model: {model}, concurrency: 4}}}}
"""
    )


@pytest.fixture
def judge():
    """One that finds fault with whatever says "moon", and with what no row says."""
    good = {one["messages"][1]["content"] for one in FACTS}
    with TeacherServer(answer=perfect(lambda request: any(text in shown(request) for text in good))) as server:
        yield server


FACTS = [
    row(
        f"What is told of tower {n}?",
        f"Tower {n} has {n + 3} floors and was built in {1800 + n} by Mara Vell.",
        model="llama-3",
    )
    for n in range(24)
]


def test_a_judge_is_asked_about_a_file_once_and_its_worth_is_told(tmp_path, judge):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in FACTS))
    judged_recipe(tmp_path, judge.url)
    done = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml", "--out", "out", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kept"] == 24
    assert any("AUC 0." in remark or "AUC 1." in remark for remark in told["remarks"])
    assert "critic" not in told["not_checked"]
    asked = len(judge.bodies)
    assert asked >= 34
    again = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml", "--out", "out", "--format", "json")
    assert len(judge.bodies) == asked, "nothing is asked twice"
    assert json.loads(again.stdout)["kept"] == 24


def test_a_judge_of_the_makers_family_or_without_a_place_for_answers_is_refused(tmp_path, judge):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in FACTS))
    judged_recipe(tmp_path, judge.url)
    nowhere = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml")
    assert (nowhere.returncode, len(judge.bodies)) == (2, 0)
    assert "--out DIR" in nowhere.stderr
    judged_recipe(tmp_path, judge.url, model="meta-llama/Llama-3.3-70B")
    same = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml", "--out", "out")
    assert (same.returncode, len(judge.bodies)) == (2, 0)
    assert "same_family" in same.stderr


@pytest.mark.parametrize(("said", "reason"), [("11 of 10, splendid", "no-judgement"), ("", "no-answer")])
def test_what_is_no_judgement_keeps_nothing(tmp_path, said, reason):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in FACTS[:4]))
    with TeacherServer(answer=saying(said)) as server:
        judged_recipe(tmp_path, server.url)
        done = sift(tmp_path, "rows.jsonl", "--recipe", "r.yaml", "--out", "out")
    assert done.returncode == (0 if said else 3), done.stderr
    told = lines(tmp_path / "out" / "rejected.jsonl")
    assert [one["ilk_verdict"]["rule"] for one in told] == [reason] * 4
    assert all(one["ilk_verdict"]["score"] is None for one in told)


def test_a_run_is_judged_while_it_is_made_and_why_knows_the_call(tmp_path, judge):
    write_tree(tmp_path / "taxonomy")
    judged_recipe(tmp_path, judge.url)
    done = ilk(tmp_path, "generate", "--run", "t", "--taxonomy", "taxonomy", "--recipe", "r.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    run = Run(tmp_path / "runs" / "t")
    assert_nothing_vanished(run)
    asked = len(judge.bodies)
    verdict = next(one for one in lines(run.verdicts) if one["filter"] == "critic")
    assert len(verdict["partner"]) == 64
    assert verdict["partner"] in ilk(tmp_path, "why", verdict["subject"], "--run", "t").stdout
    assert ilk(tmp_path, "why", verdict["partner"], "--run", "t").returncode == 0
    assert sift(tmp_path, "t", "--what-if", "critic.at_least=1").returncode == 0
    assert len(judge.bodies) == asked, "a threshold is tried without asking"
    leaf = verdict["leaf"]
    assert ilk(tmp_path, "runs", "forget", leaf, "--run", "t").returncode == 0
    assert_nothing_vanished(run)
    assert len(judge.bodies) == asked
    assert leaf not in run.judged.read_text()
