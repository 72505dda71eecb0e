"""What training is held against: rows that it never sees, put through the same packed `forward`, before and during."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from instructlab_like.dataset import base_tasks
from instructlab_like.errors import StoppedError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Row, digest, plain
from instructlab_like.tuning.loss import AddUp, FloatArray, SampleSums, alone, token_losses
from instructlab_like.tuning.measures import BASE, held_out_loss, teachers, under
from instructlab_like.tuning.measures import HeldOutLoss as HeldOutLoss
from instructlab_like.tuning.pack import pack
from instructlab_like.tuning.phases import Skipped, derive_row_tokens, each_row, usable
from instructlab_like.tuning.separate import forward, lay
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.workspace import find

OF_A_LEAF = 64  # most samples of a leaf, or of a kind of the base's own tasks
IN_ALL = 2_000  # most samples, unless there are more leaves than that


@dataclass(frozen=True)
class HeldOut:
    """Held-out samples, in the order of their groups, and the rows that they were packed into once."""

    samples: tuple[Encoded, ...]
    teachers: Mapping[str, str]  # by sample
    rows: tuple[tuple[int, ...], ...]  # numbers of samples
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def of(
        cls,
        dataset: Path,
        recipe: TrainRecipe,
        chat: Chat,
        *,
        packs: bool = True,
        on_gpu: bool = False,
        limit: int | None = None,
    ) -> HeldOut:
        """The dataset's test rows and the recipe's base tasks. `packs`: samples may share rows; `limit`: most tokens
        of a row that the model takes. Raises InputError for a file that cannot be read."""
        asked = read(dataset, recipe)
        encoded = chat.encode(asked)
        longest = max((len(sample.ids) for sample in encoded), default=1)
        row_tokens = recipe.row_tokens or derive_row_tokens(longest, on_gpu=on_gpu)
        row_tokens = min(row_tokens, limit or row_tokens)
        kept, skipped = usable(encoded, phase="held-out", row_tokens=row_tokens)
        drawn = draw(kept, first=(BASE, *recipe.protect))
        places = pack([len(sample.ids) for sample in drawn], row_tokens) if packs else [[n] for n in range(len(drawn))]
        return cls(tuple(drawn), teachers(asked), tuple(tuple(row) for row in places), tuple(skipped))

    @cached_property
    def digest(self) -> str:
        """Of all that decides the losses beside the model."""
        return digest([[sample.leaf, sample.ids.tolist(), sample.trained.tolist()] for sample in self.samples])

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[int]]:
        """Numbers of samples by group and teacher."""
        found: dict[tuple[str, str], list[int]] = {}
        for number, sample in enumerate(self.samples):
            found.setdefault((group_of(sample), self.teachers.get(sample.sample, "")), []).append(number)
        return dict(sorted(found.items()))

    def measure(
        self,
        model: torch.nn.Module,
        device: torch.device,
        *,
        phase: str,
        step: int,
        process: int = 0,
        processes: int = 1,
        add_up: AddUp = alone,
    ) -> list[HeldOutLoss]:
        """The losses as the model stands now, adapter and all, by group and teacher; it is left as it was.

        Several processes share the rows, and each must call this with an `add_up` that sums over them. Give the model
        itself, not what exchanges gradients around it. Raises StoppedError when a loss is not a number.
        """
        sums = np.zeros((len(self.samples), 2))
        mine = self.rows[process::processes]
        with at_rest(model, device):
            found = SampleSums()
            for places in mine:
                samples = [self.samples[place] for place in places]
                row = lay(samples, device)
                found.add(token_losses(forward(model, row), row.targets), row.owners, len(samples))
            if len(mine) < math.ceil(len(self.rows) / processes):  # a base that is cut up is gathered by all together
                forward(model, lay([self.samples[place] for place in self.rows[0]], device))
            sums[[place for places in mine for place in places]] = found.take()
        sums = add_up(sums)
        return [self._loss(phase, step, group, teacher, sums[own]) for (group, teacher), own in self.groups.items()]

    def _loss(self, phase: str, step: int, group: str, teacher: str, sums: FloatArray) -> HeldOutLoss:
        if not np.isfinite(sums).all():
            raise StoppedError(
                f"the held-out loss of {group} left the finite numbers at step {step}",
                where=f"phase {phase}",
                fix="lower the learning rate, or lengthen the warm-up; what was saved before is kept",
            )
        tokens = [int(count) for count in sums[:, 1]]
        return held_out_loss(
            phase=phase, step=step, group=group, teacher=teacher, tokens=tokens, nats=sums[:, 0].tolist()
        )


def read(dataset: Path, recipe: TrainRecipe) -> list[Row]:
    """The rows of data/test.jsonl, if there is one, and the base's own tasks as rows of leaves "base/<kind>"."""
    rows = [row for _, row in each_row(dataset / "data" / "test.jsonl")]
    if recipe.base_tasks:
        tasks = {digest(plain(task))[:32]: task for task in base_tasks.read(find(recipe.base_tasks))}
        rows += [
            Row(messages=task.messages, phase="skills", leaf=f"{BASE}/{task.kind}", sample=id)
            for id, task in tasks.items()
        ]
    return rows


def group_of(sample: Encoded) -> str:
    """The base's own tasks are one group, each leaf is one."""
    return BASE if sample.leaf.startswith(f"{BASE}/") else sample.leaf


def draw(samples: Sequence[Encoded], *, first: Sequence[str]) -> list[Encoded]:
    """At most OF_A_LEAF of each leaf and about IN_ALL together, by digest, so that more rows move few of them.

    Leaves under `first` are served before the others. Where there is too little for all, every leaf gets as much.
    """
    leaves: dict[str, list[tuple[str, Encoded]]] = {}
    for sample in samples:
        leaves.setdefault(sample.leaf, []).append((digest([sample.leaf, sample.sample]), sample))
    before = [leaf for leaf in leaves if any(under(leaf, name) for name in first)]
    after = [leaf for leaf in leaves if leaf not in set(before)]
    left = IN_ALL
    drawn: dict[str, list[Encoded]] = {}
    for some in (before, after):
        most = share(sorted(len(leaves[leaf]) for leaf in some), left)
        for leaf in some:
            ordered = sorted(leaves[leaf], key=lambda pair: pair[0])
            drawn[leaf] = [sample for _, sample in ordered[:most]]
            left -= len(drawn[leaf])
    return [sample for leaf in sorted(drawn) for sample in drawn[leaf]]


def share(sizes: Sequence[int], total: int) -> int:
    """The most that each may take, 1 to OF_A_LEAF, for all together to stay within `total`; `sizes` ascending."""
    for number, size in enumerate(sizes):
        even = total // (len(sizes) - number)
        if size >= min(even, OF_A_LEAF):
            return max(1, min(even, OF_A_LEAF))
        total -= size
    return OF_A_LEAF


@contextmanager
def at_rest(model: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """No gradient, no dropout, and afterwards every module's mode and the random state as they were.

    Not `inference_mode`: what a model keeps from one call to the next (rotary frequencies) could not be trained with.
    """
    modes = [(module, module.training) for module in model.modules()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode
