"""The three parts: how fast, what a kill costs, what faults cost; each arm beside the floor of the same minutes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.arms import Arm
from benchmarks.peers.measure import Bench, Run
from benchmarks.peers.scripts.job import CONCURRENCY
from benchmarks.peers.workload import MARK, STEPS, Workload

FAULT_LIMIT = 180.0  # seconds for the run with faults
SAID = 160  # characters of a failed command's last words

Record = dict[str, object]
Note = Callable[[str, Record], None]


@dataclass(frozen=True)
class Speed:
    """One run of an arm that went to its end."""

    start_up: float
    start_up_cpu: float
    wall: float  # from the first call to the end of the command
    cpu: float  # seconds a thousand calls, from the first call on
    peak: float
    in_flight: float
    first_sample: float
    overlap: bool
    rows: int


@dataclass(frozen=True)
class Ratio:
    wall: float
    cpu: float


@dataclass(frozen=True)
class Compared:
    """An arm's runs, each with its ratio to the floor run just before and just after it."""

    speeds: list[Speed]
    ratios: list[Ratio]
    broken: list[str]


def speeds(
    floor: Arm, arms: Sequence[Arm], *, samples: int, repeats: int, workload: Callable[[], Workload], note: Note
) -> dict[str, Compared]:
    """Every arm `repeats` times, in turns, with the floor between any two; the floor's own runs come first."""
    found = {arm.name: Compared([], [], []) for arm in (floor, *arms)}

    def once(arm: Arm) -> Speed | str:
        made = speed(arm, samples, workload())
        note("speed", {"arm": arm.name, **(asdict(made) if isinstance(made, Speed) else {"broken": made})})
        return made

    for _ in range(repeats):
        before = once(floor)
        for arm in arms:
            made = once(arm)
            after = once(floor)
            if isinstance(before, str) or isinstance(after, str):
                raise RuntimeError(f"the floor did not run: {before if isinstance(before, str) else after}")
            if isinstance(made, str):
                found[arm.name].broken.append(made)
            else:
                found[arm.name].speeds.append(made)
                wall, cpu = (before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2
                found[arm.name].ratios.append(Ratio(made.wall / wall, made.cpu / cpu))
            found[floor.name].speeds.append(before)
            before = after
        if isinstance(before, Speed):
            found[floor.name].speeds.append(before)
    return found


def speed(arm: Arm, samples: int, workload: Workload) -> Speed | str:
    """One run; what went wrong, where it did not make every row."""
    with scratch() as folder, Bench(workload) as bench:
        run = bench.run(arm.command(folder, bench.url, samples, False), folder)
        rows, seen = arm.rows(folder), bench.seen()
    if run.code != 0:
        return ending(run)
    if len(rows) != samples:
        return f"{len(rows)} rows of {samples}"
    assert None not in (run.start_up, run.start_up_cpu, run.asking, run.asking_cpu)
    return Speed(
        start_up=run.start_up,
        start_up_cpu=run.start_up_cpu,
        wall=run.asking,
        cpu=run.asking_cpu / (len(STEPS) * samples) * 1000,
        peak=run.peak,
        in_flight=seen.in_flight,
        first_sample=seen.first_sample,
        overlap=seen.overlap,
        rows=len(rows),
    )


@dataclass(frozen=True)
class Killed:
    """What a SIGKILL after half of the answers cost, once the same command had run again."""

    samples: int
    answered: int  # before the kill
    again: int  # calls of the second run that had had their answer
    settled: int  # of these, whose answer was not among the last 64: every slot had been used anew since
    in_flight: int  # calls without an answer at the kill
    rows: int
    duplicates: int
    end: str  # of the second run


def killed(arm: Arm, samples: int, workload: Workload) -> Killed:
    with scratch() as folder, Bench(workload) as bench:
        command = arm.command(folder, bench.url, samples, True)
        bench.run(command, folder, kill_after=samples)
        first = bench.seen()
        before = len(first.calls)
        run = bench.run(command, folder, limit=FAULT_LIMIT)
        rows = marks(arm, folder)
        seen = bench.seen()
    had = [identity for identity, _ in sorted(first.answered, key=lambda call: call[1].left or 0.0)]
    again = {identity for identity, _ in seen.calls[before:]}.intersection(had)
    return Killed(
        samples=samples,
        answered=len(had),
        again=len(again),
        settled=len(again.intersection(had[:-CONCURRENCY])),
        in_flight=before - len(first.answered),
        rows=len(rows),
        duplicates=len(rows) - len(set(rows)),
        end=ending(run),
    )


@dataclass(frozen=True)
class Disturbed:
    """What became of a run with faults."""

    samples: int
    rows: int
    used: int  # different calls that were answered in the end
    calls: int
    wall: float | None
    waits: list[float]
    end: str


def disturbed(arm: Arm, samples: int, workload: Workload) -> Disturbed:
    with scratch() as folder, Bench(workload) as bench:
        run = bench.run(arm.command(folder, bench.url, samples, False), folder, limit=FAULT_LIMIT)
        rows, seen = marks(arm, folder), bench.seen()
    return Disturbed(
        samples=samples,
        rows=len(set(rows)),
        used=len({identity for identity, _ in seen.answered}),
        calls=len(seen.calls),
        wall=run.asking,
        waits=seen.waits,
        end=ending(run),
    )


def marks(arm: Arm, folder: Path) -> list[str]:
    """Of the samples in the finished rows that are whole: question and answer carry the same mark."""
    found = [MARK.findall(row) for row in arm.rows(folder)]
    return [each[0] for each in found if len(each) > 1 and len(set(each)) == 1]


def ending(run: Run) -> str:
    if run.code is None:
        return f"did not end in {run.whole:.0f} s"
    if run.code == 0:
        return "finished"
    words = [line.strip() for line in run.said.splitlines() if line.strip()] or ["nothing said"]
    told = next((line for line in reversed(words) if re.match(r"[\w.]*(Error|Exception)(:|$)", line)), words[-1])
    return f"exit code {run.code}: {told[:SAID]}"


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        yield Path(folder)
