"""Dataset to adapter: derive the recipe, launch training/lora.py under accelerate, and keep what is up to date."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import orjson

from instructlab_like import __version__
from instructlab_like.console import say
from instructlab_like.errors import IlkError, InputError, StoppedError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.stages import manifest, model_card
from instructlab_like.stages.manifest import Manifest
from instructlab_like.tuning.trackers import need_trackers
from instructlab_like.workspace import Run, cores, find, write_whole

GRACE = 60.0  # seconds that a stopped training has to end by itself
BESIDE = ("trackers", "project")  # options that the adapter does not depend on


def train(run: Run, recipe: TrainRecipe, *, agreed: bool = False, restart: bool = False) -> None:
    """Train the run's adapter on its dataset unless the same inputs gave the one that is there.

    A training that was stopped goes on from its last checkpoint; `restart` (and `agreed`) lets one of other inputs be
    thrown away. Raises InputError for a missing dataset or model, StoppedError when the training process was ended.
    """
    before = expect_ready(run, recipe)
    inputs = inputs_of(run, recipe)
    if before.inputs.get("train") == inputs and run.adapter.is_dir() and not restart:
        say(f"train: up to date ({run.adapter})")
        return
    changes = manifest.changes(before.train, recipe, but=BESIDE)
    if changes and not (agreed or restart):
        raise InputError(
            "this run was trained with another recipe: " + "; ".join(changes),
            where=str(run.manifest),
            fix="--yes (make: YES=1) trains again and replaces 5-training; --run NAME leaves this run as it is",
        )
    manifest.forget(run, "train")
    told = run.training / "recipe.json"
    write_recipe(told, recipe)
    say(f"train: {recipe.model} on {run.dataset}")
    launch(run, told, recipe, run.training, *["--restart"] * restart, *["--yes"] * agreed)
    manifest.finish(run, "train", inputs, recipe)
    model_card.refresh(run)
    say(f"train: done → {run.adapter}")


def look(run: Run, recipe: TrainRecipe, *, rows: int = 0) -> None:
    """Show what a training would do, or its first rows as the model sees them; writes nothing into the run."""
    expect_ready(run, recipe)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "recipe.json"
        write_recipe(told, recipe)
        launch(run, told, recipe, Path(folder), *(["--show-batch", str(rows)] if rows else ["--dry-run"]))


def expect_ready(run: Run, recipe: TrainRecipe) -> Manifest:
    """The run's manifest, once it is sure that there is something to train, and what it takes."""
    need_stack()
    need_trackers(recipe.trackers, recipe.project)
    made = manifest.read(run)
    if "generate" not in made.inputs or not run.dataset.is_dir():
        raise InputError("this run has no finished dataset", where=str(run.folder), fix="make it first: ilk generate")
    if not list((run.dataset / "data").glob("*-train.jsonl")):
        kept = sum(leaf.kept for leaf in made.counts)
        what = f"the dataset has no training rows: {kept} samples were kept"
        raise InputError(what, where=str(run.dataset), fix="3-verdicts.jsonl says what became of each sample")
    return made


def write_recipe(path: Path, recipe: TrainRecipe) -> None:
    section = recipe.model_dump(mode="json")
    write_whole(path, orjson.dumps({"train": section}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def inputs_of(run: Run, recipe: TrainRecipe) -> str:
    """The digest of all that decides the adapter: recipe, dataset, base weights, the loop itself."""
    return manifest.inputs_digest(
        {"version": __version__, "recipe": recipe.model_dump(mode="json", exclude=set(BESIDE))},
        {
            "dataset": run.dataset,
            "model": find(recipe.model),
            "loop": script(),
            "base_tasks": find(recipe.base_tasks) if recipe.base_tasks else Path(os.devnull),
        },
    )


def need_stack() -> None:
    """Name the missing extra before anything is started."""
    missing = [name for name in ("torch", "transformers", "peft", "accelerate") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} not installed", fix="pip install 'instructlab-like[train]', or make setup"
        )


def script() -> Path:
    return find("training/lora.py")


def accelerate_config(processes: int) -> Path:
    """How accelerate is told about this machine; a recipe's `processes` beyond one means as many GPUs."""
    import torch  # only to learn what the machine has; need_stack() made sure that it is there

    gpus = torch.cuda.device_count()
    if processes > 1 and gpus < processes:
        fix = "lower `processes` in the recipe's train section"
        raise InputError(f"{processes} processes need as many GPUs, this machine has {gpus}", where="train", fix=fix)
    name = "several_gpus" if processes > 1 else "one_gpu" if gpus else "cpu"
    return find(f"training/accelerate/{name}.yaml")


def launch(run: Run, told: Path, recipe: TrainRecipe, out: Path, *options: str) -> None:
    """Run the loop as a child of this process; what it ended on stands in failure.json, since launchers hide codes."""
    processes = recipe.processes
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    command += ["--config_file", str(accelerate_config(processes)), "--num_processes", str(processes)]
    command += ["--num_cpu_threads_per_process", str(recipe.threads or cores()), str(script())]
    command += ["--run-folder", str(run.folder), "--dataset", str(run.dataset)]
    command += ["--recipe", str(told), "--out", str(out), *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = child.wait()
    except BaseException:  # an interrupt or SIGTERM: the loop saves and says what is kept, then both end
        stop(child)
        raise
    if code:
        raise failure(out, code)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the launcher and all it started, giving the loop time to finish its step and put a checkpoint in place."""
    deadline = time.monotonic() + GRACE
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            child.poll()  # the launcher ends before the loop does: its group lives as long as any of both
            os.killpg(child.pid, 0)
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def failure(out: Path, code: int) -> IlkError:
    """The error that ended the loop, as its kind here; a crash of the loop stays a crash."""
    told = out / "failure.json"
    if not told.is_file():
        fix = "its last lines say why; the same command goes on from the last checkpoint"
        return IlkError(f"training ended with code {code}", where=str(out), fix=fix)
    code = int(orjson.loads(told.read_bytes())["code"])
    kinds = {InputError.code: InputError, StoppedError.code: StoppedError}
    fix = "the reason stands above; then run the same command again"
    return kinds.get(code, IlkError)("training did not finish", where=str(out), fix=fix)
