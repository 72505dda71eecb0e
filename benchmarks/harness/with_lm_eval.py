"""The same choices in lm-evaluation-harness, by the exported tasks, without its own task tree and without logs."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager


def main(folder: Path, kind: str, batch: int, adapters: list[str], *, told: bool) -> None:
    """Print what it costs; with `told` also which options are taken, by a second evaluation that is not timed."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    name, peft = (adapters[0], str(folder / adapters[0])) if adapters else ("base", None)
    options = {"device": "cpu", "dtype": "float32", "batch_size": batch, "add_bos_token": False}
    model = HFLM(pretrained=str(folder / "model"), peft=peft, **options)
    before = time.process_time()
    evaluate(model, folder, kind, logged=False)
    after = time.process_time()
    places = {one["id"]: place(one) for one in evaluate(model, folder, kind, logged=True)} if told else {}
    order = [json.loads(line)["id"] for line in (folder / f"{kind}.jsonl").read_text().splitlines()]
    taken = {name: [places[one] for one in order]} if told else {}
    print(json.dumps({"scored": after - before, "whole": after, "taken": taken}))


def evaluate(model: HFLM, folder: Path, kind: str, *, logged: bool) -> list[dict]:
    """One evaluation; with logs, what was made of each document."""
    found = simple_evaluate(
        model=model,
        tasks=["ilk"],
        task_manager=TaskManager(include_path=str(folder / f"{kind}-tasks"), include_defaults=False),
        apply_chat_template=True,
        log_samples=logged,
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    rows = [row for rows in found["samples"].values() for row in rows] if logged else []
    return [{"id": row["doc"]["id"], "options": row["doc"]["options"], "odds": row["filtered_resps"]} for row in rows]


def place(told: dict) -> int:
    """The place of the option that its acc_norm takes."""
    odds = [chance / len(option) for (chance, _), option in zip(told["odds"], told["options"], strict=True)]
    return odds.index(max(odds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[5:], told=sys.argv[4] == "told")
