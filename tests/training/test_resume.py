"""However a training ends, the same command comes to the same bytes, or says in one line why it cannot."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lora_forks import LoraForks

KILLS = int(os.environ.get("ILK_KILLS", "15"))
TOLD = {"save_every": 2, "batch_tokens": 64, "row_tokens": 64}
ADAPTER = "adapter/adapter_model.safetensors"
SAME = (ADAPTER, "losses.jsonl", "heldout.jsonl", "samples.jsonl", "choice.jsonl", "plan.jsonl")


@pytest.fixture(scope="module")
def forks() -> Iterator[LoraForks]:
    with LoraForks() as forks:
        yield forks


@dataclass(frozen=True)
class Training:
    """How to train the same again in another folder, and what it gave in one go."""

    forks: LoraForks
    arguments: Callable[..., list[str]]
    points: list[str]
    files: dict[str, bytes]

    def run(self, out: str, **told: object) -> tuple[int, str, list[str]]:
        return self.forks.run(self.arguments(out, **TOLD), **told)  # type: ignore[arg-type]


@pytest.fixture
def training(forks: LoraForks, arguments: Callable[..., list[str]], tmp_path: Path) -> Training:
    code, printed, points = forks.run(arguments("straight", **TOLD))
    assert code == 0, printed
    return Training(forks, arguments, points, files(tmp_path / "straight"))


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in SAME}


def tidy(out: Path) -> None:
    """Nothing is left of what was under way."""
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["knowledge", "skills"]


def test_killed_at_any_point_it_comes_to_the_same_bytes(training: Training, tmp_path: Path) -> None:
    rng = random.Random(6)
    for kill in range(KILLS):
        out, at = f"killed{kill}", rng.randint(1, len(training.points) - 1)
        code, printed, points = training.run(out, at=at)
        assert code == -signal.SIGKILL, printed
        while rng.random() < 0.3:  # killed again while it goes on
            again, _, points = training.run(out, at=rng.randint(1, 40))
            if again == 0:
                break
        code, printed, _ = training.run(out)
        assert code == 0, (points[-3:], printed)
        assert files(tmp_path / out) == training.files, (at, points[-3:], printed)
        tidy(tmp_path / out)
        shutil.rmtree(tmp_path / out)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_a_checkpoint(training: Training, tmp_path: Path, number: int) -> None:
    steps = [place for place, point in enumerate(training.points, start=1) if point == "step"]
    for at in (steps[0], steps[4], steps[-1]):
        out = f"ended{at}"
        code, printed, points = training.run(out, at=at, number=number)
        assert code == 128 + number, printed
        assert "the same command goes on from there" in printed
        done = points.count("step")
        code, printed, points = training.run(out)
        assert code == 0, printed
        assert "goes on after step" in printed
        assert points.count("step") == training.points.count("step") - done  # no step is made twice
        assert files(tmp_path / out) == training.files


def harmed(data: bytes, harm: str) -> bytes | None:
    if harm == "missing":
        return None
    if harm == "cut short":
        return data[: len(data) // 2]
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("harm", ["missing", "cut short", "one bit changed"])
def test_no_torn_file_of_a_checkpoint_is_taken_for_whole(training: Training, tmp_path: Path, harm: str) -> None:
    steps = [place for place, point in enumerate(training.points, start=1) if point == "step"]
    code, printed, _ = training.run("half", at=steps[-2])
    assert code == -signal.SIGKILL, printed
    places = sorted(path.relative_to(tmp_path / "half") for path in (tmp_path / "half/checkpoints").rglob("*.*"))
    places = [place for place in places if place.name != "README.md"]  # which may be edited
    newest = max(place.parts[1] for place in places if place.parts[1].startswith("skills-"))
    assert len({place.parts[1] for place in places}) >= 3  # knowledge, and two checkpoints of skills at least
    for place in places:
        out = tmp_path / "harmed"
        shutil.copytree(tmp_path / "half", out)
        data = harmed((out / place).read_bytes(), harm)
        (out / place).unlink()
        if data is not None:
            (out / place).write_bytes(data)
        code, printed, _ = training.run("harmed")
        assert code == 0, (place, printed)
        if place.parts[1] in ("knowledge", newest):  # all that is needed to go on; of others nothing is read
            assert str(out / place) in printed
        assert files(out) == training.files, (place, printed)
        shutil.rmtree(out)
