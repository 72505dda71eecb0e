"""What a training will do, worked out and said before its first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from accelerate.accelerator import Accelerator
from transformers import PreTrainedModel

from instructlab_like.errors import InputError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Row, digest, plain
from instructlab_like.tuning.estimate import Fit, UnknownModelError, fits, memory, shape
from instructlab_like.tuning.hub import place_of
from instructlab_like.tuning.machine import free_memory
from instructlab_like.tuning.phases import (
    ROW_ON_GPU,
    Phase,
    Rows,
    Skipped,
    derive_batch_tokens,
    derive_row_tokens,
    replay_line,
    replayed,
    rows_per_step,
    usable,
)
from instructlab_like.tuning.separate import Separation
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.tuning.trainee import Trainee, working_type
from instructlab_like.workspace import FORMAT

SAVES = 4  # checkpoints of a phase, where the recipe does not say


@dataclass(frozen=True)
class Plan:
    """The phases that have something to train, the samples that cannot be trained, and what decides each phase's
    weights: `inputs` has a digest for each phase, over it and all before it."""

    phases: tuple[Phase, ...]
    skipped: tuple[Skipped, ...]
    inputs: tuple[str, ...]

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)


def plan(
    recipe: TrainRecipe,
    rows: Mapping[str, Rows],
    encoded: Mapping[str, Sequence[Encoded]],
    model: PreTrainedModel,
    separation: Separation,
    *,
    identity: Sequence[object],
    processes: int,
    on_gpu: bool,
) -> Plan:
    """Derive all that the recipe leaves open. `identity` is what decides the weights beside recipe and rows."""
    longest = max(len(sample.ids) for samples in encoded.values() for sample in samples)
    told = recipe.row_tokens or derive_row_tokens(longest, on_gpu=on_gpu)
    row_tokens = min(told, getattr(model.config.get_text_config(), "max_position_embeddings", None) or told)
    phases: list[Phase] = []
    skipped: list[Skipped] = []
    inputs: list[str] = []
    before = digest([FORMAT, *identity])
    for number, phase in enumerate(recipe.phases):
        kept, left_out = usable(encoded[phase.name], phase=phase.name, row_tokens=row_tokens)
        skipped += [*rows[phase.name].skipped, *left_out]
        if not kept:
            continue
        tokens = sum(len(sample.ids) for sample in kept)
        whole = Phase(number, phase, tuple(kept), row_tokens, 1, separation.packs, recipe.seed)
        step = rows_per_step(
            recipe.batch_tokens or derive_batch_tokens(tokens, row_tokens),
            tokens=tokens,
            rows=whole.rows,
            processes=processes,
        )
        phases.append(replace(whole, rows_per_step=step))
        before = digest([before, settings(recipe, phases[-1]), [seen(row) for row in rows[phase.name]]])
        inputs.append(before)
    if not phases:
        raise InputError(
            f"none of the {len(skipped)} samples can be trained: the first is {skipped[0].reason}",
            where=skipped[0].leaf,
            fix="give longer rows with row_tokens, or look at the dataset",
        )
    return Plan(tuple(phases), tuple(skipped), tuple(inputs))


def settings(recipe: TrainRecipe, phase: Phase) -> dict[str, object]:
    """All that decides a phase's weights beside its rows and where it starts from."""
    names = {"lora", "warmup", "schedule", "weight_decay", "clip", "seed"}
    names |= {"choose", "protect", "protect_margin"}
    kept = recipe.model_dump(mode="json", include=names)
    return {**kept, "save_every": save_every(recipe, phase), "packs": phase.packs, **plain(phase.facts())}


def save_every(recipe: TrainRecipe, phase: Phase) -> int:
    """Steps between two checkpoints of a phase."""
    return recipe.save_every or max(1, -(-phase.steps // SAVES))


def seen(row: Row) -> dict[str, object]:
    """What of a row reaches the training; where it came from may change without training anew."""
    return row.model_dump(mode="json", include={"messages", "leaf"})


def describe(recipe: TrainRecipe, trainee: Trainee, chat: Chat, separation: Separation, planned: Plan) -> Iterator[str]:
    """What is going to happen, line by line, before it happens."""
    yield from _model_lines(recipe, trainee, chat, separation)
    found = replayed(planned.phases)
    by_name = {phase.recipe.name: phase for phase in planned.phases}
    for name in [phase.name for phase in recipe.phases]:
        if name in by_name:
            yield from _phase_lines(recipe, by_name[name])
            yield f"           {replay_line(name, found)}"
        else:
            yield f"{name:<10} no samples: skipped"
    for (leaf, reason), count in sorted(Counter((skip.leaf, skip.reason) for skip in planned.skipped).items()):
        yield f"skipped    {several(count, 'sample')} of {leaf}: {reason}"


def _model_lines(recipe: TrainRecipe, trainee: Trainee, chat: Chat, separation: Separation) -> Iterator[str]:
    accelerator = trainee.accelerator
    total = sum(parameter.numel() for parameter in trainee.adapted.parameters())
    trained = sum(parameter.numel() for parameter in trainee.parameters)
    lora = recipe.lora
    kind = "DoRA" if lora.dora else "LoRA"
    scale = f"alpha {lora.alpha:g}" + (" over the root of the rank" if lora.rslora else "")
    targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
    yield f"model      {recipe.model}, {total - trained:,} parameters, kept as they are"
    yield f"adapter    {kind} of rank {lora.rank}, {scale}, on {targets}: {trained:,} parameters to train"
    threads = f", {several(torch.get_num_threads(), 'thread')}" if accelerator.device.type == "cpu" else ""
    dtype = str(working_type(accelerator)).removeprefix("torch.")
    yield f"machine    {accelerator.device.type}, {dtype}, {several(accelerator.num_processes, 'process')}{threads}"
    proof = f"packed and solo gradients agree to {separation.error:.0e}" if separation.packs else "no row is shared"
    yield f"attention  {separation.backend}; {proof}" + (f" ({separation.note})" if separation.note else "")
    yield f"answers    told from questions by {chat.marks}; only answers are learnt, with their end token"
    if not chat.closes:
        yield "           warning: the chat template ends no answer with a special token, so none teaches to stop"
    if chat.dated:
        yield "           note: the chat template writes today's date into prompts, so the adapter depends on the day"


def _phase_lines(recipe: TrainRecipe, phase: Phase) -> Iterator[str]:
    facts = phase.facts()
    yield (
        f"{facts.phase:<10} {facts.samples:,} samples, {facts.tokens:,} tokens ({facts.trained_tokens:,} learnt), "
        f"in {facts.rows:,} rows of {facts.row_tokens:,}, {facts.fill:.1%} full"
    )
    yield (
        f"           {facts.epochs:g} epochs = {facts.steps:,} steps of {facts.rows_per_step} rows, "
        f"learning rate {facts.learning_rate:g}, {recipe.schedule}, warm-up over {recipe.warmup:.0%}; "
        f"a checkpoint every {several(save_every(recipe, phase), 'step')}"
    )


def expect_room(recipe: TrainRecipe, accelerator: Accelerator) -> None:
    """Raise InputError, before the model is loaded, where the estimate says that a GPU is far too small for it."""
    if accelerator.device.type == "cpu":  # there is swap, and the system's own limit speaks for itself
        return
    usual = recipe.row_tokens or ROW_ON_GPU
    fit = room(recipe, accelerator, row_tokens=usual, trained_tokens=usual // 2, block_mask=False, longest=None)
    if isinstance(fit, Fit) and fit.verdict == "does not fit":
        what = f"{recipe.model} {fit.words}"
        raise InputError(
            what, where="train", fix="set what would fit in the recipe's train section, or take a larger GPU"
        )


def memory_lines(recipe: TrainRecipe, planned: Plan, separation: Separation, accelerator: Accelerator) -> Iterator[str]:
    """Whether the longest row fits, as far as it can be told."""
    largest = max(planned.phases, key=lambda phase: phase.row_tokens)
    facts = largest.facts()
    longest = max(largest.lengths)
    row_tokens = facts.row_tokens if separation.packs else longest
    fit = room(
        recipe,
        accelerator,
        row_tokens=row_tokens,
        trained_tokens=round(row_tokens * facts.trained_tokens / facts.tokens),
        block_mask=separation.backend == "block mask",
        longest=longest,
    )
    yield f"memory     {fit.words if isinstance(fit, Fit) else fit} (derived)"


def room(
    recipe: TrainRecipe,
    accelerator: Accelerator,
    *,
    row_tokens: int,
    trained_tokens: int,
    block_mask: bool,
    longest: int | None,
) -> Fit | str:
    """Whether training fits where it will run; a text where that cannot be told."""
    on_gpu = accelerator.device.type != "cpu"
    available = torch.cuda.mem_get_info(accelerator.device)[0] if on_gpu else free_memory()
    folder = place_of(recipe.model)
    if folder is None or available is None:
        return "not known"
    try:
        needed = memory(
            shape(folder),
            rank=recipe.lora.rank,
            targets=recipe.lora.targets,
            dora=recipe.lora.dora,
            dtype_bytes=2 if working_type(accelerator) == torch.bfloat16 else 4,
            row_tokens=row_tokens,
            trained_tokens=trained_tokens,
            on_gpu=on_gpu,
            dropout=recipe.lora.dropout > 0,
            block_mask=block_mask,
            longest=longest,
        )
    except UnknownModelError as error:
        return f"not known: {error.what}"
    return fits(needed, available, place="this GPU" if on_gpu else "this machine")


def several(count: int, thing: str) -> str:
    plural = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{plural}"
