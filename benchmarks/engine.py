"""The engine on a flow of two steps, against a bare aiohttp loop that makes the same requests and keeps nothing.

Everything is on: templates (a user's own, looked at in a confined process, and shipped ones), retries, ledger, lineage,
rows on disk.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp

from benchmarks.measure import compare, cpu_seconds
from instructlab_like.flows import load_flows
from instructlab_like.generation.engine import Desk, End, Engine, Tally
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.plan import starts
from instructlab_like.generation.purse import Purse
from instructlab_like.generation.rows import Rows
from instructlab_like.generation.walk import Finished, Start, Walk
from instructlab_like.recipe import Budget, GenerateRecipe, TeacherRecipe
from instructlab_like.records import Pair, Seed, Skill, plain
from instructlab_like.teachers.http import HttpTeacher

SLOTS = 64
SEEDS = 100  # of a leaf
ROOT = Path(__file__).parents[1]
FLOW = Path(__file__).parent / "two_steps" / "flow.yaml"
CPU_STARTS = {str(FLOW): 1000, "freeform": 300}  # first prompts
QUESTION = """\
<passage>
Kiln number NUMBER was lit at dawn and burned until the bricks in it were done.
</passage>

Write 1 new question about it in this form.

[QUESTION 1]
the question
[END 1]"""
ANSWER = "Answer in this form.\n\n[ANSWER 1]\nthe answer\n[END 1]"
MEASURED = """
import sys
from benchmarks.engine import grown
print(grown(sys.argv[1], int(sys.argv[2])))
"""


def main() -> None:
    with served() as (url, _):
        print(f"  the same requests, {SLOTS} at a time, no latency; the CPU of the server is not counted")
        for flow in (str(FLOW), "freeform"):
            bodies = requests(url, flow)
            print(f"  {len(bodies)} requests of the flow {Path(flow).stem if flow == str(FLOW) else flow}")
            compare({"bare aiohttp loop": partial(send, url, bodies), "the engine": partial(walked, url, flow)})
    with served("--latency", "0.05", "--tail", "0.05:1.0") as (url, log):
        busy(url, log, 5000)
    with served() as (url, _):
        memory(url)


@contextmanager
def served(*options: str) -> Iterator[tuple[str, Path]]:
    """A test server of its own process; its URL and its log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        command = [sys.executable, str(ROOT / "tests" / "server.py"), "--port", "0", "--log", str(log), *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip(), log
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()


# --- the arms


def bare(url: str, samples: int, first: list[float] | None = None) -> None:
    """A worker carries one sample through both steps."""
    began = time.monotonic()

    async def run() -> None:
        waiting = iter(range(samples))

        async def ask(session: aiohttp.ClientSession, text: str) -> str:
            body = {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 1024}
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                told = await reply.json()
            return str(told["choices"][0]["message"]["content"])

        async def worker(session: aiohttp.ClientSession) -> None:
            for number in waiting:
                question = await ask(session, QUESTION.replace("NUMBER", str(number)))
                await ask(session, f"{question}\n\n{ANSWER}")
                if first is not None and not first:
                    first.append(time.monotonic() - began)

        connector = aiohttp.TCPConnector(limit=SLOTS)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(worker(session) for _ in range(SLOTS)))

    asyncio.run(run())


def skills(samples: int) -> Iterator[Skill]:
    """Leaves of a hundred seed examples, and one prompt for each."""
    for first in range(0, samples, SEEDS):
        seeds = tuple(
            Seed(number=n + 1, line=1, pairs=(Pair(question=str(first + n), answer="a"),))
            for n in range(min(SEEDS, samples - first))
        )
        yield Skill(
            path=f"compositional_skills/s{first}", blob="b", version=3, created_by="x", seeds=seeds, task="adding"
        )


def requests(url: str, flow: str) -> list[dict[str, object]]:
    """The bodies of all requests that the flow makes, out of a ledger."""
    with tempfile.TemporaryDirectory() as folder:
        make(url, flow, Path(folder), skills(CPU_STARTS[flow]))
        with Ledger(Path(folder) / "ledger.sqlite") as ledger:
            rows = ledger.connection.execute("SELECT request FROM calls").fetchall()
    asked = [json.loads(row[0]) for row in rows]
    return [{"model": "m", "messages": one["messages"], "max_tokens": 1024, "seed": 1} for one in asked]


def send(url: str, bodies: Sequence[dict[str, object]]) -> None:
    """Each body once, answers read and thrown away."""

    async def run() -> None:
        waiting = iter(bodies)

        async def worker(session: aiohttp.ClientSession) -> None:
            for body in waiting:
                async with session.post(f"{url}/chat/completions", json=body) as reply:
                    await reply.json()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SLOTS)) as session:
            await asyncio.gather(*(worker(session) for _ in range(SLOTS)))

    asyncio.run(run())


def walked(url: str, flow: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(url, flow, Path(folder), skills(CPU_STARTS[flow]))


def kept(url: str, samples: int, first: list[float] | None = None) -> None:
    """The flow of two steps, for so many samples."""
    with tempfile.TemporaryDirectory() as folder:
        tally = make(url, str(FLOW), Path(folder), skills(samples), first)
    assert tally.answered == 2 * samples, tally


def make(url: str, flow: str, folder: Path, leaves: Iterator[Skill], first: list[float] | None = None) -> Tally:
    """All samples of the leaves' first prompts; when the first one was finished goes to `first`."""
    began = time.monotonic()
    told = TeacherRecipe(url=url, model="m", concurrency=SLOTS)
    recipe = GenerateRecipe(prompts_per_leaf=SEEDS, pairs_per_prompt=1 if flow == str(FLOW) else 3)
    flows = load_flows([flow])
    tally = Tally()

    async def run(walk: Walk, ledger: Ledger, rows: Rows) -> None:
        teacher = HttpTeacher(told)

        def done(start: Start, ends: list[End]) -> None:
            rows.add(start.number, [plain(end.sample) for end in ends if isinstance(end, Finished)])
            if first is not None and not first:
                first.append(time.monotonic() - began)

        desks = dict.fromkeys(flows[0].roles, Desk(teacher, retries=told.retries, price=None))
        engine = Engine(walk, desks, ledger, Purse(Budget(), {}, {}), done, tally)
        try:
            await engine.run(starts(leaves, lambda _: (), walk))
        finally:
            await teacher.close()

    with (
        Walk(flows, recipe, dict.fromkeys(flows[0].roles, "http:m")) as walk,
        Ledger(folder / "ledger.sqlite") as ledger,
        Rows(folder / "samples.jsonl") as rows,
    ):
        asyncio.run(run(walk, ledger, rows))
        rows.settle()
    return tally


# --- slots and memory


def busy(url: str, log: Path, samples: int) -> None:
    """Wall time, share of slots in use in the steady state as the server saw it, and the first finished sample."""
    print(f"  {samples} samples of two requests each, {SLOTS} at a time, 50 ms and 5 % at 1 s")
    floors: list[float] = []
    for name, arm in (("bare aiohttp loop", bare), ("the engine", kept), ("bare aiohttp loop", bare)):
        first: list[float] = []
        before = len(log.read_bytes().splitlines())
        began, used = time.monotonic(), cpu_seconds()
        arm(url, samples, first)
        wall, used = time.monotonic() - began, cpu_seconds() - used
        entries = [json.loads(line) for line in log.read_bytes().splitlines()[before:]]
        if arm is bare:
            floors.append(wall)
        told = f"{wall:6.1f} s, {used:5.1f} CPU s, {in_flight(entries):5.1f} of {SLOTS} slots busy"
        print(f"  {name:<20} {told}, first sample after {first[0]:.2f} s", flush=True)
        if arm is kept:
            ours = wall
    print(f"  wall: {ours / statistics.mean(floors):.2f} × the loop")


def in_flight(entries: list[dict[str, float]]) -> float:
    """Mean number of requests at the server between the first and the last tenth of the run."""
    times = sorted((entry["arrived"], entry["left"]) for entry in entries)
    begin, end = times[0][0], max(left for _, left in times)
    low, high = begin + (end - begin) / 10, end - (end - begin) / 5
    inside = sum(max(0.0, min(left, high) - max(arrived, low)) for arrived, left in times)
    return inside / (high - low)


def memory(url: str) -> None:
    """Peak memory of a process that makes few samples, and of one that makes many."""
    peaks = {}
    for samples in (1_000, 200_000):
        command = [sys.executable, "-c", MEASURED, url, str(samples)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        peaks[samples] = float(done.stdout)
        print(f"  {samples:>7} samples: peak of {peaks[samples]:.0f} MB", flush=True)
    print(f"  growth: {peaks[200_000] - peaks[1_000]:.0f} MB")


def grown(url: str, samples: int) -> float:
    """Peak resident memory in MB of this process once it has made so many samples."""
    kept(url, samples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024 / 1024
