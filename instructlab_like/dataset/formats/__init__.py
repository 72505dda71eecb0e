"""What a run's dataset is written as for other programs. One class a file; the file's name is the format's name.

To add one, write `formats/<name>.py` with one subclass of Format whose fields are its options; `-` in a name on the
command line is `_` in the file's.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from instructlab_like.errors import InputError, explain
from instructlab_like.records import Item, Leaf, Preference, Row, Sample


@dataclass(frozen=True)
class Question:
    """A held-out item as a model is asked it."""

    item: Item
    prompt: str  # the user's turn; empty: there is none, and the answer is a text that stands for itself
    answer: str  # the right one; of a choice among the options
    options: tuple[str, ...] = ()  # of a choice: the answers whose likelihood is compared


@dataclass(frozen=True)
class Asked:
    """What `ilk evaluate` asks of the run's models, and how it scores."""

    questions: Sequence[Question]
    new_tokens: int  # most tokens of an answer
    scoring: Mapping[str, bytes]  # the modules that score answers, by file name; they need the standard library alone


class Material(Protocol):
    """What a finished run has to be written."""

    @property
    def seed(self) -> int:
        """Of all that is drawn."""

    @property
    def card(self) -> str:
        """The dataset's card."""

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a file of the dataset, none if there is no such file."""

    def samples(self) -> Iterator[Sample]:
        """All samples that were made, in plan order, kept or not."""

    def preferences(self) -> Iterator[Preference]:
        """The pairs of answers of which one is preferred, none if the run made none."""

    def leaves(self) -> Sequence[Leaf]:
        """The leaves as they stood when the run was made, without what lies beside their `qna.yaml`."""

    def asked(self) -> Asked:
        """The held-out questions: those that were last evaluated, or else those that would be."""


@dataclass(frozen=True)
class File:
    """One file to write; its bytes are made while they are written, a row or the whole of it at a time."""

    name: str  # relative, with "/"
    chunks: Iterable[bytes]


@dataclass(frozen=True)
class Export:
    files: tuple[File, ...]
    notes: tuple[str, ...] = ()  # what is left out, and why


class Format(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @abstractmethod
    def export(self, run: Material, folder: Path) -> Export:
        """What is to be written into `folder`; the same run and options give the same bytes in any folder."""


def members() -> list[str]:
    """The names of all formats."""
    return sorted(module.name.replace("_", "-") for module in iter_modules(__path__))


def find(name: str) -> type[Format]:
    """The format of that name; InputError with the nearest name when there is none."""
    if name not in members():
        raise InputError(f"there is no format {name!r}", where="--for", fix=nearest(name, members()))
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Format) and kind.__module__ == module.__name__
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module.__name__} defines {len(kinds)} formats, not one")
    return kinds[0]


def build(name: str, options: Mapping[str, object]) -> Format:
    """The format with its options; InputError names the option that it does not have, or whose value is wrong."""
    kind = find(name)
    for option in options:
        if option not in kind.model_fields:
            shown = [f"--{field.replace('_', '-')}" for field in kind.model_fields]
            fix = f"its options: {', '.join(shown)}" if shown else "leave it out"
            raise InputError(f"the format {name!r} has no such option", where=f"--{option.replace('_', '-')}", fix=fix)
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=f"--for {name}", fix="correct the value") from error


def nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
