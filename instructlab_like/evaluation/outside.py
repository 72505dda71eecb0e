"""Items from outside the taxonomy: lines as in items.jsonl, and multiple-choice files of InstructLab's MMLU-branch."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Strict, ValidationError

from instructlab_like.dataset.formats.instructlab import names
from instructlab_like.dataset.reading import lines
from instructlab_like.dataset.reading.questions import data_of
from instructlab_like.errors import InputError, explain
from instructlab_like.evaluation.items import item_id, right
from instructlab_like.records import Item, Record

LETTERS = string.ascii_uppercase
PREFIX = "mmlubench_"
OWN = "items.jsonl"
INSIDE = (f"{PREFIX}*.jsonl", f"node_datasets_*/{PREFIX}*.jsonl", OWN)  # what is read of a folder
UNKNOWN = "mmlu/"  # what the leaf of questions begins with that belong to no leaf of the run
OF_CHOICE = 'a row is {"question": …, "choices": […], "answer": its place from 0, or its letter}'
OF_ITEM = 'a row is an item as 6-evaluation/items.jsonl has it: {"leaf": …, "question": …, "answer": …, "metric": …}'


class Choice(Record):
    """What is looked at of a multiple-choice row."""

    question: str
    choices: tuple[str, ...]
    answer: Annotated[int, Strict()] | str


def read(told: Sequence[str], *, leaves: Iterable[str]) -> list[Item]:
    """The items of files and folders, in their order; `leaves` are the run's, by which a file's leaf is known.

    A folder stands for the multiple-choice files in it and in its node_datasets_*, and for its items.jsonl. Raises
    InputError, with its line, for a row that is no item or has no right answer, and for a question with two of them.
    """
    known = leaves_by_name(leaves)
    first: dict[str, tuple[Item, str]] = {}
    for path in (file for one in told for file in files_of(Path(one))):
        for item, where in rows(path, known):
            other, before = first.setdefault(item.id, (item, where))
            if right(other) != right(item):
                what = f"asks again what {before} asks, with another answer or other options"
                raise InputError(what, where=where, fix="keep one of the two")
    return [item for item, _ in first.values()]


def files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [file for pattern in INSIDE for file in sorted(path.glob(pattern))]
    if not found:
        fix = f"name a file, or a folder with {', '.join(INSIDE)}"
        raise InputError("holds no file of items", where=str(path), fix=fix)
    return found


def leaves_by_name(leaves: Iterable[str]) -> dict[str, str]:
    """The leaves by what InstructLab and `ilk export --for instructlab` call their files."""
    paths = list(leaves)
    return dict(zip(names(paths), paths, strict=True))


def rows(path: Path, known: Mapping[str, str]) -> Iterator[tuple[Item, str]]:
    """The items of a file and where they stand; a task's YAML stands for the file that it names."""
    data = data_of(path) if path.suffix.lower() in (".yaml", ".yml") else path
    name = data.stem.removeprefix(PREFIX)
    leaf = known.get(name, f"{UNKNOWN}{name}")
    for where, row in lines.objects(data):
        if not isinstance(row, dict):
            raise InputError("holds no JSON object", where=where, fix=OF_ITEM)
        yield (choice(row, leaf, where) if "choices" in row else own(row, where)), where


def choice(row: Mapping[str, object], leaf: str, where: str) -> Item:
    """An item out of a multiple-choice row; columns that it does not need are passed over."""
    if row.get("answer") in (None, ""):
        raise InputError("has no answer", where=where, fix=OF_CHOICE)
    try:
        line = Choice.model_validate({name: row[name] for name in Choice.model_fields if name in row})
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=where, fix=OF_CHOICE) from error
    question, options = line.question.strip(), tuple(option.strip() for option in line.choices)
    offered(options, where)
    return asked(
        Item(
            id=item_id(leaf, question, None),
            leaf=leaf,
            source="mmlu",
            question=question,
            answer=options[place(line.answer, options, where)],
            metric="choice",
            options=options,
        ),
        where,
    )


def place(answer: int | str, options: Sequence[str], where: str) -> int:
    """Which option an answer names: by its place from 0, its letter, or its text."""
    if isinstance(answer, int):
        found = {answer} if 0 <= answer < len(options) else set()
    else:
        told = answer.strip()
        found = {number for number, option in enumerate(options) if option == told}
        if len(told) == 1 and told in LETTERS[: len(options)]:
            found.add(LETTERS.index(told))
    if len(found) > 1:
        raise InputError(f"the answer {answer!r} may be either of two options", where=where, fix=OF_CHOICE)
    if not found:
        what = f"the answer {answer!r} is none of the {len(options)} options"
        fix = f"give its place, 0 to {len(options) - 1}, or its letter, A to {LETTERS[len(options) - 1]}"
        raise InputError(what, where=where, fix=fix)
    return found.pop()


def own(row: Mapping[str, object], where: str) -> Item:
    """An item as this project writes it; its id is told by what it asks, and it needs no source."""
    if row.get("answer") in (None, ""):
        raise InputError("has no answer", where=where, fix=OF_ITEM)
    try:
        item = Item.model_validate({"id": "", "source": "heldout", **row})
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=where, fix=OF_ITEM) from error
    if item.metric == "choice":
        offered(item.options, where)
        if item.answer not in item.options:
            what = f"the answer {item.answer!r} is none of the {len(item.options)} options"
            raise InputError(what, where=where, fix="write it as it stands among the options")
    fresh = item_id(item.leaf, item.question, item.context)
    return asked(item.model_copy(update={"id": fresh}), where)


def offered(options: Sequence[str], where: str) -> None:
    """Raise InputError unless there is something to choose from."""
    if not 2 <= len(options) <= len(LETTERS):
        what = f"a choice needs 2 to {len(LETTERS)} options, and there are {len(options)}"
        raise InputError(what, where=where, fix="list what can be chosen, the right answer among it")
    if not all(option.strip() for option in options):
        raise InputError("an option is empty", where=where, fix="write it, or delete the row")
    if len(set(options)) < len(options):
        raise InputError("two options are the same", where=where, fix="write another one, or delete the row")


def asked(item: Item, where: str) -> Item:
    """The item; InputError when it has no question, leaf or answer."""
    for field in ("question", "leaf", "answer"):
        if not getattr(item, field).strip():
            raise InputError(f"the {field} is empty", where=where, fix="fill it in, or delete the row")
    return item
