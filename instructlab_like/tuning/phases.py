"""A phase of training, worked out before its first step: which samples, in which rows, how many steps, how fast."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import overload

import numpy as np
import orjson
from pydantic import ValidationError

from instructlab_like.dataset.mix import REPLAY
from instructlab_like.errors import InputError, RecipeError, explain, position
from instructlab_like.recipe import PhaseRecipe
from instructlab_like.records import Record, Row, digest, plain
from instructlab_like.tuning.pack import fill, pack
from instructlab_like.tuning.tokens import Encoded

STEPS_AN_EPOCH = 40  # aimed at when batch_tokens is left to us
LARGEST_BATCH = 65_536  # tokens
ROW_ON_CPU = 1024  # tokens; longer rows gain nothing where attention runs sample by sample
ROW_ON_GPU = 8192

STACKED = "stacked"
BASE_TASKS = "the base's own tasks"
AGAIN = "generate the dataset anew: ilk generate"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FILES = {STACKED: ("knowledge", "skills")}  # phases of a recipe that read other files than that of their own name


class Skipped(Record):
    """A sample of the dataset that was not trained, and why."""

    phase: str
    leaf: str
    sample: str
    tokens: int  # 0: it was never tokenised
    reason: str


class PhaseFacts(Record):
    """What is decided about a phase; written to plan.jsonl and printed before the first step."""

    phase: str
    samples: int
    tokens: int  # of an epoch, questions included
    trained_tokens: int
    rows: int  # of an epoch
    row_tokens: int
    fill: float
    epochs: float
    steps: int
    rows_per_step: int
    learning_rate: float


@dataclass(frozen=True)
class Phase:
    """Samples and the order in which they are seen. `number` counts the recipe's phases from 0."""

    number: int
    recipe: PhaseRecipe
    samples: tuple[Encoded, ...]
    row_tokens: int
    rows_per_step: int
    packs: bool
    seed: int

    @cached_property
    def lengths(self) -> list[int]:
        return [len(sample.ids) for sample in self.samples]

    @cached_property
    def rows(self) -> int:
        """Rows of an epoch; every epoch has the same number, since it depends on the lengths alone."""
        return len(self._rows_of(range(len(self.samples))))

    @property
    def all_rows(self) -> int:
        return max(1, round(self.rows * self.recipe.epochs))

    @property
    def steps(self) -> int:
        return math.ceil(self.all_rows / self.rows_per_step)

    def batches(self) -> Iterator[list[list[Encoded]]]:
        """The rows of each step. Every epoch packs the samples anew in another order, then shuffles the rows, so that
        samples of one leaf and one length do not meet again and again."""
        left = self.all_rows
        batch: list[list[Encoded]] = []
        for row in self._stream():
            batch.append([self.samples[index] for index in row])
            left -= 1
            if len(batch) == self.rows_per_step or left == 0:
                yield batch
                batch = []
            if left == 0:
                return

    def _stream(self) -> Iterator[list[int]]:
        for epoch in count():
            generator = np.random.default_rng([self.seed, self.number, epoch])
            rows = self._rows_of(generator.permutation(len(self.samples)).tolist())
            for place in generator.permutation(len(rows)).tolist():
                yield rows[place]

    def _rows_of(self, order: Sequence[int]) -> list[list[int]]:
        if not self.packs:
            return [[index] for index in order]
        lengths = self.lengths
        rows = pack([lengths[index] for index in order], self.row_tokens)
        return [[order[place] for place in row] for row in rows]

    def facts(self) -> PhaseFacts:
        return PhaseFacts(
            phase=self.recipe.name,
            samples=len(self.samples),
            tokens=sum(self.lengths),
            trained_tokens=sum(int(sample.trained.sum()) for sample in self.samples),
            rows=self.rows,
            row_tokens=self.row_tokens,
            fill=round(fill(self.lengths, self.rows, self.row_tokens), 4),
            epochs=self.recipe.epochs,
            steps=self.steps,
            rows_per_step=self.rows_per_step,
            learning_rate=self.recipe.learning_rate,
        )


class Rows(Sequence[Row]):
    """The rows of a phase in their order, kept as lines and parsed when asked for: as records they take four times
    the memory. `skipped` are the rows that no model could be trained on."""

    def __init__(self, lines: Sequence[bytes], skipped: Sequence[Skipped]) -> None:
        self.lines, self.skipped = tuple(lines), tuple(skipped)

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        return parsed(self.lines[place]) if isinstance(place, int) else [parsed(line) for line in self.lines[place]]


def phase_names(phases: Sequence[PhaseRecipe]) -> tuple[str, ...]:
    """The names of a recipe's phases. Raises RecipeError where rows would be trained by two of them, or by none."""
    names = tuple(phase.name for phase in phases)
    if not names:
        raise RecipeError("there is no phase to train", where="phases", fix="name knowledge, skills or stacked")
    if len(set(names)) < len(names):
        raise RecipeError(f"a phase is named twice: {', '.join(names)}", where="phases", fix="name each phase once")
    if STACKED in names and len(names) > 1:
        others = " and ".join(name for name in names if name != STACKED)
        fix = f"either stacked alone, or {others} without it"
        raise RecipeError(f"stacked holds the rows of {others} already", where="phases", fix=fix)
    return names


def read_rows(dataset: Path, phase: str) -> Rows:
    """The training rows of a phase, from data/<phase>-train.jsonl; a missing file is a phase without rows.

    `stacked` has the rows of both files, a sample that stands in both one time. Columns that a Row does not have are
    passed over. Raises InputError with file and line.
    """
    if not (dataset / "data").is_dir():
        raise InputError("there is no dataset here", where=str(dataset), fix="generate it first: ilk generate")
    lines: list[bytes] = []
    skipped: list[Skipped] = []
    elsewhere: set[str] = set()
    for name in FILES.get(phase, (phase,)):
        found, unfit, samples = read_file(dataset / "data" / f"{name}-train.jsonl", phase, elsewhere)
        lines += found
        skipped += unfit
        elsewhere |= samples
    return Rows(lines, skipped)


def read_file(path: Path, phase: str, elsewhere: set[str]) -> tuple[list[bytes], list[Skipped], set[str]]:
    """The lines of a file that can be trained, what cannot, and the ids of all samples; those `elsewhere` are left."""
    lines: list[bytes] = []
    skipped: list[Skipped] = []
    samples: set[str] = set()
    met: set[bytes] = set()
    for line, row in each_row(path):
        if row.sample in elsewhere:
            continue
        samples.add(row.sample)
        key = bytes.fromhex(digest([row.sample, plain(row)["messages"]]))[:16]
        reason = "it stands in this phase before" if key in met else unanswered(row)
        met.add(key)
        if reason:
            skipped.append(Skipped(phase=phase, leaf=row.leaf, sample=row.sample, tokens=0, reason=reason))
        else:
            lines.append(line)
    return lines, skipped, samples


def each_row(path: Path) -> Iterator[tuple[bytes, Row]]:
    """The lines of a JSONL file and what they say, one by one; nothing where there is no file."""
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_file():
        raise InputError("is not a file", where=str(path), fix=AGAIN)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                told = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
                if told.strip():
                    yield told.strip(), row_at(path, number, told)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), fix="look at its permissions") from error


def row_at(path: Path, number: int, line: bytes) -> Row:
    try:
        return parsed(line)
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=position(path, number), fix=AGAIN) from error
    except (orjson.JSONDecodeError, TypeError) as error:
        what = "is not a JSON object" if line.endswith(b"\n") else "the file ends in the middle of a row"
        raise InputError(what, where=position(path, number), fix=AGAIN) from error


def parsed(line: bytes) -> Row:
    told = orjson.loads(line)
    if not isinstance(told, dict):
        raise TypeError(line)
    return Row.model_validate({name: told[name] for name in Row.model_fields if name in told})


def unanswered(row: Row) -> str:
    """Why nothing could be learnt from the row, whatever the model; empty when something can."""
    answers = [message.content for message in row.messages if message.role == "assistant"]
    if not answers:
        return "no turn of it is an answer"
    return "" if all(answer.strip() for answer in answers) else "an answer of it is empty"


def usable(samples: Sequence[Encoded], *, phase: str, row_tokens: int) -> tuple[list[Encoded], list[Skipped]]:
    """Part what can be trained from what cannot: samples longer than a row, or without one answer token."""
    kept, skipped = [], []
    for sample in samples:
        if len(sample.ids) > row_tokens:
            reason = f"longer than a row of {row_tokens} tokens"
        elif not sample.trained.any():
            reason = "no token of it is an answer's"
        else:
            kept.append(sample)
            continue
        skipped.append(
            Skipped(phase=phase, leaf=sample.leaf, sample=sample.sample, tokens=len(sample.ids), reason=reason)
        )
    return kept, skipped


class Replayed(Record):
    """What of a phase keeps alive what was there before it; `of` is an earlier phase, or "the base's own tasks"."""

    phase: str
    of: str
    samples: int
    share: float  # of the phase's samples
    learnt: float  # of the phase's learnt tokens


def replayed(phases: Sequence[Phase]) -> list[Replayed]:
    """What each phase replays, as its samples show it: rows of the leaf `replay`, and samples of a phase before it."""
    found: list[Replayed] = []
    trained_in: dict[str, str] = {}
    for phase in phases:
        name = phase.recipe.name
        counts: dict[str, tuple[int, int]] = {}
        learnt = 0
        for sample in phase.samples:
            tokens = int(sample.trained.sum())
            learnt += tokens
            of = BASE_TASKS if sample.leaf == REPLAY else trained_in.get(sample.sample)
            if of:
                samples, before = counts.get(of, (0, 0))
                counts[of] = samples + 1, before + tokens
        found += [
            Replayed(phase=name, of=of, samples=count, share=count / len(phase.samples), learnt=tokens / learnt)
            for of, (count, tokens) in sorted(counts.items())
        ]
        for sample in phase.samples:
            trained_in.setdefault(sample.sample, name)
    return found


def replay_line(phase: str, found: Sequence[Replayed]) -> str:
    """How much of a phase replays what, for the plan that is printed."""
    parts = [
        f"{one.share:.1%} of its samples ({one.learnt:.1%} of what is learnt) from {one.of}"
        for one in found
        if one.phase == phase
    ]
    return "replay: " + ("; ".join(parts) if parts else "none")


def derive_row_tokens(longest: int, *, on_gpu: bool) -> int:
    """A row as long as pays on the device, and long enough for the longest sample."""
    return max(ROW_ON_GPU if on_gpu else ROW_ON_CPU, 1 << max(0, longest - 1).bit_length())


def derive_batch_tokens(tokens: int, row_tokens: int) -> int:
    """Tokens of an optimizer step such that an epoch has about STEPS_AN_EPOCH, within sense."""
    return max(row_tokens, min(LARGEST_BATCH, tokens // STEPS_AN_EPOCH))


def rows_per_step(batch_tokens: int, *, tokens: int, rows: int, processes: int) -> int:
    """Rows that hold about `batch_tokens`, as many on every process."""
    wanted = max(1, round(batch_tokens * rows / tokens))
    return math.ceil(wanted / processes) * processes


def rate(step: int, steps: int, *, warmup: float, schedule: str) -> float:
    """The share of the full learning rate at `step` (from 0): a straight rise, then constant or half a cosine to 0."""
    rise = round(steps * warmup)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
