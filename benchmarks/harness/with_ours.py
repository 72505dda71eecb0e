"""Choices answered by this project's likelihood runner: a base and any number of adapters on it, in one process."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from instructlab_like.evaluation.answering import load
from instructlab_like.evaluation.cache import Cache
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item
from instructlab_like.workspace import read_records


def main(folder: Path, kind: str, batch: int, adapters: list[str]) -> None:
    items = list(read_records(folder / f"{kind}.jsonl", Item))
    named = [(name, folder / name) for name in adapters]
    loaded = load(str(folder / "model"), named, EvaluateRecipe(threads=1, batch=batch))
    before = time.process_time()
    taken = {}
    with tempfile.TemporaryDirectory() as scratch, Cache(Path(scratch) / "answers.sqlite") as kept:
        weighed = loaded.weighed(items, where="model")
        for number, name in enumerate(["base", *adapters]):
            nats = loaded.nats(number, weighed, kept, batch=batch, on_progress=unheard)
            answers = [one.answer(name, [nats[part] for part in one.continuations]) for one in weighed]
            taken[name] = [answer.chosen for answer in answers]
    scored = time.process_time() - before
    print(json.dumps({"scored": scored, "whole": time.process_time(), "taken": taken}))


def unheard(_done: int) -> None:
    """Progress is not what is measured."""


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[5:])
