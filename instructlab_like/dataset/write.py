"""Writes the dataset's folder: data files, and a card that makes `datasets.load_dataset(folder)` find its splits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST, CardFacts, card
from instructlab_like.records import Row
from instructlab_like.workspace import write_records, write_whole


def write(folder: Path, train: Sequence[Row], test: Sequence[Row], facts: CardFacts) -> None:
    """Write `data/knowledge-train.jsonl`, `data/skills-train.jsonl`, `data/test.jsonl` and `README.md`.

    A file without rows is not written, and removed if an earlier dataset had it: `datasets` loads no empty file. The
    same rows and facts give the same bytes.
    """
    files = {
        KNOWLEDGE: [row for row in train if row.phase == "knowledge"],
        SKILLS: [row for row in train if row.phase == "skills"],
        TEST: list(test),
    }
    for name, rows in files.items():
        if rows:
            write_records(folder / name, rows)
        else:
            (folder / name).unlink(missing_ok=True)
    write_whole(folder / "README.md", card(files, facts).encode("utf-8"))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> tuple[int, int]:
    """Write a file that need not fit into memory; a reader sees it whole or not at all. Returns pieces and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    count = size = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                count += 1
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    return count, size
