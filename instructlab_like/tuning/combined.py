"""Several LoRA adapters of one base as one: their updates added up (linear), or merged by TIES or DARE, as PEFT does.

TIES (arXiv:2306.01708) keeps the largest part of each update, and of what disagrees in sign the majority. DARE
(arXiv:2311.03099) drops a random part of each and scales up the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from transformers import PreTrainedModel

from instructlab_like.errors import InputError, ModelError
from instructlab_like.records import Message
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.merged import EXACT, Agreement, agreement, encode, hold, load_tokenizer, logits, mergeable
from instructlab_like.tuning.models import adapter_config, fetch, load_adapter, load_base, model_folder, reference
from instructlab_like.tuning.models import weights_id as identity

How: TypeAlias = Literal["linear", "ties", "dare", "dare-ties"]
Updates: TypeAlias = Sequence[torch.Tensor]

NAME = "default"  # of the combined adapter, as PEFT's files have it
SPARE, ROUNDS = 8, 4  # of the randomised decomposition: columns beyond the rank, and power iterations


class Combined(NamedTuple):
    """What was measured of a combined adapter, in float32."""

    prompts: int
    positions: int
    rank: int
    kept: float  # of the merged update's energy (squared norm) by so small a rank, in the worst layer
    whole: Agreement  # against the base with the merged update at its full rank
    files: Agreement  # as loaded again, against what was combined

    def lines(self) -> Iterator[str]:
        yield f"rank {self.rank}, which keeps {self.kept:.2%} of the merged update or more in every layer"
        yield f"{self.prompts} prompts, {self.positions} positions: against the update at its full rank, {self.whole}"
        yield f"the files: {self.files}"


def combine(
    base: str,
    adapters: Sequence[Path],
    folder: Path,
    *,
    how: How,
    weights: Sequence[float],
    density: float,
    rank: int | None,
    seed: int,
    conversations: Sequence[Sequence[Message]],
    card: Callable[[Combined], str],
    inputs: str,
) -> Combined:
    """Write the adapters' combination into `folder`, in PEFT's layout; `rank` None is the sum of their ranks.

    `density` is the part of each update that TIES and DARE keep. It takes three times the memory of the base in
    float32: two bases and the merged updates. Raises ModelError for adapters that cannot be
    combined, StoppedError where the result does not compute what its parts add up to.
    """
    for adapter in adapters:
        combinable(adapter)
    model, _ = load_base(base, torch.float32)
    tokenizer = load_tokenizer(adapters[0], model_folder(base) or fetch(base))
    prompts = encode(conversations, tokenizer, model)
    named, own = reference(base, model), identity(model)
    names = [f"part{number}" for number in range(len(adapters))]
    adapted: PreTrainedModel | PeftModel = model
    for name, adapter in zip(names, adapters, strict=True):
        adapted = load_adapter(adapted, adapter, name)
    parts = cast("PeftModel", adapted)
    torch.manual_seed(seed)  # DARE draws
    merged = {}
    for place, layer in layers(parts):
        own_parts = [(name, weight) for name, weight in zip(names, weights, strict=True) if name in layer.lora_A]
        deltas = [delta_of(layer, name) for name, _ in own_parts]
        for (name, _), delta in zip(own_parts, deltas, strict=True):
            expect_finite(delta, place, str(adapters[names.index(name)]))
        merged[place] = update(deltas, how, [weight for _, weight in own_parts], density)
        expect_finite(merged[place], place, f"{how} combination")
    ranks = [cast("LoraConfig", parts.peft_config[name]).r for name in names]
    rank = rank or sum(ranks)
    kept = fill(parts, merged, names, rank)
    parts.set_adapter(NAME)
    found = logits(parts.eval(), prompts)
    whole = agreement(logits(with_update(base, merged), prompts), found)
    if how == "linear" and rank >= sum(ranks):
        hold(whole, EXACT, "combined", adapters[0])
    facts = Combined(len(prompts), sum(map(len, prompts)), rank, kept, whole, Agreement(0.0, 0.0, 1.0))
    checkpoint.write(
        folder, checkpoint.Adapter.of(parts), tokenizer, base=named, weights_id=own, inputs=inputs, card=card(facts)
    )
    again, _ = load_base(base, torch.float32)
    files = agreement(found, logits(load_adapter(again, folder, NAME), prompts))
    hold(files, EXACT, "as files", folder)
    return facts._replace(files=files)


def combinable(adapter: Path) -> None:
    """Raise ModelError for an adapter whose update cannot be added to another's."""
    mergeable(adapter)
    config = cast("LoraConfig", adapter_config(adapter))
    if config.use_dora:
        what = "is DoRA, whose update is no sum"
    elif config.modules_to_save:
        what = f"holds whole modules besides ({', '.join(sorted(config.modules_to_save))})"
    elif config.target_parameters:
        what = "changes parameters that are no layer's weight"
    else:
        return
    raise ModelError(what, where=str(adapter), fix="combine plain LoRA adapters of one base")


def delta_of(layer: LoraLayer, name: str) -> torch.Tensor:
    """What the adapter of this name adds to the layer's weight."""
    give = cast("Callable[[str], torch.Tensor]", layer.get_delta_weight)  # type: ignore[attr-defined]
    return give(name)


def expect_finite(delta: torch.Tensor, place: str, where: str) -> None:
    if not bool(torch.isfinite(delta).all()):
        fix = "train it again, or leave it out; smaller weights, where it is the combination"
        raise ModelError(f"its update of {place} holds what is no number", where=where, fix=fix)


def update(deltas: Updates, how: How, weights: Sequence[float], density: float) -> torch.Tensor:
    """The merged update of one layer."""
    told = torch.tensor(weights, dtype=deltas[0].dtype)
    if how == "linear":
        return task_arithmetic(list(deltas), told)
    merge = {"ties": ties, "dare": dare_linear, "dare-ties": dare_ties}[how]
    return merge(list(deltas), told, density)


def layers(model: PeftModel) -> Iterator[tuple[str, LoraLayer]]:
    """Every layer with an adapter by the name that it has in the base. Raises ModelError for an embedding's."""
    for name, module in model.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        if module.lora_embedding_A:
            fix = "combine adapters that leave the embeddings as they are"
            raise ModelError("changes an embedding", where=name, fix=fix)
        yield name.removeprefix("base_model.model."), module


def fill(model: PeftModel, merged: Mapping[str, torch.Tensor], parts: Sequence[str], rank: int) -> float:
    """Add an adapter of this rank that holds the merged updates; gives the least part of one's energy that it keeps."""
    first = cast("LoraConfig", model.peft_config[parts[0]])
    targets = sorted({place.rpartition(".")[2] for place in merged})
    config = LoraConfig(task_type=first.task_type, r=rank, lora_alpha=rank, target_modules=targets)
    model.add_adapter(NAME, config)
    least = 1.0
    for place, layer in layers(model):
        if NAME not in layer.lora_A:
            continue
        delta = merged.get(place)
        if delta is None:
            raise InputError(f"an adapter changes {place}, and no other module of that name", where="--adapter",
                             fix="combine adapters with the same targets")  # fmt: skip
        turned = delta.T if getattr(layer, "fan_in_fan_out", False) else delta
        left, kept, right = decomposed(turned.float(), rank)
        for halves, part in ((layer.lora_B, left * kept), (layer.lora_A, right)):
            weight = cast("torch.nn.Linear", halves[NAME]).weight.data.zero_()
            weight[: part.shape[0], : part.shape[1]] = part
        energy = float(turned.float().square().sum())
        least = min(least, float(kept.square().sum()) / energy if energy else 1.0)
    return least


def decomposed(delta: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The `rank` largest singular values with their vectors, (out, rank), (rank), (rank, in)."""
    most = min(delta.shape)
    if rank + SPARE >= most:
        left, values, right = torch.linalg.svd(delta, full_matrices=False)
        return left[:, :rank], values[:rank], right[:rank]
    left, values, turned = torch.svd_lowrank(delta, q=rank + SPARE, niter=ROUNDS)
    return left[:, :rank], values[:rank], turned.T[:rank]


def with_update(base: str, merged: Mapping[str, torch.Tensor]) -> PreTrainedModel:
    """The base with the merged updates in its own weights."""
    model, _ = load_base(base, torch.float32)
    for place, delta in merged.items():
        weight = cast("torch.nn.Linear", model.get_submodule(place)).weight
        weight.data += delta
    return model
