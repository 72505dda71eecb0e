"""Writes the dataset's folder: data files, and a card that makes `datasets.load_dataset(folder)` find its splits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from instructlab_like.dataset.card import FILES, KNOWLEDGE, SKILLS, TEST, CardFacts, Contents, card
from instructlab_like.records import Row, plain
from instructlab_like.workspace import dump, replacing, write_whole

PHASES = {"knowledge": KNOWLEDGE, "skills": SKILLS}


def write(folder: Path, train: Iterable[Row], test: Iterable[Row], facts: CardFacts) -> None:
    """Write `data/knowledge-train.jsonl`, `data/skills-train.jsonl`, `data/test.jsonl` and `README.md`.

    A file without rows is not written, and removed if an earlier dataset had it: `datasets` loads no empty file. The
    same rows and facts give the same bytes. Rows are let go as they are written.
    """
    contents = Contents()
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for path, row in chain(((PHASES[row.phase], row) for row in train), ((TEST, row) for row in test)):
            if path not in files:
                files[path] = stack.enter_context(replacing(folder / path))
            files[path].write(dump(plain(row)))
            contents.add(path, row)
    contents.settle()
    for path in FILES:
        if path not in files:
            (folder / path).unlink(missing_ok=True)
    write_whole(folder / "README.md", card(contents, facts).encode("utf-8"))


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
