"""`ilk effects` on a run that was really trained: a leaf that is left out shows no gain, and nothing is done twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from graded_run import FAIR, JUDGE
from leaf_files import commit_all, git, skill, write_leaf
from server import TeacherServer

from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.leave_one_out import NOTHING
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, JudgeRecipe, TrainRecipe
from instructlab_like.records import Answer, Item, Row
from instructlab_like.report.contribution_comment import MARKER
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.effects import effects
from instructlab_like.stages.evaluating.evaluate import INCOMPLETE, evaluate
from instructlab_like.stages.evaluating.leave_one_out import (
    FILE,
    FOLDER,
    derived,
    measured,
    ready,
    recipe_without,
    slug,
    take_out,
)
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.telling.report import report
from instructlab_like.stages.training.train import inputs_of, train
from instructlab_like.workspace import Run, read_records, write_records

BASE = Path(__file__).parents[2] / "training" / "base" / "model"
HERON, OTTER = "compositional_skills/signs/heron", "compositional_skills/signs/otter"
SUMS = "compositional_skills/sums"  # has no samples and six questions
SIMULATION = """\
parameters:
  n: {{kind: integer, low: 1, high: 900}}
questions:
  - What is the {what} {{{{ n }}}}?
  - Tell me the {what} {{{{ n }}}}.
answer: "{answer}"
"""


def ilk(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *words]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "ILK_CACHE": str(cwd / "cache")}
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two skills that the base does not have, and one that gets no samples; trained, evaluated, one left out."""
    folder = tmp_path_factory.mktemp("effects")
    for path, what, answer in ((HERON, "call sign of station", "heron"), (OTTER, "badge of boat", "otter")):
        told = SIMULATION.format(what=what, answer=answer)
        write_leaf(folder / "taxonomy", path, skill(), simulation=told)
    questions = [{"question": f"Add {n} and {n}.", "answer": f"{n + n}"} for n in range(6)]
    write_leaf(folder / "taxonomy", SUMS, skill(), heldout=yaml.safe_dump({"questions": questions}))
    git(folder, "init", "--quiet")
    commit_all(folder)
    run = Run(folder / "runs" / "t")
    generate(run, GenerateRecipe(taxonomy=str(folder / "taxonomy"), samples_per_simulation=48))
    train(run, TrainRecipe.model_validate(TRAIN))
    evaluate(run, EvaluateRecipe(base_tasks="", threads=1, simulation_items=24, max_new_tokens=6))
    done = ilk("effects", "--run", "t", "--leave-one-out", HERON, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "told.json").write_text(done.stdout)
    (folder / "said.txt").write_text(done.stderr)
    return run


TRAIN = {
    "model": str(BASE),
    "lora": {"rank": 8, "alpha": 16},
    "phases": [{"name": "skills", "epochs": 7, "learning_rate": 3e-3}],
    "row_tokens": 256,
    "batch_tokens": 512,
    "threads": 1,
    "save_every": 100,
}


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained.folder, tmp_path / "runs" / "t")))


@pytest.fixture(scope="module")
def told(trained: Run) -> dict[str, object]:
    """What standard output held, while a training and much else was said."""
    found = json.loads((trained.folder.parents[1] / "told.json").read_text())
    assert isinstance(found, dict)
    return found


def leaf(told: dict[str, object], path: str) -> dict[str, object]:
    rows = told["leaves"]
    assert isinstance(rows, list)
    return next(one for one in rows if one["leaf"] == path)


def test_the_gain_is_the_summarys_to_the_last_digit(trained: Run, told: dict[str, object]) -> None:
    kept = json.loads(trained.summary.read_bytes())["checkpoints"][0]
    assert [leaf(told, one["leaf"])["gain"] for one in kept["leaves"]] == kept["leaves"]
    heron = leaf(told, HERON)
    assert (heron["made"], heron["kept"], heron["author"]) == (48, 48, "Ann")
    assert heron["cost"] == {"calls": 0, "tokens_in": 0, "tokens_out": 0, "money": 0.0, "shared": 0}
    assert (leaf(told, SUMS)["kept"], leaf(told, SUMS)["loss"]) == (0, None)


def test_a_leaf_removed_from_training_shows_no_gain_and_the_other_keeps_its_own(told: dict[str, object]) -> None:
    found = leaf(told, HERON)["left_out"]
    assert isinstance(found, dict)
    assert found["own"]["effect"] == "better"
    assert found["own"]["delta"][1] > 0.5
    assert found["untaught"]["tuned"] < 0.1
    assert found["untaught"]["effect"] == "tied"
    other = next(one for one in found["others"] if one["leaf"] == OTTER)
    assert other["base"] > 0.5
    assert leaf(told, OTTER)["left_out"] is None


def test_what_is_under_way_is_said_on_standard_error_with_what_it_will_take(trained: Run) -> None:
    said = (trained.folder.parents[1] / "said.txt").read_text()
    assert "leave one out: 1 training of" in said
    assert f"without {HERON}: 46 of 92 rows" in said
    assert "adapter:" in said  # of the training process itself


def test_the_left_out_leaf_is_nowhere_in_the_other_training_and_the_rest_is_in_its_order(trained: Run) -> None:
    other = Run(trained.evaluation / FOLDER / slug(HERON))
    for path in sorted((trained.dataset / "data").glob("*.jsonl")):
        rest = [row for row in read_records(path, Row) if row.leaf != HERON]
        assert list(read_records(other.dataset / "data" / path.name, Row)) == rest
    made = manifest.read(other)
    assert made.generate is not None
    assert made.generate.exclude == (HERON,)
    assert made.train == manifest.read(trained).train
    assert not (other.training / "checkpoints").exists()


def test_measured_once_is_measured(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run.evaluation / FILE).read_bytes()
    effects(run, left_out=[HERON])
    printed = capsys.readouterr().out
    assert "1 of 1 measured before" in printed
    assert "train:" not in printed
    assert (run.evaluation / FILE).read_bytes() == before


def test_the_table_the_comment_and_the_report_say_the_same(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    effects(run)
    table = capsys.readouterr().out
    assert "trained again without the leaf" in table
    effects(run, leaves=[HERON], form="markdown")
    comment = capsys.readouterr().out
    assert comment.startswith(f"{MARKER}\n")
    assert f"#### `{HERON}`" in comment
    assert "It helped" in comment
    assert OTTER not in comment.replace("`", "")
    effects(run, form="json")
    rows = json.loads(capsys.readouterr().out)
    report(run, "json")
    assert json.loads(run.report.with_suffix(".json").read_bytes())["contributions"] == rows
    report(run)
    assert "Trained again without the leaf" in run.report.read_text("utf-8")


def test_after_another_evaluation_what_was_measured_before_is_not_told(run: Run) -> None:
    made = manifest.read(run)
    assert len(measured(run, made)) == 1
    for stage in ("train", "evaluate"):
        changed = made.model_copy(update={"inputs": made.inputs | {stage: "other"}})
        assert measured(run, changed) == ()


def test_an_answer_without_a_score_is_in_no_comparison(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The trained model is there and is asked again; nothing is trained."""
    path = run.evaluation / "answers.jsonl"
    answers = list(read_records(path, Answer))
    asked = {one.item for one in answers if one.score is not None}
    lost = sorted(asked)[0]
    bare = {"score": None, "unscored": "judge: no grade in its reply"}
    write_records(path, [one.model_copy(update=bare) if one.item == lost else one for one in answers])
    (run.evaluation / FILE).unlink()
    effects(run, left_out=[HERON], form="json")
    (found,) = [one["left_out"] for one in json.loads(capsys.readouterr().out)["leaves"] if one["left_out"]]
    assert found["own"]["n"] + sum(one["n"] for one in found["others"]) == len(asked) - 1


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ({"leaves": ["taxonomy/compositional_skills/signs/herron"]}, "no such leaf", f"did you mean {HERON}?"),
        ({"leaves": ["heron"]}, "no such leaf", f"did you mean {HERON}?"),
        ({"left_out": ["nothing/of/this"]}, "no such leaf", "its leaves stand in run.yaml; ilk effects lists them"),
        (
            {"left_out": [SUMS]},
            "nothing was trained of it.*needs a flow with a teacher",
            "name leaves that have samples",
        ),
        ({"dry_run": True}, "belongs to --leave-one-out", "add one of them"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(run: Run, options: dict[str, Any], what: str, fix: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        effects(run, **options)
    assert caught.value.fix.startswith(fix)


def test_a_mistake_is_one_message_on_standard_error_and_exit_code_2(tmp_path: Path) -> None:
    done = ilk("effects", "--run", "none", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no such run" in done.stderr
    assert "see: ilk runs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_stands_for_its_leaves(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    effects(run, leaves=["compositional_skills/signs/"], form="json")
    assert [one["leaf"] for one in json.loads(capsys.readouterr().out)["leaves"]] == [HERON, OTTER]


def test_judged_answers_are_graded_by_the_judge_of_the_others(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The model without the leaf is there, and is asked and graded; nothing is trained."""
    path = run.evaluation / "items.jsonl"
    items = [
        one.model_copy(update={"metric": "judge"}) if one.leaf == HERON else one for one in read_records(path, Item)
    ]
    write_records(path, items)
    (run.evaluation / FILE).unlink()
    made = manifest.read(run)
    assert made.evaluate is not None
    with TeacherServer(answer=FAIR) as server:
        judge = JudgeRecipe(model=JUDGE, url=server.url, retries=0)
        manifest.write(run, made.model_copy(update={"evaluate": made.evaluate.model_copy(update={"judge": judge})}))
        effects(run, left_out=[HERON], form="json")
        asked = server.requests
    (found,) = [one["left_out"] for one in json.loads(capsys.readouterr().out)["leaves"] if one["left_out"]]
    assert 0 < asked <= 24  # grades alone, each text once
    assert found["own"]["n"] == 24
    assert found["own"]["effect"] == "better"


def test_a_run_that_is_not_trained_or_not_evaluated_says_what_is_missing(run: Run) -> None:
    made = manifest.read(run)
    for inputs, what in (
        ({"generate": "g"}, "not trained yet"),
        ({"generate": "g", "train": "t"}, "no scores yet"),
    ):
        manifest.write(run, made.model_copy(update={"inputs": inputs}))
        with pytest.raises(InputError, match=what):
            effects(run)


def test_a_summary_of_another_format_is_named(run: Run) -> None:
    told = json.loads(run.summary.read_bytes())
    run.summary.write_text(json.dumps(told | {"format": 2}))
    with pytest.raises(InputError, match="was written by format 2, this is format 3") as caught:
        effects(run)
    assert "ilk evaluate" in caught.value.fix
    run.summary.write_text(json.dumps({name: value for name, value in told.items() if name != "samples"}))
    with pytest.raises(InputError, match="samples"):
        effects(run)


def test_an_adapter_of_other_data_is_not_compared(run: Run) -> None:
    (file,) = (run.dataset / "data").glob("skills-train.jsonl")
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(InputError, match="the adapter is not that of this dataset"):
        effects(run, left_out=[OTTER])


def test_scores_of_another_adapter_are_said_to_be(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run.adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    effects(run)
    printed = capsys.readouterr()
    assert "not of the adapter that this run has now" in printed.err
    assert "gains of another checkpoint" in printed.out
    assert "trained again without" not in printed.out
    with pytest.raises(InputError, match="has no scores"):
        effects(run, left_out=[HERON])


def test_a_ledger_that_cannot_be_read_leaves_the_cost_unknown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.ledger.write_bytes(b"no ledger" * 500)
    effects(run, leaves=[HERON])
    printed = capsys.readouterr()
    assert "what the leaves cost is not told" in printed.err
    assert "not known" in printed.out
    report(run)
    assert "not known" in run.report.read_text("utf-8")


def test_a_damaged_file_of_what_was_measured_is_named_with_its_line(run: Run) -> None:
    (run.evaluation / FILE).write_text('{"leaf": "x"}\n')
    with pytest.raises(InputError, match="Field required") as caught:
        effects(run)
    assert caught.value.where.endswith(f"{FILE}:1")
    assert caught.value.fix.startswith("delete it")


def test_an_evaluation_that_lacks_answers_is_said_to(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    made = manifest.read(run)
    manifest.write(run, made.model_copy(update={"inputs": made.inputs | {"evaluate": f"x, {INCOMPLETE}"}}))
    effects(run)
    assert "not answered yet" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    effects(run, left_out=["all"], dry_run=True)
    printed = capsys.readouterr().out
    assert "1 of 2 measured before" in printed
    assert f"without {OTTER}: 46 of 92 rows" in printed
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_without_the_only_leaf_the_base_is_what_is_left(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is trained then: rows that replay older knowledge are no reason to."""
    made = manifest.read(run)
    file = run.dataset / "data" / "skills-train.jsonl"
    rows = [row for row in read_records(file, Row) if row.leaf == HERON]
    write_records(file, [*rows, rows[0].model_copy(update={"leaf": "replay", "kind": None, "sample": "r"})])
    assert made.train is not None
    manifest.write(run, made.model_copy(update={"inputs": made.inputs | {"train": inputs_of(run, made.train)}}))
    effects(run, left_out=[HERON], form="json")
    printed = capsys.readouterr()
    (found,) = [one["left_out"] for one in json.loads(printed.out)["leaves"] if one["left_out"]]
    assert "what is left is the base" in printed.err
    assert found["untaught"]["delta"][1] == 0.0
    assert (found["rows"], found["rows_all"]) == (len(rows), len(rows) + 1)


def test_another_seed_leaves_nothing_out(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The same weights stand in for those of another seed, so that nothing is trained, and nothing may differ."""
    made = manifest.read(run)
    other = derived(ready(run, made, "tuned"), NOTHING)
    for path in sorted((run.dataset / "data").glob("*.jsonl")):
        assert (other.dataset / "data" / path.name).read_bytes() == path.read_bytes()
    assert manifest.read(other).leaves == made.leaves
    assert made.train is not None
    again = recipe_without(made.train, NOTHING)
    assert again.seed == made.train.seed + 1
    shutil.copytree(run.training, other.training)
    manifest.finish(other, "train", inputs_of(other, again), again)
    effects(run, another_seed=True, form="json")
    told = json.loads(capsys.readouterr().out)
    found = told["another_seed"]
    assert (found["rows"], found["own"]) == (0, None)
    assert {one["leaf"]: one["delta"][1] for one in found["others"]} == {SUMS: 0.0, HERON: 0.0, OTTER: 0.0}
    assert sum(one["left_out"] is not None for one in told["leaves"]) == 1
    effects(run)
    assert "With another seed and nothing left out 0 better and 0 worse of 3 leaves" in capsys.readouterr().out


def test_a_phase_that_would_only_repeat_another_is_no_phase(tmp_path: Path) -> None:
    messages = ({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})

    def row(phase: str, leaf: str, kind: str | None) -> Row:
        return Row.model_validate({"messages": messages, "phase": phase, "leaf": leaf, "sample": leaf, "kind": kind})

    data = tmp_path / "all" / "data"
    data.mkdir(parents=True)
    write_records(data / "knowledge-train.jsonl", [row("knowledge", "k", "knowledge")])
    write_records(
        data / "skills-train.jsonl",
        [row("skills", "s", "freeform"), row("skills", "k", "knowledge"), row("skills", "replay", None)],
    )
    write_records(data / "test.jsonl", [row("skills", "s", "freeform")])
    take_out(tmp_path / "all", tmp_path / "without_s", "s")
    assert [path.name for path in sorted((tmp_path / "without_s").rglob("*.jsonl"))] == ["knowledge-train.jsonl"]
    take_out(tmp_path / "all", tmp_path / "without_k", "k")
    kept = {path.name: list(read_records(path, Row)) for path in (tmp_path / "without_k").rglob("*.jsonl")}
    assert {name: [one.leaf for one in rows] for name, rows in kept.items()} == {
        "skills-train.jsonl": ["s", "replay"],
        "test.jsonl": ["s"],
    }


def test_names_of_folders_are_plain_and_different() -> None:
    names = [slug(path) for path in ("a/b", "c/b", "a/Ωμέγα", "a/..", "a/" + "x" * 200)]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and "/" not in name and name[0] not in "." and len(name) < 80 for name in names)


def test_a_summary_is_as_it_was(trained: Run) -> None:
    """Leaving leaves out adds files; it changes none of the evaluation's."""
    assert summary.read(trained.summary).checkpoints[0].name == "tuned"
    items = {one.item for one in read_records(trained.evaluation / "answers.jsonl", Answer) if one.model == "tuned"}
    other = Run(trained.evaluation / FOLDER / slug(HERON))
    assert {one.item for one in read_records(other.evaluation / "answers.jsonl", Answer)} == items
