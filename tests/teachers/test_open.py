"""Every teacher can be found by its name; what is missing is said."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from instructlab_like.errors import TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling
from instructlab_like.teachers import open_teacher
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.probe import Capabilities, Finding, ProbeCall
from instructlab_like.teachers.scripted import ScriptedTeacher

NO = Finding(able="no")
UNABLE = Capabilities(seed=NO, logprobs=NO, n=NO, json_schema=NO, over_long="unknown")
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


def test_a_scripted_teacher_can_what_it_is_given() -> None:
    async def record(_: ProbeCall) -> None:
        raise AssertionError("nothing is asked")

    plain, bound = ScriptedTeacher({}), ScriptedTeacher({}, capacity=3, capabilities=UNABLE)
    assert (plain.capacity, bound.capacity) == (8, 3)
    assert asyncio.run(plain.probe(record)).json_schema.able == "yes"
    assert asyncio.run(bound.probe(record)) == UNABLE


@pytest.mark.parametrize("kind", ["http", "scripted", "local"])
def test_every_teacher_has_what_the_engine_uses(kind: str) -> None:
    module = importlib.import_module(f"instructlab_like.teachers.{kind}")
    teacher = getattr(module, f"{kind.capitalize()}Teacher")
    assert {"capacity", "notices"} <= set(dir(teacher)) | set(teacher.__init__.__code__.co_names)
    for name, count in (("answer", 1), ("probe", 1), ("close", 0)):
        assert len(inspect.signature(getattr(teacher, name)).parameters) == 1 + count
        assert inspect.iscoroutinefunction(getattr(teacher, name))
