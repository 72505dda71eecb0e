"""Every teacher can be found by its name; what is missing is said."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from instructlab_like.errors import TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling
from instructlab_like.teachers import open_teacher
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.scripted import ScriptedTeacher

LINEAGE = Lineage(leaf="a", leaf_blob="b", method="teacher", model="scripted")
PROMPT = Prompt(messages=(Message(role="user", content="hi"),), sampling=Sampling(), yields=("a",), lineage=LINEAGE)
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from instructlab_like.errors import ModelError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers import open_teacher
try:
    open_teacher(TeacherRecipe(kind="local", model="m"))
except ModelError as error:
    print(error)
"""


def test_a_teacher_is_found_by_the_name_of_its_file() -> None:
    teacher = open_teacher(TeacherRecipe(kind="http", url="http://localhost/v1", model="m"))
    assert isinstance(teacher, HttpTeacher)


def test_a_local_teacher_without_torch_says_what_to_install() -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    assert said == (
        "teacher.kind: local: needs the package torch, which is not installed\n"
        "  → pip install 'instructlab-like[train]', or name an http teacher\n"
    )


@pytest.mark.parametrize("script", [{PROMPT.key: "hello"}, lambda prompt: "hello"])
def test_a_scripted_teacher_answers_from_its_script_and_remembers(script: object) -> None:
    teacher = ScriptedTeacher(script)
    assert asyncio.run(teacher.answer(PROMPT)) == Completion(key=PROMPT.key, text="hello", finish_reason="stop")
    assert teacher.asked == [PROMPT]


def test_a_script_without_the_answer_is_a_teacher_that_fails() -> None:
    with pytest.raises(TeacherError, match="holds no answer"):
        asyncio.run(ScriptedTeacher({}).answer(PROMPT))
