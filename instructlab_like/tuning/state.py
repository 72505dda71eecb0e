"""Checkpoints from which training goes on as if it had never stopped: adapter, optimizer, random states, position.

All of it lies in safetensors and JSON, in a folder that `checkpoint` writes whole or not at all. The learning rate and
the order of the rows follow from step and seed, so the step is all that is kept of either.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import peft
import torch
import transformers
from accelerate.accelerator import Accelerator
from accelerate.utils import gather
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from instructlab_like.errors import InputError, ModelError
from instructlab_like.records import Record
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.choice import Choice
from instructlab_like.tuning.measures import HeldOutLoss, LeafLoss, SampleLoss

STATE = "state.json"
TENSORS = "training_state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # AdamW's, for each parameter


class History(Record):
    """What training measured of a phase, up to a checkpoint; samples, leaves and choice at its end."""

    losses: tuple[LeafLoss, ...] = ()
    held_out: tuple[HeldOutLoss, ...] = ()
    saved: tuple[int, ...] = ()  # the steps that may be chosen
    samples: tuple[SampleLoss, ...] = ()
    leaves: tuple[str, ...] = ()
    choice: Choice | None = None

    def more(
        self,
        *,
        losses: Sequence[LeafLoss] = (),
        held_out: Sequence[HeldOutLoss] = (),
        saved: Sequence[int] = (),
    ) -> History:
        told = {"losses": (*self.losses, *losses), "held_out": (*self.held_out, *held_out)}
        return self.model_copy(update={**told, "saved": (*self.saved, *saved)})


class State(Record):
    """Where a phase stands after `step` steps. `recent` are the losses that the guard remembers."""

    phase: str
    step: int
    processes: int
    threads: int  # of torch; another number adds up in another order
    build: str
    recent: tuple[float, ...]
    history: History


@dataclass(frozen=True)
class Found:
    """A checkpoint in its folder, every file of it as it was written."""

    folder: Path
    state: State


def build() -> str:
    """What beside the inputs decides the bits of a result."""
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    return f"{versions}, {platform.machine()}, {kind}"


def folder_of(checkpoints: Path, phase: str, step: int) -> Path:
    return checkpoints / f"{phase}-{step:06d}"


def folders(checkpoints: Path, phase: str) -> list[Path]:
    """The checkpoints of a phase under way, newest first."""
    pattern = re.compile(rf"{re.escape(phase)}-\d{{6,}}")
    found = [path for path in checkpoints.glob(f"{phase}-*") if pattern.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def is_step(folder: Path) -> bool:
    """Whether this is a checkpoint of a phase under way, not of a finished one."""
    return re.fullmatch(r"[a-z]+-\d{6,}", folder.name) is not None


def save(
    folder: Path,
    adapter: checkpoint.Adapter,
    model: PeftModel,
    optimizer: torch.optim.Optimizer,
    state: State,
    *,
    tensors: dict[str, torch.Tensor],
    base: checkpoint.Reference,
    weights_id: str,
    inputs: str,
) -> None:
    """Write a checkpoint: `adapter` as which `model` leaves, the optimizer over its parameters, and `tensors`: random
    states and whatever else is to come back with them."""
    with checkpoint.writing(folder, inputs=inputs, base=weights_id) as scratch:
        checkpoint.write_adapter(scratch, adapter, base)
        save_file({**tensors, **_moments(model, optimizer)}, scratch / TENSORS)
        (scratch / STATE).write_text(state.model_dump_json() + "\n", encoding="utf-8")


def read(folder: Path) -> State:
    """The state in a checkpoint's folder. Raises ModelError when any file of it is not as it was written."""
    checkpoint.verify(folder)
    try:
        return State.model_validate_json((folder / STATE).read_bytes())
    except (ValidationError, OSError) as error:
        raise ModelError("the checkpoint's state cannot be read", where=str(folder / STATE), fix="delete it") from error


def read_history(folder: Path) -> History:
    """What was measured of a finished phase. Raises ModelError where that cannot be read."""
    try:
        return History.model_validate_json((folder / checkpoint.HISTORY).read_bytes())
    except (ValidationError, OSError) as error:
        raise ModelError("cannot be read", where=str(folder / checkpoint.HISTORY), fix="delete the folder") from error


def expect_same_machine(found: Found, *, processes: int) -> None:
    """Raise InputError where going on would not give the bits that a training in one go gives."""
    state = found.state
    if state.processes != processes:
        what = f"was saved by {state.processes} processes, and this training has {processes}"
    elif state.build != build():
        what = f"was saved under {state.build}, and this is {build()}"
    else:
        return
    fix = "go on with what it was saved under; --restart deletes it and trains this phase anew"
    raise InputError(what, where=str(found.folder), fix=fix)


def restore(found: Found, model: PeftModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Set the optimizer of `model` to what it was, bit by bit; gives all other tensors of the checkpoint."""
    tensors = load_file(found.folder / TENSORS)
    told = optimizer.state_dict()
    for number, (name, _) in enumerate(_trained(model)):
        if f"step.{name}" in tensors:
            told["state"][number] = {moment: tensors.pop(f"{moment}.{name}") for moment in MOMENTS}
    optimizer.load_state_dict(told)
    return tensors


def random_states(accelerator: Accelerator) -> dict[str, torch.Tensor]:
    """The state of torch's generators on every process; all processes must call this."""
    states = {"cpu": torch.get_rng_state()}
    if accelerator.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    kept: dict[str, torch.Tensor] = {}
    for name, own in states.items():
        every = gather(own[None].to(accelerator.device)).cpu() if accelerator.num_processes > 1 else own[None]
        kept |= {f"rng.{name}.{rank}": state.clone() for rank, state in enumerate(every)}
    return kept


def set_random_states(tensors: dict[str, torch.Tensor], accelerator: Accelerator) -> None:
    rank = accelerator.process_index
    torch.set_rng_state(tensors[f"rng.cpu.{rank}"])
    if accelerator.device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"rng.cuda.{rank}"])


def prune(checkpoints: Path, phase: str, keep: Sequence[int]) -> None:
    """Remove the checkpoints of a phase but those after the steps in `keep`."""
    wanted = {folder_of(checkpoints, phase, step) for step in keep}
    for folder in folders(checkpoints, phase):
        if folder not in wanted:
            checkpoint.remove(folder)


def _trained(model: PeftModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """By name, in the order in which the optimizer was given them."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def _moments(model: PeftModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, parameter in _trained(model):
        moments = optimizer.state.get(parameter, {})  # none for what never had a gradient
        found |= {f"{moment}.{name}": moments[moment].detach().cpu().contiguous() for moment in MOMENTS if moments}
    return found
