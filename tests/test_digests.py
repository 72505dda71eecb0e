from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.digests import Fingerprints, Sorter

ENTRIES = st.lists(st.tuples(st.binary(min_size=3, max_size=3), st.integers(0, 9) | st.just((1 << 32) - 1)))


@given(ENTRIES, st.sampled_from([1, 40, 1 << 20]))
def test_keys_come_back_in_order_however_little_memory_there_is(entries, held):
    with Sorter(3, held=held) as sorter:
        for key, number in entries:
            sorter.add(key, number)
        assert list(sorter) == sorted(entries)
        assert list(sorter) == sorted(entries), "they can be read again"
        assert len(sorter) == len(entries)


@given(ENTRIES, st.sampled_from([1, 40, 1 << 20]))
def test_the_numbers_under_a_key_that_several_have_come_together(entries, held):
    with Sorter(3, held=held) as sorter:
        for key, number in entries:
            sorter.add(key, number)
        by_key = {key: sorted({number for other, number in entries if other == key}) for key, _ in sorted(entries)}
        assert list(sorter.shared()) == [numbers for numbers in by_key.values() if len(numbers) > 1]


def test_what_does_not_fit_lies_in_a_file_that_is_gone_afterwards(tmp_path):
    with Sorter(8, tmp_path, held=1000) as sorter:
        for number in range(1000):
            sorter.add(hashlib.sha256(str(number).encode()).digest()[:8], number)
        assert sum(map(len, sorter.buckets)) < 1000
        assert sorted(number for _, number in sorter) == list(range(1000))
    assert sorter.file is not None
    assert sorter.file.closed
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_opened_for_what_fits(tmp_path):
    with Sorter(8, tmp_path / "absent") as sorter:
        sorter.add(b"8 bytes.", 1)
        assert list(sorter) == [(b"8 bytes.", 1)]


class Alike:
    """Keys that all have one hash."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return -7


@pytest.mark.parametrize("count", [0, 1, 700, 5000])
def test_numbers_are_found_again_under_their_keys(count):
    table = Fingerprints()
    for number in range(count):
        table.add(f"key {number}", number)
    assert [list(table.find(f"key {number}")) for number in range(count)] == [[number] for number in range(count)]
    assert list(table.find("another")) == []


def test_keys_with_one_hash_are_all_given():
    table = Fingerprints()
    for number in range(900):
        table.add(Alike(str(number)), number)
    assert sorted(table.find(Alike("any"))) == list(range(900))
