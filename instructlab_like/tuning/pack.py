"""Samples become rows: best-fit decreasing, so that few cells of a row stay empty. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pack(lengths: Sequence[int], cap: int) -> list[list[int]]:
    """Put every sample, named by its index, into the fullest row that still has room for it.

    Longest first; equal lengths in the order given. A length must lie in 1..cap. Rows come in the order in which
    they were opened. Time O(n log n) for the sort plus O(n cap / 64) for the search among free cells.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if len(sizes) and not (int(sizes.min()) >= 1 and int(sizes.max()) <= cap):
        raise ValueError(f"lengths must lie in 1..{cap}, got {int(sizes.min())}..{int(sizes.max())}")
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(cap + 1)]  # free cells -> rows that have exactly so many
    some = 0  # bit k is set while with_room[k] is not empty
    for index in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[index])
        fitting = some >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                some ^= 1 << room
            rows[row].append(index)
        else:
            room, row = cap, len(rows)
            rows.append([index])
        left = room - size
        with_room[left].append(row)
        some |= 1 << left
    return rows


def fill(lengths: Sequence[int], rows: int, cap: int) -> float:
    """The share of cells that hold a token, 0..1."""
    return sum(lengths) / (rows * cap) if rows else 0.0
