"""`ilk why`: everything about a sample or a call, out of the run's own files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from leaf_files import git
from server import TeacherServer, failing
from small_runs import SUMS, TIDES, copied, made, make_workspace, recipe
from teacher_answers import answered

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.records import Row, Sample, Verdict
from instructlab_like.stages.telling.why import why
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, read_records

UNREADABLE = "I would rather not. \x1b[31mred"


@dataclass(frozen=True)
class Workspace:
    folder: Path
    taxonomy: Path
    run: Run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run with samples of two flows and of the rules, an answer that cannot be read, and a call that failed."""
    folder = tmp_path_factory.mktemp("why")
    taxonomy = make_workspace(folder)
    odd: list[bytes] = []

    def replied(request: dict) -> str:
        if not odd:
            odd.append(orjson.dumps(request["messages"]))
        return UNREADABLE if orjson.dumps(request["messages"]) == odd[0] else answered(request)

    with TeacherServer(faults={1: failing(400, "too long for me")}, answer=replied) as server:
        run = made(folder, "r", recipe(taxonomy, server))
    return Workspace(folder, taxonomy, run)


def samples(run: Run) -> list[Sample]:
    return list(read_records(run.samples, Sample))


def verdicts(run: Run) -> list[Verdict]:
    return list(read_records(run.verdicts, Verdict))


def told(run: Run, subject: str, capsys: pytest.CaptureFixture[str]) -> str:
    why(run, subject)
    return capsys.readouterr().out


def as_json(run: Run, subject: str, capsys: pytest.CaptureFixture[str]) -> dict:
    why(run, subject, form="json")
    return json.loads(capsys.readouterr().out)


def of_teacher(run: Run, leaf: str) -> Sample:
    return next(sample for sample in samples(run) if sample.lineage.leaf == leaf and sample.lineage.turns)


def test_a_samples_story_is_whole(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run, sample = workspace.run, of_teacher(workspace.run, TIDES)
    text = told(run, sample.id, capsys)
    (turn,) = sample.lineage.turns
    head = git(workspace.folder, "rev-parse", "HEAD")
    assert sample.question in text
    assert sample.answer in text
    assert f"{TIDES} (blob {sample.lineage.leaf_blob[:12]})" in text
    assert f"commit {head[:12]} by Ann" in text
    for part in (turn.step, turn.role, turn.model, turn.template, turn.template_blob[:12], turn.call):
        assert part in text
    assert f"group {turn.position + 1} of its answer" in text
    assert "--- user" in text
    assert "--- answer (stop)" in text
    assert "tides.md, bytes " in text
    for verdict in verdicts(run):
        if verdict.subject == sample.id:
            assert f"{verdict.filter}/{verdict.version}: {verdict.reason}" in text


def test_the_json_form_says_the_same(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run, sample = workspace.run, of_teacher(workspace.run, TIDES)
    story = as_json(run, sample.id, capsys)
    assert Sample.model_validate(story["sample"]) == sample
    assert story["leaf"]["path"] == TIDES
    assert story["leaf"]["author"] == "Ann"
    assert story["leaf"]["dirty"] is False
    assert [Verdict.model_validate(found) for found in story["verdicts"]] == [
        verdict for verdict in verdicts(run) if verdict.subject == sample.id
    ]
    (turn,) = story["turns"]
    assert turn["turn"]["call"] == sample.lineage.turns[0].call
    assert turn["call"]["messages"][-1]["role"] == "user"
    assert sample.answer in turn["call"]["text"]
    assert (turn["call"]["attempts"], turn["call"]["state"]) == (1, "answered")
    chunk = story["chunk"]
    document = (workspace.taxonomy / TIDES / chunk["document"].split("/")[-1]).read_bytes()
    assert document[chunk["start"] : chunk["end"]].decode() == sample.context
    assert story["format"] == 2


def test_the_line_of_the_seed_example_is_that_of_the_leaf(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    leaves = {leaf.path: leaf for leaf in read_tree(workspace.taxonomy)[0]}
    seen = set()
    for sample in samples(workspace.run):
        number = sample.lineage.seed
        if number is None or (sample.lineage.leaf, number) in seen:
            continue
        seen.add((sample.lineage.leaf, number))
        line = leaves[sample.lineage.leaf].seeds[number - 1].line
        place = f"{workspace.taxonomy / sample.lineage.leaf / 'qna.yaml'}:{line} (example {number})"
        assert place in told(workspace.run, sample.id, capsys)
    assert len(seen) > 4


def test_a_leaf_that_has_changed_has_no_line(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    file = workspace.taxonomy / SUMS / "qna.yaml"
    before = file.read_bytes()
    sample = of_teacher(workspace.run, SUMS)
    file.write_bytes(b"# a comment\n" + before)
    try:
        story = as_json(workspace.run, sample.id, capsys)
        assert story["seed"] == {"number": sample.lineage.seed, "file": str(file), "line": None}
        assert "which has changed since" in told(workspace.run, sample.id, capsys)
    finally:
        file.write_bytes(before)


def test_every_sample_is_where_it_is_said_to_be(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace.run
    rows = {
        path.name.removesuffix(".jsonl").split("-")[-1]: {row.sample for row in read_records(path, Row)}
        for path in (run.dataset / "data").glob("*.jsonl")
    }
    sides = {sample.id: as_json(run, sample.id, capsys)["dataset"]["split"] for sample in samples(run)}
    train = {row.sample for path in (run.dataset / "data").glob("*-train.jsonl") for row in read_records(path, Row)}
    assert {id for id, side in sides.items() if side == "test"} == rows["test"] != set()
    assert {id for id, side in sides.items() if side == "train"} == train != set()


def test_a_rejected_sample_names_what_rejected_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = copied(workspace.run, "rejected")
    sample = samples(run)[0]
    rows = [verdict for verdict in verdicts(run) if verdict.subject != sample.id]
    no = Verdict(subject=sample.id, leaf=sample.lineage.leaf, filter="length", version=1, keep=False, reason="short")
    run.verdicts.write_text("".join(row.model_dump_json() + "\n" for row in [no, *rows]))
    assert as_json(run, sample.id, capsys)["dataset"] == {"split": None, "reason": "length rejected it"}
    assert "REJECTED  length/1: short" in told(run, sample.id, capsys)


def test_an_answer_that_could_not_be_read_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace.run
    verdict = next(found for found in verdicts(run) if len(found.subject) == 64 and "no answer" not in found.reason)
    text = told(run, verdict.subject[:20], capsys)
    assert verdict.subject in text
    assert verdict.leaf in text
    assert f"REJECTED  parse/{verdict.version}: {verdict.reason}" in text
    assert "I would rather not. \\x1b[31mred" in text
    assert "\x1b" not in text


def test_a_call_that_failed_is_told_with_its_attempts(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace.run
    verdict = next(found for found in verdicts(run) if "no answer" in found.reason)
    story = as_json(run, verdict.subject, capsys)
    assert story["call"]["state"] == "failed"
    assert story["call"]["attempts"] == 1
    assert "too long for me" in story["call"]["error"]
    assert story["asked"][0]["leaf"] == verdict.leaf
    text = told(run, verdict.subject, capsys)
    assert "attempts  1" in text
    assert "too long for me" in text


def test_a_call_names_the_samples_that_came_of_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run, sample = workspace.run, of_teacher(workspace.run, TIDES)
    call = sample.lineage.turns[0].call
    story = as_json(run, call, capsys)
    assert set(story["samples"]) == {
        found.id for found in samples(run) if call in [turn.call for turn in found.lineage.turns]
    }
    assert {asked["leaf"] for asked in story["asked"]} == {TIDES}
    assert {(asked["step"], asked["role"]) for asked in story["asked"]} == {
        (sample.lineage.turns[0].step, sample.lineage.turns[0].role)
    }


def test_a_sample_of_the_rules_needs_no_call(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    sample = next(found for found in samples(workspace.run) if found.lineage.method == "rules")
    text = told(workspace.run, sample.id, capsys)
    assert "evidence" in text
    assert "tides.md, bytes " in text
    assert "--- user" not in text


def test_a_beginning_is_enough(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [sample.id for sample in samples(workspace.run)]
    sample = next(id for id in ids if sum(other.startswith(id[:6]) for other in ids) == 1)
    assert told(workspace.run, sample[:6], capsys) == told(workspace.run, sample, capsys)
    assert told(workspace.run, sample[:20], capsys) == told(workspace.run, sample, capsys)


def test_a_beginning_of_many_lists_them(workspace: Workspace) -> None:
    ids = {sample.id for sample in samples(workspace.run)} | {found.subject for found in verdicts(workspace.run)}
    with Ledger(workspace.run.ledger) as ledger:
        ids |= {key for (key,) in ledger.connection.execute("SELECT key FROM calls")}
    for digit in "0123456789abcdef":
        some = sorted(id for id in ids if id.startswith(digit))
        if len(some) > 1:
            with pytest.raises(InputError) as caught:
                why(workspace.run, digit)
            assert f"{len(some)} ids begin with {digit!r}" in caught.value.what
            assert all(id in caught.value.what for id in some[:20])


@pytest.mark.parametrize("subject", ["zzz", "0" * 32, "~", "", "  ", "\udc80", "é" * 40])
def test_an_id_that_is_nowhere_is_refused(workspace: Workspace, subject: str) -> None:
    with pytest.raises(InputError):
        why(workspace.run, subject)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run"):
        why(Run(tmp_path / "none"), "a")


def test_while_a_run_holds_the_ledger_the_rest_is_told(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(workspace.run, "busy")
    sample = of_teacher(run, TIDES)
    with Ledger(run.ledger) as ledger:
        with ledger.transaction():
            ledger.connection.execute("UPDATE calls SET finished = 0")
        text = told(run, sample.id, capsys)
    assert sample.question in text
    assert "a run is using the ledger" in text


def test_files_that_are_growing_are_read_as_far_as_they_go(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(workspace.run, "growing")
    lines = run.samples.read_bytes().splitlines(keepends=True)
    sample = Sample.model_validate_json(lines[0])
    run.samples.write_bytes(lines[0] + lines[1][:30])
    run.verdicts.write_bytes(b"")
    assert as_json(run, sample.id, capsys)["verdicts"] == []
    run.verdicts.unlink()
    run.plan.unlink()
    assert sample.question in told(run, sample.id, capsys)


def test_what_others_wrote_does_not_act_on_a_terminal(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = copied(workspace.run, "hostile")
    sample = samples(run)[0].model_copy(update={"question": "q\x1b[2J\u202e", "answer": "one\ntwo\x07"})
    run.samples.write_text(sample.model_dump_json() + "\n")
    text = told(run, sample.id, capsys)
    assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert "one\ntwo\\x07" in text


def test_the_command_imports_no_records(tmp_path: Path) -> None:
    code = "import sys, instructlab_like.stages.telling.why; print('pydantic.main' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "False"
