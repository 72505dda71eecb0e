"""`ilk train` on several processes and machines: what cannot be is said in one message, with the run as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from merged_run import finished_run
from tiny_chat_model import save_base

from instructlab_like.errors import InputError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.training.scaling import scaling
from instructlab_like.stages.training.train import PORT, Place, inputs_of, train
from instructlab_like.workspace import Run

TWO = TrainRecipe(model="base", machines=2)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    save_base(tmp_path / "base")
    return finished_run(tmp_path, "base")


def test_machines_meet_where_they_are_told() -> None:
    assert Place.of(TWO, 1, "one.example") == Place(1, "one.example", PORT)
    assert Place.of(TWO, 0, "one.example:4000") == Place(0, "one.example", 4000)
    assert Place.of(TrainRecipe(), None, None) == Place()


@pytest.mark.parametrize(
    ("recipe", "rank", "address", "where"),
    [
        (TWO, None, "host", "--machine-rank"),
        (TWO, 2, "host", "--machine-rank"),
        (TWO, 0, None, "--main-address"),
        (TWO, 0, ":29500", "--main-address"),
        (TWO, 0, "host:http", "--main-address"),
        (TWO, 0, "host:0", "--main-address"),
        (TWO, 0, "host:65536", "--main-address"),
        (TrainRecipe(), 0, None, "--machine-rank"),
        (TrainRecipe(), None, "host", "--main-address"),
    ],
)
def test_options_that_do_not_go_with_the_recipe_are_named(
    recipe: TrainRecipe, rank: int | None, address: str | None, where: str
) -> None:
    with pytest.raises(InputError) as told:
        Place.of(recipe, rank, address)
    assert told.value.where == where


def test_too_few_gpus_are_said_before_the_trained_run_is_touched(run: Run) -> None:
    before = run.manifest.read_bytes()
    with pytest.raises(InputError, match="8 processes a machine need as many GPUs, this machine has 0") as told:
        train(run, TrainRecipe(model="base", processes=8), agreed=True)
    assert told.value.where == "train.processes"
    assert "machines" not in told.value.fix
    assert run.manifest.read_bytes() == before


def test_a_machine_that_helps_does_not_wait_for_one_that_has_nothing_to_do(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.finish(run, "train", inputs_of(run, TWO), TWO)
    for rank in (0, 1):
        train(run, TWO, place=Place(rank, "nowhere.example"))
        assert "up to date" in capsys.readouterr().out


def test_what_trains_by_itself_trains_on_one_machine(run: Run) -> None:
    for command in (train, scaling):
        with pytest.raises(InputError) as told:
            command(run, TWO)
        assert told.value.where == "train.machines"
