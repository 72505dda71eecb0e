"""Runs the comparison and prints its tables in Markdown, as docs/peers.md holds them."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.arms import PEERS, Arm, floor, ours, peer
from benchmarks.peers.comparison import Compared, Disturbed, Killed, Record, Speed, disturbed, killed, speeds
from benchmarks.peers.workload import Workload

PARTS = ("speed", "kill", "faults")
OURS, PLAIN = "ilk", "ilk-without-filters"
LATENCIES: dict[str, Callable[[], Workload]] = {
    "50 ms, 5 % of calls 1 s": lambda: Workload(latency=0.05, share=0.05, slow=1.0),
    "no latency": Workload,
}
SPEED_HEAD = (
    "arm",
    "start-up s (CPU s)",
    "wall s",
    "× floor wall",
    "CPU s / 1,000 calls",
    "× floor CPU",
    "peak MB",
    "mean in flight of 64",
    "first sample s",
    "steps overlap",
)
KILL_HEAD = (
    "arm",
    "answered before",
    "in flight",
    "asked again",
    "share",
    "beyond the last 64",
    "rows",
    "duplicates",
    "second run",
)
FAULT_HEAD = (
    "arm",
    "rows",
    "calls answered",
    "calls made",
    "wall s",
    "429 to next try, s: least / middle / most",
    "end",
)


def main(words: Sequence[str] = ()) -> None:
    """Run with defaults, or as the words say."""
    told = options().parse_args(words)
    parts = told.part or PARTS
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("benchmarks: the comparison with peers reads /proc, which only Linux has")
    arms = available(told.arm or [OURS, PLAIN, *PEERS], told.environments)
    note = noting(told.json)
    if "speed" in parts:
        for name, workload in LATENCIES.items():
            print(f"\n{told.samples} samples, two calls each, 64 at a time; {name}\n", flush=True)
            found = speeds(floor(), arms, samples=told.samples, repeats=told.repeats, workload=workload, note=note)
            show(SPEED_HEAD, (speed_row(arm, one) for arm, one in found.items()))
    if "kill" in parts:
        print(f"\nSIGKILL after {told.kill_samples} of {2 * told.kill_samples} answers, then the same again\n")
        show(KILL_HEAD, (kill_row(arm, killed(arm, told.kill_samples, slow()), note) for arm in arms))
    if "faults" in parts:
        print(f"\n{told.fault_samples} samples; 5 % 429 with Retry-After: 1, 10 % 500, 2 % broken JSON, one hang\n")
        show(FAULT_HEAD, (fault_row(arm, disturbed(arm, told.fault_samples, slow(faults=True)), note) for arm in arms))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--samples", type=int, default=1000, help="of the part speed; a multiple of 10")
    parser.add_argument("--kill-samples", type=int, default=400)
    parser.add_argument("--fault-samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3, help="of every arm of the part speed")
    parser.add_argument("--arm", action="append", choices=(OURS, PLAIN, *PEERS), help="only these; may be given again")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these; may be given again")
    parser.add_argument("--environments", type=Path, default=environments.default_folder(), help="of the peers")
    parser.add_argument("--json", type=Path, help="a file for every single run, as JSON lines")
    return parser


def available(names: Iterable[str], folder: Path) -> list[Arm]:
    """The arms that can run here; the others are named, with the reason."""
    found = []
    for name in names:
        try:
            found.append(peer(name, folder) if name in PEERS else ours(filters=name == OURS))
        except environments.UnavailableError as error:
            print(f"  {name} is left out: it could not be installed: {error}", flush=True)
    return found


def slow(*, faults: bool = False) -> Workload:
    return Workload(latency=0.05, faults=faults)


def noting(file: Path | None) -> Callable[[str, Record], None]:
    def note(part: str, record: Record) -> None:
        if file is not None:
            with file.open("a", encoding="utf-8") as lines:
                lines.write(f"{json.dumps({'part': part, 'at': time.strftime('%FT%T'), **record})}\n")

    return note


def show(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for cells in (head, ["---"] * len(head)):
        print(f"| {' | '.join(cells)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def speed_row(name: str, found: Compared) -> list[str]:
    if not found.speeds:
        return [name, *["–"] * (len(SPEED_HEAD) - 2), *found.broken[:1]]

    def middle(of: Callable[[Speed], float], digits: int) -> str:
        return f"{statistics.median(map(of, found.speeds)):,.{digits}f}"

    broken = f" ({len(found.broken)} of {len(found.broken) + len(found.speeds)} runs failed)" if found.broken else ""
    ratios = found.ratios
    return [
        f"{name}{broken}",
        f"{middle(lambda one: one.start_up, 2)} ({middle(lambda one: one.start_up_cpu, 2)})",
        middle(lambda one: one.wall, 2),
        f"{statistics.median(one.wall for one in ratios):.2f}" if ratios else "1",
        middle(lambda one: one.cpu, 3),
        f"{statistics.median(one.cpu for one in ratios):.1f}" if ratios else "1",
        middle(lambda one: one.peak, 0),
        middle(lambda one: one.in_flight, 1),
        middle(lambda one: one.first_sample, 2),
        "yes" if all(one.overlap for one in found.speeds) else "no",
    ]


def kill_row(arm: Arm, found: Killed, note: Callable[[str, Record], None]) -> list[str]:
    note("kill", {"arm": arm.name, **asdict(found)})
    share = found.again / found.answered if found.answered else 0.0
    rows = f"{found.rows} of {found.samples}"
    counts = (
        found.answered,
        found.in_flight,
        found.again,
        f"{share:.0%}",
        found.settled,
        rows,
        found.duplicates,
        found.end,
    )
    return [arm.name, *map(str, counts)]


def fault_row(arm: Arm, found: Disturbed, note: Callable[[str, Record], None]) -> list[str]:
    note("faults", {"arm": arm.name, **asdict(found)})
    waits = found.waits
    waited = f"{waits[0]:.2f} / {statistics.median(waits):.2f} / {waits[-1]:.2f}" if waits else "–"
    wall = "–" if found.wall is None else f"{found.wall:.1f}"
    counts = (f"{found.rows} of {found.samples}", f"{found.used} of {2 * found.samples}", found.calls, wall, waited)
    return [arm.name, *map(str, counts), found.end]
