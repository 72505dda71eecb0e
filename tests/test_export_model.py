"""`ilk export --merged` and the model card as a user meets them: a run, an adapter, one message for each mistake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ilk_process import file_digests
from merged_run import LEAVES, finished_run, write_adapter, write_rows
from peft import PeftModel
from tiny_chat_model import save_base
from transformers import AutoModelForCausalLM, pipeline

from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.summary import BaseScore, CheckpointScore, Summary
from instructlab_like.records import Effect, Item
from instructlab_like.stages.exporting.export_model import base_of, conversations, export_merged, in_turn
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import model_card
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.choice import Choice
from instructlab_like.tuning.measures import HeldOutLoss
from instructlab_like.workspace import Run, write_records

IDS = torch.tensor([[5, 60, 7, 8, 200, 31, 4, 90]])


def ilk(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    save_base(folder / "base")
    finished_run(folder, "base")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change, and is in."""
    folder = shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path) -> Run:
    return Run(Path("runs/default"))


def same(one: Path, folder: Path, base: Path) -> bool:
    """Whether the model in `folder` says what the adapter says on its base."""
    with torch.inference_mode():
        wanted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), one)(input_ids=IDS).logits
        found = AutoModelForCausalLM.from_pretrained(folder)(input_ids=IDS).logits
    return torch.allclose(wanted, found, atol=1e-3)


def test_the_command_writes_a_model_that_needs_nothing_beside_it(made: Path, tmp_path: Path) -> None:
    done = ilk("export", "--merged", tmp_path / "out", cwd=made)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 prompts, " in done.stdout
    assert "100.00% same arg-max" in done.stdout
    assert same(made / "runs/default/5-training/adapter", tmp_path / "out", made / "base")
    asked = pipeline("text-generation", model=str(tmp_path / "out"))
    answer = asked([{"role": "user", "content": "How much is 1 plus 1?"}], max_new_tokens=4, do_sample=False)
    assert answer[0]["generated_text"][-1]["role"] == "assistant"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "library_name: transformers" in card
    assert f"| `{LEAVES[0]}` | 5 | rules/1 | `cccccccccccc` | Ann \\| Lee |" in card
    assert "- the files, in float32: at most " in card


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("out",), "neither --for nor --merged is given"),
        (("out", "--merged", "--for", "hf"), "both --for and --merged are given"),
        (("out", "--merged", "--suffix", "x"), "--suffix: is an option of --for"),
        (("out", "--for", "hf", "--dtype", "float32"), "--dtype: is an option of --merged"),
        (("base", "--merged"), "base: is there already"),
        (("out", "--merged", "--run", "none"), "there is no such run"),
        (("out", "--merged", "--adapter", "base"), "adapter_config.json is missing"),
        (("out", "--merged", "--adapter", "nowhere"), "there is no such adapter folder"),
        (("out", "--merged", "--model", "nowhere/at/all"), "there is no such model folder"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(made: Path, words: tuple[str, ...], told: str) -> None:
    before = file_digests(made)
    done = ilk("export", *words, cwd=made)
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert file_digests(made) == before


def test_another_adapter_is_merged_into_the_base_that_it_names(here: Path, run: Run) -> None:
    write_adapter(here / "mine", here / "base", name="./base", seed=7)
    export_merged(run, here / "out", adapter="mine")
    assert same(here / "mine", here / "out", here / "base")
    card = (here / "out" / "README.md").read_text()
    assert "## Data" not in card  # the run's data are not those of this adapter
    assert "## Merge" in card


def test_an_adapter_needs_no_run(here: Path) -> None:
    write_adapter(here / "mine", here / "base", name="./base")
    export_merged(Run(Path("runs/none")), here / "out", adapter="mine")
    assert same(here / "mine", here / "out", here / "base")


def test_a_base_that_moved_is_named_with_model(here: Path, run: Run) -> None:
    (here / "base").rename(here / "moved")
    with pytest.raises(InputError, match="neither a folder here"):
        export_merged(run, here / "out")
    export_merged(run, here / "out", model="moved")
    assert same(run.adapter, here / "out", here / "moved")


def test_a_run_that_is_not_trained_has_nothing_to_merge(here: Path, run: Run) -> None:
    shutil.rmtree(run.adapter)
    with pytest.raises(InputError, match="this run has no adapter"):
        export_merged(run, here / "out")


def test_the_same_run_gives_the_same_bytes_elsewhere(here: Path, run: Run, tmp_path: Path) -> None:
    export_merged(run, here / "out")
    other = shutil.copytree(here, tmp_path / "other")
    shutil.rmtree(other / "out")
    (other / "runs/default").rename(other / "runs/renamed")
    os.chdir(other)
    export_merged(Run(Path("runs/renamed")), other / "out")
    assert file_digests(here / "out") == file_digests(other / "out")


def test_the_base_is_the_one_that_the_adapter_names(here: Path, run: Run) -> None:
    told = Manifest.model_validate({"train": {"model": str(here / "base")}})
    assert base_of("./base", told) == str(here / "base")
    assert base_of("some/tiny", told) == "some/tiny"
    assert base_of("./base", Manifest()) == "./base"
    with pytest.raises(InputError, match=r"names its base as \./granite, which is not here"):
        base_of("./granite", told)
    with pytest.raises(InputError, match="does not name its base"):
        base_of("", told)


def test_prompts_are_test_rows_of_all_leaves_or_else_items(here: Path, run: Run) -> None:
    asked = conversations(run)
    assert len(asked) == 6
    assert [told[0].content for told in asked[:2]] == ["How much is 20 plus 20?"] * 2  # a leaf each
    run.test.write_bytes(b"")
    assert conversations(run) == []
    item = Item(id="1", leaf=LEAVES[0], source="heldout", question="Why?", answer="So.", context="A text.")
    write_records(run.evaluation / "items.jsonl", [item])
    (told,) = conversations(run)
    assert [message.content for message in told] == ["A text.\n\nWhy?", "So."]
    run.test.unlink()
    assert len(conversations(run)) == 1


def test_many_leaves_share_the_prompts() -> None:
    told = in_turn((f"leaf{number % 50}", ()) for number in range(500))
    assert len(told) == 32
    assert in_turn([]) == []


# --- the card of the run's adapter ------------------------------------------------------------------------------


def trained(run: Run) -> None:
    """What training leaves beside the adapter."""
    plan = {"phase": "skills", "samples": 6, "tokens": 90, "trained_tokens": 30, "rows": 2, "row_tokens": 128}
    plan |= {"fill": 0.9, "epochs": 2.0, "steps": 8, "rows_per_step": 1, "learning_rate": 0.01}
    write_rows(run.training / "plan.jsonl", [plan])
    measured = [
        HeldOutLoss(
            phase=phase,
            step=step,
            group=LEAVES[1],
            samples=2,
            tokens=4,
            loss=loss,
            error=None,
            sample_tokens=(2, 2),
            sample_nats=(loss * 2, loss * 2),
        )
        for phase, step, loss in [("baseline", 0, 2.0), ("skills", 4, 0.5), ("skills", 8, 0.75)]
    ]
    write_records(run.training / "heldout.jsonl", measured)
    choice = Choice(
        phase="skills",
        step=4,
        rule="best",
        why="the lowest held-out loss",
        start=("baseline", 0),
        start_loss=2.0,
        leaves=1,
        unmeasured=(),
        unjudged=(),
        candidates=(),
    )
    write_records(run.training / "choice.jsonl", [choice])


def evaluated(run: Run, name: str = "tuned") -> None:
    ends = (0.5, 0.9)
    one = Effect(
        leaf=LEAVES[0],
        n=30,
        base=0.1,
        base_interval=(0.0, 0.2),
        tuned=0.7,
        tuned_interval=ends,
        delta=(0.4, 0.6, 0.8),
        p=0.001,
        effect="better",
    )
    none = dict.fromkeys(("overall", "overall_trained", "forgetting"))
    effects = dict.fromkeys(("overall_effect", "overall_trained_effect", "forgetting_effect"))
    base = dict.fromkeys((*none, "overall_interval", "forgetting_interval"))
    found = Summary(
        base=BaseScore.model_validate({"name": "base", **base}),
        checkpoints=(
            CheckpointScore.model_validate({"name": name, "leaves": (one,), "forgetting_kinds": (), **none, **effects}),
        ),
        samples=(),
        unscored=(),
        untrained=(),
        left_out={},
        unanswered={},
    )
    summary.write(run.summary, found)


def test_the_card_tells_of_training_and_then_of_scores(here: Path, run: Run) -> None:
    trained(run)
    model_card.refresh(run)
    card = (run.adapter / "README.md").read_text()
    assert "| skills | 6 | 30 | 128 | 2 | 8 | 0.01 | step 4 |" in card
    assert f"| `{LEAVES[1]}` | 2 | 2.0000 | 0.5000 | -1.5000 |" in card
    assert "LoRA of rank 4, alpha 8, on down\\_proj, gate\\_proj, k\\_proj" in card
    assert "learning_rate: 0.0002" in card
    assert "cc-by-4.0" in card
    assert "## Scores" not in card
    assert str(here) not in card
    evaluated(run)
    model_card.scored(run, {"tuned": run.adapter})
    again = (run.adapter / "README.md").read_text()
    assert f"| `{LEAVES[0]}` | 30 | 0.10 [0.00, 0.20] | 0.70 [0.50, 0.90] |" in again
    model_card.refresh(run)
    assert (run.adapter / "README.md").read_text() == again


def test_a_checkpoint_whose_card_was_written_anew_is_whole(here: Path, run: Run) -> None:
    before = (run.adapter / "adapter_model.safetensors").read_bytes()
    model_card.refresh(run)
    found = checkpoint.verify(run.adapter)
    assert found.inputs == "x"
    assert "README.md" not in found.files
    (run.adapter / "README.md").write_text("edited by hand")
    assert checkpoint.finished(run.adapter, "x")
    assert (run.adapter / "adapter_model.safetensors").read_bytes() == before


def test_scores_of_weights_from_before_are_not_told(here: Path, run: Run) -> None:
    evaluated(run)
    model_card.scored(run, {"tuned": run.adapter})
    assert "## Scores" in (run.adapter / "README.md").read_text()
    shutil.rmtree(run.adapter)
    write_adapter(run.adapter, here / "base", name="./base", seed=9)
    model_card.refresh(run)
    assert "## Scores" not in (run.adapter / "README.md").read_text()


def test_scores_of_other_adapters_leave_the_run_s_own_alone(here: Path, run: Run) -> None:
    write_adapter(here / "mine", here / "base", name="./base", seed=7)
    evaluated(run, "mine")
    model_card.scored(run, {"mine": here / "mine"})
    assert "## Scores" not in (run.adapter / "README.md").read_text()
    export_merged(run, here / "out", adapter="mine")
    assert "## Scores" in (here / "out" / "README.md").read_text()


def test_the_card_is_the_same_under_another_name_and_elsewhere(here: Path, run: Run, tmp_path: Path) -> None:
    trained(run)
    other = Run(shutil.copytree(run.folder, tmp_path / "elsewhere" / "renamed"))
    model_card.refresh(run)
    model_card.refresh(other)
    assert (run.adapter / "README.md").read_bytes() == (other.adapter / "README.md").read_bytes()
    assert json.loads((run.adapter / "manifest.json").read_text())["base"].startswith("weights:")
