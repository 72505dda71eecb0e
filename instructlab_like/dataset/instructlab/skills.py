"""Rows of the skills phase that are no knowledge: a leaf's samples, and conversations of the base's own kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from instructlab_like.dataset.instructlab.lines import NodeLine, Turn, metadata
from instructlab_like.records import Row, Sample, Skill


def skill(leaf: Skill, name: str, samples: Sequence[Sample], *, system: str) -> Iterator[NodeLine]:
    """The leaf's samples under the system prompt, a grounded one's passage before its question."""
    seeds = {seed.number: seed for seed in leaf.seeds}
    for sample in samples:
        told = {"task_description": leaf.task}
        shown = seeds.get(sample.lineage.seed) if sample.lineage.seed is not None else None
        if shown:
            told |= {"seed_context": shown.context} if shown.context else {}
            told |= {"seed_question": shown.pairs[0].question, "seed_response": shown.pairs[0].answer}
        told |= {"leaf_node_type": f"{sample.kind}_skill", "leaf_node_path": name}
        told |= {"context": sample.context} if sample.context else {}
        told |= {"question": sample.question, "response": sample.answer}
        turns = tuple(Turn(content=message.content, role=message.role) for message in sample.messages)
        yield NodeLine(
            id=sample.id,
            messages=(Turn(content=system, role="system"), *turns),
            metadata=metadata(told),
            unmask=False,
        )


def replayed(rows: Sequence[Row]) -> Iterator[NodeLine]:
    """Replay rows as they are."""
    for row in rows:
        turns = tuple(Turn(content=message.content, role=message.role) for message in row.messages)
        yield NodeLine(id=row.sample, messages=turns, metadata=metadata({"dataset": row.leaf}), unmask=False)
