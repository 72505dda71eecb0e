"""`ilk check --fix`: the form of a leaf's YAML files put right, their comments, quotes and values as they were.

Edits are made in the text itself, line by line, so that what needs nothing keeps every byte. Each step is checked: if
the file would say something else after it, the step is left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from instructlab_like.checking.repair import indentation, order, whitespace
from instructlab_like.checking.repair.meaning import Meaning, meaning, same, words
from instructlab_like.errors import InputError
from instructlab_like.taxonomy.tree import HELD_OUT, QNA, SIMULATION, Place, content
from instructlab_like.taxonomy.yaml_lines import load
from instructlab_like.workspace import write_whole

FILES = (QNA, HELD_OUT, SIMULATION)

_MOST_ROUNDS = 4  # one step may make room for another; so far two were enough
_BOM = "\ufeff"
_HANDS_OFF = re.compile(r"^#\s*yamllint disable-file\s*$")
_ODD = re.compile("[\x85\u2028\u2029\ufeff]")  # not every tool for YAML takes them for what others do


@dataclass(frozen=True, slots=True)
class Repair:
    """A file's bytes after the repair, the codes of what was repaired, and why something was not."""

    data: bytes
    fixed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    blocks: bool = False  # whether blanks or line breaks at the end of lines inside a block went or came


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was done to a file that a message names."""

    path: str
    fixed: tuple[str, ...]
    left: tuple[str, ...]
    blocks: bool


def repair(places: Iterable[Place]) -> Iterator[Repaired]:
    """Repair the YAML files of leaves where they lie; yields those that were touched or should have been.

    Raises InputError if a file cannot be written.
    """
    for place in places:
        for name in FILES:
            try:
                data = content(place.root, f"{place.path}/{name}")
            except InputError:
                continue  # a link, say: the check names it
            if data is None:
                continue
            done = repaired(name, data)
            if done.data != data:
                _write(place.folder / name, done.data, shown=place.naming(name))
            if done.fixed or done.left:
                yield Repaired(place.naming(name), done.fixed, done.left, done.blocks)


def repaired(name: str, data: bytes) -> Repair:
    """What a leaf's file of this name is to hold; never raises for what it holds."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Repair(data, left=("it is not UTF-8 text",))
    bom = _BOM if text.startswith(_BOM) else ""
    given = text.removeprefix(_BOM)
    text = given.replace("\r\n", "\n").replace("\r", "\n")
    if _HANDS_OFF.match(text.partition("\n")[0]):
        return Repair(data)
    fixed = ["new-lines"] if text != given else []
    if not text.strip():
        return Repair(data)
    if problem := _unreadable(text):
        cured = None if _ODD.search(text) else _cured(text)
        if cured is None:
            return Repair(data, left=(f"it cannot be read: {problem}",))
        text, codes = cured
        fixed += codes
    if _ODD.search(text):
        return Repair(
            data, left=("it holds odd line breaks, or a mark of byte order (U+0085, U+2028, U+2029, U+FEFF)",)
        )
    before = text
    try:
        text, more, left = _stepped(name, text)
    except yaml.YAMLError:  # libyaml, by which the lines are told apart, does not read all that the reader does
        return Repair(data, left=("tools for YAML do not agree on how to read it",))
    blocks = text != before and not same(meaning(before, exactly=True), meaning(text, exactly=True))
    return Repair((bom + text).encode(), tuple(dict.fromkeys([*fixed, *more])), left, blocks)


def _cured(text: str) -> tuple[str, tuple[str, ...]] | None:
    """A text that cannot be read for its tabs with blanks instead, and what was repaired; None if that is not it."""
    bare = whitespace.without_trailing_tabs(text)
    if not _unreadable(bare):
        return bare, ("trailing-spaces",)
    cured = whitespace.without_tabs(bare, _readable)
    if cured is None:
        return None
    return cured, ("tabs",) if bare == text else ("tabs", "trailing-spaces")


def _stepped(name: str, text: str) -> tuple[str, list[str], tuple[str, ...]]:
    """The text after every step, the codes of the steps that did something, and why others were left out."""
    steps: list[tuple[str, Callable[[str], str]]] = [
        ("new-line-at-end-of-file", whitespace.with_last_break),
        ("trailing-spaces", whitespace.without_trailing_blanks),
        ("key-order", lambda before: order.in_order(before, name)),
        ("indentation", indentation.indented),
        ("empty-lines", whitespace.with_few_empty_lines),
    ]
    fixed: dict[str, None] = {}
    for _ in range(_MOST_ROUNDS):
        began = text
        left: dict[str, None] = {}
        for code, step in steps:
            after = step(text)
            if after == text:
                continue
            if problem := _changed(text, after):
                left[f"{code}: {problem}"] = None
                continue
            text = after
            fixed[code] = None
        if text == began:
            break
    return text, list(fixed), tuple(left)


def _changed(before: str, after: str) -> str | None:
    """Why the text after a step must not replace that of before."""
    sheet = load(after.encode())
    if sheet.problems:
        return "the file could not be read any more"
    kept = same(meaning(before), meaning(after)) and words(load(before.encode()).root) == words(sheet.root)
    return None if kept else "a value would change"


def _readable(text: str) -> Meaning | None:
    try:
        return None if _unreadable(text) else meaning(text)
    except yaml.YAMLError:
        return None


def _unreadable(text: str) -> str | None:
    problems = load(text.encode()).problems
    return f"line {problems[0].line}, {problems[0].message}" if problems else None


def _write(path: Path, data: bytes, *, shown: str) -> None:
    try:
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        write_whole(path, data)
        path.chmod(mode)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise InputError(what, where=shown, fix="check the permissions of the file and its folder") from error
