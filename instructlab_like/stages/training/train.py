"""Dataset to adapter: derive the recipe, launch training/lora.py under accelerate, and keep what is up to date."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import orjson

from instructlab_like import __version__
from instructlab_like.console import say
from instructlab_like.errors import IlkError, InputError, StoppedError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import model_card
from instructlab_like.tuning.trackers import need_trackers
from instructlab_like.workspace import Run, cores, find, write_whole

GRACE = 60.0  # seconds that a stopped training has to end by itself
PORT = 29500  # where machines meet, unless told: torch's own
PORTS = 2**16
BESIDE = ("trackers", "project")  # options that the adapter does not depend on


@dataclass(frozen=True)
class Place:
    """Which of a training's machines this is, from 0, and where all of them meet."""

    rank: int = 0
    host: str = ""
    port: int = PORT

    @classmethod
    def of(cls, recipe: TrainRecipe, rank: int | None, address: str | None) -> Place:
        """As options tell it. Raises InputError where they and the recipe do not go together."""
        machines = recipe.machines
        if machines == 1:
            for option, told in (("--machine-rank", rank), ("--main-address", address)):
                if told is not None:
                    fix = "set `machines` in the recipe's train section, or leave the option out"
                    raise InputError("the recipe trains on one machine", where=option, fix=fix)
            return cls()
        if rank is None or not 0 <= rank < machines:
            what = f"the recipe trains on {machines} machines" + (f", and there is no number {rank}" if rank else "")
            fix = f"start the same command on each, with 0 to {machines - 1}; 0 writes and speaks"
            raise InputError(what, where="--machine-rank", fix=fix)
        host, _, told = (address or "").partition(":")
        port = int(told or PORT) if (told or "0").isdecimal() else 0
        if not host or not 0 < port < PORTS:
            fix = (
                f"--main-address HOST or HOST:PORT of machine 0, as the others reach it; the port is {PORT} unless told"
            )
            raise InputError("it is not said where the machines meet", where="--main-address", fix=fix)
        return cls(rank, host, port)

    @classmethod
    def alone(cls, recipe: TrainRecipe) -> Place:
        """Of a training that another command makes. Raises InputError where the recipe wants several machines."""
        if recipe.machines > 1:
            what = f"is {recipe.machines}, and only ilk train by itself trains on several machines"
            raise InputError(what, where="train.machines", fix="machines: 1 in the recipe that the run is trained by")
        return cls()


def train(
    run: Run, recipe: TrainRecipe, *, agreed: bool = False, restart: bool = False, place: Place | None = None
) -> None:
    """Train the run's adapter on its dataset unless the same inputs gave the one that is there.

    A training that was stopped goes on from its last checkpoint; `restart` (and `agreed`) lets one of other inputs be
    thrown away. Of several machines, the first one writes. Raises InputError for a missing dataset or model,
    StoppedError when the training process was ended.
    """
    place = place or Place.alone(recipe)
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
    accelerate_config(recipe)  # too few GPUs are said while the run is still as it was
    if place.rank:
        assist(run, recipe, place)
        return
    manifest.forget(run, "train")
    told = run.training / "recipe.json"
    write_recipe(told, recipe)
    say(f"train: {recipe.model} on {run.dataset}")
    launch(run, told, recipe, run.training, place, *["--restart"] * restart, *["--yes"] * agreed)
    manifest.finish(run, "train", inputs, recipe)
    model_card.refresh(run)
    say(f"train: done → {run.adapter}")


def assist(run: Run, recipe: TrainRecipe, place: Place) -> None:
    """Lend this machine's processes to the training that machine 0 leads; the run's folder is theirs together."""
    say(f"train: machine {place.rank} of {recipe.machines}, led by {place.host}")
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "recipe.json"
        write_recipe(told, recipe)
        launch(run, told, recipe, run.training, place)
    say("train: done")


def look(run: Run, recipe: TrainRecipe, *, rows: int = 0) -> None:
    """Show what a training would do, or its first rows as the model sees them; writes nothing into the run."""
    expect_ready(run, recipe)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "recipe.json"
        write_recipe(told, recipe)
        alone = recipe.model_copy(update={"machines": 1})
        launch(run, told, alone, Path(folder), Place(), *(["--show-batch", str(rows)] if rows else ["--dry-run"]))


def expect_ready(run: Run, recipe: TrainRecipe) -> Manifest:
    """The run's manifest, once it is sure that there is something to train, and what it takes."""
    need_stack()
    need_quantising(recipe)
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


def need_quantising(recipe: TrainRecipe) -> None:
    """Raise InputError for a base in 4 bits that cannot be had, before anything is loaded."""
    if recipe.quantize == "none":
        return
    if find_spec("bitsandbytes") is None:
        fix = "pip install 'instructlab-like[qlora]', or quantize: none"
        raise InputError("bitsandbytes not installed, which keeps a base in 4 bits", where="train.quantize", fix=fix)
    if recipe.shard:
        fix = "drop one of the two: a base in 4 bits takes a quarter of the memory, and each process holds it whole"
        raise InputError("a base in 4 bits is not cut up over processes", where="train.shard", fix=fix)


def script() -> Path:
    return find("training/lora.py")


def accelerate_config(recipe: TrainRecipe) -> Path:
    """How accelerate is told about this machine; `processes` or `machines` beyond one mean as many GPUs."""
    import torch  # only to learn what the machine has; need_stack() made sure that it is there

    gpus, processes = torch.cuda.device_count(), recipe.processes
    several = processes > 1 or recipe.machines > 1
    if several and gpus < processes:
        what = f"{processes} processes a machine need as many GPUs, this machine has {gpus}"
        alone = ", and `machines` to 1" if recipe.machines > 1 and not gpus else ""
        fix = f"set `processes` to {max(gpus, 1)} in the recipe's train section{alone}"
        raise InputError(what, where="train.processes", fix=fix)
    name = "several_machines" if recipe.machines > 1 else "several_gpus" if several else "one_gpu" if gpus else "cpu"
    return find(f"training/accelerate/{name}.yaml")


def launch(run: Run, told: Path, recipe: TrainRecipe, out: Path, place: Place, *options: str) -> None:
    """Run the loop as a child of this process; what it ended on stands in failure.json, since launchers hide codes."""
    command = launcher(accelerate_config(recipe), recipe, place)
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


def launcher(config: Path, recipe: TrainRecipe, place: Place) -> list[str]:
    """The command that starts this machine's processes of the loop, up to the loop's own options."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", str(config)]
    command += ["--num_processes", str(recipe.processes * recipe.machines)]
    if recipe.machines > 1:
        command += ["--num_machines", str(recipe.machines), "--machine_rank", str(place.rank)]
        command += ["--main_process_ip", place.host, "--main_process_port", str(place.port)]
    return [*command, "--num_cpu_threads_per_process", str(recipe.threads or cores()), str(script())]


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
