"""Runs of other formats: a newer one is refused, an older one is taken on by `ilk generate` without asking again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from server import TeacherServer
from small_runs import REFUSALS, bytes_of, calls, copied, made, make_workspace, recipe

from instructlab_like.errors import InputError
from instructlab_like.recipe import EvaluateRecipe, TrainRecipe
from instructlab_like.records import Sample
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import evaluate
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.keeping.forget import forget
from instructlab_like.stages.keeping.merge import merge
from instructlab_like.stages.keeping.runs import look
from instructlab_like.stages.telling.report import report
from instructlab_like.stages.telling.why import why
from instructlab_like.stages.training.train import train
from instructlab_like.workspace import FORMAT, Run, read_records

FIRST = ("key", "request", "model", "state", "attempts", "answer", "error", "intended", "finished")
LATER = ("kind", "lost", "tokens_in", "tokens_out", "purpose")
COMMANDS: dict[str, Callable[[Run], None]] = {
    "why": lambda run: why(run, "a"),
    "report": report,
    "train": lambda run: train(run, TrainRecipe()),
    "evaluate": lambda run: evaluate(run, EvaluateRecipe()),
    "forget": lambda run: forget(run, REFUSALS),
    "merge": lambda run: merge([run, Run(run.folder.with_name("other"))], Run(run.folder.with_name("both"))),
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("format")
    with TeacherServer() as server:
        return made(folder, "origin", recipe(make_workspace(folder), server))


@pytest.fixture
def run(origin: Run, tmp_path: Path) -> Run:
    return copied(origin, tmp_path.name)


def said(run: Run, format: int) -> None:
    told = yaml.safe_load(run.manifest.read_text())
    run.manifest.write_text(yaml.safe_dump({**told, "format": format}, sort_keys=False))


def aged(run: Run) -> Run:
    """The run as format 1 had it: with `methods` in its recipe, and a ledger that counts no tokens."""
    told = yaml.safe_load(run.manifest.read_text())
    told["generate"]["methods"] = ["teacher", "rules"]
    for name in ("flows", "roles", "budget", "exclude"):
        del told["generate"][name]
    del told["spent"]
    run.manifest.write_text(yaml.safe_dump({**told, "format": 1}, sort_keys=False))
    with sqlite3.connect(run.ledger) as connection:
        connection.execute("DELETE FROM calls WHERE purpose != 'flow'")
        for name in LATER:
            connection.execute(f"ALTER TABLE calls DROP COLUMN {name}")
        assert [row[1] for row in connection.execute("PRAGMA table_info(calls)")] == list(FIRST)
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_newer_run_is_refused_by_name(run: Run, command: str) -> None:
    said(run, FORMAT + 1)
    before = bytes_of(run.folder)
    with pytest.raises(InputError, match=f"newer version \\(format {FORMAT + 1}, this one knows {FORMAT}\\)"):
        COMMANDS[command](run)
    assert bytes_of(run.folder) == before


def test_nor_is_a_newer_run_generated_anew(run: Run) -> None:
    told = manifest.read(run).generate
    said(run, FORMAT + 1)
    before = bytes_of(run.folder)
    with pytest.raises(InputError, match="newer version"):
        generate(run, told, agreed=True)
    assert bytes_of(run.folder) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_read_an_older_run_say_what_brings_it_up_to_date(run: Run, command: str) -> None:
    aged(run)
    before = bytes_of(run.folder)
    with pytest.raises(InputError) as caught:
        COMMANDS[command](run)
    assert caught.value.what == f"was written by format 1, this is format {FORMAT}"
    assert f"ilk generate --run {run.name}" in caught.value.fix
    assert "no answer is asked again" in caught.value.fix
    assert bytes_of(run.folder) == before


def test_an_older_run_is_generated_anew_without_asking(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The server that made it is gone: a call would end the run."""
    told = manifest.read(run).generate
    samples, ledger = run.samples.read_bytes(), calls(run)
    aged(run)
    generate(run, told)
    assert "was written by format 1" in capsys.readouterr().out
    assert run.samples.read_bytes() == samples
    assert look(run)[0] == "finished"
    kept = {key: call for key, call in ledger.items() if call[-1] == "flow"}
    assert {key: call for key, call in calls(run).items() if call[-1] == "flow"} == kept
    why(run, next(iter(read_records(run.samples, Sample))).id)


def test_taking_on_an_older_run_is_whole_at_any_moment(run: Run) -> None:
    """Between run.yaml and the rest, it is a run that has made nothing yet, with its answers."""
    told = manifest.read(run).generate
    aged(run)
    manifest.renew(run)
    assert look(run)[0] == "incomplete"
    manifest.renew(run)
    generate(run, told)
    assert look(run)[0] == "finished"


def test_a_run_of_this_format_is_not_renewed(run: Run) -> None:
    before = bytes_of(run.folder)
    manifest.renew(run)
    manifest.renew(Run(run.folder.with_name("none")))
    assert bytes_of(run.folder) == before
