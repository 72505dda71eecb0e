"""What is measured while a model trains, as the run's files hold it, and how two measurements compare. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from pydantic import Field

from instructlab_like.records import Record, Row

BASELINE = "baseline"  # in place of a phase: before the first step, when the adapter still changes nothing
BASE = "base"  # the group of the base's own tasks
Z = 1.644854  # 95 % point of the normal distribution
T_FEW = (6.3138, 2.9200, 2.3534, 2.1318)  # of Student's t, 1 to 4 degrees of freedom


class LeafLoss(Record):
    """The mean training loss of one leaf's tokens from one teacher, over the steps since the last such record.

    Replay rows are their own leaf. Records of one step, weighted by their tokens, give the loss of its rows.
    """

    phase: str
    step: int  # the last step counted, from 1
    leaf: str
    teacher: str = Field(default="", exclude_if=lambda name: not name)  # who made the samples, where a row says so
    tokens: int  # trained tokens in these steps
    loss: float  # nats a token


class SampleLoss(Record):
    """The mean training loss of one sample the last time that it was seen in a phase."""

    phase: str
    step: int  # in which it was seen last, from 1
    leaf: str
    teacher: str = ""
    sample: str
    tokens: int
    loss: float  # nats a token


class HeldOutLoss(Record):
    """The held-out loss of one group's samples from one teacher; the same samples in the same order every time."""

    phase: str  # the phase in training, or "baseline"
    step: int  # of the phase; 0 at the baseline
    group: str  # a leaf's path, or "base": the base's own tasks
    teacher: str = ""
    samples: int
    tokens: int
    loss: float  # nats a token
    error: float | None  # its standard error over samples; None: one sample shows none
    sample_tokens: tuple[int, ...]
    sample_nats: tuple[float, ...]  # summed over the tokens of each sample


@dataclass(frozen=True)
class Rise:
    """How far a loss rose between two measurements of the same samples, in nats a token; a drop is negative."""

    samples: int
    before: float
    after: float
    error: float | None  # standard error of the difference, paired over samples

    @property
    def amount(self) -> float:
        return self.after - self.before

    @property
    def least(self) -> float | None:
        """The lower end of the one-sided 95 % interval: it rose at least so far. None where no noise can be seen."""
        return None if self.error is None else self.amount - t95(self.samples - 1) * self.error

    @property
    def most(self) -> float | None:
        """The upper end likewise: it rose at most so far."""
        return None if self.error is None else self.amount + t95(self.samples - 1) * self.error


def teachers(rows: Iterable[Row]) -> dict[str, str]:
    """Who made each sample, by its id: the teacher's model, else the method; rows that say neither are left out."""
    made = {row.sample: row.model or row.method for row in rows}
    return {sample: teacher for sample, teacher in made.items() if teacher}


def under(leaf: str, name: str) -> bool:
    """Whether a leaf is the one of that name, or lies in that branch."""
    return f"{leaf}/".startswith(f"{name.rstrip('/')}/")


def held_out_loss(
    *, phase: str, step: int, group: str, teacher: str, tokens: Sequence[int], nats: Sequence[float]
) -> HeldOutLoss:
    """The record of one group's samples, each with its tokens and the sum of its loss."""
    loss, error = ratio(nats, tokens)
    return HeldOutLoss(
        phase=phase,
        step=step,
        group=group,
        teacher=teacher,
        samples=len(tokens),
        tokens=sum(tokens),
        loss=loss,
        error=error,
        sample_tokens=tuple(tokens),
        sample_nats=tuple(nats),
    )


def rise(before: Sequence[HeldOutLoss], after: Sequence[HeldOutLoss]) -> Rise:
    """Compare two measurements of the same groups, all their samples together. Raises ValueError for other samples."""
    first, second = paired(before), paired(after)
    if [(key, tokens) for key, tokens, _ in first] != [(key, tokens) for key, tokens, _ in second]:
        raise ValueError("the two measurements are not of the same held-out samples")
    sizes = [size for _, tokens, _ in first for size in tokens]
    old = [nats for _, _, sums in first for nats in sums]
    new = [nats for _, _, sums in second for nats in sums]
    _, error = ratio([late - early for early, late in zip(old, new, strict=True)], sizes)
    return Rise(len(sizes), sum(old) / sum(sizes), sum(new) / sum(sizes), error)


def paired(
    records: Sequence[HeldOutLoss],
) -> list[tuple[tuple[str, str], tuple[int, ...], tuple[float, ...]]]:
    """Tokens and nats by group and teacher, in an order that does not depend on the records'."""
    return sorted(((one.group, one.teacher), one.sample_tokens, one.sample_nats) for one in records)


def ratio(sums: Sequence[float], sizes: Sequence[int]) -> tuple[float, float | None]:
    """sum(sums) / sum(sizes), and its standard error by the usual linearisation of a ratio. Samples count as
    independent, so questions on one passage make it look a little smaller than it is."""
    count, size = len(sums), sum(sizes)
    value = sum(sums) / size
    if count < 2:
        return value, None
    spread = sum((one - value * tokens) ** 2 for one, tokens in zip(sums, sizes, strict=True))
    return value, sqrt(count / (count - 1) * spread) / size


def t95(freedom: int) -> float:
    """The 95 % point of Student's t; above 4 degrees of freedom by its expansion in Z, good to 0.01."""
    if freedom <= len(T_FEW):
        return T_FEW[freedom - 1]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3
