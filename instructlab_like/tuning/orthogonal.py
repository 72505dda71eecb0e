"""Orthogonal subspace fine-tuning (OSF; arXiv:2504.07097), as PEFT has it: continual training without replay.

A phase takes each matrix apart as it then stands, by singular values. The first directions, which the weights use most,
are held; the rest is trained, at right angles to them. What has been learnt is a sum of products of low rank: it leaves
as an ordinary LoRA adapter of the base. A phase begins from the checkpoint of the one before it, with that added to the
weights in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import torch
from accelerate.accelerator import Accelerator
from accelerate.utils import set_seed
from peft import LoraConfig, OSFConfig, get_peft_model
from peft.tuners.osf import OSFLayer
from peft.tuners.osf.utils import decompose_weight_matrix
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.recipe import OsfRecipe, TrainRecipe
from instructlab_like.tuning import checkpoint, state
from instructlab_like.tuning.estimate import expect_between, held
from instructlab_like.tuning.models import reference, weights_id
from instructlab_like.tuning.trainee import Trainee

NAME = "default"
TRAINED = ("U_low", "S_low", "V_low")  # PEFT's names of what a layer trains: (outputs, r), (r), (r, inputs)
PLACE = "base_model.model."  # PEFT's prefix of a module's name
BESIDE = "osf."  # begins the names of what is trained, in a checkpoint on the way


class Update(NamedTuple):
    """What is added to a matrix, as the product of `left` (outputs, rank) and `right` (rank, inputs)."""

    left: torch.Tensor
    right: torch.Tensor


@dataclass
class Course:
    """How far training is: what finished phases add to the base's weights, by module, whether another one is under way,
    how many directions that one holds beyond those of the first, and by how many threads all was taken apart."""

    earlier: dict[str, Update] = field(default_factory=dict)
    under_way: bool = False
    more: dict[str, int] = field(default_factory=dict)
    threads: int = field(default_factory=torch.get_num_threads)


@dataclass(frozen=True)
class OrthogonalTrainee(Trainee):
    """A base whose matrices are taken apart anew in each phase. There are two phases at most, so that a phase finds the
    base's own weights where it adds what is earlier. `ranks`: what each phase of the recipe holds."""

    ranks: tuple[float, ...] = ()
    course: Course = field(default_factory=Course)

    def begin(self, phase: int) -> None:
        again = self.course.threads != torch.get_num_threads()  # another number adds up in another order
        for name, layer in self.layers():
            if name in self.course.earlier:
                left, right = (one.to(weight(layer)) for one in self.course.earlier[name])
                weight(layer).data += left @ right
            if name in self.course.earlier or again:
                take_apart(layer)
                self._equal(layer)
            self.course.more[name] = held(min(weight(layer).shape), self.ranks[phase]) - layer.effective_rank[NAME]
        self.course.threads = torch.get_num_threads()
        self.course.under_way = True

    def _equal(self, layer: OSFLayer) -> None:
        """Give all processes the first one's directions: by themselves they may find others that are as good."""
        if self.accelerator.num_processes > 1:
            for one in (weight(layer), *parts(layer).values(), *cast("torch.nn.Module", layer).buffers()):
                one.data = one.data.contiguous()
                torch.distributed.broadcast(one.data, 0)

    def project_gradients(self) -> None:
        """Onto what the phase under way may change, for the phases that hold more than PEFT knows of."""

        def hook(gradient: torch.Tensor, name: str, layer: OSFLayer, part: str) -> torch.Tensor:
            more = self.course.more.get(name, 0)
            return within(layer, part, gradient, more) if more else gradient

        for name, layer in self.layers():
            for part in TRAINED:
                parts(layer)[part].register_hook(partial(hook, name=name, layer=layer, part=part))

    def values(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}.{part}": parts(layer)[part].detach().cpu().clone()
            for name, layer in self.layers()
            for part in TRAINED
        }

    def set_values(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, layer in self.layers():
            for part in TRAINED:
                parts(layer)[part].data.copy_(values[f"{name}.{part}"])

    @torch.no_grad()
    def stepped(self) -> None:
        """Take out of a step what lies along the held directions: PEFT does so with gradients, of which AdamW makes a
        step in other directions."""
        for name, layer in self.layers():
            hold(layer, self.course.more[name])

    def adapter(self) -> checkpoint.Adapter:
        layers = dict(self.layers())
        updates = {name: Update(*(one.cpu() for one in self._update(name, layer))) for name, layer in layers.items()}
        rank = max(update.left.shape[1] for update in updates.values())
        tensors: dict[str, torch.Tensor] = {}
        for name, update in updates.items():
            left, right = (one.contiguous() for one in padded(update, rank))
            tensors |= {f"{PLACE}{name}.lora_A.weight": right, f"{PLACE}{name}.lora_B.weight": left}
        told = cast("OSFConfig", self.adapted.peft_config[NAME])
        lora = LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=rank, target_modules=told.target_modules)
        return checkpoint.Adapter({name: tensors[name] for name in sorted(tensors)}, lora.to_dict())  # type: ignore[no-untyped-call]

    def beside(self) -> dict[str, torch.Tensor]:
        return {f"{BESIDE}{name}": tensor for name, tensor in self.values().items()}

    def take_step(self, folder: Path) -> None:
        checkpoint.verify(folder)
        found = load_file(folder / state.TENSORS)
        self.set_values({name.removeprefix(BESIDE): one for name, one in found.items() if name.startswith(BESIDE)})

    def take_phase(self, folder: Path) -> None:
        checkpoint.verify(folder)
        found = load_file(folder / checkpoint.WEIGHTS)
        self.course.earlier = {
            name: Update(found[f"{PLACE}{name}.lora_B.weight"], found[f"{PLACE}{name}.lora_A.weight"])
            for name, _ in self.layers()
        }
        self.course.under_way = False

    def _update(self, name: str, layer: OSFLayer) -> Update:
        earlier = self.course.earlier.get(name)
        if not self.course.under_way and earlier:
            return earlier
        before = [Update(*(one.to(weight(layer).device) for one in earlier))] if earlier else []
        return compact([*before, own(layer, self.course.more.get(name, 0))])

    def layers(self) -> Iterator[tuple[str, OSFLayer]]:
        for name, module in self.adapted.named_modules():
            if isinstance(module, OSFLayer):
                yield name.removeprefix(PLACE), module


def adapt(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, recipe: TrainRecipe, accelerator: Accelerator
) -> OrthogonalTrainee:
    """Take the matrices of a base in float32 apart.

    Raises RecipeError for targets that the model does not have or of which all or nothing would be held, ModelError
    for layers of other kinds than torch's Linear.
    """
    assert recipe.osf
    named, weights = reference(recipe.model, model), weights_id(model)
    model.to(accelerator.device)  # where a decomposition takes seconds, not minutes
    set_seed(recipe.seed)
    try:
        expect_trainable(model, recipe.osf)
        adapted = get_peft_model(model, config(recipe.osf))
    except (ValueError, re.error) as error:
        fix = "'all-linear', or names of the model's layers"
        raise RecipeError(str(error), where="train.osf.targets", fix=fix) from error
    ranks = recipe.osf.ranks(len(recipe.phases))
    trainee = OrthogonalTrainee(recipe.model, named, weights, adapted, adapted, tokenizer, accelerator, ranks)
    trainee.project_gradients()
    prepared = accelerator.prepare_model(adapted)
    return replace(trainee, prepared=prepared)


def config(osf: OsfRecipe) -> OSFConfig:
    targets = osf.targets if isinstance(osf.targets, str) else list(osf.targets)
    return OSFConfig(task_type="CAUSAL_LM", effective_rank=osf.ranks(1)[0], target_modules=targets)


def expect_trainable(model: PreTrainedModel, osf: OsfRecipe) -> None:
    """Look at what the targets name before anything is taken apart, which takes long. Raises as `adapt` does."""
    words, head, wanted = model.get_input_embeddings(), model.get_output_embeddings(), config(osf)  # type: ignore[no-untyped-call]
    for name, module in model.named_modules():
        if osf.targets == "all-linear":
            meant = isinstance(module, torch.nn.Linear | Conv1D) and module is not head
        else:
            meant = bool(check_target_module_exists(wanted, name))
        if not meant:
            continue
        if not isinstance(module, torch.nn.Linear):
            what = f"{name} is of the kind {type(module).__name__}, and OSF takes apart only torch.nn.Linear"
            raise ModelError(what, where="train.osf.targets", fix="name layers of that kind, or train a LoRA adapter")
        if module.weight is words.weight:
            what = f"{name} shares its weights with the words that are read"
            raise RecipeError(what, where="train.osf.targets", fix="leave it out: all-linear does")
        every = min(module.weight.shape)
        for one in osf.ranks(1):
            expect_between(held(every, one), every, name)


# --- one matrix -----------------------------------------------------------------------------------------------------


def weight(layer: OSFLayer) -> torch.Tensor:
    return cast("torch.Tensor", layer.get_base_layer().weight)


def parts(layer: OSFLayer) -> torch.nn.ParameterDict:
    """What is trained of it, by the names of `TRAINED`."""
    return cast("torch.nn.ParameterDict", layer.osf_svd_params[NAME])


def take_apart(layer: OSFLayer) -> None:
    """Take the layer's matrix apart as it stands now, into the tensors that are there: processes exchange gradients of
    these very parameters."""
    found = decompose_weight_matrix(weight(layer).data, top_k=layer.effective_rank[NAME])
    for part in TRAINED:
        parts(layer)[part].data.copy_(found[part].data)
        getattr(layer, f"_osf_{part}_init")[NAME].copy_(found[part].data)
    for part in ("U_high", "V_high"):
        kept = getattr(layer, f"_osf_{part}")
        if NAME in kept:  # only of a side that is longer than the matrix has directions
            kept[NAME].copy_(found[part])


def within(layer: OSFLayer, part: str, change: torch.Tensor, more: int) -> torch.Tensor:
    """What of a change, or of a gradient, a phase may make: at right angles to all held directions, and nothing of the
    first `more` that it trained were fewer held.

    PEFT keeps the held directions only of a side longer than the matrix has directions; of the other, the first values
    of what is trained span all the rest.
    """
    first = getattr(layer, f"_osf_{part}_init")[NAME]
    if part == "S_low":
        return torch.cat([torch.zeros_like(change[:more]), change[more:]])
    if part == "V_low":
        high = _kept(layer, "V_high")
        return _across(first.T, high if high is None else high.T, change.T, more).T
    return _across(first, _kept(layer, "U_high"), change, more)


def _kept(layer: OSFLayer, side: str) -> torch.Tensor | None:
    kept = getattr(layer, f"_osf_{side}")
    return kept[NAME] if NAME in kept else None  # noqa: SIM401 - PEFT's mapping has no get


def _across(first: torch.Tensor, high: torch.Tensor | None, change: torch.Tensor, more: int) -> torch.Tensor:
    """Of one side: `first` and `change` are (side, r), `high` is (side, held)."""
    change = torch.cat([torch.zeros_like(change[:, :more]), change[:, more:]], dim=1)
    if high is None:
        rest = first[:, more:]
        return rest @ (rest.T @ change)
    for span in (high, first[:, :more]):
        change = change - span @ (span.T @ change)
    return change


def hold(layer: OSFLayer, more: int) -> None:
    """Take out of what was changed since the phase began all that it may not change."""
    for part in TRAINED:
        value, first = parts(layer)[part].data, getattr(layer, f"_osf_{part}_init")[NAME]
        value.copy_(first + within(layer, part, value - first, more))


def own(layer: OSFLayer, more: int = 0) -> Update:
    """What the phase under way adds: U·S·V less its first value, written so that no large numbers cancel."""
    left, size, right = (parts(layer)[part].detach() for part in TRAINED)
    first = [getattr(layer, f"_osf_{part}_init")[NAME] for part in TRAINED]
    after, before = (left * size)[:, more:], (first[0] * first[1])[:, more:]
    return Update(torch.cat([after - before, before], dim=1), torch.cat([right[more:], (right - first[2])[more:]]))


def compact(updates: Sequence[Update]) -> Update:
    """The sum of updates with the least rank that holds any such sum. One factor has columns, or rows, at right angles
    to each other and of length 1, the other the size of the sum: half precision rounds no difference away."""
    left = torch.cat([update.left for update in updates], dim=1)
    right = torch.cat([update.right for update in updates])
    outputs, rank, inputs = left.shape[0], left.shape[1], right.shape[1]
    if rank < min(outputs, inputs):
        span, rest = torch.linalg.qr(left)
        return Update(span, rest @ right)
    same = torch.eye(min(outputs, inputs), dtype=left.dtype, device=left.device)
    return Update(same, left @ right) if outputs < inputs else Update(left @ right, same)


def padded(update: Update, rank: int) -> Update:
    """With zeros up to `rank`: servers want one rank for all modules."""
    more = rank - update.left.shape[1]
    return Update(
        torch.nn.functional.pad(update.left, (0, more)), torch.nn.functional.pad(update.right, (0, 0, 0, more))
    )
