"""JSON lines with their places, and what the first bytes of a file say of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from instructlab_like.errors import InputError, position

HEAD = 4096  # bytes that are looked at to tell what a file is
BOM = b"\xef\xbb\xbf"
Found = tuple[str, object]  # where a row stands, as messages name it, and the row


def content(path: Path) -> bytes:
    """All bytes of a regular file; InputError if there is none."""
    try:
        if not path.is_file():
            what = "is no regular file" if path.exists() else "there is no such file"
            raise InputError(what, where=str(path), fix="check the path")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), fix="check its permissions") from error


def head(path: Path) -> bytes:
    """The first bytes, without a byte order mark; InputError if there are none but blanks in an empty file."""
    if path.is_file():
        with path.open("rb") as file:
            return file.read(HEAD).removeprefix(BOM)
    return content(path)


def objects(path: Path) -> Iterator[Found]:
    """The JSON value of each line that is not blank; InputError at the first that is none, and if there is no line."""
    empty = True
    for number, line in enumerate(content(path).removeprefix(BOM).split(b"\n"), start=1):
        if line.strip():
            empty = False
            yield position(path, number), parsed(line, path, number)
    if empty:
        raise InputError("holds no row", where=str(path), fix="name a file with at least one line of JSON")


def parsed(line: bytes, path: Path, number: int) -> object:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 (byte 0x{line[error.start]:02x})",
            where=position(path, number, len(line[: error.start].decode("utf-8")) + 1),
            fix="save the file in the encoding UTF-8",
        ) from error
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"is not valid JSON: {error.msg}",
            where=position(path, number, error.colno),
            fix="each line holds one whole JSON object; write the file again, or delete the line",
        ) from error
