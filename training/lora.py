"""Train a LoRA adapter in phases: knowledge, then skills, each starting from the last one's adapter.

Run by `ilk train`, which launches it through accelerate:

    accelerate launch --quiet --config_file training/accelerate/cpu.yaml training/lora.py --run-folder runs/demo \\
        --dataset runs/demo/4-dataset --recipe runs/demo/5-training/recipe.json --out runs/demo/5-training

Reads data/{knowledge,skills}-train.jsonl of the dataset. Writes plan.jsonl, skipped.jsonl, losses.jsonl,
checkpoints/<phase> and adapter; failure.json when it ends on an error, since launchers hide exit codes.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import transformers
from accelerate.accelerator import Accelerator
from accelerate.utils import parse_flag_from_env, set_seed
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from instructlab_like import console
from instructlab_like.errors import IlkError, InputError, ModelError, RecipeError, StoppedError
from instructlab_like.recipe import TrainRecipe, load
from instructlab_like.records import Row, digest, plain
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.loss import LeafLoss, LossBook, token_losses
from instructlab_like.tuning.models import base_id, load_base
from instructlab_like.tuning.phases import (
    Phase,
    Skipped,
    derive_batch_tokens,
    derive_row_tokens,
    rate,
    read_rows,
    rows_per_step,
    usable,
)
from instructlab_like.tuning.separate import Separation, forward, keep_apart, lay
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.workspace import FORMAT, cores, dump, read_records, write_records, write_whole

Say: TypeAlias = Callable[[str], None]
FloatArray: TypeAlias = npt.NDArray[np.float64]

LINE_EVERY = 5.0  # seconds between lines of progress
RECORDS_A_PHASE = 50  # entries of losses.jsonl for each leaf


@dataclass(frozen=True)
class Trainee:
    """The model under training: `adapted` is the PEFT model itself, `prepared` what accelerate made of it."""

    name: str
    adapted: PeftModel
    prepared: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    accelerator: Accelerator

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.adapted.parameters() if parameter.requires_grad]


def main() -> int:
    parser = argparse.ArgumentParser(description="Train a LoRA adapter; normally launched by `ilk train`.")
    parser.add_argument("--run-folder", type=Path, required=True, help="the run's folder; the model card names it")
    parser.add_argument("--dataset", type=Path, required=True, help="folder with data/<phase>-train.jsonl")
    parser.add_argument("--recipe", type=Path, required=True, help="a recipe file with a train section")
    parser.add_argument("--out", type=Path, required=True, help="where plan, losses, checkpoints and adapter go")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, terminate)
    (args.out / "failure.json").unlink(missing_ok=True)
    try:
        train(load(TrainRecipe, args.recipe, {}), args.run_folder.resolve().name, args.dataset, args.out)
    except IlkError as error:
        write_whole(args.out / "failure.json", dump({"format": FORMAT, "code": error.code, "message": str(error)}))
        if int(os.environ.get("RANK", "0")) == 0:
            console.warn(str(error))
        return error.code
    except KeyboardInterrupt:
        console.warn("interrupted; phases that were finished are kept, the same command goes on from there")
        return 130
    return 0


def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    console.warn("terminated; phases that were finished are kept, the same command goes on from there")
    sys.exit(128 + number)


# --- the whole of it --------------------------------------------------------------------------------------------


def train(recipe: TrainRecipe, run_name: str, dataset: Path, out: Path) -> None:
    quiet_libraries()
    accelerator = start(recipe)
    say = console.say if accelerator.is_main_process else silent
    names = [phase.name for phase in recipe.phases]
    if len(set(names)) < len(names):
        raise RecipeError(f"a phase is named twice: {', '.join(names)}", where="phases", fix="name each phase once")
    rows: dict[str, list[Row]] = {name: read_rows(dataset, name) for name in names}
    if not any(rows.values()):
        raise InputError("the dataset has no training rows", where=str(dataset), fix="look at what ilk generate kept")

    with busy("loading the base model", accelerator):
        model, tokenizer = load_base(recipe.model, working_type(accelerator))
        base = base_id(recipe.model, model)
    chat = Chat(tokenizer, recipe.model)
    separation = keep_apart(model, accelerator.device)
    with busy("encoding the dataset", accelerator):
        encoded: dict[str, list[Encoded]] = {name: chat.encode(found) for name, found in rows.items()}
    phases, skipped = plan(recipe, encoded, model, separation, accelerator)
    trainee = adapt(model, tokenizer, recipe, accelerator)
    for line in describe(recipe, trainee, chat, separation, phases, skipped):
        say(line)
    if accelerator.is_main_process:
        write_records(out / "plan.jsonl", [phase.facts() for phase in phases])
        write_records(out / "skipped.jsonl", skipped)

    book = LossBook([sample.leaf for phase in phases for sample in phase.samples])
    losses: list[LeafLoss] = []
    inputs = digest([FORMAT, base, str(working_type(accelerator)), recipe.lora.model_dump(mode="json")])
    for done, phase in enumerate(phases, start=1):
        name = phase.recipe.name
        inputs = digest([inputs, settings(recipe, phase), [seen(row) for row in rows[name]]])
        folder = out / "checkpoints" / name
        if whole(folder, inputs, say):
            say(f"{name}: trained before from the same inputs, taken as it is")
            checkpoint.restore(folder, trainee.adapted)
            losses += earlier_losses(out / "losses.jsonl", name)
            continue
        losses += run(phase, recipe, trainee, book, say)
        if accelerator.is_main_process:
            write_records(out / "losses.jsonl", losses)
            save(folder, trainee, recipe, run_name, phases[:done], inputs)
        accelerator.wait_for_everyone()
    if accelerator.is_main_process and not whole(out / "adapter", inputs, say):
        save(out / "adapter", trainee, recipe, run_name, phases, inputs)
    accelerator.wait_for_everyone()
    say(f"adapter: {out / 'adapter'}")
    accelerator.end_training()


# --- before the first step --------------------------------------------------------------------------------------


def start(recipe: TrainRecipe) -> Accelerator:
    """Take the device that the launcher chose; on a CPU, its threads."""
    gpu = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    native = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    half = recipe.precision == "bfloat16" or (recipe.precision == "auto" and native)
    accelerator = Accelerator(mixed_precision="bf16" if half else "no")
    if accelerator.device.type == "cpu":
        sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(recipe.threads or max(1, cores() // sharing))
    return accelerator


def working_type(accelerator: Accelerator) -> torch.dtype:
    """Of the frozen base; the adapter itself is always kept in float32."""
    return torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32


def plan(
    recipe: TrainRecipe,
    encoded: Mapping[str, Sequence[Encoded]],
    model: PreTrainedModel,
    separation: Separation,
    accelerator: Accelerator,
) -> tuple[list[Phase], list[Skipped]]:
    """The phases that have something to train, and the samples that cannot be trained."""
    longest = max(len(sample.ids) for samples in encoded.values() for sample in samples)
    usual = derive_row_tokens(longest, on_gpu=accelerator.device.type != "cpu")
    told = recipe.row_tokens or usual
    row_tokens = min(told, getattr(model.config.get_text_config(), "max_position_embeddings", None) or told)
    phases: list[Phase] = []
    skipped: list[Skipped] = []
    for number, phase in enumerate(recipe.phases):
        kept, left_out = usable(encoded[phase.name], phase=phase.name, row_tokens=row_tokens)
        skipped += left_out
        if not kept:
            continue
        tokens = sum(len(sample.ids) for sample in kept)
        whole_phase = Phase(number, phase, tuple(kept), row_tokens, 1, separation.packs, recipe.seed)
        step = rows_per_step(
            recipe.batch_tokens or derive_batch_tokens(tokens, row_tokens),
            tokens=tokens,
            rows=whole_phase.rows,
            processes=accelerator.num_processes,
        )
        phases.append(replace(whole_phase, rows_per_step=step))
    if not phases:
        raise InputError(
            f"none of the {len(skipped)} samples can be trained: the first is {skipped[0].reason}",
            where=skipped[0].leaf,
            fix="give longer rows with row_tokens, or look at the dataset",
        )
    return phases, skipped


def adapt(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, recipe: TrainRecipe, accelerator: Accelerator
) -> Trainee:
    """Put a fresh adapter on the base. Its first values come from the seed, so two runs start alike."""
    targets = recipe.lora.targets
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,  # type: ignore[arg-type]  # any number is one for PEFT
        lora_dropout=recipe.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    set_seed(recipe.seed)
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise RecipeError(
            str(error), where="lora.targets", fix="'all-linear', or names of the model's layers"
        ) from error
    return Trainee(recipe.model, adapted, accelerator.prepare_model(adapted), tokenizer, accelerator)


def settings(recipe: TrainRecipe, phase: Phase) -> dict[str, object]:
    """All that decides a phase's weights beside its rows and where it starts from."""
    kept = recipe.model_dump(mode="json", include={"warmup", "schedule", "weight_decay", "clip", "seed"})
    return {**kept, "packs": phase.packs, **plain(phase.facts())}


def seen(row: Row) -> dict[str, object]:
    """What of a row reaches the training; where it came from may change without training anew."""
    return row.model_dump(mode="json", include={"messages", "leaf"})


def describe(
    recipe: TrainRecipe,
    trainee: Trainee,
    chat: Chat,
    separation: Separation,
    phases: Sequence[Phase],
    skipped: Sequence[Skipped],
) -> Iterator[str]:
    """What is going to happen, line by line, before it happens."""
    accelerator = trainee.accelerator
    total = sum(parameter.numel() for parameter in trainee.adapted.parameters())
    trained = sum(parameter.numel() for parameter in trainee.parameters)
    lora = recipe.lora
    targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
    yield f"model      {recipe.model}, {total - trained:,} parameters, kept as they are"
    yield f"adapter    LoRA of rank {lora.rank}, alpha {lora.alpha:g}, on {targets}: {trained:,} parameters to train"
    threads = f", {several(torch.get_num_threads(), 'thread')}" if accelerator.device.type == "cpu" else ""
    kind = str(working_type(accelerator)).removeprefix("torch.")
    yield f"machine    {accelerator.device.type}, {kind}, {several(accelerator.num_processes, 'process')}{threads}"
    proof = f"packed and solo gradients agree to {separation.error:.0e}" if separation.packs else "no row is shared"
    yield f"attention  {separation.backend}; {proof}" + (f" ({separation.note})" if separation.note else "")
    yield f"answers    told from questions by {chat.marks}; only answers are learnt, with their end token"
    if not chat.closes:
        yield "           warning: the chat template ends no answer with a special token, so none teaches to stop"
    if chat.dated:
        yield "           note: the chat template writes today's date into prompts, so the adapter depends on the day"
    planned = {phase.recipe.name: phase.facts() for phase in phases}
    for name in [phase.name for phase in recipe.phases]:
        facts = planned.get(name)
        if facts is None:
            yield f"{name:<10} no samples: skipped"
            continue
        yield (
            f"{name:<10} {facts.samples:,} samples, {facts.tokens:,} tokens ({facts.trained_tokens:,} learnt), "
            f"in {facts.rows:,} rows of {facts.row_tokens:,}, {facts.fill:.1%} full"
        )
        yield (
            f"           {facts.epochs:g} epochs = {facts.steps:,} steps of {facts.rows_per_step} rows, "
            f"learning rate {facts.learning_rate:g}, {recipe.schedule}, warm-up over {recipe.warmup:.0%}"
        )
    for (leaf, reason), count in sorted(Counter((skip.leaf, skip.reason) for skip in skipped).items()):
        yield f"skipped    {several(count, 'sample')} of {leaf}: {reason}"


# --- the steps --------------------------------------------------------------------------------------------------


def run(phase: Phase, recipe: TrainRecipe, trainee: Trainee, book: LossBook, say: Say) -> list[LeafLoss]:
    """Train one phase. The loss of a step is the mean over its trained tokens, on all processes together."""
    accelerator, model = trainee.accelerator, trainee.prepared
    set_seed(recipe.seed + 1 + phase.number, device_specific=True)  # dropout does not depend on earlier phases
    optimizer = accelerator.prepare_optimizer(
        torch.optim.AdamW(trainee.parameters, lr=phase.recipe.learning_rate, weight_decay=recipe.weight_decay)
    )
    record_every = max(1, phase.steps // RECORDS_A_PHASE)
    records: list[LeafLoss] = []
    progress = Progress(phase, say)
    model.train()
    with busy(f"training {phase.recipe.name}", accelerator), memory_explained(phase):
        for step, batch in enumerate(phase.batches()):
            backward(batch, trainee, book, progress)
            norm = accelerator.clip_grad_norm_(trainee.parameters, recipe.clip)
            if not math.isfinite(float(norm)):
                raise StoppedError(
                    f"the loss left the finite numbers at step {step + 1} of {phase.steps}",
                    where=f"phase {phase.recipe.name}",
                    fix="lower its learning_rate, or lengthen the warm-up; phases that were finished are kept",
                )
            for group in optimizer.param_groups:
                group["lr"] = phase.recipe.learning_rate * rate(
                    step, phase.steps, warmup=recipe.warmup, schedule=recipe.schedule
                )
            optimizer.step()
            optimizer.zero_grad()
            progress.step(step + 1)
            if (step + 1) % record_every == 0 or step + 1 == phase.steps:
                records += book.close(added_up(book, accelerator), phase=phase.recipe.name, step=step + 1)
    return records


def backward(batch: Sequence[Sequence[Encoded]], trainee: Trainee, book: LossBook, progress: Progress) -> None:
    """Accumulate the gradient of a step's rows; processes exchange it once, with their last row."""
    accelerator, model = trainee.accelerator, trainee.prepared
    count, index = accelerator.num_processes, accelerator.process_index
    trained = sum(int(sample.trained.sum()) for row in batch for sample in row)
    mine = list(batch[index::count])
    shares = math.ceil(len(batch) / count)
    for place in range(shares):
        # Every process takes as many rows, or the exchange would wait for ever: one that has run out repeats a row
        # at weight zero.
        samples = mine[place] if place < len(mine) else batch[0]
        weight = count / trained if place < len(mine) else 0.0
        with nullcontext() if place == shares - 1 else accelerator.no_sync(model):
            row = lay(samples, accelerator.device)
            losses = token_losses(forward(model, row), row.targets)
            accelerator.backward(losses.sum() * weight)
        if weight:
            found = losses.detach().cpu().double().numpy()
            leaves = np.array([book.number[sample.leaf] for sample in samples])
            book.add(leaves[row.owners], found)
            progress.add(found, row.ids.numel() * count)


def added_up(book: LossBook, accelerator: Accelerator) -> FloatArray:
    """The book's sums over all processes."""
    if accelerator.num_processes == 1:
        return book.sums
    sums = accelerator.reduce(torch.from_numpy(book.sums).to(accelerator.device), reduction="sum")
    return np.asarray(sums.cpu())


class Progress:
    """A line at the first step, at the last, and every few seconds between."""

    def __init__(self, phase: Phase, say: Say) -> None:
        self.name, self.steps, self.say = phase.recipe.name, phase.steps, say
        self.started = self.shown = time.monotonic()
        self.tokens = 0
        self.loss = self.trained = 0.0

    def add(self, losses: FloatArray, tokens: int) -> None:
        self.loss += float(losses.sum())
        self.trained += len(losses)
        self.tokens += tokens

    def step(self, done: int) -> None:
        now = time.monotonic()
        if 1 < done < self.steps and now - self.shown < LINE_EVERY:
            return
        passed = max(now - self.started, 1e-9)
        left = passed / done * (self.steps - done)
        loss = self.loss / self.trained if self.trained else math.nan
        self.say(
            f"{self.name}  step {done}/{self.steps}  loss {loss:.3f}  {self.tokens / passed:,.0f} tokens/s  "
            f"{left // 60:.0f}:{left % 60:02.0f} left"
        )
        self.shown, self.loss, self.trained = now, 0.0, 0.0


@contextmanager
def memory_explained(phase: Phase) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StoppedError(
            f"the device's memory does not hold a row of {phase.row_tokens:,} tokens",
            where=f"phase {phase.recipe.name}",
            fix="give shorter rows with row_tokens, a smaller rank, or a smaller model; finished phases are kept",
        ) from error


# --- after a phase ----------------------------------------------------------------------------------------------


def whole(folder: Path, inputs: str, say: Say) -> bool:
    """Whether a finished checkpoint of these inputs stands there; a torn one is named and made again."""
    try:
        return checkpoint.finished(folder, inputs)
    except ModelError as error:
        say(f"{error.where}: {error.what}; it is made again")
        return False


def earlier_losses(path: Path, phase: str) -> list[LeafLoss]:
    """The records of a phase that an earlier run finished."""
    return [record for record in read_records(path, LeafLoss) if record.phase == phase] if path.is_file() else []


def save(
    folder: Path, trainee: Trainee, recipe: TrainRecipe, run_name: str, phases: Sequence[Phase], inputs: str
) -> None:
    """Write the adapter as it stands after `phases`, with a card that says what it saw."""
    lines = {"run": run_name}
    for facts in (phase.facts() for phase in phases):
        lines[f"phase {facts.phase}"] = (
            f"{facts.samples:,} samples, {facts.trained_tokens:,} learnt tokens, {facts.epochs:g} epochs, "
            f"{facts.steps:,} steps, learning rate {facts.learning_rate:g}"
        )
    lines["adapter"] = f"rank {recipe.lora.rank}, alpha {recipe.lora.alpha:g}"
    lines["inputs"] = f"`{inputs}` (digest of base, recipe and rows)"
    checkpoint.write(
        folder,
        trainee.adapted,
        trainee.tokenizer,
        base=trainee.name,
        inputs=inputs,
        card=checkpoint.card(base=trainee.name, lines=lines),
    )


# --- on the screen ----------------------------------------------------------------------------------------------


def busy(activity: str, accelerator: Accelerator) -> AbstractContextManager[None]:
    """Signs of life from one process only."""
    return console.working(activity) if accelerator.is_main_process else nullcontext()


def several(count: int, thing: str) -> str:
    plural = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{plural}"


def silent(text: str) -> None:
    """Say nothing: another process says it."""


def quiet_libraries() -> None:
    """What libraries warn of is either handled here or none of the user's business."""
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", module=r"(peft|transformers|accelerate|torch)\.")


if __name__ == "__main__":
    sys.exit(main())
