"""The two steps as a distilabel pipeline: batches as large as the slots, its cache in the job's folder."""

from __future__ import annotations

import json

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from job import ANSWER, CONCURRENCY, QUESTION, TIMEOUT, Job, told, topics


def main() -> None:
    job = told()
    distiset = pipeline(job).run(use_cache=True)
    with job.rows.open("w", encoding="utf-8") as file:
        for row in distiset["default"]["train"]:
            file.write(f"{json.dumps({'question': row['question'], 'answer': row['answer']})}\n")


def pipeline(job: Job) -> Pipeline:
    with Pipeline(name="two-steps", cache_dir=job.folder / "cache") as made:
        load = LoadDataFromDicts(
            name="load", data=[{"topic": topic} for topic in topics(job.samples)], batch_size=CONCURRENCY
        )
        question = TextGeneration(
            name="ask",
            llm=llm(job),
            template=QUESTION,
            columns=["topic"],
            input_batch_size=CONCURRENCY,
            output_mappings={"generation": "question"},
        )
        answer = TextGeneration(
            name="answer",
            llm=llm(job),
            template=ANSWER,
            columns=["question"],
            input_batch_size=CONCURRENCY,
            output_mappings={"generation": "answer"},
        )
        load >> question >> answer
    return made


def llm(job: Job) -> OpenAILLM:
    return OpenAILLM(
        model=job.model,
        base_url=job.url,
        api_key="none",
        timeout=TIMEOUT,
        generation_kwargs={"max_new_tokens": 1024},
    )


if __name__ == "__main__":
    main()
