"""Losses for the trackers that a recipe names, through accelerate; none by default. Imports without torch.

Trackers are told from a thread of their own, so a slow one delays no step and one that fails ends no training.
Nothing leaves the machine unless the environment says so: losses are told by leaf, and a leaf's name may be private.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from instructlab_like import console
from instructlab_like.errors import RecipeError
from instructlab_like.printable import escaped

if TYPE_CHECKING:  # `ilk train` asks for the packages before torch is loaded
    from accelerate.accelerator import Accelerator
    from accelerate.tracking import GeneralTracker

Fact: TypeAlias = str | int | float | bool
Settings: TypeAlias = dict[str, str | int]  # what one tracker is opened with

PART = 500  # values told at once; MLflow refuses more than 1,000
BACKLOG = 300  # tellings that may wait for each tracker before values of single steps are left out
LONGEST = 240  # characters of what a tracker says of its failure
CLOSING = 60.0  # seconds that trackers get to finish
PROJECT = re.compile(r"[\w .\-]{1,128}")  # what all trackers accept as a name
WANDB_SAYS = ("WANDB_MODE", "WANDB_API_KEY")  # either set: wandb's own rules hold

_ODD_NAME = re.compile(r"[^\w.\-/ ]")  # MLflow refuses all else in the name of a value


def need_trackers(names: Sequence[str], project: str = "ilk") -> None:
    """Raise one RecipeError for all packages that are missing, or for a project that trackers would refuse."""
    missing = [name for name in names if not installed(name)]
    if missing:
        raise RecipeError(
            f"{', '.join(missing)} not installed",
            where="train.trackers",
            fix=f"pip install {' '.join(missing)}, or leave {'them' if len(missing) > 1 else 'it'} out",
        )
    if names and (not PROJECT.fullmatch(project) or not project.strip(" .")):
        raise RecipeError(
            f"{project!r} is no name that trackers can file runs under",
            where="train.project",
            fix="letters, digits, blanks, _, - and . only; 128 at most",
        )


def installed(name: str) -> bool:
    """Whether the package is there; a mere folder of its name, such as wandb leaves behind, is none."""
    found = find_spec(name)
    return found is not None and found.origin is not None


def viewed(names: Sequence[str], project: str, folder: Path) -> Iterator[str]:
    """For each tracker, where its values go and the command that shows them."""
    place = shlex.quote(str(folder))
    for name in names:
        if name == "tensorboard":
            yield f"tensorboard: tensorboard --logdir {place}"
        elif name == "mlflow" and "MLFLOW_TRACKING_URI" not in os.environ:
            yield f"mlflow: mlflow ui --backend-store-uri {shlex.quote(database(folder))}"
        elif name == "trackio" and "TRACKIO_DIR" not in os.environ:
            yield f"trackio: TRACKIO_DIR={place}/trackio trackio show --project {shlex.quote(project)}"
        elif name == "wandb" and offline():
            yield f"wandb: offline; send it with wandb sync {place}/wandb/offline-run-*, or set WANDB_MODE=online first"
        else:
            yield f"{name}: as the environment says"


def open_trackers(
    accelerator: Accelerator,
    names: Sequence[str],
    project: str,
    facts: Mapping[str, Fact],
    *,
    folder: Path,
    run: str,
    start: int = 0,
) -> Trackers:
    """Open a run in every tracker that `accelerator` was made with (`log_with=names`), on the main process alone.

    `facts` become the run's configuration; `start` steps, counted over all phases, were made before. Raises
    RecipeError when one cannot be opened: nothing was trained yet, and it is better known now.
    """
    if not names or not accelerator.is_main_process:
        return Trackers(accelerator, None)
    # Trackers known to accelerate stand there as members of an enumeration, others as themselves.
    unknown = set(names) - {str(getattr(one, "value", one.name)) for one in accelerator.log_with}
    if unknown:
        raise RecipeError(
            f"accelerate finds no {', '.join(sorted(unknown))}",
            where="train.trackers",
            fix=f"pip install {' '.join(sorted(unknown))}, or leave it out",
        )
    desk = ThreadPoolExecutor(1, thread_name_prefix="trackers")

    def opening() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stay_here(folder)
        accelerator.init_trackers(project, config=dict(facts), init_kwargs=settings(folder, run, start))

    # What a tracker raises is its own affair, and of no common kind; a future tells of it all the same.
    error = desk.submit(opening).exception()
    if error is not None:
        accelerator.trackers = []
        desk.shutdown(wait=False, cancel_futures=True)
        raise RecipeError(
            f"{', '.join(names)} cannot be opened: {cause(error)}",
            where="train.trackers",
            fix="repair what it names, or leave that tracker out",
        ) from error
    return Trackers(accelerator, desk)


def stay_here(folder: Path) -> None:
    """Let trackers write into the run's folder and call no one, wherever the environment does not say otherwise."""
    told = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 hold the end of a training up for minutes
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_TRACKING_URI": database(folder),
        "TRACKIO_DIR": str(folder.resolve() / "trackio"),
        "WANDB_DIR": str(folder.resolve()),
        "WANDB_ERROR_REPORTING": "false",
    }
    for name, value in told.items():
        os.environ.setdefault(name, value)


def settings(folder: Path, run: str, start: int) -> dict[str, Settings]:
    """What each tracker is opened with."""
    mlflow: Settings = {"run_name": run}
    if os.environ["MLFLOW_TRACKING_URI"] == database(folder):
        mlflow["logging_dir"] = (folder.resolve() / "mlflow").as_uri()
    wandb: Settings = {"name": run, "mode": "offline"} if offline() else {"name": run}
    # After a kill some steps are made again: TensorBoard forgets the first time.
    tensorboard: Settings = {"purge_step": start + 1} if start else {}
    return {"tensorboard": tensorboard, "trackio": {"name": run}, "wandb": wandb, "mlflow": mlflow}


def offline() -> bool:
    """Whether wandb sends nothing: it can be sent later, but what was sent cannot be taken back."""
    return not any(os.environ.get(name) for name in WANDB_SAYS)


def database(folder: Path) -> str:
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def of_step(*, loss: float, rate: float, norm: float, speed: float) -> dict[str, float]:
    """The values of a step, by the names under which trackers show them; those that are not known are left out."""
    told = {"loss": loss, "learning_rate": rate, "gradient_norm": norm, "tokens_per_second": speed}
    return {f"train/{name}": value for name, value in told.items() if not math.isnan(value)}


def by_leaf(kind: str, losses: Mapping[str, float]) -> dict[str, float]:
    """Losses of leaves by the names under which trackers show them; `kind` is train or heldout."""
    return {f"{kind}_loss/{_ODD_NAME.sub('_', leaf)}": loss for leaf, loss in losses.items()}


@dataclass(frozen=True, slots=True)
class Telling:
    tracker: GeneralTracker
    outcome: Future[None]


class Trackers:
    """Open trackers; without any, or on other processes, all calls do nothing. One that fails is left aside."""

    def __init__(self, accelerator: Accelerator, desk: ThreadPoolExecutor | None) -> None:
        self._accelerator, self._desk = accelerator, desk
        self._waiting: deque[Telling] = deque()
        self._left_out = 0
        self._hook = threading.excepthook
        if desk is not None:
            threading.excepthook = self._quiet

    def log(self, step: int, values: Mapping[str, float], *, always: bool = False) -> None:
        """Tell of values at `step`, which counts over all phases; what comes faster than trackers take it is left
        out, unless it has to be told `always`."""
        if self._desk is None:
            return
        self._look()
        if len(self._waiting) >= BACKLOG * max(1, len(self._accelerator.trackers)) and not always:
            self._left_out += 1
            return
        told = [(name, float(value)) for name, value in values.items()]
        for first in range(0, len(told), PART):
            part = dict(told[first : first + PART])
            for tracker in self._accelerator.trackers:
                self._waiting.append(Telling(tracker, self._desk.submit(tracker.log, part, step=step)))

    def close(self) -> None:
        """Let trackers finish; `Accelerator.end_training` finds none left then."""
        if self._desk is None:
            return
        desk, self._desk = self._desk, None
        for tracker in self._accelerator.trackers:
            self._waiting.append(Telling(tracker, desk.submit(tracker.finish)))
        late = wait([telling.outcome for telling in self._waiting], timeout=CLOSING).not_done
        self._look()
        if late:
            console.warn(f"trackers did not finish within {CLOSING:.0f} s: what they had not taken by then is lost")
        if self._left_out:
            console.warn(f"trackers were slower than the steps: {self._left_out:,} steps are missing in them")
        self._accelerator.trackers = []
        desk.shutdown(wait=False, cancel_futures=True)
        threading.excepthook = self._hook

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _quiet(self, args: threading.ExceptHookArgs) -> None:
        """TensorBoard's own thread shows a traceback of what it then raises here, too, where it becomes one line."""
        if type(args.thread).__module__.partition(".")[0] != "tensorboard":
            self._hook(args)

    def _look(self) -> None:
        """What became of the tellings that are over; a tracker that failed is told of once and asked no more."""
        while self._waiting and self._waiting[0].outcome.done():
            telling = self._waiting.popleft()
            error = telling.outcome.exception()
            others = [one for one in self._accelerator.trackers if one is not telling.tracker]
            if error is not None and len(others) < len(self._accelerator.trackers):
                self._accelerator.trackers = others
                console.warn(f"{telling.tracker.name} failed and is left aside, training goes on: {cause(error)}")


def cause(error: BaseException) -> str:
    """The first line of an error, with its kind, no longer than can be read at a glance."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    told = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return escaped(told if len(told) <= LONGEST else told[: LONGEST - 1] + "…")
