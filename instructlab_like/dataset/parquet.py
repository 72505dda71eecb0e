"""Tables of rows in Parquet, read and written by pyarrow, which is asked for only here and only when it is needed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from instructlab_like.dataset.card import COLUMNS
from instructlab_like.errors import InputError
from instructlab_like.records import Row, plain

MAGIC = b"PAR1"  # the first and the last four bytes of a file
BATCH = 10_000  # rows held at once


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, in order; InputError if it cannot be read."""
    arrow, parquet = arrow_of(str(path))
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise InputError(
            f"cannot be read as Parquet: {str(error).splitlines()[0]}", where=str(path), fix="write it again"
        ) from error


def dumped(rows: Iterable[Row], where: str) -> bytes:
    """The rows as one Parquet file, columns as the dataset's card declares them; `where` names it in messages."""
    arrow, parquet = arrow_of(where)
    turn = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    kinds = {name: arrow.list_(turn) if name == "messages" else arrow.string() for name in COLUMNS}
    schema = arrow.schema(list(kinds.items()))
    target = io.BytesIO()
    with parquet.ParquetWriter(target, schema) as writer:
        left = iter(rows)
        while some := [plain(row) for row in islice(left, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
    return target.getvalue()


def arrow_of(where: str) -> tuple[Any, Any]:
    """pyarrow and its Parquet module; InputError if they are not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        fix = "pip install 'instructlab-like[parquet]'"
        raise InputError("Parquet needs the package pyarrow, which is not installed", where=where, fix=fix) from error
