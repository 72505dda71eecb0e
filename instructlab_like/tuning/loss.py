"""The loss of trained tokens, and whose they are: every nat is booked on the leaf its sample came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from instructlab_like.records import Record


class LeafLoss(Record):
    """The mean training loss of one leaf over the steps since the last such record; replay rows are their own leaf."""

    phase: str
    step: int  # the last step counted, from 1
    leaf: str
    tokens: int  # trained tokens of this leaf in these steps
    loss: float  # nats a token


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each trained token, in float32: `logits` (tokens, vocabulary), `targets` (tokens)."""
    return cross_entropy(logits.float(), targets, reduction="none")


class LossBook:
    """Sums of loss and counts of tokens per leaf; the sums of several processes may be added."""

    def __init__(self, leaves: Sequence[str]) -> None:
        self.leaves = tuple(sorted(set(leaves)))
        self.number = {leaf: number for number, leaf in enumerate(self.leaves)}
        self.sums = np.zeros((len(self.leaves), 2))  # loss, tokens

    def add(self, owners: npt.NDArray[np.int64], losses: npt.NDArray[np.float64]) -> None:
        """`owners` are leaf numbers, one for each token."""
        size = len(self.leaves)
        self.sums[:, 0] += np.bincount(owners, weights=losses, minlength=size)
        self.sums[:, 1] += np.bincount(owners, minlength=size)

    def close(self, sums: npt.NDArray[np.float64], *, phase: str, step: int) -> list[LeafLoss]:
        """Records of `sums` (this book's, or all processes' added up), leaf by leaf; the book starts anew."""
        self.sums = np.zeros_like(self.sums)
        return [
            LeafLoss(phase=phase, step=step, leaf=leaf, tokens=int(tokens), loss=float(loss / tokens))
            for leaf, (loss, tokens) in zip(self.leaves, sums, strict=True)
            if tokens
        ]
