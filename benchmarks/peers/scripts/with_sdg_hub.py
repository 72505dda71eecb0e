"""The two steps as a flow of sdg-hub, in its asynchronous mode."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from job import CONCURRENCY, GRAIN, told, topics
from sdg_hub import Flow


def main() -> None:
    job = told()
    flow = Flow.from_yaml(str(Path(__file__).with_name("sdg_hub_flow") / "flow.yaml"))
    flow.set_model_config(model=f"openai/{job.model}", api_base=job.url, api_key="none")
    made = flow.generate(
        pd.DataFrame({"topic": topics(job.samples)}),
        max_concurrency=CONCURRENCY,
        checkpoint_dir=str(job.folder / "checkpoints") if job.checkpoints else None,
        save_freq=GRAIN if job.checkpoints else None,
    )
    with job.rows.open("w", encoding="utf-8") as file:
        for row in made.to_dict("records"):
            pair = {"question": row["question_content"], "answer": row["answer_content"]}
            file.write(f"{json.dumps(pair)}\n")


if __name__ == "__main__":
    main()
