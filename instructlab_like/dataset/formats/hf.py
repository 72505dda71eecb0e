"""A folder that `datasets.load_dataset` and the hub know: Parquet files and the dataset's card."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from instructlab_like.dataset import parquet
from instructlab_like.dataset.card import FOLDER, KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.formats import Export, File, Format, Material
from instructlab_like.records import Row

CARD = "README.md"


class HuggingFace(Format):
    def export(self, run: Material, folder: Path) -> Export:
        parquet.arrow_of(str(folder))  # before anything is written
        card = run.card.replace(f'folder = "{FOLDER}"', 'folder = "."')
        files = []
        for name in (KNOWLEDGE, SKILLS, TEST):
            table = PurePosixPath(name).with_suffix(".parquet").as_posix()
            card = card.replace(name, table)
            rows = run.rows(name)
            first = next(rows, None)
            if first is not None:
                files.append(File(table, whole(chain([first], rows), str(folder / table))))
        return Export((*files, File(CARD, [card.encode("utf-8")])))


def whole(rows: Iterator[Row], where: str) -> Iterator[bytes]:
    yield parquet.dumped(rows, where)
