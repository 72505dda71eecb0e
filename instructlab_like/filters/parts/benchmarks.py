"""Benchmark files that a user names, read text by text: JSON Lines, JSON, CSV and plain text, with file and line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from glob import glob
from itertools import groupby
from pathlib import Path

import orjson

from instructlab_like.errors import RecipeError, position
from instructlab_like.workspace import find

ASKING_TEXT = """claim content ctx goal human hypothesis input inputs instruction instructions premise problem
problem_statement prompt prompts query question question_stem questions sentence sentence1 sentence2 statement stem
task text turns user value"""
ANSWERING_TEXT = """a answer answer_key answerkey answers b best_answer c canonical_solution choice choices completion
correct correct_answer correct_answers d distractors e endings expected gold incorrect_answers label labels option
options output rationale reference references response solution solutions target targets"""
ELSE_TEXT = """author category citation dataset date domain file filename hash id image images key language level
license link metadata model name path revision role source split subject subset tag tags timestamp topic type uid url
uuid"""
ASKING = frozenset(ASKING_TEXT.split())
INSTRUCTING = frozenset(("instruction", "instructions", "task"))
ANSWERING = frozenset(ANSWERING_TEXT.split())
ELSE = frozenset(ELSE_TEXT.split())  # about the item, and no part of it
ELSE_ENDS = ("_id", "_ids", "_url", "_uri", "_path", "_hash", "_type")
TOO_DEEP, FLATTEN = "lists and objects stand too deep in one another", "give each item as one flat object"
DEEPEST = 64  # lists and objects in one another
READ = ".jsonl, .ndjson, .json, .csv, .tsv, .txt and .md"
BLANK = re.compile(r"\n[ \t\r]*\n")
SPACE = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A text of a benchmark's item."""

    where: str
    text: str
    asks: bool  # it may be the item's question as a whole


def named(files: str) -> tuple[tuple[str, str], ...]:
    """The files that an option names, comma-separated paths and patterns, each with the digest of its bytes."""
    found: dict[str, str] = {}
    for name in filter(None, (part.strip() for part in files.split(","))):
        if any(sign in name for sign in "*?["):
            met = sorted(path for path in glob(name, recursive=True) if Path(path).is_file())  # noqa: PTH207 (absolute too)
            if not met:
                raise RecipeError("no file matches", where=name, fix="correct the pattern; it is looked up from here")
        else:
            met = [str(find(name))]
        for path in met:
            found[path] = digested(Path(path))
    return tuple(found.items())


def digested(path: Path) -> str:
    try:
        status = path.stat()
        return _digested(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        fix = "correct the path; it is looked up from the working directory"
        raise RecipeError("there is no such benchmark file", where=str(path), fix=fix) from error
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(path), fix=f"name a file: {READ}") from error


@lru_cache(maxsize=64)
def _digested(path: Path, _size: int, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entries(path: str) -> Iterator[Entry]:
    """Every text of a file that belongs to an item. Raises RecipeError with the place of what cannot be read."""
    ending = Path(path).suffix.lower()
    readers = {".jsonl": lines_of_json, ".ndjson": lines_of_json, ".json": whole_json, ".csv": table, ".tsv": table}
    reader = readers.get(ending, plain if ending in (".txt", ".md", ".text", "") else None)
    if reader is None:
        fix = f"export its items to one of {READ}"
        raise RecipeError(f"{ending} files are not read as benchmarks", where=path, fix=fix)
    empty = True
    for entry in reader(path, decoded(path)):
        empty = False
        yield entry
    if empty:
        raise RecipeError("holds no text of a benchmark item", where=path, fix="name the file with its questions")


def decoded(path: str) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = position(path, data.count(b"\n", 0, error.start) + 1)
        raise RecipeError("is not UTF-8 text", where=where, fix="save the file as UTF-8") from error


def lines_of_json(path: str, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                item = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                fix = "each line of a .jsonl file is one JSON value; a list over several lines is a .json file"
                raise RecipeError(f"is not JSON: {error.msg}", where=position(path, number), fix=fix) from error
            yield from item_entries(item, position(path, number))


def whole_json(path: str, text: str) -> Iterator[Entry]:
    """A list, item by item with its line; of anything else the path inside it stands for the line."""
    try:
        if not text.lstrip().startswith("["):
            yield from item_entries(orjson.loads(text), path, inside=True)
            return
        decoder = json.JSONDecoder()
        place, line = text.index("[") + 1, 1
        counted = 0
        while place := end_of_space(text, place):
            if text.startswith("]", place):
                return
            line += text.count("\n", counted, place)
            counted = place
            item, place = decoder.raw_decode(text, place)
            yield from item_entries(item, position(path, line))
    except json.JSONDecodeError as error:
        where = position(path, error.lineno, error.colno)
        raise RecipeError(f"is not JSON: {error.msg}", where=where, fix="correct the file") from error
    except RecursionError as error:
        raise RecipeError(TOO_DEEP, where=path, fix=FLATTEN) from error


def end_of_space(text: str, place: int) -> int:
    found = SPACE.match(text, place)
    return found.end() if found else place


def item_entries(item: object, where: str, *, inside: bool = False) -> list[Entry]:
    """The texts of one item. If no field has a name under which benchmarks ask, each may be the question."""
    fields = list(texts_of(item, ()))
    asked = {names[-1] for names, _, text in fields if asking(names) and text.strip()}
    if len(asked) > 1:
        asked -= INSTRUCTING  # the same instruction about another text is another item
    return [
        Entry(
            f"{where}: {within}" if inside else where,
            text,
            asks=(asking(names) and names[-1] in asked) if asked else not answering(names),
        )
        for names, within, text in fields
        if told(names, text)
    ]


def texts_of(value: object, names: tuple[str, ...], within: str = "") -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each string in a JSON value, with the names of the fields around it, and its path."""
    if within.count(".") + within.count("[") > DEEPEST:
        raise RecipeError(TOO_DEEP, where=within[:80], fix=FLATTEN)
    if isinstance(value, str):
        yield names, within, value
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from texts_of(one, names, f"{within}[{number}]")
    elif isinstance(value, dict):
        for name, one in value.items():
            key = str(name).strip().lower().replace(" ", "_").replace("-", "_")
            yield from texts_of(one, (*names, key), f"{within}.{name}" if within else str(name))


def asking(names: tuple[str, ...]) -> bool:
    return bool(names) and names[-1] in ASKING and not answering(names)


def answering(names: tuple[str, ...]) -> bool:
    return any(name in ANSWERING for name in names)


def told(names: tuple[str, ...], text: str) -> bool:
    """Whether the text is part of what is asked or answered: no identifier, no address, no encoded picture."""
    name = names[-1] if names else ""
    if name in ELSE or (name.endswith(ELSE_ENDS) and name not in ASKING | ANSWERING):
        return False
    return any(sign.isspace() for sign in text) or not text.isascii()


def table(path: str, text: str) -> Iterator[Entry]:
    """Rows of a CSV or TSV file, with or without a line of names at the top."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.lower().endswith(".tsv") else ",")
    names: list[str] | None = None
    begins = 1
    try:
        for row in rows:
            if names is None:
                heads = [cell.strip().lower().replace(" ", "_") for cell in row]
                names = heads if any(head in ASKING for head in heads) else []
                if names:
                    begins = rows.line_num + 1
                    continue
            item = {names[at] if at < len(names) else f"column {at + 1}": cell for at, cell in enumerate(row)}
            yield from item_entries(item, position(path, begins))
            begins = rows.line_num + 1
    except csv.Error as error:
        raise RecipeError(
            f"is no table: {error}", where=position(path, rows.line_num), fix="correct the row"
        ) from error


def plain(path: str, text: str) -> Iterator[Entry]:
    """Paragraphs where blank lines part them, else lines; and each line of a paragraph may be a question."""
    number = 0
    for block, together in groupby(text.split("\n"), key=lambda line: bool(line.strip())):
        lines = list(together)
        if block and BLANK.search(text):
            yield Entry(position(path, number + 1), "\n".join(lines), asks=True)
        if block and (len(lines) > 1 or not BLANK.search(text)):
            yield from (Entry(position(path, number + at), line, asks=True) for at, line in enumerate(lines, start=1))
        number += len(lines)
