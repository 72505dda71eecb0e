"""How near the kept samples of a run come to the mix that was wanted: as a record, and as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from instructlab_like.filters.parts.mixture import MILLION, REST, Cell, Wanted, near
from instructlab_like.generation.targets import Round
from instructlab_like.printable import escaped
from instructlab_like.records import Record
from instructlab_like.report.wording import code


class MixRow(Record):
    """One value of a dimension. Shares are of the samples that were kept; numbers of those that were wanted."""

    dimension: str
    value: str  # "": all that no stated value stands for
    wanted: float  # share
    reached: float  # share
    points: float  # reached less wanted
    samples: int  # kept
    short: int  # samples that are missing of its share of all that were wanted
    missed: bool = False  # by more than two points and a sample


class Mix(Record):
    """What of a target was reached."""

    wanted: int  # samples
    kept: int
    reached: bool  # all samples, and each share within two points, or a sample
    ended: str  # why no more was asked
    rows: tuple[MixRow, ...]
    rounds: tuple[Round, ...] = ()  # first prompts begun, round by round


def mix(wanted: Wanted, there: Mapping[Cell, int], *, rounds: tuple[Round, ...], ended: str) -> Mix:
    """The table of what was kept, by cell."""
    kept = sum(there.values())
    rows: list[MixRow] = []
    for dimension, counts in zip(wanted.dimensions, wanted.totals(there), strict=True):
        whole = zip(dimension.values, dimension.shares, counts, dimension.numbers(wanted.samples), strict=True)
        for value, share, count, number in whole:
            if value == REST and not share and not count:
                continue
            reached = count / kept if kept else 0.0
            rows.append(
                MixRow(
                    dimension=dimension.name,
                    value=value,
                    wanted=share / MILLION,
                    reached=round(reached, 6),
                    points=round(100 * (reached - share / MILLION), 2),
                    samples=count,
                    short=max(0, number - count) if value != REST else 0,
                    missed=abs(count * MILLION - share * kept) > near(kept) if kept else share > 0,
                )
            )
    return Mix(
        wanted=wanted.samples,
        kept=kept,
        reached=kept >= wanted.samples and not any(row.missed for row in rows),
        ended=ended,
        rows=tuple(rows),
        rounds=rounds,
    )


HEADS = ("dimension", "value", "wanted", "reached", "points", "samples", "short")


def lines(told: Mix) -> Iterator[str]:
    """The table, and in a line whether the mix is reached."""
    rows = [HEADS, *(cells(row) for row in told.rows)] if told.rows else []
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))] if rows else []
    for row in rows:
        left = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths, strict=False)]
        right = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield escaped("  ".join([*left, *right]))
    yield verdict(told)


def cells(row: MixRow) -> tuple[str, ...]:
    return (
        row.dimension,
        row.value or "(the rest)",
        f"{100 * row.wanted:.1f} %",
        f"{100 * row.reached:.1f} %",
        f"{row.points:+.1f}" + ("!" if row.missed else ""),
        f"{row.samples:,}",
        f"{row.short:,}" if row.short else "",
    )


def verdict(told: Mix) -> str:
    """Whether the target is reached, and by how much it is missed."""
    rounds = f"{len(told.rounds)} round{'' if len(told.rounds) == 1 else 's'}"
    if told.reached:
        return f"the target is reached in {rounds}: {told.kept:,} samples, each share within two points or a sample"
    missed = [row for row in told.rows if row.missed]
    parts = [f"{told.kept:,} of {told.wanted:,} samples"] if told.kept < told.wanted else []
    if missed:
        worst = max(missed, key=lambda row: abs(row.points))
        named = f"{worst.dimension} {worst.value!r}" if worst.value else f"the rest of {worst.dimension}"
        parts.append(f"{len(missed)} shares off by more than two points, {named} by {abs(worst.points):.1f}")
    elif told.kept:
        parts.append("each share within two points or a sample")
    return escaped(f"the target is missed after {rounds}: {', '.join(parts)} ({told.ended})")


def markdown(told: Mix) -> str:
    rows = ["| dimension | value | wanted | reached | points | samples | short |", "|---|---|--:|--:|--:|--:|--:|"]
    for row in told.rows:
        dimension, value, *figures = cells(row)
        rows.append(f"| {dimension} | {code(value)} | {' | '.join(figures)} |")
    return "\n".join([*rows, "", code(verdict(told))])
