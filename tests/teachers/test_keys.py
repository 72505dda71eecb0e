"""A key is sent where it belongs and appears nowhere else."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_prompts import prompt
from server import Fault, TeacherServer, failing

from instructlab_like.errors import IlkError, InputError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.keys import Key

KEY = "sk-Zm9v/+b&r=secret~0123456789"


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY} \n")


def in_base64(words: str) -> str:
    return base64.b64encode(words.encode()).decode()


ECHOES: list[Callable[[str], str]] = [
    lambda key: key,
    lambda key: f"Bearer {key}",
    lambda key: quote(key),
    lambda key: quote(key, safe=""),
    lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    in_base64,
    lambda key: in_base64(f"Bearer {key}"),
    lambda key: in_base64(f"user:{key}"),
    lambda key: base64.urlsafe_b64encode(f"x{key}".encode()).decode(),
    lambda key: key.encode().hex(),
    lambda key: json.dumps(key),
    lambda key: html.escape(key),
]


def traces(text: str) -> list[str]:
    """Every form of the key that can be made out in a text."""
    found = [form for form in (echo(KEY) for echo in ECHOES) if form in text]
    return found + [KEY[at : at + 10] for at in range(len(KEY) - 10) if KEY[at : at + 10] in text]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_whatever_the_server_echoes_no_error_holds_the_key(status: int, echo: Callable[[str], str]) -> None:
    said = f"bad key {echo(KEY)} given"
    for body in (
        json.dumps({"error": {"message": said}}).encode(),
        said.encode(),
        (" " * 190 + said).encode(),
        (" " * (2**16 - 20) + said).encode(),
    ):
        with TeacherServer({0: Fault(status=status, body=body)}) as server:
            error = caught(server)
            shown = "".join(traceback.format_exception(error)) + repr(error)
            assert traces(shown) == []
            assert "…" in error.what or body.startswith(b" " * 1000)


def caught(server: TeacherServer) -> IlkError:
    teacher = HttpTeacher(TeacherRecipe(url=server.url, model="m", key_env="MY_KEY"))

    async def session() -> None:
        try:
            await teacher.answer(prompt())
        finally:
            await teacher.close()

    with pytest.raises(IlkError) as error:
        asyncio.run(session())
    assert traces(repr(teacher) + repr(vars(teacher))) == []
    return error.value


def test_an_answer_that_echoes_the_key_is_kept_without_it() -> None:
    teacher = None
    with TeacherServer(answer=lambda _: f"My key is {KEY}!") as server:
        teacher = HttpTeacher(TeacherRecipe(url=server.url, model="m", key_env="MY_KEY"))

        async def session() -> str:
            try:
                return (await teacher.answer(prompt())).text
            finally:
                await teacher.close()

        assert asyncio.run(session()) == "My key is …!"
        assert [headers["Authorization"] for headers in server.headers] == [f"Bearer {KEY}"]


def test_a_key_that_is_a_common_word_is_not_cut_out_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "EMPTY")
    with TeacherServer(answer=lambda _: "The glass is EMPTY.") as server:
        teacher = HttpTeacher(TeacherRecipe(url=server.url, model="m", key_env="MY_KEY"))

        async def session() -> str:
            try:
                return (await teacher.answer(prompt())).text
            finally:
                await teacher.close()

        assert asyncio.run(session()) == "The glass is EMPTY."


def test_the_name_of_the_variable_is_told_when_the_key_is_refused() -> None:
    with TeacherServer(lambda _: failing(401, "who?")) as server:
        error = caught(server)
    assert isinstance(error, InputError)
    assert error.fix == "put a valid key into $MY_KEY"


@given(
    key=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=12, max_size=60),
    pad=st.text(max_size=5),
)
def test_no_form_of_any_key_stays(key: str, pad: str) -> None:
    hidden = Key(key).hide(" ".join(pad + echo(key) + pad for echo in ECHOES))
    assert key not in hidden
    assert in_base64(key)[2:-4] not in hidden
    assert key.encode().hex() not in hidden
    assert key not in repr(Key(key)) + str(Key(key))
