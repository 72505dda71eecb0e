"""Conversations out of the files of other programs: JSON lines, Parquet, a mixing recipe, a dataset's folder.

What a file is follows from fixed rules, never from a guess; what fits none is an error with its place, and no row is
passed over without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructlab_like.dataset import parquet
from instructlab_like.dataset.instructlab import mixing
from instructlab_like.dataset.instructlab.mixing import MixingRecipe
from instructlab_like.dataset.reading import folder, lines
from instructlab_like.dataset.reading.turns import OddError, conversation, is_blank
from instructlab_like.dataset.rows import Conversation
from instructlab_like.errors import InputError
from instructlab_like.records import Message

Found = tuple[str, Conversation]  # where it stands, as messages name it


@dataclass(frozen=True)
class Read:
    """The conversations of a file, or of all that it refers to; `notes` say what became of rows on the way."""

    conversations: tuple[Conversation, ...]
    notes: tuple[str, ...] = ()


def read(path: Path) -> Read:
    """The conversations that `path` holds or refers to, in order.

    Raises InputError, with line and column where there are any, for whatever cannot be read in full.
    """
    if is_recipe(path):
        return mixed(path)
    files = folder.training_files(path) if path.is_dir() else [path]
    found = [complete(one) for file in files for one in rows(file)]
    return Read(tuple(found), tuple(unmasked(found)))


def sources(path: Path) -> list[Path]:
    """All files that `read` looks into: while they stay the same, so do the conversations."""
    if is_recipe(path):
        recipe = mixing.parsed(lines.content(path), path)
        return [path, *(path.parent / part.path for part in recipe.datasets)]
    return [path / folder.CARD, *folder.training_files(path)] if path.is_dir() else [path]


def is_recipe(path: Path) -> bool:
    """A file that is called YAML; or text that neither is called JSON nor begins like it."""
    if path.is_dir():
        return False
    suffix, head = path.suffix.lower(), lines.head(path)
    if suffix in (".yaml", ".yml"):
        return True
    known = suffix in (".json", ".jsonl") or head.startswith(parquet.MAGIC)
    return not known and bool(head.strip()) and not head.lstrip().startswith((b"{", b"["))


def rows(path: Path) -> Iterator[Found]:
    """The conversations of one file of rows, those with a turn that says nothing included."""
    table = lines.head(path).startswith(parquet.MAGIC)
    for where, row in numbered(path) if table else lines.objects(path):
        try:
            yield where, conversation(row)
        except OddError as odd:
            raise InputError(odd.what, where=where, fix=odd.fix) from odd


def numbered(path: Path) -> Iterator[tuple[str, object]]:
    empty = True
    for number, row in enumerate(parquet.read(path), start=1):
        empty = False
        yield f"{path}, row {number}", row
    if empty:
        raise InputError("holds no row", where=str(path), fix="name a file with at least one")


def complete(found: Found) -> Conversation:
    where, told = found
    if is_blank(told):
        raise InputError("a turn says nothing", where=where, fix="delete the row, or fill in the turn")
    return told


def mixed(path: Path) -> Read:
    """What a mixing recipe makes of its files. Rows in which a turn says nothing are left out, as InstructLab does."""
    recipe = mixing.parsed(lines.content(path), path)
    if not recipe.datasets:
        raise InputError("names no datasets", where=str(path), fix=mixing.FIX)
    taken: list[Conversation] = []
    notes: list[str] = []
    for number, part in enumerate(recipe.datasets):
        file = path.parent / part.path
        if not file.resolve().is_relative_to(path.parent.resolve()):
            notes.append(f"{path}: takes rows from outside its folder: {part.path}")
        if isinstance(part.sampling_size, int) and part.sampling_size == 1:
            notes.append(f"{path}: sampling_size 1 of {part.path} is read as 1.0, all rows, as InstructLab does")
        try:
            found = [one for _, one in rows(file)]
        except InputError as error:
            raise InputError(error.what, where=error.where, fix=f"{error.fix} (named in {path})") from error
        full = [one for one in found if not is_blank(one)]
        if len(full) < len(found):
            notes.append(f"{file}: {len(found) - len(full)} rows left out: a turn says nothing")
        wanted = part.rows(len(full))
        if wanted > mixing.MOST:
            fix = f"lower its `sampling_size`: at most {mixing.MOST:,} rows are taken of a file"
            raise InputError(f"asks for {wanted:,} rows of {part.path}", where=str(path), fix=fix)
        taken += mixing.sampled(full, wanted, purpose=f"mixing {number}")
    told = [with_system(one, recipe) for one in taken]
    if not told:
        raise InputError("takes no row of any file", where=str(path), fix="raise a `sampling_size`")
    return Read(tuple(told), (*notes, *unmasked(told)))


def with_system(told: Conversation, recipe: MixingRecipe) -> Conversation:
    """The conversation under the recipe's system prompt; an empty one means none."""
    if recipe.sys_prompt is None:
        return told
    others = [turn for turn in told.messages if turn.role != "system"]
    prompt = [Message(role="system", content=recipe.sys_prompt)] if recipe.sys_prompt else []
    return told.model_copy(update={"messages": (*prompt, *others)})


def unmasked(told: Sequence[Conversation]) -> Iterator[str]:
    count = sum(one.unmask for one in told)
    if count:
        yield f"{count} of {len(told)} rows are marked to be trained on whole; here a model learns answers alone"
