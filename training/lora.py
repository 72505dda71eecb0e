"""Train a LoRA adapter in phases: knowledge, then skills, each starting from the last one's adapter.

Run by `ilk train`, which launches it through accelerate:

    accelerate launch --quiet --config_file training/accelerate/cpu.yaml training/lora.py --run-folder runs/demo \\
        --dataset runs/demo/4-dataset --recipe runs/demo/5-training/recipe.json --out runs/demo/5-training

Reads data/{knowledge,skills}-train.jsonl and data/test.jsonl of the dataset. Writes plan.jsonl, skipped.jsonl,
losses.jsonl, heldout.jsonl, choice.jsonl, checkpoints/<phase> and adapter; while a phase is under way also
checkpoints/<phase>-<step>, from which the same command goes on; failure.json when it ends on an error, since launchers
hide exit codes.
"""

from __future__ import annotations

import argparse
import errno
import math
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import numpy as np
import torch
import transformers
from accelerate.accelerator import Accelerator
from accelerate.utils import set_seed
from transformers import PreTrainedTokenizerBase

from instructlab_like import console
from instructlab_like.errors import IlkError, InputError, ModelError, StoppedError
from instructlab_like.recipe import TrainRecipe, load
from instructlab_like.tuning import checkpoint, orthogonal, state
from instructlab_like.tuning.card import brief
from instructlab_like.tuning.choice import Choice, choose
from instructlab_like.tuning.estimate import duration
from instructlab_like.tuning.guard import Guard
from instructlab_like.tuning.heldout import HeldOut
from instructlab_like.tuning.loss import AddUp, FloatArray, LossBook, alone, token_losses
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss, LeafLoss, teachers
from instructlab_like.tuning.models import base_id, load_base
from instructlab_like.tuning.phases import Phase, Rows, phase_names, rate, read_rows
from instructlab_like.tuning.plan import Plan, describe, expect_room, memory_lines, plan, save_every, settled
from instructlab_like.tuning.progress import Extent, Progress
from instructlab_like.tuning.separate import forward, keep_apart, lay
from instructlab_like.tuning.shard import exchange, is_sharded
from instructlab_like.tuning.show import shown
from instructlab_like.tuning.switches import Switches, derive, switch_on
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.tuning.trackers import Trackers, by_leaf, need_trackers, of_step, open_trackers, viewed
from instructlab_like.tuning.trainee import Trainee, adapt, config, start, working_type
from instructlab_like.workspace import FORMAT, dump, write_records, write_whole

Say: TypeAlias = Callable[[str], None]

RECORDS_A_PHASE = 50  # entries of losses.jsonl for each leaf
SOON = 2.0  # seconds in which a second signal is the launcher's echo of the first
VETOED = "-vetoed"  # ends the name of a checkpoint that was kept to be looked at
WORST = 3  # samples named when a step goes wrong
TIMED = 1  # rows after the first that a dry run times, in each phase


class Ended(BaseException):
    """A signal has ended the training; what is kept has been said."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Job:
    """A training and all it works with."""

    recipe: TrainRecipe
    switches: Switches
    trainee: Trainee
    out: Path
    held_out: HeldOut
    book: LossBook
    progress: Progress
    trackers: Trackers
    signals: Signals
    say: Say

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes and speaks."""
        return bool(self.trainee.accelerator.is_main_process)


def main() -> int:
    args = arguments()
    (args.out / "failure.json").unlink(missing_ok=True)
    try:
        with Signals() as signals:
            train(load(TrainRecipe, args.recipe, {}), args, signals)
    except IlkError as error:
        return failed(error, args.out)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fix = "free some space and run the same command again: it goes on from the last whole checkpoint"
        return failed(StoppedError("the disk is full", where=str(error.filename or args.out), fix=fix), args.out)
    except Ended as ended:
        return 128 + ended.number
    return 0


def failed(error: IlkError, out: Path) -> int:
    """Say why once, leave it for `ilk train` to read if there is room for it, and give the exit code."""
    if int(os.environ.get("RANK", "0")) == 0:
        console.warn(str(error))
    with suppress(OSError):
        write_whole(out / "failure.json", dump({"format": FORMAT, "code": error.code, "message": str(error)}))
    return error.code


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a LoRA adapter; normally launched by `ilk train`.")
    parser.add_argument("--run-folder", type=Path, required=True, help="the run's folder; the model card names it")
    parser.add_argument("--dataset", type=Path, required=True, help="folder with data/<phase>-train.jsonl")
    parser.add_argument("--recipe", type=Path, required=True, help="a recipe file with a train section")
    parser.add_argument("--out", type=Path, required=True, help="where plan, losses, checkpoints and adapter go")
    parser.add_argument("--restart", action="store_true", help="throw every checkpoint away first")
    parser.add_argument("--yes", action="store_true", help="throw checkpoints of other data or another recipe away")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    parser.add_argument("--show-batch", type=int, default=0, help="print as many rows as the model sees them, and end")
    return parser.parse_args()


# --- the whole of it --------------------------------------------------------------------------------------------


def train(recipe: TrainRecipe, args: argparse.Namespace, signals: Signals) -> None:
    quiet_libraries()
    need_trackers(recipe.trackers, recipe.project)
    accelerator = start(recipe, args.out)
    say = console.say if accelerator.is_main_process else silent
    on_gpu = accelerator.device.type != "cpu"
    rows = read(recipe, args.dataset)
    with busy("looking at the model", accelerator):
        switches = derive(recipe, accelerator, config(recipe.lora))
    expect_room(recipe, switches, accelerator)
    with busy("loading the base model", accelerator):
        quantized_on = None if recipe.quantize == "none" else accelerator.device
        dtype = torch.float32 if recipe.osf else working_type(accelerator)  # a small step would be lost in half of it
        model, tokenizer = load_base(recipe.model, dtype, quantized_on=quantized_on)
        identity = [base_id(recipe.model, model), str(working_type(accelerator))]
        identity += [recipe.quantize] * bool(quantized_on)
    chat = Chat(tokenizer, recipe.model)
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    with busy("encoding the dataset", accelerator):
        encoded = {name: chat.encode(found) for name, found in rows.items()}
        longest = max(len(sample.ids) for samples in encoded.values() for sample in samples)
        separation = keep_apart(model, accelerator.device, lora=config(recipe.lora), longest=longest)
        held_out = HeldOut.of(args.dataset, recipe, chat, packs=separation.packs, on_gpu=on_gpu, limit=limit)
    switches, row_tokens = settled(switches, recipe, accelerator, model, encoded, separation)
    with busy("putting the adapter on", accelerator):
        putting = orthogonal.adapt if recipe.osf else adapt
        trainee = putting(model, tokenizer, recipe, accelerator)
    with busy("trying the first samples", accelerator):
        switches, agreement = switch_on(switches, recipe, trainee, encoded, row_tokens, packs=separation.packs)
    planned = plan(
        recipe,
        rows,
        encoded,
        separation,
        identity=[*identity, held_out.digest],
        processes=accelerator.num_processes,
        row_tokens=row_tokens,
        switches=switches,
    )
    steps = switches.lines(agreement)
    for line in describe(recipe, trainee, chat, separation, planned, steps=steps):
        say(line)
    for line in memory_lines(recipe, switches, planned, separation, accelerator):
        say(line)
    if args.show_batch or args.dry_run:
        shown_rows = first_rows(planned, tokenizer, args.show_batch)
        for line in shown_rows if args.show_batch else outlook(trainee, planned, switches):
            say(line)
        return
    samples = [sample for phase in planned.phases for sample in phase.samples]
    job = Job(
        recipe=recipe,
        switches=switches,
        trainee=trainee,
        out=args.out,
        held_out=held_out,
        book=LossBook(samples, teachers(row for found in rows.values() for row in found)),
        progress=progress_of(planned, accelerator),
        trackers=trackers_of(recipe, planned, args, accelerator, say),
        signals=signals,
        say=say,
    )
    with job.trackers:
        work(job, planned, args)
    accelerator.end_training()


def read(recipe: TrainRecipe, dataset: Path) -> dict[str, Rows]:
    """The training rows of each phase of the recipe."""
    rows: dict[str, Rows] = {name: read_rows(dataset, name) for name in phase_names(recipe.phases)}
    if not any(rows.values()):
        skipped = [one for found in rows.values() for one in found.skipped]
        why = f": all {len(skipped)} were skipped, the first: {skipped[0].reason}" if skipped else ""
        fix = "look at what ilk generate kept"
        raise InputError(f"the dataset has no training rows{why}", where=str(dataset), fix=fix)
    return rows


def work(job: Job, planned: Plan, args: argparse.Namespace) -> None:
    """Every phase that is not finished yet, then the adapter."""
    accelerator, out = job.trainee.accelerator, job.out
    if job.leads:
        make_way(job, planned, restart=args.restart, agreed=args.yes)
        write_records(out / "plan.jsonl", [phase.facts() for phase in planned.phases])
        write_records(out / "skipped.jsonl", [*planned.skipped, *job.held_out.skipped])
    accelerator.wait_for_everyone()
    done: list[state.History] = []
    for number, (phase, inputs) in enumerate(zip(planned.phases, planned.inputs, strict=True)):
        name, folder = phase.recipe.name, job.checkpoints / phase.recipe.name
        if whole(folder, inputs, job.say):
            job.say(f"{name}: trained before from the same inputs, taken as it is")
            done.append(state.read_history(folder))
            job.progress.skipped(name)
        else:
            offset = sum(earlier.steps for earlier in planned.phases[:number])
            done.append(run(phase, inputs, job, done, offset))
            if job.leads:
                save(folder, job, planned.phases[: number + 1], inputs, done)
        if job.leads:  # also of a phase that was finished before: the process may have been killed right here
            clear_away(job, phase, done[-1])
        accelerator.wait_for_everyone()
        job.trainee.take_phase(folder)  # whoever trained it, and when: what goes on is what stands on the disk
    if job.leads and not whole(out / "adapter", planned.inputs[-1], job.say):
        save(out / "adapter", job, planned.phases, planned.inputs[-1], done)
    if job.leads:
        tell(out, done)
    accelerator.wait_for_everyone()
    job.say(f"adapter: {out / 'adapter'}")


# --- what is there already --------------------------------------------------------------------------------------


def clear_away(job: Job, phase: Phase, history: state.History) -> None:
    """Remove the checkpoints of a finished phase; of one that taught nothing that may be kept, the last stays."""
    name = phase.recipe.name
    if history.choice and history.choice.step == 0:
        last, aside = state.folder_of(job.checkpoints, name, phase.steps), job.checkpoints / f"{name}{VETOED}"
        if last.is_dir():
            if aside.is_dir():
                checkpoint.remove(aside)
            last.rename(aside)
            job.say(f"{name}: its last checkpoint is kept in {aside}")
    state.prune(job.checkpoints, name, keep=())


def make_way(job: Job, planned: Plan, *, restart: bool, agreed: bool) -> None:
    """Remove what was left half written, and checkpoints that this training cannot go on from.

    Raises InputError for a training under way on other inputs, unless its checkpoints may go.
    """
    places, final = job.checkpoints, job.out / "adapter"
    checkpoint.clear(places, ".*")
    if restart:
        for folder in [*sorted(places.glob("*")), *([final] if final.exists() else [])]:
            checkpoint.remove(folder)
    stale = [folder for folder in under_way(places, final) if other(folder, planned.inputs)]
    if stale and not agreed:
        raise InputError(
            "a training of this run was stopped here, and its data, recipe or base was another: it cannot go on",
            where=str(stale[0]),
            fix="put back what it was trained on, or give --restart (or --yes) to throw it away and train anew",
        )
    for folder in stale:
        job.say(f"{folder}: of another training, removed")
        checkpoint.remove(folder)


def under_way(checkpoints: Path, final: Path) -> list[Path]:
    """The checkpoints of a training that has not come to its end."""
    found = sorted(path for path in checkpoints.glob("*") if path.is_dir() and not path.name.endswith(VETOED))
    return [path for path in found if not final.exists() or state.is_step(path)]


def other(folder: Path, inputs: Sequence[str]) -> bool:
    """Whether a whole checkpoint is of none of these inputs; a torn one is named later, and made again."""
    try:
        return checkpoint.verify(folder).inputs not in inputs
    except ModelError:
        return False


def whole(folder: Path, inputs: str, say: Say) -> bool:
    """Whether a finished checkpoint of these inputs stands there; a torn one is named and made again."""
    try:
        return checkpoint.finished(folder, inputs)
    except ModelError as error:
        say(f"{error.where}: {error.what}; it is made again")
        return False


def latest(phase: Phase, inputs: str, job: Job, before: Sequence[state.History]) -> state.Found | None:
    """The newest checkpoint from which the phase can go on: whole, with the one whole that may yet be chosen."""
    for folder in state.folders(job.checkpoints, phase.recipe.name):
        try:
            if checkpoint.verify(folder).inputs != inputs:
                continue
            found = state.Found(folder, state.read(folder))
            best = chosen(job, phase, found.state.history, before)
            if best and best.step not in (0, found.state.step):
                checkpoint.verify(state.folder_of(job.checkpoints, phase.recipe.name, best.step))
        except ModelError as error:
            job.say(f"{error.where}: {error.what}; going back to the checkpoint before it")
            continue
        state.expect_same_machine(found, processes=job.trainee.accelerator.num_processes)
        return found
    return None


# --- the steps --------------------------------------------------------------------------------------------------


def run(phase: Phase, inputs: str, job: Job, before: Sequence[state.History], offset: int) -> state.History:
    """Train one phase, from its last checkpoint if there is one, and leave the chosen checkpoint's weights in place.

    The loss of a step is the mean over its trained tokens, on all processes together. `offset`: steps of the phases
    before.
    """
    recipe, trainee, book, progress, track = job.recipe, job.trainee, job.book, job.progress, job.trackers.log
    accelerator, name = trainee.accelerator, phase.recipe.name
    set_seed(recipe.seed + 1 + phase.number, device_specific=True)  # dropout does not depend on earlier phases
    optimizer = accelerator.prepare_optimizer(
        torch.optim.AdamW(trainee.parameters, lr=phase.recipe.learning_rate, weight_decay=recipe.weight_decay)
    )
    history, guard, begun = state.History(), Guard(), 0
    found = latest(phase, inputs, job, before)
    if found:
        torch.set_num_threads(found.state.threads)
    trainee.begin(phase.number)
    began_with = trainee.values()
    if found:
        trainee.take_step(found.folder)
        tensors = state.restore(found, trainee.adapted, optimizer)
        book.restore(tensors, leads=job.leads)
        history, guard, begun = found.state.history, Guard(found.state.recent), found.state.step
        state.set_random_states(tensors, accelerator)  # last: nothing random may happen before the next step
        job.say(f"{name}: goes on after step {begun} of {phase.steps}")
    elif not before:
        history = history.more(held_out=measured(job, BASELINE, 0))
    add_up = adding_up(accelerator)
    every, record_every = save_every(recipe, phase), max(1, phase.steps // RECORDS_A_PHASE)
    trainee.prepared.train()
    with (
        busy(f"training {name}", accelerator),
        memory_explained(phase),
        progress.phase(name, begun),
        job.signals.held(),
    ):
        for step, batch in enumerate(islice(phase.batches(), begun, None), start=begun + 1):
            booked = backward(step, batch, trainee, book, room=job.switches.room(phase))
            nats, tokens = add_up(np.array(booked))
            norm = float(accelerator.clip_grad_norm_(trainee.parameters, recipe.clip))
            wrong = guard.trouble(nats / tokens, norm)
            if wrong:
                raise gone_wrong(wrong, phase, step, batch, job)
            speed = phase.recipe.learning_rate * rate(
                step - 1, phase.steps, warmup=recipe.warmup, schedule=recipe.schedule
            )
            for group in optimizer.param_groups:
                group["lr"] = speed
            optimizer.step()
            trainee.stepped()
            optimizer.zero_grad()
            read = sum(len(sample.ids) for row in batch for sample in row)
            progress.step(step, nats, tokens, tokens=read, rate=speed, norm=norm)
            track(offset + step, of_step(loss=nats / tokens, rate=speed, norm=norm, speed=progress.speed()))
            last = step == phase.steps
            if step % record_every == 0 or last:
                losses = book.close(phase=name, step=step, add_up=add_up)
                history = history.more(losses=losses)
                track(offset + step, by_leaf("train", means((one.leaf, one) for one in losses)), always=True)
            due = step % every == 0 or last
            if due:
                held_out = measured(job, name, step)
                history = history.more(held_out=held_out, saved=(step,))
                track(offset + step, by_leaf("heldout", means((one.group, one) for one in held_out)), always=True)
            stop = job.signals.asked(accelerator)
            if due or stop:
                keep(step, phase, inputs, job, optimizer, guard, history, before)
            if stop:
                job.say(f"{name}: stopped after step {step} of {phase.steps}; the same command goes on from there")
                raise Ended(stop)
    return conclude(phase, job, history, before, began_with)


def backward(
    step: int, batch: Sequence[Sequence[Encoded]], trainee: Trainee, book: LossBook, *, room: int | None = None
) -> tuple[float, int]:
    """Accumulate the gradient of a step's rows; processes exchange it once, with their last row. `room`: as in `lay`.

    Gives nats and trained tokens of this process's rows, as they are booked.
    """
    accelerator, model = trainee.accelerator, trainee.prepared
    count, index = accelerator.num_processes, accelerator.process_index
    trained = sum(int(sample.trained.sum()) for row in batch for sample in row)
    mine = list(batch[index::count])
    shares = math.ceil(len(batch) / count)
    book.begin(step, batch)
    for place in range(shares):
        # Every process takes as many rows, or the exchange would wait for ever: one that has run out repeats a row
        # at weight zero.
        samples = mine[place] if place < len(mine) else batch[0]
        weight = count / trained if place < len(mine) else 0.0
        with nullcontext() if place == shares - 1 else accelerator.no_sync(model):
            row = lay(samples, accelerator.device, room=room)
            losses = token_losses(forward(model, row), row.targets)
            accelerator.backward(losses.sum() * weight)
        if weight:
            book.add(samples, row.owners, losses)
    if is_sharded(trainee.adapted):
        exchange(trainee.parameters)
    return book.settle()


def gone_wrong(wrong: str, phase: Phase, step: int, batch: Sequence[Sequence[Encoded]], job: Job) -> StoppedError:
    """What the guard stopped, with the samples that had the highest losses; the step's update was not made."""
    name = phase.recipe.name
    seen = [(sample, job.book.latest(sample)) for row in batch for sample in row]
    losses = [(sample, loss) for sample, loss in seen if loss is not None]
    worst = sorted(losses, key=lambda pair: -pair[1] if math.isfinite(pair[1]) else -math.inf)[:WORST]
    named = "; ".join(f"{sample.sample[:12]} of {sample.leaf} ({loss:.2f})" for sample, loss in worst)
    last = next((state.step_of(folder) for folder in state.folders(job.checkpoints, name)), 0)
    kept = f"the checkpoint after step {last} is kept" if last else "no checkpoint of this phase was made before"
    return StoppedError(
        f"{wrong} at step {step} of {phase.steps}; {kept}; highest in that step: {named}",
        where=f"phase {name}",
        fix="look at these samples (ilk why ID), or lower the phase's learning_rate, or lengthen warmup, and give "
        "--yes; phases that were finished are kept",
    )


def keep(
    step: int,
    phase: Phase,
    inputs: str,
    job: Job,
    optimizer: torch.optim.Optimizer,
    guard: Guard,
    history: state.History,
    before: Sequence[state.History],
) -> None:
    """Put a checkpoint in place, and remove those that are needed no more: all but the last two and the best."""
    trainee, name = job.trainee, phase.recipe.name
    tensors = {**state.random_states(trainee.accelerator), **job.book.tensors(add_up=adding_up(trainee.accelerator))}
    if job.leads:
        state.save(
            state.folder_of(job.checkpoints, name, step),
            trainee.adapter(),
            trainee.adapted,
            optimizer,
            state.State(
                phase=name,
                step=step,
                processes=trainee.accelerator.num_processes,
                threads=torch.get_num_threads(),
                build=state.build(),
                recent=tuple(guard.recent),
                history=history,
            ),
            tensors={**tensors, **trainee.beside()},
            base=trainee.base,
            weights_id=trainee.weights,
            inputs=inputs,
        )
        newest = [state.step_of(folder) for folder in state.folders(job.checkpoints, name)[:2]]
        best = chosen(job, phase, history, before)
        state.prune(job.checkpoints, name, keep=[*newest, *([best.step] if best else [])])
        tell(job.out, [*before, history])
    trainee.accelerator.wait_for_everyone()
    job.progress.saved(step)


def measured(job: Job, phase: str, step: int) -> list[HeldOutLoss]:
    """The held-out losses as the model stands; the processes share the rows."""
    accelerator = job.trainee.accelerator
    return job.held_out.measure(
        job.trainee.adapted,
        accelerator.device,
        phase=phase,
        step=step,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        add_up=adding_up(accelerator),
    )


def adding_up(accelerator: Accelerator) -> AddUp:
    """How sums over all processes are made."""
    if accelerator.num_processes == 1:
        return alone

    def add_up(sums: FloatArray) -> FloatArray:
        told = torch.from_numpy(sums).to(accelerator.device)
        return np.asarray(accelerator.reduce(told, reduction="sum").cpu())

    return add_up


def chosen(job: Job, phase: Phase, history: state.History, before: Sequence[state.History]) -> Choice | None:
    """What would go on of the checkpoints measured so far; None where none was."""
    if not history.saved:
        return None
    earlier = {leaf for one in before for leaf in one.leaves}
    return choose(
        phase.recipe.name,
        history.saved,
        [one for told in (*before, history) for one in told.held_out],
        leaves=earlier | set(leaves_of(phase)),
        start=before[-1].choice.standing if before and before[-1].choice else (BASELINE, 0),
        earlier=earlier,
        protect=job.recipe.protect,
        margin=job.recipe.protect_margin,
        rule=job.recipe.choose,
    )


def leaves_of(phase: Phase) -> tuple[str, ...]:
    return tuple(sorted({sample.leaf for sample in phase.samples}))


def conclude(
    phase: Phase, job: Job, history: state.History, before: Sequence[state.History], begun: Mapping[str, torch.Tensor]
) -> state.History:
    """Choose a checkpoint of the phase, say why, and set the adapter to it, or to what it was when the phase began."""
    accelerator, name = job.trainee.accelerator, phase.recipe.name
    choice = chosen(job, phase, history, before)
    assert choice is not None
    for line in choice.lines():
        job.say(line)
    if choice.step == 0:
        job.trainee.set_values(begun)
    elif choice.step != phase.steps:
        job.trainee.take_step(state.folder_of(job.checkpoints, name, choice.step))
    samples = job.book.last_seen(phase=name, add_up=adding_up(accelerator))
    return history.model_copy(update={"choice": choice, "samples": tuple(samples), "leaves": leaves_of(phase)})


# --- what is written --------------------------------------------------------------------------------------------


def tell(out: Path, histories: Sequence[state.History]) -> None:
    """Write what was measured so far for people and for the report."""
    write_records(out / "losses.jsonl", [one for history in histories for one in history.losses])
    write_records(out / "heldout.jsonl", [one for history in histories for one in history.held_out])
    write_records(out / "samples.jsonl", [one for history in histories for one in history.samples])
    write_records(out / "choice.jsonl", [history.choice for history in histories if history.choice])


def save(folder: Path, job: Job, phases: Sequence[Phase], inputs: str, histories: Sequence[state.History]) -> None:
    """Write the adapter as it stands after `phases`, with a card that says what it saw."""
    base, lines, adapter = job.trainee.base, {}, job.trainee.adapter()
    kind = "{} of rank {r}, alpha {lora_alpha}".format("DoRA" if job.recipe.lora.dora else "LoRA", **adapter.config)
    if job.recipe.osf:
        kind += f", trained at right angles to the first {job.recipe.osf.held} of each matrix (OSF)"
    for facts in (phase.facts() for phase in phases):
        lines[f"phase {facts.phase}"] = (
            f"{facts.samples:,} samples, {facts.trained_tokens:,} learnt tokens, {facts.epochs:g} epochs, "
            f"{facts.steps:,} steps, learning rate {facts.learning_rate:g}"
        )
    lines["inputs"] = f"`{inputs}` (digest of base, recipe and rows)"
    checkpoint.write(
        folder,
        adapter,
        job.trainee.tokenizer,
        base=base,
        weights_id=job.trainee.weights,
        inputs=inputs,
        card=brief(base=base.name, revision=base.revision, adapter=kind, lines=lines),
        history=histories[-1].model_dump_json().encode(),
    )


# --- on the screen, and off it ----------------------------------------------------------------------------------


def first_rows(planned: Plan, tokenizer: PreTrainedTokenizerBase, count: int) -> Iterator[str]:
    """So many rows of the first phase, as the model sees them."""
    phase = planned.phases[0]
    rows = list(islice((row for batch in phase.batches() for row in batch), count))
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    width = shutil.get_terminal_size((100, 24)).columns
    room = phase.row_tokens if phase.packs else None
    yield from shown(rows, tokenizer, colour=sys.stdout.isatty() and not plain, width=width, row_tokens=room)


def outlook(trainee: Trainee, planned: Plan, switches: Switches) -> Iterator[str]:
    """How long it would take, from the time of two rows; the first of each phase is not counted."""
    accelerator = trainee.accelerator
    trainee.prepared.train()
    seconds = 0.0
    for phase in planned.phases:
        rows = list(islice((row for batch in phase.batches() for row in batch), 1 + TIMED))
        for samples in rows:
            began = time.monotonic()
            row = lay(samples, accelerator.device, room=switches.room(phase))
            accelerator.backward(token_losses(forward(trainee.prepared, row), row.targets).mean())
            if accelerator.device.type == "cuda":
                torch.cuda.synchronize()
            passed = time.monotonic() - began
        seconds += passed * phase.all_rows / accelerator.num_processes
    trainee.adapted.zero_grad()
    yield f"time       {duration(planned.steps, seconds / planned.steps)}, by the time that a row took just now"
    yield "dry run    nothing was trained, nothing was written"


def progress_of(planned: Plan, accelerator: Accelerator) -> Progress:
    sizes = [
        Extent(phase.recipe.name, phase.steps, round(sum(phase.lengths) * phase.all_rows / phase.rows))
        for phase in planned.phases
    ]
    if accelerator.device.type == "cuda":
        memory = partial(torch.cuda.max_memory_allocated, accelerator.device)
        return Progress(sizes, main=accelerator.is_main_process, memory=memory)
    return Progress(sizes, main=accelerator.is_main_process)


def trackers_of(
    recipe: TrainRecipe, planned: Plan, args: argparse.Namespace, accelerator: Accelerator, say: Say
) -> Trackers:
    """Open what the recipe names, at the step from which training will go on."""
    folder = args.out / "trackers"
    for line in viewed(recipe.trackers, recipe.project, folder):
        say(f"tracker    {line}")
    with busy("opening trackers", accelerator):
        return open_trackers(
            accelerator,
            recipe.trackers,
            recipe.project,
            {"model": recipe.model, **adapting(recipe), "seed": recipe.seed},
            folder=folder,
            run=args.run_folder.resolve().name,
            start=steps_made(planned, args.out / "checkpoints"),
        )


def adapting(recipe: TrainRecipe) -> dict[str, float]:
    """What trackers show of the adapter."""
    if recipe.osf:
        return {"effective_rank": recipe.osf.ranks(1)[0]}
    return {"rank": recipe.lora.rank, "alpha": recipe.lora.alpha}


def steps_made(planned: Plan, checkpoints: Path) -> int:
    """Steps over all phases up to the newest checkpoint, whole or not."""
    made = 0
    for phase in planned.phases:
        if not (checkpoints / phase.recipe.name).is_dir():
            return made + next((state.step_of(one) for one in state.folders(checkpoints, phase.recipe.name)), 0)
        made += phase.steps
    return made


def means(losses: Iterable[tuple[str, LeafLoss | HeldOutLoss]]) -> dict[str, float]:
    """By leaf, all teachers together."""
    sums: dict[str, tuple[float, int]] = {}
    for leaf, one in losses:
        nats, tokens = sums.get(leaf, (0.0, 0))
        sums[leaf] = (nats + one.loss * one.tokens, tokens + one.tokens)
    return {leaf: nats / tokens for leaf, (nats, tokens) in sums.items()}


class Signals:
    """SIGTERM and SIGINT end the process at once; while `held`, after the step under way and its checkpoint."""

    def __init__(self) -> None:
        self.number = 0
        self.holding = False
        self.first = 0.0
        self.before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.before[number] = signal.signal(number, self)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        now = time.monotonic()
        if self.number and now - self.first < SOON:
            return
        if self.holding and not self.number:
            self.number, self.first = number, now
            console.warn("stopping after this step, with a checkpoint; another signal stops at once")
            return
        console.warn("stopped; the same command goes on from the last checkpoint")
        raise Ended(number)

    @contextmanager
    def held(self) -> Iterator[None]:
        self.holding = True
        try:
            yield
        finally:
            self.holding = False

    def asked(self, accelerator: Accelerator) -> int:
        """The signal that any process has had, or 0."""
        if accelerator.num_processes == 1:
            return self.number
        told = torch.tensor([self.number], device=accelerator.device)
        return int(accelerator.gather(told).max())


@contextmanager
def memory_explained(phase: Phase) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StoppedError(
            f"the device's memory does not hold a row of {phase.row_tokens:,} tokens",
            where=f"phase {phase.recipe.name}",
            fix="give shorter rows with row_tokens, a smaller adapter, or a smaller model; finished phases are kept",
        ) from error


def busy(activity: str, accelerator: Accelerator) -> AbstractContextManager[None]:
    """Signs of life from one process only."""
    return console.working(activity) if accelerator.is_main_process else nullcontext()


def silent(text: str) -> None:
    """Say nothing: another process says it."""


def quiet_libraries() -> None:
    """What libraries warn of is either handled here or none of the user's business."""
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", module=r"(peft|transformers|accelerate|torch)\.")


if __name__ == "__main__":
    sys.exit(main())
