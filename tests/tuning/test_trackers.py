from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from accelerate.accelerator import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.tracking import GeneralTracker

from instructlab_like.errors import RecipeError
from instructlab_like.tuning import trackers
from instructlab_like.tuning.trackers import Trackers, by_leaf, need_trackers, of_step, open_trackers, viewed

Values = Mapping[str, float]
ENVIRONMENT = ("MLFLOW_TRACKING_URI", "TRACKIO_DIR", "WANDB_DIR", "WANDB_MODE", "WANDB_API_KEY")


class Listening(GeneralTracker):
    """A tracker of one's own, as accelerate takes them; it keeps what it is told."""

    name = "listening"
    requires_logging_directory = False

    def __init__(self, *, fails: str = "", error: BaseException | None = None) -> None:
        super().__init__()
        self.fails, self.error = fails, error or OSError(errno.ENOSPC, "No space left on device")
        self.calls: list[str] = []
        self.told: list[tuple[int, dict[str, float]]] = []
        self.facts: dict[str, object] = {}
        self.threads: set[str] = set()

    def call(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.current_thread().name)
        if self.fails == name:
            raise self.error

    @property
    def tracker(self) -> list[str]:
        return self.calls

    def start(self) -> None:
        self.call("start")

    def store_init_configuration(self, values: Mapping[str, object]) -> None:
        self.facts = dict(values)

    def log(self, values: Values, step: int | None = None, **kwargs: object) -> None:
        self.call("log")
        assert step is not None
        self.told.append((step, dict(values)))

    def finish(self) -> None:
        self.call("finish")


class Other(Listening):
    name = "other"


class Waiting(Listening):
    """A tracker whose server does not answer until it is let go."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at, self.go = at, threading.Event()

    def call(self, name: str) -> None:
        super().call(name)
        if name == self.at:
            self.go.wait(60)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    yield
    for state in (AcceleratorState, GradientState):
        state._reset_state()
    for name in set(os.environ) - set(before):
        del os.environ[name]


def opened(
    tmp_path: Path, *mine: GeneralTracker, names: tuple[str, ...] = (), start: int = 0
) -> tuple[Accelerator, Trackers]:
    accelerator = Accelerator(cpu=True, log_with=[*mine, *names] or None, project_dir=tmp_path)
    names = (*(one.name for one in mine), *names)
    facts = {"model": "tiny", "rank": 8, "alpha": 16.0, "rslora": False}
    return accelerator, open_trackers(accelerator, names, "ilk", facts, folder=tmp_path, run="demo", start=start)


def test_a_tracker_is_told_facts_steps_and_leaves_and_is_finished_once(tmp_path: Path) -> None:
    mine = Listening()
    accelerator, opening = opened(tmp_path, mine)
    with opening as told:
        told.log(1, of_step(loss=2.5, rate=1e-4, norm=0.5, speed=100.0))
        told.log(1, by_leaf("train", {"knowledge/tides": 2.0}), always=True)
        told.log(1, by_leaf("heldout", {"knowledge/tides": 3.0}), always=True)
    accelerator.end_training()
    assert mine.calls == ["start", "log", "log", "log", "finish"]
    assert mine.facts == {"model": "tiny", "rank": 8, "alpha": 16.0, "rslora": False}
    assert mine.told == [
        (
            1,
            {
                "train/loss": 2.5,
                "train/learning_rate": 1e-4,
                "train/gradient_norm": 0.5,
                "train/tokens_per_second": 100.0,
            },
        ),
        (1, {"train_loss/knowledge/tides": 2.0}),
        (1, {"heldout_loss/knowledge/tides": 3.0}),
    ]


def test_a_tracker_is_always_called_from_one_thread_and_not_from_the_steps(tmp_path: Path) -> None:
    mine = Listening()
    _, told = opened(tmp_path, mine)
    told.log(1, {"train/loss": 1.0})
    told.close()
    assert len(mine.threads) == 1
    assert threading.current_thread().name not in mine.threads


def test_without_trackers_nothing_is_opened(tmp_path: Path) -> None:
    accelerator, told = opened(tmp_path / "none")
    told.log(1, {"train/loss": 1.0})
    told.close()
    assert not accelerator.trackers
    assert not (tmp_path / "none").exists()


def test_other_processes_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Listening()
    accelerator = Accelerator(cpu=True, log_with=[mine])
    monkeypatch.setitem(PartialState._shared_state, "process_index", 1)
    with open_trackers(accelerator, ["listening"], "ilk", {}, folder=tmp_path, run="demo") as told:
        told.log(1, {"train/loss": 1.0})
    assert mine.calls == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("server gone\nlong story"), SystemExit(1)]
)
def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    bad, good = Listening(fails="log", error=error), Other()
    accelerator, told = opened(tmp_path, bad, good)
    for step in range(1, 30):
        told.log(step, {"train/loss": 1.0})
    told.close()
    accelerator.end_training()
    assert [step for step, _ in good.told] == list(range(1, 30))
    assert good.calls[-1] == "finish"
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 1
    assert warned[0].startswith(f"listening failed and is left aside, training goes on: {type(error).__name__}")
    assert "long story" not in warned[0]


def test_a_tracker_that_failed_is_asked_no_more(tmp_path: Path) -> None:
    bad = Listening(fails="log")
    accelerator, told = opened(tmp_path, bad)
    told.log(1, {"train/loss": 1.0})
    told._waiting[0].outcome.exception()  # wait for it
    for step in range(2, 5):
        told.log(step, {"train/loss": 1.0})
    told.close()
    assert bad.calls == ["start", "log"]
    assert accelerator.trackers == []


def test_a_tracker_that_cannot_finish_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = Listening(fails="finish")
    accelerator, told = opened(tmp_path, bad)
    told.close()
    told.close()
    accelerator.end_training()
    assert "listening failed" in capsys.readouterr().err


def test_a_tracker_that_cannot_be_opened_is_one_message_before_training(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True, log_with=[Listening(fails="start", error=ConnectionError("refused"))])
    with pytest.raises(RecipeError, match="listening cannot be opened: ConnectionError: refused") as caught:
        open_trackers(accelerator, ["listening"], "ilk", {}, folder=tmp_path, run="demo")
    assert caught.value.code == 2
    assert accelerator.trackers == []


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    accelerator = Accelerator(cpu=True, log_with=[Listening()])
    with pytest.raises(RecipeError, match="cannot be opened: NotADirectoryError"):
        open_trackers(accelerator, ["listening"], "ilk", {}, folder=tmp_path / "file" / "trackers", run="demo")


def test_a_tracker_that_accelerate_dropped_is_named(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True, log_with=[Listening()])
    with pytest.raises(RecipeError, match="accelerate finds no wandb"):
        open_trackers(accelerator, ["listening", "wandb"], "ilk", {}, folder=tmp_path, run="demo")


def test_a_slow_tracker_delays_no_step_and_keeps_what_is_rare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "BACKLOG", 10)
    slow = Waiting("log")
    _, told = opened(tmp_path, slow)
    for step in range(1, 101):
        told.log(step, {"train/loss": 1.0})  # would wait a minute here, were it told in turn
        if step % 50 == 0:
            told.log(step, by_leaf("train", {"a": 1.0}), always=True)
    slow.go.set()
    told.close()
    assert [step for step, values in slow.told if "train/loss" in values] == list(range(1, 11))
    assert [step for step, values in slow.told if "train_loss/a" in values] == [50, 100]
    assert "90 steps are missing" in capsys.readouterr().err


def test_a_tracker_that_does_not_finish_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "CLOSING", 0.01)
    slow = Waiting("finish")
    accelerator, told = opened(tmp_path, slow)
    told.close()
    slow.go.set()
    accelerator.end_training()
    assert "did not finish within" in capsys.readouterr().err


def test_values_of_many_leaves_are_told_in_parts(tmp_path: Path) -> None:
    mine = Listening()
    _, told = opened(tmp_path, mine)
    told.log(7, by_leaf("train", {f"knowledge/l{number}": float(number) for number in range(1200)}))
    told.close()
    assert max(len(values) for _, values in mine.told) <= 1000
    assert {step for step, _ in mine.told} == {7}
    assert sum(len(values) for _, values in mine.told) == 1200


def test_what_is_not_known_of_a_step_is_left_out() -> None:
    assert of_step(loss=float("nan"), rate=1e-4, norm=float("nan"), speed=2.0) == {
        "train/learning_rate": 1e-4,
        "train/tokens_per_second": 2.0,
    }


def test_names_of_leaves_are_fit_for_every_tracker() -> None:
    assert list(by_leaf("train", {"knowledge/a(b)#c": 1.0, "知识/潮汐": 2.0})) == [
        "train_loss/knowledge/a_b__c",
        "train_loss/知识/潮汐",
    ]


# --- packages ---


def test_all_missing_packages_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent)])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in ("tensorboard", "wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(RecipeError) as caught:
        need_trackers(["tensorboard", "wandb"])
    assert str(caught.value) == (
        "train.trackers: tensorboard, wandb not installed\n  → pip install tensorboard wandb, or leave them out"
    )


def test_a_folder_named_like_a_package_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb" / "offline-run-1").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    assert importlib.util.find_spec("wandb") is not None
    with pytest.raises(RecipeError, match="wandb not installed"):
        need_trackers(["wandb"])


def test_no_trackers_need_nothing() -> None:
    need_trackers([], project="what/ever")


@pytest.mark.parametrize("project", ["", "a/b", "../up", "..", "x" * 129, "a\nb", "50%"])
def test_a_project_that_trackers_refuse_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: str
) -> None:
    (tmp_path / "trackio.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    need_trackers(["trackio"], "my project-1.2")
    with pytest.raises(RecipeError) as caught:
        need_trackers(["trackio"], project)
    assert caught.value.where == "train.project"


def test_packages_are_asked_for_without_torch() -> None:
    code = "import sys; from instructlab_like.tuning.trackers import need_trackers; need_trackers([]); "
    code += "print({'torch', 'accelerate'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "set()"


# --- where things go ---


def test_trackers_write_into_the_run_and_call_no_one_by_default(tmp_path: Path) -> None:
    told = "\n".join(viewed(["tensorboard", "trackio", "wandb", "mlflow"], "ilk", tmp_path))
    assert told.count(str(tmp_path)) == 4
    assert "wandb: offline" in told
    _, opening = opened(tmp_path, Listening())
    opening.close()
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert os.environ["TRACKIO_DIR"] == str(tmp_path / "trackio")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    found = trackers.settings(tmp_path, "demo", 0)
    assert found["wandb"] == {"name": "demo", "mode": "offline"}
    assert found["tensorboard"] == {}


@pytest.mark.parametrize("said", [("WANDB_MODE", "online"), ("WANDB_API_KEY", "x" * 40)])
def test_the_environment_decides_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[str, str]
) -> None:
    monkeypatch.setenv(*said)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "mine"))
    _, opening = opened(tmp_path, Listening())
    opening.close()
    found = trackers.settings(tmp_path, "demo", 40)
    assert found["wandb"] == {"name": "demo"}
    assert found["mlflow"] == {"run_name": "demo"}
    assert found["tensorboard"] == {"purge_step": 41}
    assert os.environ["TRACKIO_DIR"] == str(tmp_path / "mine")
    told = list(viewed(["trackio", "wandb", "mlflow"], "ilk", tmp_path))
    assert told == [f"{name}: as the environment says" for name in ("trackio", "wandb", "mlflow")]


def test_tensorboard_can_read_what_was_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, count in ((0, 5), (3, 5)):  # killed after step 5, resumed from a checkpoint of step 3
        _, told = opened(tmp_path, names=("tensorboard",), start=start)
        for step in range(start + 1, start + count + 1):
            told.log(step, of_step(loss=float(10 * start + step), rate=1e-4, norm=1.0, speed=1.0))
        told.log(start + count, by_leaf("heldout", {"knowledge/tides": 3.0}), always=True)
        told.close()
    found = EventAccumulator(str(tmp_path / "ilk"))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 34.0),
        (5, 35.0),
        (6, 36.0),
        (7, 37.0),
        (8, 38.0),
    ]
    assert found.Scalars("heldout_loss/knowledge/tides")[-1].value == 3.0


def test_errors_of_other_threads_are_still_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    before = threading.excepthook
    _, told = opened(tmp_path, Listening())
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()
    told.close()
    assert [args.exc_type for args in seen] == [ZeroDivisionError]
    assert threading.excepthook == before


def test_what_a_tracker_says_is_cut_short_and_cannot_act_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = opened(tmp_path, Listening(fails="log", error=RuntimeError("\x1b[2J" + "x" * 5000)))
    told.log(1, {"train/loss": 1.0})
    told.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 400
    assert line.isprintable()
