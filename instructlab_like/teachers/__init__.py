"""Teachers: anything that answers a prompt. One member a file; the file's name is `kind` in a recipe."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol

from instructlab_like.errors import ModelError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt
from instructlab_like.teachers.probe import Capabilities, Recorder


class Teacher(Protocol):
    @property
    def identity(self) -> str:
        """Which model answers; part of every call key, so another identity means asking anew."""

    @property
    def capacity(self) -> int:
        """The most prompts that are worth asking at once."""

    @property
    def notices(self) -> Sequence[str]:
        """What a user should know and nothing stops at, a line each, in order; grows while answers are asked for."""

    async def answer(self, prompt: Prompt) -> Completion:
        """Make one attempt; `sent` of an error tells whether a request was made.

        Raises PassingError when another attempt may succeed, RefusedError when this prompt is not taken, InputError
        when the teacher is told wrong, TeacherError when it is gone.
        """

    async def probe(self, record: Recorder, /) -> Capabilities:
        """What the teacher can do, by asking it once; `record` is awaited before each call and after it."""

    async def close(self) -> None:
        """Give back connections and memory; may be called without a single answer asked."""


def open_teacher(recipe: TeacherRecipe) -> Teacher:
    """The teacher of `recipe.kind`: class `<Kind>Teacher` of the file of that name, made from the recipe.

    Raises InputError for whatever can be known to be wrong before the first question.
    """
    try:
        module = importlib.import_module(f"{__name__}.{recipe.kind}")  # on demand: the local teacher brings torch
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("instructlab_like"):
            raise
        raise ModelError(
            f"needs the package {error.name}, which is not installed",
            where=f"teacher.kind: {recipe.kind}",
            fix="pip install 'instructlab-like[train]', or name an http teacher",
        ) from error
    teacher: Teacher = getattr(module, f"{recipe.kind.capitalize()}Teacher")(recipe)
    return teacher
