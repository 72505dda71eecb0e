"""The frozen base cut up over the processes (FSDP2), where no single device holds it; the adapter is on each, whole.

So optimizer and checkpoints are those of any other training: only the base's layers are gathered, one at a time, as
they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.distributed as dist
from peft import PeftModel
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from transformers import PreTrainedModel

from instructlab_like.errors import RecipeError


def shard(model: PeftModel, device: torch.device) -> None:
    """Cut the frozen weights of `model` up over all processes, a block of it at a time; its trained ones move whole.

    Raises RecipeError for a model that does not say which of its modules are blocks.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    trained = {parameter for parameter in model.parameters() if parameter.requires_grad}
    for block in blocks(model):
        fully_shard(block, mesh=mesh, ignored_params=trained)
    # Cut up again after each pass: a checkpoint, which one process alone writes, would do it there only, and the next
    # pass would wait for what the others do not send.
    fully_shard(model, mesh=mesh, ignored_params=trained, reshard_after_forward=True)
    for parameter in trained:
        parameter.data = parameter.data.to(device)
    for module in model.modules():  # rotary frequencies and the like
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def blocks(model: PeftModel) -> list[torch.nn.Module]:
    """The modules that the model's class names as not to be split: its decoder layers."""
    base = cast("PreTrainedModel", model.get_base_model())
    names = set(base._no_split_modules or ())
    found = [module for module in base.modules() if type(module).__name__ in names]
    if not found:
        what = f"{type(base).__name__} does not say which of its modules are blocks"
        raise RecipeError(what, where="train.shard", fix="shard: false, on devices that hold the whole base")
    return found


def is_sharded(model: torch.nn.Module) -> bool:
    return isinstance(model, FSDPModule)


@torch.no_grad()
def exchange(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Set each gradient to its mean over the processes, in one message; one that nobody has stays away."""
    present = torch.tensor([parameter.grad is not None for parameter in parameters], device=parameters[0].device)
    told = present.to(torch.int32)
    dist.all_reduce(told)
    own = [parameter for parameter, count in zip(parameters, told.tolist(), strict=True) if count]
    flat = torch.cat([gradient(parameter).reshape(-1) for parameter in own])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    done = 0
    for parameter in own:
        parameter.grad = flat[done : done + parameter.numel()].view_as(parameter)
        done += parameter.numel()


def gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
