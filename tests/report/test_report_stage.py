"""From a run's files to the report in its three forms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from invented import invented
from leaf_files import skill, write_leaf
from pydantic import BaseModel
from structure import sound

from instructlab_like.evaluation import summary
from instructlab_like.generation.ledger import Spent
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe, TrainRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.telling.report import report
from instructlab_like.tuning.choice import choose
from instructlab_like.tuning.measures import BASELINE, LeafLoss, SampleLoss, held_out_loss
from instructlab_like.workspace import Run, write_records

LEAF = "compositional_skills/arithmetic/clock_times"
OTHER = "compositional_skills/arithmetic/change_from_a_note"


SIMULATION = """\
parameters:
  a: {kind: integer, low: 1, high: 900}
  b: {kind: integer, low: 1, high: 900}
questions:
  - What is {{ a }} plus {{ b }}?
  - Add {{ a }} and {{ b }}.
answer: "{{ a + b }}"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two leaves with a real dataset; what training and evaluation leave behind is invented."""
    folder = tmp_path_factory.mktemp("report")
    for path in (LEAF, OTHER):
        write_leaf(folder / "tree", path, skill(), simulation=SIMULATION)
    run = Run(folder / "runs" / "small")
    generate(run, GenerateRecipe(taxonomy=str(folder / "tree"), samples_per_simulation=12))
    told = invented()
    items = [one for one in told.items if one.leaf in (LEAF, OTHER)]
    answers = [one for one in told.answers if one.item in {item.id for item in items}]
    put(run.evaluation / "items.jsonl", items)
    put(run.evaluation / "answers.jsonl", answers)
    so_far = manifest.read(run)
    summary.write(run.summary, summary.summarise(items, answers, enough=20, leaves=so_far.counts))
    train(run, last=0.4)
    teacher = TeacherRecipe(url="http://127.0.0.1:1/v1", model="big", price_in=1.0, price_out=4.0)
    assert so_far.generate is not None
    manifest.write(
        run,
        so_far.model_copy(
            update={
                "spent": {
                    "http:big": Spent(calls=7, tokens_in=1_000_000, tokens_out=500_000),
                    "local:abc": Spent(calls=2, tokens_in=10, tokens_out=20),
                },
                "generate": so_far.generate.model_copy(update={"teacher": teacher}),
                "train": TrainRecipe(),
                "inputs": so_far.inputs | {"train": "t", "evaluate": "e"},
            }
        ),
    )
    return run


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(made.folder, tmp_path / "runs" / "small")))


def put(path: Path, records: Sequence[BaseModel]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_records(path, records)


def train(run: Run, *, last: float) -> None:
    losses = [
        LeafLoss(phase="skills", step=step, leaf=leaf, tokens=10, loss=loss)
        for leaf in (LEAF, OTHER)
        for step, loss in ((1, 3.0), (9, last))
    ]
    held = [
        held_out_loss(phase=phase, step=step, group=LEAF, teacher="", tokens=(5, 6, 4), nats=(loss, 1.2 * loss, loss))
        for phase, step, loss in ((BASELINE, 0, 9.0), ("skills", 9, 2.0))
    ]
    seen = [
        SampleLoss(phase="skills", step=9, leaf=LEAF, sample=f"{n:032}", tokens=5, loss=8.0 if n == 5 else 0.1)
        for n in range(12)
    ]
    put(run.training / "losses.jsonl", losses)
    put(run.training / "heldout.jsonl", held)
    put(run.training / "samples.jsonl", seen)
    put(run.training / "choice.jsonl", [choose("skills", [9], held, leaves={LEAF}, margin=0.1)])


def test_the_page_tells_scores_cost_and_what_was_learnt(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    report(run)
    said = " ".join(sound(run.report.read_text("utf-8")).text.split())
    assert "The tree at a glance" in said
    assert "http:big 7 1,000,000 500,000 3.0000" in said
    assert "local:abc 2 10 20 no price given" in said
    assert "the checkpoint after step 9 goes on" in said
    assert "What each leaf learnt" in said
    assert "Samples that stand out 1 of 1" in said
    assert sum(f"Recipe to {stage}" in said for stage in ("generate", "train", "evaluate")) == 2
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert str(run.report) in told
    assert "samples that stand out: 1" in told
    assert LEAF[-30:] in told


def test_markdown_and_json_go_beside_the_page(run: Run) -> None:
    report(run, "markdown")
    report(run, "json")
    assert not run.report.exists()
    text = run.report.with_suffix(".md").read_text("utf-8")
    told = json.loads(run.report.with_suffix(".json").read_bytes())
    assert f"`{LEAF}`" in text
    assert told["run"] == "small"
    assert told["summary"] == json.loads(run.summary.read_bytes())
    assert [leaf["path"] for leaf in told["leaves"]] == [OTHER, LEAF]


def test_nothing_is_written_twice(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    report(run)
    before = run.report.stat().st_mtime_ns, run.report.read_bytes()
    capsys.readouterr()
    report(run)
    printed = capsys.readouterr()
    assert "up to date" in printed.out + printed.err
    assert (run.report.stat().st_mtime_ns, run.report.read_bytes()) == before
    run.report.unlink()
    report(run)
    assert run.report.read_bytes() == before[1]


def test_when_a_run_changes_no_form_of_its_report_is_left_behind(run: Run) -> None:
    report(run)
    report(run, "markdown")
    page, text = run.report.read_text("utf-8"), run.report.with_suffix(".md").read_text("utf-8")
    assert "3.00 → 0.40" in text
    train(run, last=1.7)
    report(run, "json")
    assert run.report.read_text("utf-8") != page
    assert "3.00 → 1.70" in run.report.with_suffix(".md").read_text("utf-8")
    assert "3.00 → 1.70" in " ".join(sound(run.report.read_text("utf-8")).text.split())


def test_a_leaf_that_was_forgotten_is_not_in_the_report(run: Run) -> None:
    made = manifest.read(run)
    assert made.generate is not None
    manifest.write(run, made.model_copy(update={"generate": made.generate.model_copy(update={"exclude": (OTHER,)})}))
    report(run, "json")
    told = json.loads(run.report.with_suffix(".json").read_bytes())
    assert [leaf["path"] for leaf in told["leaves"]] == [LEAF]


def test_a_run_without_training_has_a_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (*run.training.iterdir(), *run.evaluation.iterdir()):
        path.unlink()
    report(run)
    assert "This run has no scores yet." in sound(run.report.read_text("utf-8")).text
    printed = capsys.readouterr()
    assert "loss" not in printed.out + printed.err
