"""One command run against the server: its time, CPU and memory from outside, and what the server saw of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import orjson
from faults import Fault
from http_wire import Connection
from server import Arrival, Entry, TeacherServer

from benchmarks.peers.workload import Identity, Workload, answered, text_of

TICK = os.sysconf("SC_CLK_TCK")
BETWEEN, LOOKS = 0.02, 0.1  # seconds between two looks at the process, and at its memory
LIMIT = 240.0  # seconds for one command
QUIET = {  # what the peers' own documentation names for a machine without a way out
    "NEMO_TELEMETRY_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1",
}
PROPORTIONAL = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run of a command. Seconds; None where it did not get so far."""

    code: int | None  # exit code, negative: the signal; None: it did not end in time
    whole: float  # from the command to its end
    start_up: float | None  # from the command to the first call
    asking: float | None  # from the first call to the end
    start_up_cpu: float | None
    asking_cpu: float | None  # of all its processes, like the other
    peak: float  # MB, of all its processes at once: their proportional set size
    said: str  # the end of its output


@dataclass(frozen=True)
class Seen:
    """What the server saw: its calls in order of arrival."""

    calls: Sequence[tuple[Identity, Entry]]

    @cached_property
    def answered(self) -> list[tuple[Identity, Entry]]:
        return [(identity, entry) for identity, entry in self.calls if entry.done == "answered"]

    @property
    def in_flight(self) -> float | None:
        """The mean number of calls at the server, from the first call's arrival to the last answer."""
        if not self.answered:
            return None
        spans = [(entry.arrived, entry.left or entry.arrived) for _, entry in self.calls]
        return sum(left - arrived for arrived, left in spans) / (max(left for _, left in spans) - spans[0][0])

    @property
    def first_sample(self) -> float | None:
        """Seconds from the first call to the first answer of the second step."""
        ends = [entry.left for identity, entry in self.answered if identity.step == "answer" and entry.left]
        return min(ends) - self.calls[0][1].arrived if ends else None

    @property
    def overlap(self) -> bool | None:
        """Whether a call of the second step came before the last answer of the first."""
        began = [entry.arrived for identity, entry in self.calls if identity.step == "answer"]
        ended = [entry.left for identity, entry in self.answered if identity.step == "question" and entry.left]
        return min(began) < max(ended) if began and ended else None

    @property
    def asked_again(self) -> int:
        """Calls whose answer had been given before."""
        had: set[Identity] = set()
        again = 0
        for identity, entry in self.calls:
            again += identity in had
            if entry.done == "answered":
                had.add(identity)
        return again

    @property
    def waits(self) -> list[float]:
        """Seconds from each 429 to the next time that the same was asked, shortest first."""
        by_call: dict[Identity, list[Entry]] = defaultdict(list)
        for identity, entry in self.calls:
            by_call[identity].append(entry)
        pairs = [pair for entries in by_call.values() for pair in pairwise(entries)]
        return sorted(after.arrived - before.left for before, after in pairs if before.status == 429 and before.left)


class Server(TeacherServer):
    """Takes a message's text in parts, too, as data-designer sends it."""

    def complete(self, connection: Connection, head: bytes, body: bytes, path: str) -> None:
        request = orjson.loads(body)
        if any(not isinstance(message["content"], str) for message in request["messages"]):
            told = [{**message, "content": text_of(message)} for message in request["messages"]]
            body = orjson.dumps({**request, "messages": told})
        super().complete(connection, head, body, path)


class Bench:
    """A server with a workload, and the commands that are run against it."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.on_call: Callable[[], None] = lambda: None
        self.on_served: Callable[[int], None] = lambda _: None
        self.server = Server(
            choose=self.choose,
            answer=answered,
            latency=workload,
            on_served=lambda count: self.on_served(count),
        )

    def __enter__(self) -> Bench:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    @property
    def url(self) -> str:
        return self.server.url

    def choose(self, arrival: Arrival) -> Fault | None:
        if self.workload.identify(arrival.body) is not None:
            self.on_call()
        return self.workload.choose(arrival)

    def seen(self) -> Seen:
        found = [(self.workload.known(bytes.fromhex(entry.request)), entry) for entry in list(self.server.log)]
        return Seen([(identity, entry) for identity, entry in found if identity is not None])

    def run(self, command: Sequence[str], folder: Path, *, limit: float = LIMIT, kill_after: int | None = None) -> Run:
        """Run a command to its end, or until it is killed: after so many answers, or after `limit` seconds."""
        before = len(self.seen().calls)
        with (folder / "output.txt").open("wb") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **QUIET},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            watch = Watch(process.pid)
            self.on_call = watch.called
            if kill_after is not None:
                self.on_served = lambda count: watch.kill() if count >= kill_after else None
            late = watch.wait(began + limit)
            ended = time.monotonic()
            process.returncode = watch.code  # it has been waited for
        self.on_call, self.on_served = lambda: None, lambda _: None
        calls = self.seen().calls[before:]
        first = calls[0][1].arrived if calls else None
        return Run(
            code=None if late else watch.code,
            whole=ended - began,
            start_up=None if first is None else first - began,
            asking=None if first is None else ended - first,
            start_up_cpu=watch.first,
            asking_cpu=None if watch.first is None else watch.cpu - watch.first,
            peak=watch.peak,
            said=(folder / "output.txt").read_text(encoding="utf-8", errors="replace")[-4000:],
        )


class Watch:
    """A running command and all that it starts."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.first: float | None = None  # CPU seconds at the first call
        self.cpu = self.peak = self.looked = 0.0
        self.code = 0

    def wait(self, until: float) -> bool:
        """Wait for the end; True: it did not come in time, and was brought about."""
        late = False
        while not self.ended():
            if not late and time.monotonic() > until:
                late = True
                self.kill()
            if time.monotonic() - self.looked > LOOKS:
                self.looked = time.monotonic()
                self.peak = max(self.peak, sum(memory(pid) for pid in tree(self.pid)))
            time.sleep(BETWEEN)
        return late

    def ended(self) -> bool:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
            self.cpu = usage.ru_utime + usage.ru_stime
        return bool(pid)

    def called(self) -> None:
        if self.first is None:
            self.first = tree_cpu(self.pid)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """A process and what it has started."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def tree_cpu(pid: int) -> float:
    """CPU seconds so far."""
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / TICK


def memory(pid: int) -> float:
    """Proportional set size in MB: a page that processes share is counted once."""
    with suppress(OSError):
        found = PROPORTIONAL.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        return int(found[1]) * 1024 / 1e6 if found else 0.0
    return 0.0
