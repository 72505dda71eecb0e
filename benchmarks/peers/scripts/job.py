"""What every arm is told, and the two prompts that all of them send. Imported by scripts of other environments."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

CONCURRENCY = 64
TIMEOUT = 20  # seconds for one answer, where it can be set
GRAIN = 100  # samples between two checkpoints, where it can be set and is asked for

QUESTION = "Write one question about this topic, and nothing else: {{ topic }}"
ANSWER = "Answer this question in one paragraph, and write nothing else: {{ question }}"


@dataclass(frozen=True)
class Job:
    url: str  # up to and including /v1
    model: str
    samples: int
    folder: Path  # what is kept between two runs of the same job
    rows: Path  # where the finished rows go, as JSON lines with question and answer
    checkpoints: bool  # whether work is to be kept in small portions, at some cost


def topics(samples: int) -> list[str]:
    return [f"bridge number {number}" for number in range(samples)]


def told() -> Job:
    """The job from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--checkpoints", action="store_true")
    return Job(**vars(parser.parse_args()))
