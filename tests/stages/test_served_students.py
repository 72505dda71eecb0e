"""`ilk evaluate` of models that are served: over HTTP, through the run's ledger, and what is told of mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml
from faults import Fault, failing
from leaf_files import skill, write_leaf
from server import Arrival, TeacherServer

from instructlab_like.errors import GateError, InputError, RecipeError, StoppedError, TeacherError
from instructlab_like.evaluation.summary import read
from instructlab_like.generation import engine
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Answer
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating import students
from instructlab_like.stages.evaluating.evaluate import evaluate
from instructlab_like.stages.keeping.forget import discard
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, read_records

SECRET = "sk-Pl4nted+7Xq9/ZtWv3bN8rLm2cKdY5hJ6gFsA1eUoQ=="
WRITTEN, MIXED = "compositional_skills/numbers/doubles", "compositional_skills/towns/rivers"
DOUBLES = [{"question": f"Twice {number} is?", "answer": str(2 * number), "metric": "number"} for number in range(24)]
RIVERS = ("Arno", "Brenta", "Cecina", "Dora")
CHOICES = [
    {
        "question": f"Which river flows past town {number}?",
        "answer": RIVERS[number % 4],
        "metric": "choice",
        "options": [*RIVERS],
    }
    for number in range(24)
]
OTHERS = [
    {"question": "Praise a river.", "answer": "O river.", "metric": "judge", "rubric": "Is it praise?"},
    {"question": "What is odd?", "answer": "The Arno.", "metric": "perplexity"},
]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(engine, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run without training, of two leaves."""
    for leaf, questions in ((WRITTEN, DOUBLES), (MIXED, [*CHOICES, *OTHERS])):
        write_leaf(tmp_path / "taxonomy", leaf, skill(), heldout=yaml.safe_dump({"questions": questions}))
    made = Run(tmp_path / "runs" / "t")
    made.folder.mkdir(parents=True)
    manifest.write(made, Manifest(generate=GenerateRecipe(taxonomy=str(tmp_path / "taxonomy"))))
    made.samples.touch()
    return made


def last(request: dict) -> str:
    return request["messages"][-1]["content"]


def knows(request: dict) -> str:
    """The model `tuned` is always right; any other model says 0, and the second option."""
    asked = last(request)
    right = request["model"].startswith("tuned")
    if asked.startswith("Twice"):
        return f"It is {2 * int(asked.split()[1])}." if right else "0"
    if asked.startswith("Which river"):
        town = int(asked.split("town ")[1].split("?")[0])
        return "ABCD"[town % 4] if right else "The answer is B. Brenta"
    return "O river, how long you are."


def of(server: TeacherServer, *names: str, **more: object) -> EvaluateRecipe:
    model, *checkpoints = (f"{name}@{server.url}" for name in names or ("small", "tuned"))
    options = {"model": model, "checkpoints": tuple(checkpoints), "base_tasks": "", "max_new_tokens": 20}
    return EvaluateRecipe.model_validate({**options, **more})


def answers(run: Run, model: str) -> dict[str, Answer]:
    found = [one for one in read_records(run.evaluation / "answers.jsonl", Answer) if one.model == model]
    questions = [orjson.loads(line) for line in (run.evaluation / "items.jsonl").read_bytes().splitlines()]
    return {item["question"]: one for item, one in zip(questions, found, strict=True)}


def test_base_and_checkpoint_are_two_names_at_one_server(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server), gate=True)
        assert server.requests == 2 * (24 + 24 + 1)
        printed = capsys.readouterr()
        assert "24 choices: asked with lettered options" in printed.out
        base = f"small@{server.url}"
    found = read(run.summary)
    (tuned,) = found.checkpoints
    assert (found.base.name, tuned.name) == (base, "tuned")
    assert {one.leaf: (one.base, one.tuned, one.effect) for one in tuned.leaves} == {
        WRITTEN: (pytest.approx(1 / 24), 1.0, "better"),
        MIXED: (0.25, 1.0, "better"),
    }
    assert "tuned against small@" in printed.out


def test_they_are_asked_greedily_as_a_local_model_is_and_choices_with_letters(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        sent = [orjson.loads(body) for body in server.bodies]
    assert {(one["temperature"], one["max_tokens"], len(one["messages"])) for one in sent} == {(0.0, 20, 1)}
    assert not any("seed" in one or "n" in one or "logprobs" in one for one in sent)
    assert {"Twice 3 is?", "Praise a river."} <= {last(one) for one in sent}
    shown = next(last(one) for one in sent if "town 5?" in last(one))
    assert shown == (
        "Which river flows past town 5?\nA. Arno\nB. Brenta\nC. Cecina\nD. Dora\n\n"
        "Answer with the letter of the right option and nothing else."
    )
    tuned = answers(run, "tuned")
    fifth = tuned["Which river flows past town 5?"]
    assert (fifth.chosen, fifth.text) == (1, "Brenta")
    assert tuned["Which river flows past town 6?"].score == 1.0
    assert answers(run, "base")["Which river flows past town 6?"].score == 0.0


def test_what_cannot_be_scored_is_counted_and_is_in_no_mean(run: Run) -> None:
    def rambling(request: dict) -> str:
        return "Well, a river." if "town 7?" in last(request) and request["model"] == "tuned" else knows(request)

    with TeacherServer(answer=rambling) as server:
        evaluate(run, of(server))
    found = read(run.summary)
    counts = {(one.model, one.reason): one.count for one in found.non_scores}
    assert counts["tuned", "no option in its reply"] == 1
    assert [counts[model, "an endpoint gives no odds of a text"] for model in ("base", "tuned")] == [1, 1]
    assert next(one for one in found.checkpoints[0].leaves if one.leaf == MIXED).n == 23
    unclear = answers(run, "tuned")["Which river flows past town 7?"]
    assert (unclear.text, unclear.score, unclear.chosen) == ("Well, a river.", None, None)
    assert answers(run, "tuned")["Praise a river."].text == "O river, how long you are."


def test_an_unchanged_evaluation_is_up_to_date_and_another_asks_for_what_is_new(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        asked = server.requests
        before = run.summary.read_bytes()
        evaluate(run, of(server))
        assert "up to date" in capsys.readouterr().out
        evaluate(run, of(server, enough=10))
        assert server.requests == asked
        assert "49 of 49 answers were in the ledger" in capsys.readouterr().out
        evaluate(run, of(server, "small", "tuned", "tuned-more"))
        assert server.requests == asked + 49
        evaluate(run, of(server, "small", "tuned"))
        assert server.requests == asked + 49
    assert run.summary.read_bytes() == before
    assert manifest.read(run).spent["http:tuned"].calls == 49


def test_it_is_written_down_which_leaf_needed_which_call(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
    rows = [orjson.loads(line) for line in (run.evaluation / "asked.jsonl").read_bytes().splitlines()]
    assert {leaf: sum(row["leaf"] == leaf for row in rows) for leaf in (WRITTEN, MIXED)} == {WRITTEN: 48, MIXED: 50}
    with Ledger(run.ledger) as ledger:
        assert all(ledger.committed(row["call"]) for row in rows)
        assert ledger.counts.answered == len({row["call"] for row in rows})


def test_the_same_server_at_another_place_is_not_asked_again(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        assert server.requests == 0


def test_an_edition_is_asked_anew_and_so_is_a_checkpoint_after_another_training(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        before = server.requests
        recipe = of(server)
        evaluate(run, recipe.model_copy(update={"checkpoints": (f"{recipe.checkpoints[0]}#2",)}))
        assert server.requests == before + 49
        assert read(run.summary).checkpoints[0].name == "tuned"
        manifest.finish(run, "train", "trained once more")
        evaluate(run, recipe)
        assert server.requests == before + 2 * 49


def test_an_empty_answer_is_an_answer(run: Run) -> None:
    with TeacherServer(answer=lambda request: "" if request["model"] == "small" else knows(request)) as server:
        evaluate(run, of(server))
        assert server.requests == 2 * 49
    base = answers(run, "base")
    assert (base["Twice 3 is?"].score, base["Twice 3 is?"].unscored) == (0.0, None)
    assert base["Which river flows past town 1?"].unscored == "no option in its reply"


def test_what_the_server_refuses_is_counted_and_what_is_too_long_is_unanswered_as_for_a_local_model(run: Run) -> None:
    folder = Path(manifest.read(run).generate.taxonomy) / WRITTEN  # type: ignore[union-attr]
    long = {"question": "What is the last word?", "answer": "end", "context": "word " * 300}
    (folder / "heldout.yaml").write_text(yaml.safe_dump({"questions": [*DOUBLES, long]}))

    def unwilling(arrival: Arrival) -> Fault | None:
        return failing(400, "I will not") if b"Twice 9 is" in arrival.body else None

    for dialect in ("vllm", "llama.cpp"):
        with TeacherServer(answer=knows, choose=unwilling, context=200, dialect=dialect) as server:
            evaluate(run, of(server, f"small-{dialect}", f"tuned-{dialect}"))
        found = answers(run, f"tuned-{dialect}")
        assert found["Twice 9 is?"].unscored == "refused by its server (HTTP 400)"
        assert (found["What is the last word?"].score, found["What is the last word?"].unscored) == (0.0, None)
        assert "context" in (found["What is the last word?"].unanswered or "")
        assert "http" not in (found["What is the last word?"].unanswered or "")
        assert read(run.summary).unanswered == {WRITTEN: 1}


def test_what_stays_open_stops_the_command_after_the_table_and_is_asked_by_the_next(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arrival: Arrival) -> Fault | None:
        return failing(500, "boom") if b"Twice 9 is" in arrival.body else None

    with TeacherServer(answer=knows, choose=broken) as server:
        with pytest.raises(StoppedError, match=r"2 answers are missing \(2 server_error\)") as caught:
            evaluate(run, of(server), gate=True)
        assert "it asks for these alone" in caught.value.fix
        assert "tuned against small@" in capsys.readouterr().out
        counts = {(one.model, one.reason): one.count for one in read(run.summary).non_scores}
        assert counts["tuned", "no answer: server_error (HTTP 500)"] == 1
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server), gate=True)
        assert server.requests == 2
    assert "up to date" not in capsys.readouterr().out
    assert not any(one.reason.startswith("no answer") for one in read(run.summary).non_scores)


def test_a_server_that_dies_leaves_what_it_answered_in_the_ledger(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with TeacherServer(answer=knows) as server:
        server.on_served = lambda count: server.go_away(3600) if count == 60 else None
        monkeypatch.setattr(students, "PATIENCE", 0.2)
        with pytest.raises(TeacherError, match="answers are in the ledger") as caught:
            evaluate(run, of(server))
    assert "teacher" not in str(caught.value)
    assert not run.summary.exists()
    with Ledger(run.ledger) as ledger:
        kept = ledger.counts.answered
    assert kept >= 60
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        assert server.requests == 2 * 49 - kept


class Killer:
    """Kills the child after so many answers of the server."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.child: subprocess.Popen[str] | None = None

    def __call__(self, answers: int) -> None:
        if answers == self.at and self.child is not None:
            self.child.send_signal(signal.SIGKILL)


def ilk(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "instructlab_like", "evaluate", "--run", "t", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=os.environ | environment, **pipes)  # type: ignore[call-overload]


def named(server: TeacherServer) -> list[str]:
    return ["--model", f"small@{server.url}", "--checkpoint", f"tuned@{server.url}", "--recipe", "r.yaml"]


def test_a_killed_evaluation_goes_on_and_asks_nothing_again_and_needs_no_torch(run: Run) -> None:
    folder = run.folder.parents[1]
    (folder / "r.yaml").write_text("evaluate: {base_tasks: '', max_new_tokens: 20, batch: 4}")
    killer = Killer(at=60)
    with TeacherServer(answer=knows, on_served=killer) as server:
        killer.child = ilk(folder, *named(server))
        assert killer.child.wait(timeout=300) == -signal.SIGKILL
        assert not run.summary.exists()
        with Ledger(run.ledger) as ledger:
            kept = ledger.counts.answered
        assert 0 < kept <= 60
        asked = server.requests
        blocked = "import sys\nsys.modules['torch'] = None\nfrom instructlab_like.cli import main\nmain()"
        words = [sys.executable, "-c", blocked, "evaluate", "--run", "t", *named(server), "--gate"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert server.requests == asked + 2 * 49 - kept
    whole = Run(folder / "runs" / "whole")
    whole.folder.mkdir()
    manifest.write(whole, Manifest(generate=GenerateRecipe(taxonomy=str(folder / "taxonomy"))))
    whole.samples.touch()
    with TeacherServer(answer=knows) as other:
        evaluate(whole, of(other, batch=4))
    for name in ("answers.jsonl", "items.jsonl"):
        assert (run.evaluation / name).read_bytes() == (whole.evaluation / name).read_bytes()


def test_the_gate_and_its_exit_code_are_as_for_folders(run: Run) -> None:
    folder = run.folder.parents[1]
    with TeacherServer(answer=knows) as server:
        with pytest.raises(GateError, match=f"small: {WRITTEN} is worse"):
            evaluate(run, of(server, "tuned", "small"), gate=True)
        with pytest.raises(GateError, match="nothing was checked"):
            evaluate(run, of(server, "tuned"), gate=True)
        (folder / "r.yaml").write_text("evaluate: {base_tasks: '', max_new_tokens: 20}")
        words = [
            "--model",
            f"tuned@{server.url}",
            "--checkpoint",
            f"small@{server.url}",
            "--recipe",
            "r.yaml",
            "--gate",
        ]
        done = ilk(folder, *words)
        said, complaint = done.communicate(timeout=300)
    assert done.returncode == 1, complaint
    gone = ilk(folder, "--model", "new@http://127.0.0.1:9/v1", "--recipe", "r.yaml")
    _, unreached = gone.communicate(timeout=300)
    assert (gone.returncode, unreached.count("ilk:")) == (3, 1), unreached
    assert "start the server, or correct the URL of NAME@URL; then run the same command again" in unreached
    assert f"small: {WRITTEN} is worse" in complaint
    assert "small against tuned@" in said


def test_a_base_alone_is_scored(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server, "tuned"))
    assert read(run.summary).base.overall == 1.0
    printed = capsys.readouterr()
    assert "held-out score 1.00" in printed.out
    assert "the base is scored alone" in printed.out


def test_the_key_is_sent_and_never_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDENT_KEY", SECRET)
    with TeacherServer(answer=lambda request: SECRET) as server:
        evaluate(run, of(server, key_env="STUDENT_KEY"))
        assert {entry.authorization for entry in server.log} == {f"Bearer {SECRET}"}
    for path in run.folder.rglob("*"):
        assert path.is_dir() or b"Pl4nted" not in path.read_bytes(), path


def recipes(model: str, *checkpoints: str, **more: object) -> EvaluateRecipe:
    return EvaluateRecipe.model_validate({"model": model, "checkpoints": checkpoints, "base_tasks": "", **more})


@pytest.mark.parametrize(
    ("recipe", "kind", "told", "fix"),
    [
        (recipes("m@http://u:p@h/v1", "t@http://h/v1"), RecipeError, "holds a user name or password", "--key-env"),
        (recipes("m@http://127.0.0.1:9/v1", "t@http://127.0.0.1:9/v1"), TeacherError, "cannot be reached", "NAME@URL"),
        (recipes("@http://h/v1", "t@http://h/v1"), InputError, "names no model", "granite@http"),
        (recipes("m@localhost:8000/v1"), InputError, "no URL behind its @", "granite@http"),
        (recipes("m@http://h/v1", "t@h/v1"), InputError, "no URL behind its @", "granite@http"),
        (recipes("m@http://h/v1", "nowhere"), InputError, "no such checkpoint folder", "granite@http"),
        (recipes("m@http://h/v1", "t@http://h/v1", "t@http://h/v1"), InputError, "is named twice", "once"),
        (recipes("m@http://h/v1", "m@http://h/v1"), InputError, "base and checkpoint at once", "#EDITION"),
        (recipes("m@http://h/v1", "m@http://g/v1"), InputError, "is also m@http://h/v1", "served-model-name"),
        (recipes("m@http://h/v1", "taxonomy"), InputError, "is an adapter's folder", "serve the adapter"),
        (recipes("m@http://h/v1", "t@http://h/v1", key_env="NO_SUCH_KEY"), InputError, "NO_SUCH_KEY", "NO_SUCH_KEY"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, recipe: EvaluateRecipe, kind: type[Exception], told: str, fix: str
) -> None:
    monkeypatch.chdir(run.folder.parents[1])
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(kind) as caught:
        evaluate(run, recipe)
    assert told in str(caught.value)
    assert fix in str(caught.value)
    assert "teacher" not in str(caught.value)
    assert not run.summary.exists()


def test_students_are_called_by_their_names_as_long_as_these_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "tuned").mkdir(parents=True)
    one, two, own = tmp_path / "one" / "tuned", tmp_path / "two" / "tuned", ("tuned", tmp_path)
    far = "tuned@http://h/v1?token=hidden"
    found = students.enrolled("m@http://h/v1", ["t@http://h/v1", "t@http://h/v1#2", "base@http://h/v1"], own)
    assert found.names == ["base", "t@http://h/v1", "t@http://h/v1#2", "base@http://h/v1"]
    assert students.enrolled("local", [str(one), far], own).names == ["base", str(one), "tuned@http://h/v1"]
    assert students.enrolled("local", [str(one), str(two)], own).names == ["base", str(one), str(two)]
    assert students.enrolled("local", [], own).names == ["base", "tuned"]
    assert students.enrolled("org/model", [far], own).adapters == []


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (failing(404, "The model `tuned` does not exist."), InputError, "knows no model 'small' at this URL"),
        (failing(401, "no key"), InputError, "does not let us in"),
        (failing(400, "no such field"), TeacherError, "no such field"),
        (Fault(body=b"<html>Welcome</html>"), TeacherError, "no JSON"),
        (Fault(body=b'{"choices": []}'), TeacherError, "no choice"),
        (Fault("reset"), TeacherError, "the connection broke"),
    ],
)
def test_a_server_that_is_no_server_of_models_is_one_clear_message(
    run: Run, fault: Fault, kind: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(students, "PATIENCE", 0.2)
    with TeacherServer(lambda _: fault) as server, pytest.raises(kind) as caught:
        evaluate(run, of(server))
    assert told in str(caught.value)
    assert "teacher" not in str(caught.value)
    assert not run.summary.exists()


def test_an_evaluation_that_was_stopped_knows_whose_the_paid_calls_are(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `ilk runs clean --calls` would offer them as needed by no leaf."""
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server, "small"))
        answered = {row["call"] for row in map(orjson.loads, run.asked.read_bytes().splitlines())}

        def stopped(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("instructlab_like.stages.evaluating.students.put", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate(run, of(server, "small", "tuned"))
    noted = {row["call"] for row in map(orjson.loads, run.asked.read_bytes().splitlines())}
    assert answered <= noted


def test_forgetting_one_leaf_after_another_keeps_what_was_paid_for_those_that_stay(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
    noted = [orjson.loads(line) for line in run.asked.read_bytes().splitlines()]
    assert {row["leaf"] for row in noted} == {WRITTEN, MIXED}
    discard(run, [WRITTEN])
    kept = [orjson.loads(line) for line in run.asked.read_bytes().splitlines()]
    assert kept == [row for row in noted if row["leaf"] == MIXED]
    discard(run, [WRITTEN])
    assert [orjson.loads(line) for line in run.asked.read_bytes().splitlines()] == kept
    discard(run, [MIXED])
    assert not run.asked.exists()


def test_a_wrong_address_does_not_throw_away_a_finished_evaluation(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        evaluate(run, of(server))
        with pytest.raises(InputError):
            evaluate(run, of(server, "small").model_copy(update={"checkpoints": ("tuned@http://joe:pw@host/v1",)}))
    assert "evaluate" in manifest.read(run).inputs


def test_two_checkpoints_of_one_name_are_refused(run: Run) -> None:
    with TeacherServer(answer=knows) as server:
        urls = tuple(f"tuned@{server.url}?k={number}" for number in range(2))
        twins = of(server).model_copy(update={"checkpoints": urls})
        with pytest.raises(InputError, match="one name"):
            evaluate(run, twins)
