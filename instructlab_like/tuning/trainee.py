"""The model under training: a frozen base with a fresh adapter, on the device and in the processes of the launcher."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.accelerator import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env, set_seed
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.recipe import LoraRecipe, TrainRecipe
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.models import reference, weights_id
from instructlab_like.tuning.shard import shard
from instructlab_like.workspace import cores


@dataclass(frozen=True)
class Trainee:
    """`adapted` is the PEFT model itself, `prepared` what accelerate made of it; `weights` identifies the base's."""

    name: str
    base: Reference  # how a file that travels names it
    weights: str
    adapted: PeftModel
    prepared: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    accelerator: Accelerator

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.adapted.parameters() if parameter.requires_grad]

    def begin(self, phase: int) -> None:
        """Make ready for a phase of the recipe, counted from 0."""

    def stepped(self) -> None:
        """Make good what a step of the optimizer may have broken."""

    def values(self) -> dict[str, torch.Tensor]:
        """A copy of all that a phase trains."""
        return {name: tensor.clone() for name, tensor in checkpoint.weights(self.adapted).items()}

    def set_values(self, values: Mapping[str, torch.Tensor]) -> None:
        set_peft_model_state_dict(self.adapted, dict(values))

    def adapter(self) -> checkpoint.Adapter:
        """As which the model leaves: a LoRA adapter of the base."""
        return checkpoint.Adapter.of(self.adapted)

    def beside(self) -> dict[str, torch.Tensor]:
        """What a checkpoint on the way needs beside the adapter to come back to these values."""
        return {}

    def take_step(self, folder: Path) -> None:
        """Set the values to those of a checkpoint of the phase under way, bit by bit."""
        checkpoint.restore(folder, self.adapted)

    def take_phase(self, folder: Path) -> None:
        """Go on from a finished phase."""
        checkpoint.restore(folder, self.adapted)


def start(recipe: TrainRecipe, out: Path) -> Accelerator:
    """Take the device that the launcher chose; on a CPU, its threads."""
    gpu = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    native = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    half = recipe.precision == "bfloat16" or (recipe.precision == "auto" and native)
    accelerator = Accelerator(
        # What is no parameter of a model does not change, and need not travel at each step.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        mixed_precision="bf16" if half else "no",
        log_with=list(recipe.trackers) or None,
        project_dir=out / "trackers",
    )
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != expected:  # each would train for itself, into one folder
        what = f"{expected} processes were started, and this one knows of {accelerator.num_processes}"
        fix = "use as many GPUs, or set ACCELERATE_USE_CPU=true for processes on a CPU"
        raise InputError(what, where="accelerate", fix=fix)
    if accelerator.device.type == "cpu":
        sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(recipe.threads or max(1, cores() // sharing))
    return accelerator


def working_type(accelerator: Accelerator) -> torch.dtype:
    """Of the frozen base; the adapter itself is always kept in float32."""
    return torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32


def adapt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: TrainRecipe,
    accelerator: Accelerator,
) -> Trainee:
    """Put a fresh adapter on the base. Its first values come from the seed, so two runs start alike."""
    named, weights = reference(recipe.model, model), weights_id(model)
    set_seed(recipe.seed)
    try:
        adapted = get_peft_model(model, config(recipe.lora))
    except (ValueError, re.error) as error:
        fix = "'all-linear', or names of the model's layers; where it is the dropout that is refused, lora.dropout: 0"
        raise RecipeError(str(error), where="lora.targets", fix=fix) from error
    if recipe.shard and accelerator.num_processes > 1:
        shard(adapted, accelerator.device)
        prepared = accelerator.prepare_model(adapted, device_placement=False, evaluation_mode=True)  # autocast alone
    else:
        prepared = accelerator.prepare_model(adapted)
    return Trainee(recipe.model, named, weights, adapted, prepared, tokenizer, accelerator)


def config(lora: LoraRecipe) -> LoraConfig:
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=int(lora.alpha) if lora.alpha.is_integer() else lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
    )
