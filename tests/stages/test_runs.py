"""`ilk runs` and `ilk runs clean`: what there is, what it cost, and nothing deleted that was not named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ilk_process import start_ilk
from server import TeacherServer
from small_runs import bytes_of, calls, copied, made, make_workspace, recipe

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.records import Sample
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.keeping.runs import clean, show, size_of
from instructlab_like.stages.telling.why import why
from instructlab_like.workspace import FORMAT, Run, read_records


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of two recipes: the answers to the first are not needed now."""
    folder = tmp_path_factory.mktemp("runs")
    taxonomy = make_workspace(folder)
    with TeacherServer() as server:
        run = made(folder, "origin", recipe(taxonomy, server, pairs_per_prompt=2))
        generate(run, recipe(taxonomy, server), agreed=True)
    return run


@pytest.fixture
def root(origin: Run, tmp_path: Path) -> Path:
    shutil.copytree(origin.folder, tmp_path / "runs" / "one")
    return tmp_path / "runs"


def listed(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    capsys.readouterr()
    show(form="json", root=root)
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == 1
    return {run["name"]: run for run in found["runs"]}


def test_a_finished_run_is_listed_with_what_it_holds_and_cost(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(root / "one")
    with Ledger(run.ledger) as ledger:
        spent = ledger.spent
    found = listed(root, capsys)["one"]
    counts = manifest.read(run).counts
    assert found["state"] == "finished"
    assert (found["leaves"], found["samples"]) == (3, sum(leaf.kept for leaf in counts))
    assert (found["calls"], found["tokens_in"], found["tokens_out"]) == (
        spent.calls,
        spent.tokens_in,
        spent.tokens_out,
    )
    assert found["money"] == pytest.approx((spent.tokens_in + 2 * spent.tokens_out) / 1e6)
    assert found["bytes"] == size_of(run.folder)
    assert (found["format"], found["stages"]) == (FORMAT, ["generate"])


def test_the_table_says_the_same(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(root, capsys)["one"]
    show(root=root)
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["run", "state"]
    for value in ("one", "finished", str(found["samples"]), str(found["calls"]), f"{found['money']:.2f}"):
        assert value in line.split()


def test_states_are_told_apart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = Run(root / "one")
    runs = {name: copied(one, name) for name in ("busy", "begun", "old", "new", "torn", "cut", "half")}
    manifest.forget(runs["begun"], "generate")
    for name, format in (("old", FORMAT - 1), ("new", FORMAT + 1)):
        text = runs[name].manifest.read_text()
        runs[name].manifest.write_text(text.replace(f"format: {FORMAT}", f"format: {format}", 1))
    runs["torn"].manifest.write_text(f"format: {FORMAT}\nleaves: [")
    runs["cut"].ledger.write_bytes(b"no database" * 100)
    (runs["half"].folder / ".forgetting").write_text(
        '{"leaves": ["a"], "calls": [], "unused": [], "shared": 0, "samples": 0, "verdicts": 0}'
    )
    (root / "no run").mkdir()
    with Ledger(runs["busy"].ledger) as ledger:
        ledger.connection.execute("UPDATE calls SET finished = 0")
        found = listed(root, capsys)
    assert {name: run["state"] for name, run in found.items()} == {
        "one": "finished",
        "busy": "running",
        "begun": "incomplete",
        "old": "older format",
        "new": "newer format",
        "torn": "unreadable",
        "cut": "finished",
        "half": "half forgotten",
    }
    assert found["cut"]["calls"] is None
    assert found["busy"]["money"] is None
    assert found["old"]["calls"] == found["one"]["calls"]


def test_prices_that_are_not_known_give_no_money(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(root / "one")
    made_by = manifest.read(run)
    teacher = made_by.generate.teacher.model_copy(update={"price_in": None})
    told = made_by.generate.model_copy(update={"teacher": teacher})
    manifest.write(run, made_by.model_copy(update={"generate": told}))
    assert listed(root, capsys)["one"]["money"] is None


def test_no_runs_are_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(root=tmp_path / "runs")
    assert "ilk generate" in capsys.readouterr().out
    assert listed(tmp_path, capsys) == {}


def test_listing_changes_nothing(root: Path) -> None:
    before = bytes_of(root)
    show(root=root)
    assert bytes_of(root) == before


def littered(root: Path) -> Run:
    run = Run(root / "one")
    for name in (".2-samples.jsonl.ordered", ".run.yaml.ab12_d34"):
        (run.folder / name).write_text("left over")
        os.utime(run.folder / name, (0, 0))
    (run.folder / ".run.yaml.zz12zz34").write_text("being written")
    (run.training / "checkpoints" / "skills").mkdir(parents=True)
    (run.training / "checkpoints" / "skills" / "w").write_text("weights")
    run.adapter.mkdir()
    why(run, next(iter(read_records(run.samples, Sample))).id)
    return run


def test_without_a_name_nothing_is_deleted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    littered(root)
    before = bytes_of(root)
    clean([], checkpoints=False, calls=False, agreed=False, root=root)
    assert bytes_of(root) == before
    printed = capsys.readouterr().out
    for what in ("leftovers", "index", "checkpoints", "calls"):
        assert f"one: {what}" in printed
    for told in ({"checkpoints": True}, {"calls": True}, {"agreed": True}):
        with pytest.raises(InputError, match="no run is named"):
            clean([], **{"checkpoints": False, "calls": False, "agreed": False, "root": root, **told})
    assert bytes_of(root) == before


def test_without_consent_nothing_is_deleted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = littered(root)
    before = bytes_of(root)
    with pytest.raises(InputError) as caught:
        clean([run], checkpoints=True, calls=True, agreed=False)
    assert "--yes" in caught.value.fix
    assert bytes_of(root) == before


def test_what_costs_nothing_is_deleted(root: Path) -> None:
    run = littered(root)
    ledger = calls(run)
    clean([run], checkpoints=False, calls=False, agreed=True)
    left = {path.name for path in run.folder.iterdir()}
    assert ".run.yaml.zz12zz34" in left
    assert not left & {".2-samples.jsonl.ordered", ".run.yaml.ab12_d34", ".index"}
    assert (run.training / "checkpoints" / "skills" / "w").exists()
    assert calls(run) == ledger


def test_what_was_asked_for_is_deleted(root: Path) -> None:
    run = littered(root)
    before = calls(run)
    samples = run.samples.read_bytes()
    clean([run], checkpoints=True, calls=True, agreed=True)
    assert not (run.training / "checkpoints").exists()
    assert run.adapter.exists()
    needed = {turn.call for sample in read_records(run.samples, Sample) for turn in sample.lineage.turns}
    after = {key: call for key, call in calls(run).items() if call[-1] == "flow"}
    assert set(after) == needed
    assert all(before[key] == call for key, call in after.items())
    assert len(before) > len(after)
    generate(run, manifest.read(run).generate)
    assert run.samples.read_bytes() == samples


def test_checkpoints_stay_while_there_is_no_adapter(root: Path) -> None:
    run = littered(root)
    run.adapter.rmdir()
    clean([run], checkpoints=True, calls=False, agreed=True)
    assert (run.training / "checkpoints" / "skills" / "w").exists()


def test_calls_of_a_run_that_is_not_finished_stay(root: Path) -> None:
    run = littered(root)
    manifest.forget(run, "generate")
    before = calls(run)
    clean([run], checkpoints=False, calls=True, agreed=True)
    assert calls(run) == before


def test_a_run_that_is_used_is_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = littered(root)
    with Ledger(run.ledger) as ledger:
        ledger.connection.execute("UPDATE calls SET finished = 0")
        with pytest.raises(InputError, match="using this ledger"):
            clean([run], checkpoints=True, calls=True, agreed=True)
        clean([], checkpoints=False, calls=False, agreed=False, root=root)
    assert (run.training / "checkpoints").exists()


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run"):
        clean([Run(tmp_path / "none")], checkpoints=False, calls=False, agreed=True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("runs",), 0, "one  "),
        (("runs", "--format", "json"), 0, '"name": "one"'),
        (("runs", "clean"), 0, "one: calls"),
        (("runs", "clean", "one"), 2, "--yes"),
        (("runs", "clean", "two"), 2, "no such run"),
        (("runs", "forget", "nowhere", "--run", "one"), 2, "no such leaf"),
        (("runs", "merge", "one", "--into", "two"), 2, "two different runs"),
        (("runs", "merge", "one", "none", "--into", "two"), 2, "no such run"),
        (("why", "zz", "--run", "one"), 2, "nothing in this run"),
    ],
)
def test_commands_end_with_a_message(root: Path, words: tuple[str, ...], code: int, message: str) -> None:
    littered(root)
    with start_ilk(*words, cwd=root.parent) as child:
        printed, _ = child.communicate(timeout=60)
    assert child.returncode == code, printed
    assert message in printed
    assert "Traceback" not in printed
