"""The loss of trained tokens, and whose they are: every nat is booked on its sample, so on a leaf and a teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from instructlab_like.tuning.linear_loss import Unprojected
from instructlab_like.tuning.measures import LeafLoss as LeafLoss
from instructlab_like.tuning.measures import SampleLoss
from instructlab_like.tuning.tokens import Encoded

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
AddUp: TypeAlias = Callable[[FloatArray], FloatArray]


def token_losses(logits: torch.Tensor | Unprojected, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each trained token, in float32: `logits` (tokens, vocabulary), `targets` (tokens)."""
    if isinstance(logits, Unprojected):
        return logits.losses(targets)
    return cross_entropy(logits.float(), targets, reduction="none")


def alone(sums: FloatArray) -> FloatArray:
    """The sums over all processes, where there is one."""
    return sums


class SampleSums:
    """Loss and tokens of samples in packed rows. The losses stay on their device until they are asked for."""

    def __init__(self) -> None:
        self._losses: list[torch.Tensor] = []
        self._owners: list[IntArray] = []
        self._samples = 0

    def add(self, losses: torch.Tensor, owners: IntArray, samples: int) -> None:
        """A row: the loss of each trained token, the number in the row of the sample that it belongs to."""
        self._losses.append(losses.detach())
        self._owners.append(owners + self._samples)
        self._samples += samples

    def take(self) -> FloatArray:
        """(samples, 2): nats and tokens of each sample since the last time, in the order added."""
        if not self._losses:
            return np.zeros((0, 2))
        losses = torch.cat(self._losses).cpu().double().numpy()  # one wait for the device, however many rows
        owners = np.concatenate(self._owners)
        nats = np.bincount(owners, weights=losses, minlength=self._samples)
        tokens = np.bincount(owners, minlength=self._samples).astype(np.float64)
        self._losses, self._owners, self._samples = [], [], 0
        return np.stack([nats, tokens], axis=1)


class LossBook:
    """Nats and tokens by leaf and teacher, and of every sample the last time that it was seen.

    For each step: `begin`, `add` for each of this process's rows, `settle`. What it holds is this process's part;
    `add_up` sums an array over all processes, and every process must then call the method.
    """

    def __init__(self, samples: Iterable[Encoded], teachers: Mapping[str, str]) -> None:
        """`teachers`: who made a sample, by its id (`measures.teachers`)."""
        self.samples = sorted({(sample.leaf, sample.sample) for sample in samples})
        accounts = [(leaf, teachers.get(sample, "")) for leaf, sample in self.samples]
        self.accounts = sorted(set(accounts))
        number = {account: place for place, account in enumerate(self.accounts)}
        self._account = np.array([number[account] for account in accounts], dtype=np.int64)
        self._place = {sample: place for place, sample in enumerate(self.samples)}
        self._sums = np.zeros((len(self.accounts), 2))  # nats, tokens since the last close
        self._latest = np.zeros((len(self.samples), 2))  # nats, tokens when last seen
        self._seen = np.zeros(len(self.samples))  # the step of that, from 1; the same on all processes
        self._rows = SampleSums()
        self._waiting: list[IntArray] = []

    def begin(self, step: int, batch: Iterable[Sequence[Encoded]]) -> None:
        """A step of the phase, from 1, with the rows of all processes: what it sees is forgotten, then seen anew."""
        places = [self._place[sample.leaf, sample.sample] for row in batch for sample in row]
        self._latest[places] = 0.0
        self._seen[places] = step

    def add(self, samples: Sequence[Encoded], owners: IntArray, losses: torch.Tensor) -> None:
        """A row's token losses; `owners` tells for each the number of its sample in the row (`PackedRow.owners`)."""
        places = [self._place[sample.leaf, sample.sample] for sample in samples]
        self._waiting.append(np.array(places, dtype=np.int64))
        self._rows.add(losses, owners, len(samples))

    def settle(self) -> tuple[float, int]:
        """Book the rows added since the last time; gives their nats and tokens."""
        found = self._rows.take()
        if not len(found):
            return 0.0, 0
        places = np.concatenate(self._waiting)
        self._waiting = []
        np.add.at(self._latest, places, found)
        np.add.at(self._sums, self._account[places], found)
        nats, tokens = found.sum(axis=0)
        return float(nats), int(tokens)

    def latest(self, sample: Encoded) -> float | None:
        """The mean loss of a sample when it was last seen, in nats a token; None: another process saw it."""
        nats, tokens = self._latest[self._place[sample.leaf, sample.sample]]
        return float(nats / tokens) if tokens else None

    def close(self, *, phase: str, step: int, add_up: AddUp = alone) -> list[LeafLoss]:
        """Records of what was booked since the last close, by leaf and teacher."""
        sums = add_up(self._sums)
        self._sums = np.zeros_like(self._sums)
        return [
            LeafLoss(phase=phase, step=step, leaf=leaf, teacher=teacher, tokens=int(tokens), loss=float(nats / tokens))
            for (leaf, teacher), (nats, tokens) in zip(self.accounts, sums, strict=True)
            if tokens
        ]

    def last_seen(self, *, phase: str, add_up: AddUp = alone) -> list[SampleLoss]:
        """Of each sample that the phase saw, its loss the last time; the next phase starts anew."""
        latest, steps = add_up(self._latest), self._seen
        self._latest, self._seen = np.zeros_like(self._latest), np.zeros_like(self._seen)
        return [
            SampleLoss(
                phase=phase,
                step=int(steps[place]),
                leaf=leaf,
                teacher=self.accounts[self._account[place]][1],
                sample=sample,
                tokens=int(latest[place, 1]),
                loss=float(latest[place, 0] / latest[place, 1]),
            )
            for place, (leaf, sample) in enumerate(self.samples)
            if latest[place, 1]
        ]

    def tensors(self, *, add_up: AddUp = alone) -> dict[str, torch.Tensor]:
        """All that is booked and not closed yet, for a checkpoint. The same on every process."""
        parts = {"sums": add_up(self._sums), "latest": add_up(self._latest), "seen": self._seen}
        return {f"book.{name}": torch.from_numpy(part.copy()) for name, part in parts.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor], *, leads: bool = True) -> None:
        """Go on from a checkpoint of the same samples: the leading process takes over what all had booked."""
        share = 1.0 if leads else 0.0
        self._sums = tensors["book.sums"].numpy() * share
        self._latest = tensors["book.latest"].numpy() * share
        self._seen = tensors["book.seen"].numpy().copy()
