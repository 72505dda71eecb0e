"""The two steps as two text columns of data-designer, on a seed dataset of topics; the second names the first."""

from __future__ import annotations

import json

import data_designer.config as dd
import pandas as pd
from data_designer.interface import DataDesigner
from job import ANSWER, CONCURRENCY, GRAIN, QUESTION, TIMEOUT, Job, told, topics


def main() -> None:
    job = told()
    designer = DataDesigner(
        artifact_path=job.folder / "artifacts",
        model_providers=[dd.ModelProvider(name="teacher", endpoint=job.url, api_key="none")],
    )
    grain = {"buffer_size": GRAIN} if job.checkpoints else {}
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None, **grain))
    made = designer.create(
        columns(job), num_records=job.samples, dataset_name="two_steps", resume=dd.ResumeMode.IF_POSSIBLE
    )
    with job.rows.open("w", encoding="utf-8") as file:
        for row in made.load_dataset().to_dict("records"):
            file.write(f"{json.dumps({'question': row['question'], 'answer': row['answer']})}\n")


def columns(job: Job) -> dd.DataDesignerConfigBuilder:
    sampling = dd.ChatCompletionInferenceParams(max_parallel_requests=CONCURRENCY, timeout=TIMEOUT, max_tokens=1024)
    model = dd.ModelConfig(alias="teacher", model=job.model, provider="teacher", inference_parameters=sampling)
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    seeds = job.folder / "topics.parquet"
    pd.DataFrame({"topic": topics(job.samples)}).to_parquet(seeds)
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(seeds)))
    builder.add_column(dd.LLMTextColumnConfig(name="question", model_alias="teacher", prompt=QUESTION))
    builder.add_column(dd.LLMTextColumnConfig(name="answer", model_alias="teacher", prompt=ANSWER))
    return builder


if __name__ == "__main__":
    main()
