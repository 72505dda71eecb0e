from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.tuning.pack import fill, pack

LENGTHS = st.integers(1, 200).flatmap(lambda cap: st.tuples(st.lists(st.integers(1, cap), max_size=200), st.just(cap)))


@given(LENGTHS)
def test_every_sample_stands_in_one_row_and_no_row_overflows(case: tuple[list[int], int]) -> None:
    lengths, cap = case
    rows = pack(lengths, cap)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in row) <= cap for row in rows)


@given(LENGTHS)
def test_no_two_rows_would_fit_into_one(case: tuple[list[int], int]) -> None:
    lengths, cap = case
    sums = sorted(sum(lengths[index] for index in row) for row in pack(lengths, cap))
    assert len(sums) < 2 or sums[0] + sums[1] > cap


@given(LENGTHS, st.randoms())
def test_the_number_of_rows_does_not_depend_on_the_order(case: tuple[list[int], int], random) -> None:
    lengths, cap = case
    other = random.sample(lengths, len(lengths))
    assert len(pack(lengths, cap)) == len(pack(other, cap))
    assert pack(other, cap) == pack(other, cap)


def test_a_sample_goes_where_the_least_room_is_left() -> None:
    assert pack([7, 6, 3, 4], 10) == [[0, 2], [1, 3]]


def test_rows_of_log_normal_lengths_are_nearly_full() -> None:
    lengths = np.random.default_rng(0).lognormal(np.log(118), 0.85, 2000).clip(20, 800).astype(int).tolist()
    assert fill(lengths, len(pack(lengths, 1024)), 1024) >= 0.997


def test_a_sample_that_fits_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.\.10, got 3\.\.11"):
        pack([3, 11], 10)


def test_nothing_gives_no_rows() -> None:
    assert pack([], 10) == []
    assert fill([], 0, 10) == 0.0
