"""`ilk runs forget`: no byte of a leaf is left in the run, nothing is asked, and a stop can be gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
from server import TeacherServer
from small_runs import (
    REFUSALS,
    SECRET,
    SUMS,
    TIDES,
    bytes_of,
    calls,
    copied,
    made,
    make_workspace,
    recipe,
)

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.records import Row, Sample, Verdict
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.keeping import forget as stage
from instructlab_like.stages.keeping.forget import forget, unfinished
from instructlab_like.stages.keeping.runs import look
from instructlab_like.stages.telling.why import why
from instructlab_like.workspace import Run, read_records


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of three leaves, in whose ledger there is an older version of one of them, too."""
    folder = tmp_path_factory.mktemp("forget")
    taxonomy = make_workspace(folder)
    qna = taxonomy / REFUSALS / "qna.yaml"
    now = qna.read_text()
    with TeacherServer() as server:
        told = recipe(taxonomy, server)
        qna.write_text(now.replace("Refuse request", "Refuse older request"))
        run = made(folder, "origin", told)
        qna.write_text(now)
        generate(run, told)
    with Ledger(run.ledger) as ledger:
        assert ledger.spent.calls == len(server.log)
    return run


@pytest.fixture
def run(origin: Run, tmp_path: Path) -> Run:
    """A copy; the server that made it is gone."""
    copy = copied(origin, tmp_path.name)
    copy.report.write_text(SECRET)
    copy.evaluation.mkdir()
    (copy.evaluation / "answers.jsonl").write_text(SECRET)
    (copy.folder / ".2-samples.jsonl.ab12cd34").write_text(SECRET)
    return copy


def leaves(run: Run) -> set[str]:
    """The leaves that stand in any of the run's files."""
    found = {sample.lineage.leaf for sample in read_records(run.samples, Sample)}
    found |= {verdict.leaf for verdict in read_records(run.verdicts, Verdict)}
    found |= {row.leaf for path in (run.dataset / "data").glob("*.jsonl") for row in read_records(path, Row)}
    return found | {origin.path for origin in manifest.read(run).leaves}


def test_no_byte_of_the_leaf_is_left(run: Run) -> None:
    assert SECRET.encode() in bytes_of(run.folder)
    forget(run, REFUSALS)
    assert SECRET.encode() not in bytes_of(run.folder)
    assert leaves(run) == {SUMS, TIDES}
    assert manifest.finished(manifest.read(run))
    assert manifest.read(run).generate.exclude == (REFUSALS,)


def test_other_leaves_keep_their_answers_and_samples(run: Run) -> None:
    before, samples = calls(run), list(read_records(run.samples, Sample))
    forget(run, REFUSALS)
    after = calls(run)
    kept = {key: call for key, call in after.items() if call[-1] == "flow"}
    assert kept
    assert all(before[key] == call for key, call in kept.items())
    assert list(read_records(run.samples, Sample)) == [one for one in samples if one.lineage.leaf != REFUSALS]


def test_the_books_keep_what_was_paid(run: Run) -> None:
    with Ledger(run.ledger) as ledger:
        before = ledger.spent
    forget(run, REFUSALS)
    with Ledger(run.ledger) as ledger:
        assert ledger.spent == before


def test_a_call_that_another_leaf_asks_too_stays(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    sample = next(one for one in read_records(run.samples, Sample) if one.lineage.leaf == REFUSALS)
    call = sample.lineage.turns[0].call
    shared = Verdict(subject=call, leaf=SUMS, filter="parse", version=1, keep=False, reason="shared")
    with run.verdicts.open("a") as file:
        file.write(shared.model_dump_json() + "\n")
    forget(run, REFUSALS)
    assert call in calls(run)
    assert "1 calls stay" in capsys.readouterr().out


def test_what_was_removed_is_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    made_of = [one for one in read_records(run.samples, Sample) if one.lineage.leaf == REFUSALS]
    used = {turn.call for one in made_of for turn in one.lineage.turns}
    run.training.mkdir()
    for twin in run.reports[1:]:
        twin.write_text("It quotes the leaf.")
    forget(run, REFUSALS)
    assert not any(path.exists() for path in run.reports)
    printed = capsys.readouterr()
    assert f"forgotten: {REFUSALS}" in printed.out
    assert f"{len(made_of)} samples" in printed.out
    assert f"{len(used) + 4} calls, 4 of them needed by no leaf" in printed.out
    assert "6-evaluation" in printed.out
    assert "7-report.html" in printed.out
    assert "ilk train" in printed.err


def test_calls_that_no_leaf_needs_may_be_kept(run: Run) -> None:
    forget(run, REFUSALS, keep_unused=True)
    assert sum(SECRET in str(call[2]) for call in calls(run).values()) == 4


def test_a_folder_of_leaves_and_the_taxonomys_own_folder_are_understood(run: Run) -> None:
    taxonomy = manifest.read(run).generate.taxonomy
    forget(run, f"{taxonomy}/compositional_skills/")
    assert leaves(run) == {TIDES}
    assert manifest.read(run).generate.exclude == (REFUSALS, SUMS)


def test_all_leaves_may_be_forgotten(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    known = next(iter(read_records(run.samples, Sample))).id
    forget(run, "compositional_skills")
    forget(run, TIDES)
    assert "no leaf is left" in capsys.readouterr().out
    assert not run.samples.exists()
    assert {call[-1] for call in calls(run).values()} == {"forgotten", "probe"}
    with pytest.raises(InputError):
        why(run, known)


def test_a_forgotten_leaf_stays_out_of_the_next_generation(run: Run) -> None:
    forget(run, REFUSALS)
    told = manifest.read(run).generate
    generate(run, told)
    assert leaves(run) == {SUMS, TIDES}
    generate(run, told.model_copy(update={"exclude": ()}))
    assert leaves(run) == {SUMS, TIDES}


@pytest.mark.parametrize("step", ["write_whole", "without", "erase", "discard", "tell", "generate"])
@pytest.mark.parametrize("before", [True, False])
def test_a_stop_at_any_step_can_be_gone_on_with(
    run: Run, step: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = leaves(run)
    real = getattr(stage, step)

    def stopped(*told: object, **named: object) -> object:
        if not before:
            real(*told, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            forget(run, REFUSALS)
    state, found = look(run)
    if step == "write_whole" and before:
        assert (state, leaves(run)) == ("finished", known)
    elif unfinished(run):
        assert state == "half forgotten"
    else:
        assert SECRET.encode() not in bytes_of(run.folder)
        assert state == ("finished" if step == "generate" and not before else "incomplete")
    if unfinished(run) or REFUSALS in {origin.path for origin in found.leaves}:
        forget(run, REFUSALS)
    else:
        generate(run, manifest.read(run).generate)
    assert SECRET.encode() not in bytes_of(run.folder)
    assert leaves(run) == {SUMS, TIDES}
    assert look(run)[0] == "finished"


def test_another_leaf_can_be_forgotten_after_a_stop(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stage, "erase", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forget(run, REFUSALS)
    forget(run, SUMS)
    assert leaves(run) == {TIDES}
    assert SECRET.encode() not in bytes_of(run.folder)


def test_a_leaf_that_is_not_there_names_the_nearest(run: Run) -> None:
    with pytest.raises(InputError) as caught:
        forget(run, "knowledge/sea/tydes")
    assert TIDES in caught.value.fix
    before = bytes_of(run.folder)
    for leaf in ("", "/", "nowhere", "knowledge/sea/tide"):
        with pytest.raises(InputError):
            forget(run, leaf)
    assert bytes_of(run.folder) == before


def test_a_run_that_is_not_finished_is_left_alone(run: Run) -> None:
    manifest.forget(run, "generate")
    before = bytes_of(run.folder)
    with pytest.raises(InputError) as caught:
        forget(run, REFUSALS)
    assert "not finished" in caught.value.what
    assert "ilk generate --run" in caught.value.fix
    assert bytes_of(run.folder) == before


def test_a_run_that_is_used_is_left_alone(run: Run) -> None:
    with Ledger(run.ledger), pytest.raises(InputError, match="using this ledger"):
        forget(run, REFUSALS)
    assert SECRET.encode() in bytes_of(run.folder)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run"):
        forget(Run(tmp_path / "none"), REFUSALS)
    assert list(tmp_path.iterdir()) == []
