"""The findings about all samples: made in one pass, in several processes when there are many, and remembered."""

from __future__ import annotations

import mmap
import signal
import struct
import tempfile
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import orjson
from pydantic import ValidationError

from instructlab_like.digests import Fingerprints
from instructlab_like.filters import build
from instructlab_like.filters.inspect import COUNT, HEAD, Finding, Inspector, Task
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Sample, digest, plain
from instructlab_like.stock import Some, Stock
from instructlab_like.workspace import replacing

KEY = 16  # bytes
BATCH = 256  # samples handed to a process at a time
MANY = 4_000  # samples from which on several processes are worth their start
AHEAD = 4  # batches waiting for each process
INDEX = "index.json"
FIRST = struct.Struct("<HI")  # of a finding, behind its head: how many parts it has, and the size of the first
SIZES = HEAD.size + COUNT.size  # where the parts' sizes begin
parse = Sample.model_validate_json


class Findings:
    """One finding for each sample given, by its entry: its place, or for a sample made anew a number after the last."""

    def __init__(self, given: Sequence[Sample]) -> None:
        self.source, self.given = given, len(given)
        self.stop, self.unapplied = array("H"), array("Q")
        self.keys = bytearray()
        self.ends = array("Q", [0])  # of findings in the file, one after the other
        self.parents = array("I")  # of samples made anew
        self.leaves: Counter[bytes] = Counter()
        self.looked_at = 0
        self.data: mmap.mmap | bytes = b""

    def add(self, key: bytes, packed: bytes) -> None:
        stop, unapplied = HEAD.unpack_from(packed)
        self.stop.append(stop)
        self.unapplied.append(unapplied)
        self.keys += key
        self.ends.append(self.ends[-1] + len(packed))
        self.leaves[leaf_in(packed)] += 1

    def packed(self, entry: int) -> bytes:
        if entry < self.given:
            return self.data[self.ends[entry] : self.ends[entry + 1]]
        return self.finding(self.parents[entry - self.given]).found

    def finding(self, entry: int) -> Finding:
        return Finding.unpack(self.packed(entry))

    def sample(self, entry: int) -> Sample:
        if entry < self.given:
            return self.source[entry]
        return parse(self.finding(self.parents[entry - self.given]).instead)

    def samples(self, entries: array[int]) -> Sequence[Sample]:
        if not self.parents:
            return Some(self.source, entries)
        return Some(Entries(self), entries)

    def made_anew(self) -> Sequence[Sample]:
        return Some(Entries(self), range(self.given, self.given + len(self.parents)))

    def made(self) -> Counter[str]:
        """How many samples were given, by leaf."""
        return Counter({leaf.decode(): count for leaf, count in self.leaves.items()})

    def put(self, entry: int, finding: Finding) -> int:
        """The entry of the sample that goes on in the place of another."""
        stop, unapplied = HEAD.unpack_from(finding.found)
        self.parents.append(entry)
        self.stop.append(stop)
        self.unapplied.append(unapplied)
        return self.given + len(self.parents) - 1

    def in_order(self, entries: array[int], new: array[int]) -> array[int]:
        """Both in the order of ids; the first are."""
        merged, at = array("I"), 0
        for entry in sorted(new, key=self.id):
            to = self.after(entries, self.id(entry), at)
            merged.extend(entries[at:to])
            merged.append(entry)
            at = to
        merged.extend(entries[at:])
        return merged

    def after(self, entries: array[int], id: str, low: int) -> int:
        high = len(entries)
        while low < high:
            middle = (low + high) // 2
            if self.id(entries[middle]) < id:
                low = middle + 1
            else:
                high = middle
        return low

    def id(self, entry: int) -> str:
        return self.sample(entry).id

    def key(self, entry: int) -> bytes:
        if entry < self.given:
            return bytes(self.keys[KEY * entry : KEY * (entry + 1)])
        return key_of(self.finding(self.parents[entry - self.given]).instead)

    def sketch(self, entry: int, number: int) -> bytes:
        return sketch_in(self.packed(entry), number)

    def sketches(self, entries: array[int], number: int) -> bytes:
        return b"".join([sketch_in(self.packed(entry), number) for entry in entries])


class Entries(Sequence[Sample]):
    """All samples there are, by entry."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def __len__(self) -> int:
        return self.findings.given + len(self.findings.parents)

    def __getitem__(self, entry: int) -> Sample:  # type: ignore[override]
        return self.findings.sample(entry)


def leaf_in(packed: bytes) -> bytes:
    count, size = FIRST.unpack_from(packed, HEAD.size)
    begin = SIZES + 4 * count
    return packed[begin : begin + size]


def sketch_in(packed: bytes, number: int) -> bytes:
    (count,) = COUNT.unpack_from(packed, HEAD.size)
    sizes = sizes_of(count).unpack_from(packed, SIZES)
    begin = SIZES + 4 * count + sum(sizes[: 5 + number])
    return packed[begin : begin + sizes[5 + number]]


@cache
def sizes_of(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


def key_of(line: bytes) -> bytes:
    return blake2b(line, digest_size=KEY).digest()


def inspected(
    samples: Sequence[Sample],
    choices: Sequence[FilterChoice],
    inspector: Inspector,
    *,
    scratch: Path | None = None,
    memory: Path | None = None,
    processes: int = 1,
) -> Findings:
    """The findings about samples in id order. Those of lines that `memory` knows are not made again."""
    findings = Findings(samples)
    with tempfile.TemporaryFile(dir=scratch) as file, ExitStack() as stack:
        if isinstance(samples, Stock):
            known = stack.enter_context(Memory(memory, inspector)) if memory else None
            read(samples, findings, inspector, choices, file, known, processes)
        else:
            for sample in samples:
                file.write(add(findings, key_of(sample.id.encode()), inspector.look(sample).pack()))
            findings.looked_at = len(samples)
        file.flush()
        if findings.ends[-1]:
            findings.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # stays when the file is closed
    if memory and isinstance(samples, Stock):
        remember(memory, findings, inspector)
    return findings


def add(findings: Findings, key: bytes, packed: bytes) -> bytes:
    findings.add(key, packed)
    return packed


def read(
    samples: Stock,
    findings: Findings,
    inspector: Inspector,
    choices: Sequence[FilterChoice],
    file: BinaryIO,
    known: Memory | None,
    processes: int,
) -> None:
    """Look at all lines that are not known."""
    keys = bytearray()
    old = array("q")
    new: Sequence[int] = range(len(samples))
    if known is not None:
        for place in new:
            key = key_of(samples.raw(place))
            keys += key
            old.append(known.find(key))
        new = array("I", (place for place, found in enumerate(old) if found < 0))
    findings.looked_at = len(new)
    made = looked(samples, new, inspector, choices, processes, keys if known is None else None)
    for place in range(len(samples)):
        packed = next(made) if known is None or old[place] < 0 else known.packed(old[place])
        file.write(add(findings, bytes(keys[KEY * place : KEY * (place + 1)]), packed))


def looked(
    samples: Stock,
    places: Sequence[int],
    inspector: Inspector,
    choices: Sequence[FilterChoice],
    processes: int,
    keys: bytearray | None,
) -> Iterator[bytes]:
    """The packed findings about the samples at some places, in order; `keys` gets the lines' keys as they are read."""
    if processes < 2 or len(places) < MANY:
        for place in places:
            yield one_looked_at(samples, place, lines(samples, (place,), keys)[0], inspector)
        return
    task = Task(
        filters=tuple(plain_choice(choice) for choice in choices),
        leaves=inspector.leaves,
        pardons=inspector.pardons,
        idle=tuple(sorted(inspector.idle)),
    )
    told = orjson.dumps(plain(task))
    batches = (places[at : at + BATCH] for at in range(0, len(places), BATCH))
    waiting: deque[tuple[Sequence[int], Future[list[bytes]]]] = deque()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=begin, initargs=(told,)) as pool:
        try:
            for batch in batches:
                waiting.append((batch, pool.submit(look_at, lines(samples, batch, keys))))
                if len(waiting) > AHEAD * processes:
                    yield from received(samples, *waiting.popleft())
            while waiting:
                yield from received(samples, *waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def lines(samples: Stock, places: Sequence[int], keys: bytearray | None) -> list[bytes]:
    """The samples' lines, each read once; their keys are added to `keys`."""
    found = [samples.raw(place) for place in places]
    if keys is not None:
        keys += b"".join(map(key_of, found))
    return found


def one_looked_at(samples: Stock, place: int, line: bytes, inspector: Inspector) -> bytes:
    try:
        sample = parse(line)
    except ValidationError:
        sample = samples[place]  # raises, and says where the line is
    return inspector.look(sample).pack()


def received(samples: Stock, batch: Sequence[int], future: Future[list[bytes]]) -> Iterator[bytes]:
    for place, packed in zip(batch, future.result(), strict=True):
        if not packed:
            samples[place]  # raises, and says where the line is
        yield packed


def plain_choice(choice: FilterChoice) -> dict[str, object]:
    return choice.model_dump(mode="json")


# --- in a process of its own ------------------------------------------------------------------------------------

_here: list[Inspector] = []


def begin(told: bytes) -> None:
    """Make ready to look at samples, as the parent would. The parent decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    task = Task.model_validate_json(told)
    chosen = [build(FilterChoice.model_validate(choice)) for choice in task.filters]
    _here[:] = [Inspector(chosen, task.leaves, task.pardons, task.idle)]


def look_at(lines: list[bytes]) -> list[bytes]:
    """The packed findings about samples; nothing for a line that is none."""
    found = []
    for line in lines:
        try:
            sample = parse(line)
        except ValidationError:
            found.append(b"")
        else:
            found.append(_here[0].look(sample).pack())
    return found


# --- what is remembered -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    keys: Path
    ends: Path
    data: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> Files:
        return cls(*(folder / f"{name}.{kind}" for kind in ("keys", "ends", "data")))


class Memory:
    """The findings of an earlier pass with the same filters; what is damaged or of another time is not known."""

    def __init__(self, folder: Path, inspector: Inspector) -> None:
        self.folder, self.facts = folder, facts(inspector)
        self.identity = identity(inspector)
        self.numbers = Fingerprints()
        self.keys = b""
        self.ends = array("Q")
        self.data: mmap.mmap | bytes = b""
        self.changed: set[str] = set()
        self.before: dict[str, str] = {}

    def __enter__(self) -> Memory:
        try:
            told = orjson.loads((self.folder / INDEX).read_bytes())
            files = Files.of(self.folder, str(told["name"]))
            if told["identity"] != self.identity:
                return self
            self.keys = files.keys.read_bytes()
            self.ends.frombytes(files.ends.read_bytes())
            size = files.data.stat().st_size
            if len(self.keys) != KEY * (len(self.ends) - 1) or self.ends[-1] != size or told["data"] != size:
                return self.forgotten()
            self.before = dict(told["leaves"])
            with files.data.open("rb") as file:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return self.forgotten()
        for number in range(len(self.ends) - 1):
            self.numbers.add(self.keys[KEY * number : KEY * (number + 1)], number)
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self.data, mmap.mmap):
            self.data.close()

    def forgotten(self) -> Memory:
        self.keys, self.ends = b"", array("Q")
        return self

    def find(self, key: bytes) -> int:
        """The number of what is known of a line, or -1."""
        for number in self.numbers.find(key):
            if self.keys[KEY * number : KEY * (number + 1)] == key and self.holds(number):
                return number
        return -1

    def holds(self, number: int) -> bool:
        """Whether it is whole, and the leaf says what it said then."""
        try:
            leaf = Finding.unpack(self.packed(number)).leaf
        except ValueError:
            return False
        return self.before.get(leaf) == self.facts.get(leaf)

    def packed(self, number: int) -> bytes:
        return self.data[self.ends[number] : self.ends[number + 1]]


def identity(inspector: Inspector) -> str:
    return digest([[one.identity() for one in inspector.chosen], list(inspector.pardons), sorted(inspector.idle)])


def facts(inspector: Inspector) -> dict[str, str]:
    return {leaf: digest(plain(told)) for leaf, told in sorted(inspector.leaves.items())}


def remember(folder: Path, findings: Findings, inspector: Inspector) -> None:
    """Keep the findings for the next pass; a reader sees all of them, or those of the pass before."""
    folder.mkdir(parents=True, exist_ok=True)
    known = identity(inspector)
    name = digest([known, facts(inspector), blake2b(findings.keys).hexdigest()])[:16]
    files = Files.of(folder, name)
    parts = ((files.keys, findings.keys), (files.ends, findings.ends.tobytes()), (files.data, findings.data))
    for path, data in parts:
        with replacing(path, durable=False) as file:
            file.write(data)
    told = {"name": name, "identity": known, "data": findings.ends[-1], "leaves": facts(inspector)}
    with replacing(folder / INDEX, durable=False) as file:
        file.write(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
    kept = {INDEX, *(path.name for path, _ in parts)}
    for path in folder.iterdir():
        if path.is_file() and path.name not in kept:
            path.unlink()
