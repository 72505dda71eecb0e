"""torch.compile, a decoder layer at a time: layers of one kind share a graph, and what is between them stays.

Rows are laid at one length, the rest filled by a sample of its own from which nothing is learnt, so that after the
second row nothing is compiled again. The kernel for samples of different lengths is part of the graph; attention
sample by sample, on a CPU, reads the borders and so breaks it there.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import cast

import torch
from transformers import PreTrainedModel

COMPILERS = ("c++", "g++", "clang++", "cc", "gcc", "clang")


def decoder_layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The layers of the decoder, which have no name in common between classes."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    stacks = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == count]
    return list(stacks[0]) if stacks else []


def compile_layers(model: PreTrainedModel, *, backend: str = "inductor") -> int:
    """Compile every decoder layer by itself, when it is first called; gives how many there are.

    Raises NotImplementedError where no layers are found.
    """
    layers = decoder_layers(model)
    if not layers:
        raise NotImplementedError("its decoder layers are not in one list")
    for layer in layers:
        layer.compile(backend=backend)
    return len(layers)


def leave_as_written(model: PreTrainedModel) -> None:
    """Undo `compile_layers`."""
    for layer in decoder_layers(model):
        layer._compiled_call_impl = None


def cannot_compile(device: str) -> str:
    """Why nothing can be compiled on this machine; empty where it can."""
    if not (os.environ.get("CXX") or os.environ.get("CC") or any(shutil.which(name) for name in COMPILERS)):
        return "there is no C compiler: install gcc, or name one in CC"
    if device == "cuda" and find_spec("triton") is None:
        return "triton is not installed"
    return ""


def as_written() -> AbstractContextManager[object]:
    """Without what was compiled while no gradient is asked for: held-out rows have lengths of their own."""
    if torch.is_grad_enabled():
        return nullcontext()
    return cast("AbstractContextManager[object]", torch.compiler.set_stance("force_eager"))
