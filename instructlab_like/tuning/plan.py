"""What a training will do, worked out and said before its first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from accelerate.accelerator import Accelerator
from transformers import PreTrainedModel

from instructlab_like.errors import InputError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Row, digest, plain
from instructlab_like.tuning.estimate import Fit, Memory, Recompute, UnknownModelError, fits, memory, shape
from instructlab_like.tuning.hub import place_of
from instructlab_like.tuning.machine import free_memory
from instructlab_like.tuning.phases import (
    STEPS_AN_EPOCH,
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
from instructlab_like.tuning.shard import is_sharded
from instructlab_like.tuning.switches import Switches, settle, worth_it
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.tuning.trainee import Trainee, working_type
from instructlab_like.workspace import FORMAT

LONG_ROW = 16_384  # tokens, on a GPU with room for it, where an epoch still has enough steps
SHORT_ROW = 4_096  # on a GPU with little room
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
    separation: Separation,
    *,
    identity: Sequence[object],
    processes: int,
    row_tokens: int,
    switches: Switches,
) -> Plan:
    """Derive all that the recipe leaves open. `identity` is what decides the weights beside recipe and rows."""
    phases: list[Phase] = []
    skipped: list[Skipped] = []
    inputs: list[str] = []
    before = digest([FORMAT, *identity, *([switches.decisive] if switches.decisive else [])])
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


def settled(
    switches: Switches,
    recipe: TrainRecipe,
    accelerator: Accelerator,
    model: PreTrainedModel,
    encoded: Mapping[str, Sequence[Encoded]],
    separation: Separation,
) -> tuple[Switches, int]:
    """The switches, and the tokens of a row: on a GPU as many as its memory holds, up to LONG_ROW."""
    lengths = [len(sample.ids) for samples in encoded.values() for sample in samples]
    trained = sum(int(sample.trained.sum()) for samples in encoded.values() for sample in samples)
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    on_gpu = accelerator.device.type != "cpu"
    usual = recipe.row_tokens or derive_row_tokens(max(lengths), on_gpu=on_gpu)
    rows = [usual]
    if on_gpu and not recipe.row_tokens:
        enough = recipe.batch_tokens or sum(lengths) // STEPS_AN_EPOCH
        longer = [LONG_ROW] if usual < LONG_ROW <= enough else []
        rows = [*longer, usual, *([SHORT_ROW] if max(lengths) <= SHORT_ROW else [])]
    rows = [min(row, limit or row) for row in rows]
    available = capacity(accelerator)
    needed = partial(
        needs,
        recipe,
        accelerator,
        switches,
        share=trained / sum(lengths),
        block_mask=separation.backend == "block mask",
        longest=max(lengths),
    )
    if available is None or isinstance(needed(rows[0], "none"), str):
        return settle(switches, None, available=None, rows=[min(usual, limit or usual)])

    def counted(row: int, kind: Recompute) -> Memory:
        found = needed(row, kind)
        assert isinstance(found, Memory)
        return found

    found, row_tokens = settle(switches, counted, available=available, rows=rows)
    seen = sum(sum(len(one.ids) for one in encoded[phase.name]) * phase.epochs for phase in recipe.phases)
    return worth_it(found, recipe, parameters=model.num_parameters(), tokens=seen), row_tokens


def capacity(accelerator: Accelerator) -> int | None:
    """Bytes of the smallest GPU, all of them: what is free now would give another plan when a training goes on."""
    if accelerator.device.type != "cuda":
        return None
    own = torch.tensor([torch.cuda.mem_get_info(accelerator.device)[1]], device=accelerator.device)
    return int(accelerator.gather(own).min())


def settings(recipe: TrainRecipe, phase: Phase) -> dict[str, object]:
    """All that decides a phase's weights beside its rows and where it starts from."""
    names = {"lora", "warmup", "schedule", "weight_decay", "clip", "seed"}
    names |= {"choose", "protect", "protect_margin"}
    kept = recipe.model_dump(mode="json", include=names)
    if recipe.osf:
        ranks = recipe.osf.ranks(len(recipe.phases))
        kept["osf"] = {"targets": recipe.osf.targets, "ranks": [ranks[0], ranks[phase.number]]}
    return {**kept, "save_every": save_every(recipe, phase), "packs": phase.packs, **plain(phase.facts())}


def save_every(recipe: TrainRecipe, phase: Phase) -> int:
    """Steps between two checkpoints of a phase."""
    return recipe.save_every or max(1, -(-phase.steps // SAVES))


def seen(row: Row) -> dict[str, object]:
    """What of a row reaches the training; where it came from may change without training anew."""
    return row.model_dump(mode="json", include={"messages", "leaf"})


def describe(
    recipe: TrainRecipe,
    trainee: Trainee,
    chat: Chat,
    separation: Separation,
    planned: Plan,
    *,
    steps: Iterable[str] = (),
) -> Iterator[str]:
    """What is going to happen, line by line, before it happens. `steps`: how a step is computed."""
    yield from _model_lines(recipe, trainee, chat, separation)
    yield from steps
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
    trained, total = trainee.adapted.get_nb_trainable_parameters()  # which counts those that are packed, two a byte
    lora, osf = recipe.lora, recipe.osf
    kind = "DoRA" if lora.dora else "LoRA"
    scale = f"alpha {lora.alpha:g}" + (" over the root of the rank" if lora.rslora else "")
    wanted = osf.targets if osf else lora.targets
    targets = wanted if isinstance(wanted, str) else ", ".join(wanted)
    kept = "kept as they are" if recipe.quantize == "none" else f"kept in 4 bits ({recipe.quantize})"
    yield f"model      {recipe.model}, {total - trained:,} parameters, {kept}"
    if osf:
        yield f"adapter    orthogonal subspaces (OSF) on {targets}: {trained:,} parameters to train; each phase holds"
        yield f"           the first {osf.held} of each matrix's directions, and all leaves as a LoRA adapter"
    else:
        yield f"adapter    {kind} of rank {lora.rank}, {scale}, on {targets}: {trained:,} parameters to train"
    threads = f", {several(torch.get_num_threads(), 'thread')}" if accelerator.device.type == "cpu" else ""
    dtype = str(working_type(accelerator)).removeprefix("torch.")
    cut = ", the base cut up over them" if is_sharded(trainee.adapted) else ""
    if recipe.shard and not cut:
        cut = ", so the base is not cut up (shard)"
    processes = several(accelerator.num_processes, "process")
    yield f"machine    {accelerator.device.type}, {dtype}, {processes}{cut}{threads}"
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


def expect_room(recipe: TrainRecipe, switches: Switches, accelerator: Accelerator) -> None:
    """Raise InputError, before the model is loaded, where the estimate says that a GPU is far too small for it, however
    much is computed again and however short the rows that would be derived."""
    if accelerator.device.type == "cpu":  # there is swap, and the system's own limit speaks for itself
        return
    usual = recipe.row_tokens or SHORT_ROW
    least: Recompute = "full" if switches.repeats else switches.recompute
    fit = room(needs(recipe, accelerator, switches, usual, least, share=0.5), accelerator)
    if isinstance(fit, Fit) and fit.verdict == "does not fit":
        what = f"{recipe.model} {fit.words}"
        raise InputError(
            what, where="train", fix="set what would fit in the recipe's train section, or take a larger GPU"
        )


def memory_lines(
    recipe: TrainRecipe, switches: Switches, planned: Plan, separation: Separation, accelerator: Accelerator
) -> Iterator[str]:
    """Whether the longest row fits, as far as it can be told."""
    largest = max(planned.phases, key=lambda phase: phase.row_tokens)
    facts = largest.facts()
    longest = max(largest.lengths)
    needed = needs(
        recipe,
        accelerator,
        switches,
        facts.row_tokens if separation.packs else longest,
        switches.recompute,
        share=facts.trained_tokens / facts.tokens,
        block_mask=separation.backend == "block mask",
        longest=longest,
    )
    fit = room(needed, accelerator)
    yield f"memory     {fit.words if isinstance(fit, Fit) else fit} (derived)"


def needs(
    recipe: TrainRecipe,
    accelerator: Accelerator,
    switches: Switches,
    row_tokens: int,
    recompute: Recompute,
    *,
    share: float,
    block_mask: bool = False,
    longest: int | None = None,
) -> Memory | str:
    """What a row takes of which `share` is learnt; a text where that cannot be told."""
    folder = place_of(recipe.model)
    if folder is None:
        return "not known"
    try:
        return memory(
            shape(folder),
            rank=recipe.lora.rank,
            effective_rank=recipe.osf.ranks(1)[0] if recipe.osf else None,
            targets=(recipe.osf or recipe.lora).targets,
            dora=recipe.lora.dora,
            dtype_bytes=2 if working_type(accelerator) == torch.bfloat16 else 4,
            row_tokens=row_tokens,
            trained_tokens=round(row_tokens * share),
            on_gpu=accelerator.device.type != "cpu",
            dropout=recipe.lora.dropout > 0,
            block_mask=block_mask,
            longest=longest,
            recompute=recompute,
            chunked=switches.chunked,
            fused=switches.fused,
            quantized=recipe.quantize != "none",
            processes=accelerator.num_processes if recipe.shard else 1,
        )
    except UnknownModelError as error:
        return f"not known: {error.what}"


def room(needed: Memory | str, accelerator: Accelerator) -> Fit | str:
    """Whether that fits where training will run; a text where it cannot be told."""
    on_gpu = accelerator.device.type != "cpu"
    available = torch.cuda.mem_get_info(accelerator.device)[0] if on_gpu else free_memory()
    if isinstance(needed, str) or available is None:
        return needed if isinstance(needed, str) else "not known"
    return fits(needed, available, place="this GPU" if on_gpu else "this machine")


def several(count: int, thing: str) -> str:
    plural = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{plural}"
