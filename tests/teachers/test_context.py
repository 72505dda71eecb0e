"""Whether a prompt fits is known before it is sent, as far as it can be known."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_prompts import prompt
from server import TeacherServer

from instructlab_like.errors import RefusedError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt, Sampling
from instructlab_like.teachers.context import (
    EACH_MESSAGE,
    EACH_PROMPT,
    ENOUGH,
    UNKNOWN,
    Context,
    Ratio,
    read_count,
    read_models,
    read_props,
)
from instructlab_like.teachers.http import HttpTeacher

SHORT = Sampling(max_tokens=10)


def listed(*entries: dict[str, object]) -> bytes:
    return json.dumps({"object": "list", "data": entries}).encode()


@pytest.mark.parametrize(
    ("entry", "tokens", "whole"),
    [
        ({"max_model_len": 4096}, 4096, True),
        ({"context_length": 8192}, 8192, False),
        ({"context_window": 8192}, 8192, False),
        ({"meta": {"n_ctx": 512, "n_ctx_train": 2048}}, 512, False),
        ({"meta": {"n_ctx_train": 2048}}, 2048, False),
    ],
)
def test_each_server_says_its_context_in_its_own_place(entry: dict[str, object], tokens: int, whole: bool) -> None:
    context = read_models(listed({"id": "m", **entry}), "m").context
    assert context is not None
    assert context[:2] == (tokens, whole)


@pytest.mark.parametrize(
    "entry", [{}, {"max_model_len": None}, {"max_model_len": "4k"}, {"max_model_len": 0}, {"meta": 5}]
)
def test_what_is_not_said_is_unknown(entry: dict[str, object]) -> None:
    assert read_models(listed({"id": "m", **entry}), "m").context is None


def test_the_named_model_is_found_among_others() -> None:
    two = listed({"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2})
    assert read_models(two, "b").context == Context(2, True, "/models says max_model_len")
    assert read_models(two, "c").context is None
    assert read_models(listed({"id": "a", "max_model_len": 1}), "any name").context is not None


def test_what_is_said_of_a_model_does_not_depend_on_the_hour() -> None:
    now, later = ({"id": "m", "created": at, "permission": [{"id": at}], "root": "x"} for at in (1, 2))
    assert read_models(listed(now), "m").said == read_models(listed(later), "m").said
    assert read_models(listed(now), "m").said != read_models(listed(now | {"root": "y"}), "m").said


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_anything_else_is_unknown(data: bytes) -> None:
    assert read_models(data, "m") == UNKNOWN
    assert read_props(data) is None
    assert read_count(data) is None


@given(size=st.integers(1, 10_000), messages=st.integers(1, 9), room=st.integers(-10, 20_000))
def test_without_experience_only_what_is_short_for_certain_fits(size: int, messages: int, room: int) -> None:
    fits = Ratio().fits(size, messages, room)
    if room < 1:
        assert fits is False
    else:
        assert fits is (True if size + EACH_PROMPT + EACH_MESSAGE * messages <= room else None)


@given(
    st.lists(st.tuples(st.integers(100, 10_000), st.floats(0.05, 1.0)), min_size=ENOUGH, max_size=20),
    st.integers(0, 19),
)
def test_what_was_answered_would_not_have_been_refused(seen: list[tuple[int, float]], at: int) -> None:
    ratio = Ratio()
    for size, share in seen:
        ratio.learn(size, max(1, int(size * share)))
    size, share = seen[at % len(seen)]
    assert ratio.fits(size, 2, max(1, int(size * share))) is not False


def session(server: TeacherServer, *prompts: Prompt, **recipe: object) -> list[Completion | RefusedError]:
    """What becomes of prompts asked one after the other, what the server says of itself being known after the first."""

    async def asking() -> list[Completion | RefusedError]:
        teacher = HttpTeacher(TeacherRecipe(**{"url": server.url, "model": "m", **recipe}))
        ends: list[Completion | RefusedError] = []
        try:
            for one in prompts:
                try:
                    ends.append(await teacher.answer(one))
                except RefusedError as error:
                    ends.append(error)
                for line in teacher.opened().members:
                    if line.asking is not None:
                        await line.asking
            return ends
        finally:
            await teacher.close()

    return asyncio.run(asking())


def words(count: int) -> Prompt:
    """So many tokens for the test server, which counts words, and ten times as many bytes."""
    return prompt(" ".join(["elephantin"[:9]] * (count - 2)), SHORT)


def test_a_context_that_the_recipe_names_is_kept_from_the_first_prompt() -> None:
    with TeacherServer(answer=lambda _: "yes") as server:
        (error,) = session(server, prompt("hi", Sampling(max_tokens=500)), context=400)
        assert isinstance(error, RefusedError)
        assert error.what.endswith(", its answer may have 500, and the context holds 400 (teacher.context)")
        assert not error.sent
        assert not server.bodies


def test_a_prompt_is_refused_when_experience_says_that_it_cannot_fit() -> None:
    with TeacherServer(answer=lambda _: "yes", context=400) as server:
        ends = session(server, *[words(100)] * ENOUGH, words(380), words(2000))
        assert [type(end) for end in ends] == [Completion] * (ENOUGH + 1) + [RefusedError]
        refused = ends[-1]
        assert isinstance(refused, RefusedError)
        assert refused.what.startswith("a prompt has about ")
        assert "lower chunk_words" in refused.fix
        assert len(server.bodies) == ENOUGH + 1


def test_what_may_fit_is_left_to_the_server() -> None:
    with TeacherServer(answer=lambda _: "yes", context=400) as server:
        ends = session(server, *[words(100)] * ENOUGH, words(420))
        assert isinstance(ends[-1], RefusedError)
        assert ends[-1].sent
        assert "HTTP 400" in ends[-1].what
