"""Mixing recipes, read and written: which files go into a training set, how much of each, under which system prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml

from instructlab_like.errors import InputError, position
from instructlab_like.records import Record, digest
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar, load

MOST = 10_000_000  # rows taken of one file
FIX = "a mixing recipe holds `datasets:`, a list of `path:` and `sampling_size:`"


class Part(Record):
    """One file of a mix; a whole number is so many rows, a fraction such a share of them."""

    path: str  # relative to the recipe's folder, unless it is absolute
    sampling_size: int | float = 1.0

    def rows(self, count: int) -> int:
        """How many rows are taken of a file of `count`. 1 is all of them, as 1.0 is: so InstructLab reads it."""
        if self.sampling_size == 1:
            return count
        if isinstance(self.sampling_size, int):
            return self.sampling_size
        return int(count * self.sampling_size)


class MixingRecipe(Record):
    datasets: tuple[Part, ...] = ()
    sys_prompt: str | None = None  # None: each row keeps its own


def dumped(recipe: MixingRecipe) -> bytes:
    """The recipe's YAML."""
    told: dict[str, object] = {"datasets": [part.model_dump() for part in recipe.datasets]}
    if recipe.sys_prompt is not None:
        told["metadata"] = {"sys_prompt": recipe.sys_prompt}
    return yaml.safe_dump(told).encode("ascii")  # escaped: YAML folds some line breaks of Unicode


def parsed(data: bytes, path: Path) -> MixingRecipe:
    """The recipe in these bytes; InputError with its position for anything that is none."""
    sheet = load(data)
    for problem in (*sheet.problems, *sheet.duplicates):
        raise InputError(problem.message, where=position(path, problem.line, problem.column), fix=problem.fix)
    if not isinstance(sheet.root, Mapping):
        raise InputError("holds no mapping of key: value", where=str(path), fix=FIX)
    if sheet.root.get("dataset_path") is not None and sheet.root.get("datasets") is None:
        fix = "name a mixing recipe or a file of conversations; what a model is tested with is not trained on"
        raise InputError("is a multiple-choice task, no mixing recipe", where=str(path), fix=fix)
    listed = sheet.root.get("datasets")
    if not isinstance(listed, Items):
        raise InputError("`datasets` is not a list", where=at(path, listed or sheet.root), fix=FIX)
    return MixingRecipe(
        datasets=tuple(part(item, path) for item in listed.items), sys_prompt=sys_prompt(sheet.root, path)
    )


def part(node: Node, path: Path) -> Part:
    if not isinstance(node, Mapping):
        raise InputError("an entry of `datasets` is no mapping", where=at(path, node), fix=FIX)
    named, size = node.get("path"), node.get("sampling_size")
    if not (isinstance(named, Scalar) and isinstance(named.value, str) and named.value.strip()):
        raise InputError("an entry of `datasets` names no `path`", where=at(path, named or node), fix=FIX)
    if not isinstance(size, Scalar):
        fix = "say how much of it: 1.0 for all, 0.5 for half, 30 for thirty rows"
        raise InputError(f"`sampling_size` of {named.value} is missing", where=at(path, size or node), fix=fix)
    number = size.value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number) or number < 0:
        fix = "a number of rows (30), or a share with a point (0.5)"
        raise InputError(f"`sampling_size` of {named.value} is no size: {number!r}", where=at(path, size), fix=fix)
    return Part(path=named.value, sampling_size=number)


def sys_prompt(root: Mapping, path: Path) -> str | None:
    told = root.get("metadata")
    found = told.get("sys_prompt") if isinstance(told, Mapping) else None
    if found is None or (isinstance(found, Scalar) and found.value is None):
        return None
    if not (isinstance(found, Scalar) and isinstance(found.value, str)):
        raise InputError("`metadata.sys_prompt` is no text", where=at(path, found), fix="put it into quotes")
    return found.value


def at(path: Path, node: Node) -> str:
    return position(path, node.line, node.column)


Kind = TypeVar("Kind")


def sampled(rows: Sequence[Kind], size: int, *, purpose: str) -> list[Kind]:
    """So many of the rows, in their order; more than there are: all of them as often as it takes.

    No row comes twice before every row came once. Which ones come is drawn by `purpose` alone.
    """
    if not rows:
        return []
    whole, rest = divmod(size, len(rows))
    drawn = sorted(range(len(rows)), key=lambda index: digest([purpose, index]))[:rest] if rest else []
    return [*rows] * whole + [rows[index] for index in sorted(drawn)]
