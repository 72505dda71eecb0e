"""The floor: one bare aiohttp loop that keeps nothing until the end; a worker carries one sample through both steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from job import ANSWER, CONCURRENCY, QUESTION, Job, told, topics


def main() -> None:
    job = told()
    rows = asyncio.run(asked(job))
    with Path(job.rows).open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


async def asked(job: Job) -> list[dict[str, str]]:
    waiting = iter(topics(job.samples))
    rows: list[dict[str, str]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def answer(prompt: str) -> str:
            request = {"model": job.model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 1024}
            async with session.post(f"{job.url}/chat/completions", json=request) as reply:
                return (await reply.json())["choices"][0]["message"]["content"]

        async def work(waiting: Iterator[str]) -> None:
            for topic in waiting:
                question = await answer(QUESTION.replace("{{ topic }}", topic))
                rows.append({"question": question, "answer": await answer(ANSWER.replace("{{ question }}", question))})

        await asyncio.gather(*(work(waiting) for _ in range(CONCURRENCY)))
    return rows


if __name__ == "__main__":
    main()
