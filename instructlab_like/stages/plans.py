"""1-plan.jsonl: the tasks of a run, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import RootModel

from instructlab_like.records import Task
from instructlab_like.workspace import Run, read_records


class Planned(RootModel[Task]):
    """A line of the plan: a task of any kind."""


def read_plan(run: Run) -> Iterator[Task]:
    for line in read_records(run.plan, Planned):
        yield line.root
