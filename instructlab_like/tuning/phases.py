"""A phase of training, worked out before its first step: which samples, in which rows, how many steps, how fast."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from instructlab_like.errors import InputError, explain, position
from instructlab_like.recipe import PhaseRecipe
from instructlab_like.records import Record, Row
from instructlab_like.tuning.pack import fill, pack
from instructlab_like.tuning.tokens import Encoded

STEPS_AN_EPOCH = 40  # aimed at when batch_tokens is left to us
LARGEST_BATCH = 65_536  # tokens
ROW_ON_CPU = 1024  # tokens; longer rows gain nothing where attention runs sample by sample
ROW_ON_GPU = 8192


class Skipped(Record):
    """A sample of the dataset that was not trained, and why."""

    phase: str
    leaf: str
    sample: str
    tokens: int
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


def read_rows(dataset: Path, phase: str) -> list[Row]:
    """The training rows of a phase, from data/<phase>-train.jsonl; a missing file is a phase without rows.

    Columns that a Row does not have are passed over. Raises InputError with file and line.
    """
    if not (dataset / "data").is_dir():
        raise InputError("there is no dataset here", where=str(dataset), fix="generate it first: ilk generate")
    path = dataset / "data" / f"{phase}-train.jsonl"
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            rows.append(Row.model_validate({name: told[name] for name in Row.model_fields if name in told}))
        except (ValidationError, UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
            what = "; ".join(explain(error)) if isinstance(error, ValidationError) else "is not a JSON object"
            raise InputError(
                what, where=position(path, number), fix="generate the dataset anew: ilk generate"
            ) from error
    return rows


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
