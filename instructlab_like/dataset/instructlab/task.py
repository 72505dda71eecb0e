"""The task file by which lm-evaluation-harness, and so InstructLab's MMLU-branch, finds multiple-choice questions."""

from __future__ import annotations

import yaml

LETTERS = "ABCD"


def task(name: str, data: str) -> bytes:
    """The YAML of a task; `data` is the path of its rows, which the harness takes from the folder it is started in."""
    asked = "\n".join(f"{letter}. {{{{choices[{number}]}}}}" for number, letter in enumerate(LETTERS))
    told = {
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "test_split": "test",
        "doc_to_text": f"{{{{question.strip()}}}}\n{asked}\nAnswer:",
        "doc_to_choice": "{{[choices[0], choices[1], choices[2], choices[3]]}}",
        "doc_to_target": "{{answer}}",
        "output_type": "multiple_choice",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": "true"}],
        "dataset_kwargs": {"data_files": {"test": data}},
        "tag": "mmlu_pr",
    }
    return yaml.safe_dump(told).encode("ascii")
