"""MinHash signatures laid on shelves, one for each band that several have: which are alike enough to be compared."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from functools import cached_property
from struct import Struct
from zlib import crc32

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int32]

BANDS, ROWS = 32, 4
SLOTS = BANDS * ROWS  # of a signature, one byte each, so that a band is a number of 32 bits
LOWEST = 0 if sys.byteorder == "little" else array("I").itemsize - 1  # byte of a slot
MARKS = 8  # names and numbers in a sketch
FEWEST, SAME = 2, 0.3  # of so many of them, so large a share is the same in a copy
HASHES = Struct(f"<{MARKS}H")
BLOCK = 1024  # samples that are looked up at a time
FULL = 48  # kept samples on a shelf from which on it tells nothing: a frame that thousands share
MANY = 512  # samples on a shelf, kept or not, up to which all of them are looked at where one is in doubt
TOGETHER = 1 << 17  # pairs within a block, above which it is taken in halves
SOME, LESS = 32, 0.6  # slots that are compared first, and how much of the share must agree in them
CHUNK = 1 << 13  # pairs whose signatures are compared at a time
ONES, TOP = np.uint64(0x0101010101010101), np.uint64(56)


def signature(features: list[bytes]) -> bytes:
    """The lowest byte of each slot of the MinHash signature."""
    made = RMinHash(num_perm=SLOTS, seed=1)
    made.update(features)
    return array("I", made.digest()).tobytes()[LOWEST :: array("I").itemsize]


def bands(signature: bytes) -> Iterator[tuple[int, bytes]]:
    """The keys under which a signature's copies are found."""
    for band in range(BANDS):
        yield band, signature[band * ROWS : (band + 1) * ROWS]


def marked(marks: list[bytes]) -> bytes:
    """The hashes of marks, of two bytes each and the lowest first; zero where there are fewer than a sketch holds."""
    lowest = sorted({crc32(mark) & 0xFFFF | 1 for mark in marks})[:MARKS]
    return HASHES.pack(*lowest, *[0] * (MARKS - len(lowest)))


class Shelves:
    """Sketches in order; of each its signature, its marks, and a number that two must share to be compared."""

    def __init__(self, signatures: Bytes, marks: Hashes, groups: Words) -> None:
        self.signatures = np.ascontiguousarray(signatures)
        self.some = np.ascontiguousarray(signatures[:, :SOME])
        self.marks, self.counts = marks, np.count_nonzero(marks, axis=1).astype(np.int8)
        self.shelves, sizes = shelved(self.signatures.view(np.uint32), groups)
        self.begins = np.concatenate(([0], np.cumsum(sizes)))
        self.members = np.empty(int(self.begins[-1]), dtype=np.int32)  # the kept ones of each shelf
        self.filled = np.zeros(len(sizes), dtype=np.int32)

    def blocks(self) -> Iterator[range]:
        """All in order, as many at a time as stand in few enough pairs."""
        for begin in range(0, len(self.signatures), BLOCK):
            yield from self.halved(range(begin, min(begin + BLOCK, len(self.signatures))))

    def halved(self, block: range) -> Iterator[range]:
        if len(block) > 1 and counted_pairs(self.of(block)[1]) > TOGETHER:
            middle = block.start + len(block) // 2
            yield from self.halved(range(block.start, middle))
            yield from self.halved(range(middle, block.stop))
        else:
            yield block

    def of(self, block: range) -> tuple[Places, Places]:
        """Who of a block stands on which shelf."""
        there = self.shelves[block.start : block.stop]
        rows, bands = np.nonzero(there >= 0)
        return (rows + block.start).astype(np.int32), there[rows, bands]

    def alike(self, block: range, share: float) -> tuple[Places, Places]:
        """Pairs of one of the block and an earlier one, kept or of the block itself, that share a shelf, so much of
        their signatures, and names and numbers. By the later one, then the most alike first, then the earliest."""
        rows, shelves = self.of(block)
        later, earlier = map(np.concatenate, zip(self.with_kept(rows, shelves), within(rows, shelves), strict=True))
        likely = agreement(self.some, later, earlier) >= LESS * share * SOME
        later, earlier = later[likely], earlier[likely]
        likely = self.of_one(later, earlier)
        later, earlier = once(later[likely], earlier[likely])
        same = agreement(self.signatures, later, earlier)
        enough = same >= share * SLOTS
        later, earlier, same = later[enough], earlier[enough], same[enough]
        order = np.lexsort((earlier, SLOTS - same, later))
        return later[order], earlier[order]

    def of_one(self, later: Places, earlier: Places) -> npt.NDArray[np.bool_]:
        """Of each pair whether enough of their names and numbers are the same, or too few are known."""
        mine, theirs = (np.take(self.counts, places) for places in (later, earlier))
        fewest = np.minimum(mine, theirs)
        shared = np.zeros(len(later), dtype=np.int8)
        for begin in range(0, len(later), CHUNK):
            some = slice(begin, begin + CHUNK)
            one, other = (np.take(self.marks, places[some], axis=0).T.copy() for places in (later, earlier))
            count = shared[some]
            for mark in one:
                for its in other:
                    count += mark == its
        shared -= (MARKS - mine) * (MARKS - theirs)  # those that both lack
        found: npt.NDArray[np.bool_] = (fewest < FEWEST) | (shared >= SAME * fewest)
        return found

    def nearer(self, row: int, than: int) -> list[int]:
        """All whose signatures agree with this one's in more slots than that of `than` does, the most alike first."""
        shelves = self.shelves[row][self.shelves[row] >= 0]
        few = shelves[np.diff(self.begins)[shelves] <= MANY]
        there = [self.everyone[self.begins[shelf] : self.begins[shelf + 1]] for shelf in few]
        found = np.unique(np.concatenate([self.everyone[:0], *there]))
        found = np.concatenate(([than], found[found != row])).astype(np.int32)
        same = agreement(self.signatures, np.full(len(found), row, dtype=np.int32), found)
        more = same > same[0]
        order = np.lexsort((found[more], SLOTS - same[more]))
        return [int(place) for place in found[more][order]]

    @cached_property
    def everyone(self) -> Places:
        """Those on each shelf, kept or not."""
        rows, bands = np.nonzero(self.shelves >= 0)
        return rows[np.argsort(self.shelves[rows, bands], kind="stable")].astype(np.int32)

    def with_kept(self, rows: Places, shelves: Places) -> tuple[Places, Places]:
        counts = self.filled[shelves]
        counts[counts >= FULL] = 0
        starts = np.repeat(self.begins[shelves] - (np.cumsum(counts) - counts), counts)
        return np.repeat(rows, counts), np.take(self.members, starts + np.arange(len(starts)))

    def put(self, block: range, kept: npt.NDArray[np.bool_]) -> None:
        """Lay those of a block that are kept on their shelves; a full one takes no more."""
        rows, shelves = self.of(block)
        stays = kept[rows - block.start] & (self.filled[shelves] < FULL)
        order = np.argsort(shelves[stays], kind="stable")
        rows, shelves = rows[stays][order], shelves[stays][order]
        on, first, counts = np.unique(shelves, return_index=True, return_counts=True)
        ranks = np.arange(len(shelves)) - np.repeat(first, counts)
        self.members[self.begins[shelves] + self.filled[shelves] + ranks] = rows
        self.filled[on] += counts.astype(np.int32)


def shelved(bands: Words, groups: Words) -> tuple[Places, npt.NDArray[np.int64]]:
    """For each signature and band the shelf, -1 where no other has that band; and how many stand on each shelf."""
    shelves = np.full(bands.shape, -1, dtype=np.int32)
    sizes, count = [np.empty(0, dtype=np.int64)], 0
    for band in range(bands.shape[1]):
        keys = bands[:, band] ^ groups
        order = in_order(keys)
        keys = np.take(keys, order)
        begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))[: len(keys)])
        size = np.diff(np.concatenate((begins, [len(keys)])))
        several = size > 1
        numbers = np.where(several, np.cumsum(several) - 1 + count, -1).astype(np.int32)
        shelves[order, band] = np.repeat(numbers, size)
        sizes.append(size[several])
        count += len(sizes[-1])
    return shelves, np.concatenate(sizes)


def in_order(keys: Words) -> npt.NDArray[np.int64]:
    """The places of the keys in their order, by halves: numbers of 16 bits are sorted in linear time."""
    first = np.argsort(keys.astype(np.uint16), kind="stable")
    return np.take(first, np.argsort(np.take((keys >> np.uint32(16)).astype(np.uint16), first), kind="stable"))


def counted_pairs(shelves: Places) -> int:
    """How many pairs stand on one shelf."""
    together = np.unique(shelves, return_counts=True)[1]
    return int((together * (together - 1) // 2).sum())


def within(rows: Places, shelves: Places) -> tuple[Places, Places]:
    """The pairs that stand on one shelf, each of all bands: the later one and the earlier."""
    order = np.argsort(shelves, kind="stable")
    rows, shelves = rows[order], shelves[order]
    places = np.arange(len(rows))
    opens = np.concatenate(([True], shelves[1:] != shelves[:-1]))[: len(rows)]
    counts = places - np.maximum.accumulate(np.where(opens, places, 0))  # of those before it on the shelf
    back = np.repeat(np.cumsum(counts), counts) - np.arange(int(counts.sum()))
    return np.repeat(rows, counts), np.take(rows, np.repeat(places, counts) - back)


def once(later: Places, earlier: Places) -> tuple[Places, Places]:
    """Each pair once, in order."""
    pairs = (later.astype(np.int64) << 32) | earlier
    pairs.sort()
    pairs = pairs[np.concatenate(([True], pairs[1:] != pairs[:-1]))[: len(pairs)]]
    return (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)


def agreement(signatures: Bytes, later: Places, earlier: Places) -> npt.NDArray[np.int64]:
    """In how many slots the signatures of each pair agree."""
    same = np.empty(len(later), dtype=np.int64)
    for begin in range(0, len(later), CHUNK):
        some = slice(begin, begin + CHUNK)
        equal = np.take(signatures, later[some], axis=0) == np.take(signatures, earlier[some], axis=0)
        counts = equal.view(np.uint64).sum(axis=1)  # eight counts side by side, none above 255
        same[some] = (counts * ONES) >> TOP
    return same
