"""Asking a teacher through the ledger, against a bare aiohttp loop that keeps nothing. Same server, same prompts."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.measure import compare
from instructlab_like.generation.call import ask
from instructlab_like.generation.ledger import Ledger
from instructlab_like.prompts import KnowledgeVariables, load_template
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Lineage, Pair, Prompt, Sampling, Seed
from instructlab_like.teachers.http import HttpTeacher

CALLS = 1000
SLOTS = 64
SERVER = Path(__file__).parents[1] / "tests" / "server.py"


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        url = f"http://127.0.0.1:{port}/v1"
        print(f"  {CALLS} calls, {SLOTS} at a time; the server's CPU is not counted")
        compare({"bare aiohttp loop, nothing kept": lambda: bare(url), "ask() with the ledger": lambda: kept(url)})
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the test server did not start")


def prompts() -> list[Prompt]:
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="http:m")
    template = load_template("knowledge/pairs.j2")
    example = Seed(number=1, line=1, context="Ida lives in Orm.", pairs=(Pair(question="Who?", answer="Ida"),))
    shared = {"domain": "towers", "outline": "towers", "headings": (), "example": example, "count": 1}
    return [
        Prompt(
            messages=template.render(KnowledgeVariables(passage=f"The Kern Tower has {n} rooms.", **shared)),
            sampling=Sampling(),
            yields=template.yields,
            lineage=lineage,
        )
        for n in range(CALLS)
    ]


def bare(url: str) -> None:
    async def run() -> None:
        waiting = iter(prompts())

        async def worker(session: aiohttp.ClientSession) -> None:
            for prompt in waiting:
                messages = [message.model_dump() for message in prompt.messages]
                async with session.post(f"{url}/chat/completions", json={"model": "m", "messages": messages}) as reply:
                    await reply.json()

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(worker(session) for _ in range(SLOTS)))

    asyncio.run(run())


def unheard(_done: int, _total: int) -> None:
    pass


def kept(url: str) -> None:
    async def run(ledger: Ledger) -> None:
        teacher = HttpTeacher(TeacherRecipe(url=url, model="m"))
        try:
            await ask(prompts(), teacher, ledger, concurrency=SLOTS, on_answer=unheard)
        finally:
            await teacher.close()

    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        asyncio.run(run(ledger))
