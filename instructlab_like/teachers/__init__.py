"""Teachers: anything that answers a prompt. One member a file; the file's name is `kind` in a recipe."""

from __future__ import annotations

import importlib
from typing import Protocol

from instructlab_like.errors import ModelError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt


class Teacher(Protocol):
    @property
    def identity(self) -> str:
        """Which model answers; part of every call key, so another identity means asking anew."""

    async def answer(self, prompt: Prompt) -> Completion:
        """Answer one prompt; raises TeacherError when the teacher is gone, InputError when it is told wrong."""

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
