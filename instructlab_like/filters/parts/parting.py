"""A sample's texts as one, for what is looked for in all of them, and the sample with pieces of them exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from instructlab_like.records import Sample, digest

Part = Literal["question", "answer", "context"]
PARTS: tuple[Part, ...] = ("question", "answer", "context")
BETWEEN = "\n\x00\n"  # nothing that is looked for reaches across it


class Piece(NamedTuple):
    """Characters of one part of a sample, and what shall stand there."""

    part: Part
    start: int
    end: int
    instead: str


def joined(sample: Sample) -> str:
    """Question, answer and passage. The passage counts, too: exports train on it."""
    if sample.context:
        return f"{sample.question}{BETWEEN}{sample.answer}{BETWEEN}{sample.context}"
    return f"{sample.question}{BETWEEN}{sample.answer}"


def part_text(sample: Sample, part: Part) -> str:
    if part == "question":
        return sample.question
    return sample.answer if part == "answer" else sample.context or ""


def part_of(sample: Sample, place: int) -> tuple[Part, int]:
    """The part in which a place of the joined text lies, and where that part begins in it."""
    answer = len(sample.question) + len(BETWEEN)
    if place < answer:
        return "question", 0
    context = answer + len(sample.answer) + len(BETWEEN)
    return ("answer", answer) if place < context else ("context", context)


def exchanged(sample: Sample, pieces: Iterable[Piece], *cause: str | int) -> Sample:
    """A sample like it with the pieces exchanged; its id follows from the old one and the cause."""
    by_part = {part: sorted(piece for piece in pieces if piece.part == part) for part in PARTS}
    texts: dict[str, object] = {
        part: _rewritten(part_text(sample, part), found) for part, found in by_part.items() if found
    }
    lineage = sample.lineage.model_copy(update={"parents": (sample.id,), "params": None})
    changed: dict[str, object] = {
        **texts,
        "id": digest([sample.id, *cause])[:32],
        "evidence": _moved(sample.evidence, by_part["context"]),
        "lineage": lineage,
    }
    return sample.model_copy(update=changed)


def _rewritten(text: str, pieces: Sequence[Piece]) -> str:
    written, at = [], 0
    for piece in pieces:
        written += [text[at : piece.start], piece.instead]
        at = piece.end
    return "".join((*written, text[at:]))


def _moved(span: tuple[int, int] | None, pieces: Sequence[Piece]) -> tuple[int, int] | None:
    """Where the evidence stands now; None if a piece was exchanged across one of its ends, or all of it."""
    if span is None:
        return None
    start, end = span
    moved_start, moved_end = start, end
    for piece in pieces:
        grown = len(piece.instead) - (piece.end - piece.start)
        if piece.end <= start:
            moved_start, moved_end = moved_start + grown, moved_end + grown
        elif piece.start < end:
            if piece.start < start or piece.end > end or (piece.start, piece.end) == (start, end):
                return None
            moved_end += grown
    return moved_start, moved_end
