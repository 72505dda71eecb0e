"""Samples as the filters meet them, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Literal

import pytest

from instructlab_like.confined import simulated
from instructlab_like.records import Lineage, Sample, digest

Kind = Literal["knowledge", "freeform", "grounded"]
Method = Literal["teacher", "rules", "simulation"]
Make = Callable[..., Sample]


def make(
    question: str,
    answer: str,
    *,
    kind: Kind = "freeform",
    context: str | None = None,
    method: Method = "teacher",
    leaf: str = "knowledge/science/tides",
    id: str | None = None,
) -> Sample:
    return Sample(
        id=id or digest([question, answer, context, leaf])[:32],
        kind=kind,
        question=question,
        answer=answer,
        context=context,
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method=method, model=f"{method}/1"),
    )


@pytest.fixture
def sample() -> Make:
    return make


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Those that render a simulation's answers again stay for as long as the process that asks them."""
    yield
    simulated._processes.close()
    resource_tracker._resource_tracker._stop()  # started with the first process, and there until the last one ends
