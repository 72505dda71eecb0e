"""What the commands say after real trainings: which leaves gained, which leaf did harm, what was forgotten.

All of them train the tiny base on leaves of the starter taxonomy, with fewer samples than the demo has.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from ilk_process import start_ilk
from leaf_files import write_leaf

from instructlab_like.evaluation import summary
from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Effect
from instructlab_like.workspace import Run

STARTER = Path(__file__).parents[2] / "taxonomy"
MODEL = "training/base/model"
LABELS = "compositional_skills/office/filing/file_label"
PARCELS = "compositional_skills/office/post/parcel_class"
PLANTED = "compositional_skills/numbers/larger_number"
WATCHED = "compositional_skills/numbers/bigger_of_two"
REPLAY = 0.3  # of the rows, of the base's own tasks
PATIENCE = 900.0  # seconds for one command

# The base answers such questions without a fault. The leaf trains it to name the smaller number instead; what
# measures the leaf are draws of the same simulation, and questions that somebody has answered rightly.
WRONG = """\
parameters:
  small: {kind: integer, low: 1, high: 25}
  large: {kind: integer, low: 26, high: 50}
questions:
  - Which is larger, {{ small }} or {{ large }}?
  - Which is larger, {{ large }} or {{ small }}?
  - "Which number is bigger: {{ small }} or {{ large }}?"
  - "Which number is bigger: {{ large }} or {{ small }}?"
answer: "{{ small }}"
"""
ASKED = ("Which is larger, {} or {}?", "Which number is bigger: {} or {}?")


def comparing(*pairs: tuple[int, int], answer: Callable[[tuple[int, int]], int]) -> dict[str, object]:
    """A skill's qna.yaml. Its numbers are none of the simulation's and of the held-out questions'."""
    seeds = [
        {"question": ASKED[number % 2].format(*pair), "answer": str(answer(pair))} for number, pair in enumerate(pairs)
    ]
    task = "Say which of two numbers is the larger one. Answer with the number alone."
    return {"version": 3, "created_by": "ann", "task_description": task, "seed_examples": seeds}


def right_answers(count: int, *, seed: int) -> str:
    """A heldout.yaml of so many comparisons."""
    rng = random.Random(seed)
    asked: dict[str, str] = {}
    while len(asked) < count:
        pair = rng.sample(range(1, 51), 2)
        asked[rng.choice(ASKED).format(*pair)] = str(max(pair))
    return yaml.safe_dump({"questions": [{"question": one, "answer": answer} for one, answer in asked.items()]})


@dataclass(frozen=True)
class Judged:
    """What `ilk evaluate --gate` and `ilk report` made of a run."""

    code: int
    summary: Summary = field(repr=False)
    printed: str = field(repr=False)
    page: str = field(repr=False)

    def leaf(self, path: str, checkpoint: int = 0) -> Effect:
        return next(one for one in self.summary.checkpoints[checkpoint].leaves if one.leaf == path)

    @property
    def reasons(self) -> tuple[str, ...]:
        assert self.summary.gate is not None
        return self.summary.gate.reasons


def said(*words: str, folder: Path) -> tuple[int, str]:
    """The exit code of a command and what it printed."""
    with start_ilk(*words, cwd=folder) as child:
        try:
            printed, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    return child.returncode, printed


def done(*words: str, folder: Path) -> str:
    code, printed = said(*words, folder=folder)
    assert code == 0, printed
    return printed


def recipe(folder: Path, name: str, *, replay: float = REPLAY, **evaluate: object) -> str:
    """Write a recipe; returns its path."""
    sections = {
        "generate": {
            "flows": ["simulation"],
            "samples_per_simulation": 120,
            "replay": "training/base/replay.jsonl",
            "replay_share": replay,
        },
        "train": {
            "model": MODEL,
            "lora": {"rank": 32, "alpha": 64, "dropout": 0.05},
            "phases": [{"name": "skills", "epochs": 5, "learning_rate": 3e-3}],
            "row_tokens": 512,
            "batch_tokens": 1024,
            "threads": 1,
        },
        "evaluate": {"threads": 1, "max_new_tokens": 16, "simulation_items": 40, **evaluate},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return str(path)


def trained(folder: Path, name: str, *leaves: str, replay: float = REPLAY) -> tuple[str, ...]:
    """Generate from these leaves alone and train; returns the options that name run and recipe."""
    told = ("--run", name, "--recipe", recipe(folder, name, replay=replay))
    done("generate", *told, *(part for leaf in leaves for part in ("--leaf", leaf)), folder=folder)
    done("train", *told, folder=folder)
    return told


def judged(folder: Path, *told: str) -> Judged:
    """Evaluate a run at the gate, and report."""
    run = Run(folder / "runs" / told[1])
    code, printed = said("evaluate", *told, "--gate", folder=folder)
    done("report", "--run", run.name, folder=folder)
    return Judged(code, summary.read(run.summary), printed, run.report.read_text(encoding="utf-8"))


def rows(html: str, cell: str) -> list[str]:
    """The text of a page's table rows of which the first cell says `cell`."""
    texts = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)]
    return [text for text in texts if text.startswith(f"{cell} ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two starter leaves, a leaf with planted wrong answers, and one that is asked and never trained."""
    folder = tmp_path_factory.mktemp("taught")
    tree = folder / "taxonomy"
    for leaf in (LABELS, PARCELS):
        shutil.copytree(STARTER / leaf, tree / leaf)
    wrong = comparing((61, 87), (93, 58), (72, 66), (55, 84), (97, 79), answer=min)
    right = comparing((88, 53), (64, 91), (57, 75), (99, 68), (81, 62), answer=max)
    write_leaf(tree, PLANTED, wrong, simulation=WRONG, heldout=right_answers(40, seed=1))
    write_leaf(tree, WATCHED, right, heldout=right_answers(40, seed=2))
    return folder


# --- as it should be, and with a leaf taken out -------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(folder: Path) -> Judged:
    """Trained on both starter leaves, and beside it the same without the labels; both are asked everything."""
    told = trained(folder, "both", LABELS, PARCELS, WATCHED)
    trained(folder, "without", PARCELS, WATCHED)
    adapters = [part for name in ("both", "without") for part in ("--checkpoint", f"runs/{name}/5-training/adapter")]
    return judged(folder, *told, *adapters)


def test_leaves_that_were_trained_are_better_and_the_gate_passes(taught: Judged) -> None:
    for leaf in (LABELS, PARCELS):
        found = taught.leaf(leaf)
        assert found.effect == "better", taught.printed
        assert found.base <= 0.1
        assert found.delta[1] >= 0.1
    assert taught.code == 0, taught.printed
    assert not taught.reasons
    assert "gate: passes" in taught.printed
    assert taught.leaf(WATCHED).effect == "tied"


def test_a_leaf_taken_out_of_training_shows_no_gain(taught: Judged) -> None:
    left_out = taught.leaf(LABELS, checkpoint=1)
    assert left_out.effect in ("tied", "underpowered"), taught.printed
    assert abs(left_out.delta[1]) <= 0.05
    assert taught.leaf(PARCELS, checkpoint=1).delta[1] >= 0.1  # what was trained beside it still gained


def test_the_report_shows_each_leaf_s_effect_by_checkpoint(taught: Judged) -> None:
    assert "The gate passes" in taught.page
    for leaf in (LABELS, PARCELS, WATCHED):
        named = rows(taught.page, leaf.rpartition("/")[2])
        shown = [row for row in named if " q " in row and " · " not in row]  # parts have rows of their own
        assert len(shown) == 2
        for checkpoint, row in enumerate(shown):
            effect = taught.leaf(leaf, checkpoint)
            assert f"{effect.tuned:.2f}" in row
            assert effect.effect in row


# --- a leaf whose answers are wrong -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harmed(folder: Path) -> Judged:
    return judged(folder, *trained(folder, "harmed", PARCELS, PLANTED, WATCHED))


def test_a_leaf_with_wrong_answers_is_worse_where_a_person_wrote_the_questions(harmed: Judged) -> None:
    parts = {one.part: one for one in harmed.summary.checkpoints[0].parts if one.leaf == PLANTED}
    assert parts["written"].effect == "worse"
    assert parts["written"].delta[1] <= -0.5
    assert parts["simulation"].effect == "better"  # the draws have the planted answers
    assert harmed.leaf(PLANTED).effect != "better"
    assert harmed.leaf(PARCELS).effect == "better"


def test_it_stops_the_gate_by_the_leaf_that_it_spoils(harmed: Judged) -> None:
    assert harmed.code == 1
    assert harmed.leaf(WATCHED).effect == "worse"
    assert any(reason.startswith(f"tuned: {WATCHED} is worse: 1.00 → ") for reason in harmed.reasons)
    assert any(reason.startswith(f"tuned: {PLANTED} · written is worse: ") for reason in harmed.reasons)
    assert f"{WATCHED} is worse" in harmed.printed
    assert not any(PARCELS in reason for reason in harmed.reasons)


def test_by_its_written_questions_alone_it_is_named_itself(harmed: Judged, folder: Path) -> None:
    """One draw of its simulation instead of as many as there are written questions; nothing is trained again."""
    told = recipe(folder, "written", simulation_items=1)
    found = judged(folder, "--run", "harmed", "--recipe", told)
    assert found.code == 1
    effect = found.leaf(PLANTED)
    assert effect.effect == "worse"
    assert effect.q is not None
    assert effect.q < 0.05
    assert any(reason.startswith(f"tuned: {PLANTED} is worse: ") for reason in found.reasons)
    assert "The gate fails" in found.page
    assert any("worse" in row for row in rows(found.page, PLANTED.rpartition("/")[2]))


# --- the base's own tasks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgetful(folder: Path) -> Judged:
    """The same leaves, steps and rate as in the run that passes; only the replay is missing."""
    return judged(folder, *trained(folder, "forgetful", LABELS, PARCELS, WATCHED, replay=0.0))


def test_forgetting_without_replay_stops_the_gate(forgetful: Judged) -> None:
    (checkpoint,) = forgetful.summary.checkpoints
    base = next(row for row in checkpoint.kept if row.name == "base")
    assert base.verdict == "lost", forgetful.printed
    assert base.delta[1] <= -0.2
    assert forgetful.code == 1
    assert any("the mean of the base's own tasks lost more than 0.05" in reason for reason in forgetful.reasons)
    assert forgetful.leaf(PARCELS).effect == "better"  # what it cost shows nowhere among the leaves that were trained


def test_the_report_shows_what_was_forgotten(forgetful: Judged) -> None:
    assert "The gate fails" in forgetful.page
    assert any("lost" in row for row in rows(forgetful.page, "base"))
    assert "raise replay_share" in forgetful.page


def test_with_replay_nothing_of_the_base_is_lost(taught: Judged) -> None:
    for checkpoint in taught.summary.checkpoints:
        assert [row.name for row in checkpoint.kept if row.verdict == "lost"] == []
