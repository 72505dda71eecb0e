"""A sample as a line of the dataset: its messages, and the columns by which it can be traced."""

from __future__ import annotations

from typing import Literal

from instructlab_like.records import Message, Record, Row, Sample

Phase = Literal["knowledge", "skills"]


class Conversation(Record):
    """What another program's file holds in one row, told in turns."""

    messages: tuple[Message, ...]
    unmask: bool = False  # whether the other program trains on the questions, too


def phase_of(sample: Sample) -> Phase:
    """The phase that trains the sample first."""
    return "knowledge" if sample.kind == "knowledge" else "skills"


def row(sample: Sample, phase: Phase | None = None) -> Row:
    """The sample's row, in its own phase unless told otherwise."""
    lineage = sample.lineage
    return Row(
        messages=sample.messages,
        phase=phase or phase_of(sample),
        leaf=lineage.leaf,
        sample=sample.id,
        kind=sample.kind,
        method=lineage.method,
        model=lineage.model,
        leaf_blob=lineage.leaf_blob,
        chunk=lineage.chunk,
        template=lineage.template,
        template_blob=lineage.template_blob,
    )
