"""The HTTP teacher against a real server that misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import socket
from email.utils import format_datetime

import pytest
from server import Fault, TeacherServer, failing

from instructlab_like.errors import IlkError, InputError, RecipeError, TeacherError
from instructlab_like.prompts import KnowledgeVariables, SkillVariables, load_template
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Lineage, Message, Pair, Prompt, Sampling, Seed
from instructlab_like.teachers.http import LARGEST_ANSWER, HttpTeacher, dated


def prompt(text: str = "hello", sampling: Sampling | None = None) -> Prompt:
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="http:m")
    return Prompt(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content=text)),
        sampling=sampling or Sampling(),
        yields=("question", "answer"),
        lineage=lineage,
    )


def echo(request: dict) -> str:
    return f"heard {request['messages'][-1]['content']}"


def asked(
    server: TeacherServer, *prompts: Prompt, pauses: list[float] | None = None, **recipe: object
) -> list[Completion]:
    """The answers to prompts asked one after the other; pauses are noted rather than waited for."""

    async def pause(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    async def session() -> list[Completion]:
        teacher = HttpTeacher(TeacherRecipe(**{"url": server.url, "model": "m", **recipe}), pause=pause)
        try:
            return [await teacher.answer(one) for one in prompts or (prompt(),)]
        finally:
            await teacher.close()

    return asyncio.run(session())


def test_an_answer_comes_back_with_its_tokens() -> None:
    with TeacherServer(answer=echo) as server:
        assert asked(server) == [
            Completion(key=prompt().key, text="heard hello", finish_reason="stop", prompt_tokens=3, completion_tokens=2)
        ]


def test_the_request_is_what_every_compatible_server_takes() -> None:
    plain = prompt(sampling=Sampling(temperature=0.5, max_tokens=9, seed=None))
    full = prompt("ä\u2028", sampling=Sampling(temperature=0, top_p=0.9, max_tokens=9, seed=5, stop=("X",)))
    with TeacherServer(answer=echo) as server:
        asked(server, plain, full)
    system = {"role": "system", "content": "Be brief."}
    assert [json.loads(body) for body in server.bodies] == [
        {"model": "m", "messages": [system, {"role": "user", "content": "hello"}], "temperature": 0.5, "max_tokens": 9},
        {
            "model": "m",
            "messages": [system, {"role": "user", "content": "ä\u2028"}],
            "temperature": 0,
            "max_tokens": 9,
            "top_p": 0.9,
            "seed": 5,
            "stop": ["X"],
        },
    ]


def test_an_answer_cut_off_by_the_server_passes_through() -> None:
    with TeacherServer(answer=lambda _: "one two three") as server:
        completion = asked(server, prompt(sampling=Sampling(max_tokens=2)))[0]
    assert (completion.text, completion.finish_reason) == ("one two", "length")


def test_the_identity_is_the_model_wherever_it_is_served() -> None:
    here, there = (HttpTeacher(TeacherRecipe(url=f"http://localhost:{port}/v1", model="m")) for port in (1, 2))
    assert here.identity == there.identity == "http:m"


GARBAGE = [
    b"",
    b"oops",
    b"{",
    b"[]",
    b'{"choices": []}',
    b'{"choices": [{"message": "hi"}]}',
    b'{"error": "busy"}',
    b"\xff",
]


@pytest.mark.parametrize(
    "fault",
    [
        *(failing(status) for status in (408, 429, 500, 502, 503, 599)),
        *(Fault(body=body) for body in GARBAGE),
        Fault("reset"),
        Fault("cut"),
        Fault(body=b" " * (LARGEST_ANSWER + 1)),
        Fault(body=json.dumps({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}).encode()),
        Fault(body=json.dumps({"choices": [{"message": {"content": " \n"}}]}).encode()),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.body[:30]!r}",
)
def test_trouble_that_may_pass_is_asked_again(fault: Fault) -> None:
    pauses: list[float] = []
    with TeacherServer({0: fault, 1: fault}, answer=echo) as server:
        assert asked(server, pauses=pauses)[0].text == "heard hello"
    assert pauses == [0.5, 1.0]
    assert len(server.bodies) == 3


def test_a_server_that_hangs_is_asked_again_after_the_timeout() -> None:
    with TeacherServer({0: Fault("hang")}, answer=echo) as server:
        assert asked(server, timeout=0.2)[0].text == "heard hello"


def test_pauses_double_up_to_a_limit_and_then_the_teacher_is_gone() -> None:
    pauses: list[float] = []
    with TeacherServer(lambda _: failing(503, "loading\n the model")) as server, pytest.raises(TeacherError) as caught:
        asked(server, pauses=pauses, retries=8)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert str(caught.value) == (
        f"{server.url}/chat/completions: no usable answer in 9 attempts; the last one: HTTP 503: loading the model\n"
        "  → start the server, or correct teacher.url"
    )


def test_retries_of_zero_ask_once() -> None:
    with TeacherServer(lambda _: failing(500)) as server, pytest.raises(TeacherError):
        asked(server, retries=0)
    assert len(server.bodies) == 1


def test_an_answer_that_stays_empty_is_an_answer() -> None:
    with TeacherServer(answer=lambda _: "") as server:
        assert asked(server, retries=2)[0].text == ""
    assert len(server.bodies) == 3


def test_an_empty_answer_that_was_cut_off_is_not_asked_for_again() -> None:
    reply = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}).encode()
    with TeacherServer(lambda _: Fault(body=reply)) as server:
        assert asked(server)[0].finish_reason == "length"
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("told", "waited"), [("7", 7.0), ("2.5", 2.5), ("0", 0.5), ("soon", 0.5), ("-3", 0.5)])
def test_retry_after_in_seconds_is_kept(told: str, waited: float) -> None:
    pauses: list[float] = []
    with TeacherServer({0: failing(429, retry_after=told)}, answer=echo) as server:
        asked(server, pauses=pauses)
    assert pauses[0] == waited


def test_retry_after_as_a_date_is_read_by_the_servers_clock() -> None:
    now = dated("Wed, 21 Oct 2015 07:28:00 GMT")
    later = format_datetime(now.replace(minute=29), usegmt=True)
    pauses: list[float] = []
    fault = failing(503, retry_after=later, date=format_datetime(now, usegmt=True))
    with TeacherServer({0: fault}, answer=echo) as server:
        asked(server, pauses=pauses)
    assert pauses[0] == 60.0


def test_everybody_keeps_away_while_the_server_asks_for_it() -> None:
    pauses: list[float] = []
    with TeacherServer({0: failing(429, retry_after="100")}, answer=echo) as server:
        asked(server, prompt("a"), prompt("b"), pauses=pauses)
    assert pauses[0] == 100.0
    assert len(pauses) == 3  # its own, and as no time passed in this test, one before each of the two requests
    assert all(90.0 < pause <= 100.0 for pause in pauses[1:])


@pytest.mark.parametrize("told", ["3600", "inf", "Wed, 21 Oct 2199 07:28:00 GMT"])
def test_a_wait_that_is_too_long_stops_the_run(told: str) -> None:
    with (
        TeacherServer({0: failing(429, retry_after=told)}) as server,
        pytest.raises(TeacherError, match="no request for"),
    ):
        asked(server)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, TeacherError, "refuses the request (HTTP 400: too long)\n  → correct what the server names"),
        (422, TeacherError, "refuses the request (HTTP 422: too long)"),
        (401, InputError, "does not let us in (HTTP 401: too long)\n  → put a valid key into a key (teacher.key_env"),
        (403, InputError, "does not let us in"),
        (404, InputError, "knows no model 'm' at this URL (HTTP 404: too long)\n  → teacher.url ends in /v1"),
        (307, InputError, "sends us elsewhere (HTTP 307: too long)\n  → give the final URL"),
    ],
)
def test_what_will_not_pass_is_said_at_once(status: int, kind: type[IlkError], said: str) -> None:
    with TeacherServer(lambda _: failing(status, "too long")) as server, pytest.raises(kind) as caught:
        asked(server)
    assert str(caught.value).startswith(f"{server.url}/chat/completions: {said}")
    assert len(server.bodies) == 1


def test_a_servers_words_are_shortened_and_made_printable() -> None:
    noise = "\x1b[31m" + "very " * 500
    with TeacherServer(lambda _: failing(400, noise)) as server, pytest.raises(TeacherError) as caught:
        asked(server)
    first = str(caught.value).splitlines()[0]
    assert len(first) < 350
    assert first.isprintable()


def test_a_server_that_is_down_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        pauses: list[float] = []
        server = TeacherServer()
        server.port = port  # bound, but nobody listens
        with pytest.raises(TeacherError) as caught:
            asked(server, pauses=pauses)
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}/v1/chat/completions: cannot be reached: ")
    assert pauses == []
    assert caught.value.code == 3


def test_a_server_that_goes_down_later_gets_time_to_come_back() -> None:
    pauses: list[float] = []

    async def session() -> None:
        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        with TeacherServer(answer=echo) as server:
            teacher = HttpTeacher(TeacherRecipe(url=server.url, model="m", retries=3), pause=pause)
            await teacher.answer(prompt())
        try:
            await teacher.answer(prompt("again"))
        finally:
            await teacher.close()

    with pytest.raises(TeacherError, match="no usable answer in 4 attempts"):
        asyncio.run(session())
    assert pauses == [0.5, 1.0, 2.0]


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", " sk-secret-123 \n")
    with TeacherServer({1: failing(401, "bad key sk-secret-123")}, answer=echo) as server:
        with pytest.raises(InputError) as caught:
            asked(server, prompt("a"), prompt("b"), key_env="MY_KEY")
        assert [headers["Authorization"] for headers in server.headers] == ["Bearer sk-secret-123"] * 2
    assert "sk-secret" not in str(caught.value)
    assert "put a valid key into $MY_KEY" in str(caught.value)
    assert not any(b"sk-secret" in body for body in server.bodies)


def test_without_a_key_no_authorization_is_sent() -> None:
    with TeacherServer(answer=echo) as server:
        asked(server)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(("value", "said"), [(None, "is not set"), ("  ", "is not set"), ("a\nb", "holds characters")])
def test_a_key_that_cannot_be_used_is_named_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    if value is None:
        monkeypatch.delenv("MY_KEY", raising=False)
    else:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(InputError, match=f"the environment variable MY_KEY {said}"):
        HttpTeacher(TeacherRecipe(url="http://localhost/v1", model="m", key_env="MY_KEY"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "an http teacher needs a URL"),
        ("", "an http teacher needs a URL"),
        ("localhost:8000/v1", "is no http or https URL"),
        ("ftp://host/v1", "is no http or https URL"),
        ("http:///v1", "is no http or https URL"),
        ("http://host:port/v1", "is no URL"),
        ("http://[::1/v1", "is no URL"),
        ("https://me:hunter2@host/v1", "holds a user name or password"),
        ("https://me:hunter2@host:port/v1", "holds a user name or password"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused(url: str | None, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        HttpTeacher(TeacherRecipe(url=url, model="m"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "posted", "shown"),
    [
        ("http://h/v1", "http://h/v1/chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1/", "http://h/v1/chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1/chat/completions", "http://h/v1/chat/completions", "http://h/v1/chat/completions"),
        ("https://h/d?api-version=1", "https://h/d/chat/completions?api-version=1", "https://h/d/chat/completions"),
    ],
)
def test_the_endpoint_is_found_from_the_url(url: str, posted: str, shown: str) -> None:
    teacher = HttpTeacher(TeacherRecipe(url=url, model="m"))
    assert (teacher.url, teacher.where) == (posted, shown)


def test_closing_without_a_question_is_fine() -> None:
    asyncio.run(HttpTeacher(TeacherRecipe(url="http://localhost/v1", model="m")).close())


SEEDS = tuple(
    Seed(number=n, line=n, context=f"Text {n} is short.", pairs=(Pair(question=f"Q {n}?", answer=f"A\n{n}."),))
    for n in (1, 2, 3)
)
PASSAGE = (
    "# Io\n\nIo is a moon of Jupiter. It is the innermost of the four large ones.\n\n- It has 400 volcanoes in all."
)


@pytest.mark.parametrize("name", ["knowledge/pairs.j2", "skill/freeform.j2", "skill/grounded.j2"])
def test_the_test_server_answers_every_template_from_what_it_was_shown(name: str) -> None:
    """The end-to-end tests lean on this server."""
    from instructlab_like.generation.parse import parse
    from instructlab_like.records import AskTask

    knowledge = KnowledgeVariables(
        domain="d", outline="o", headings=("Io",), passage=PASSAGE, example=SEEDS[0], count=2
    )
    template = load_template(name)
    shown = knowledge if name.startswith("knowledge") else SkillVariables(task="t", examples=SEEDS, count=2)
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="http:m")
    one = Prompt(messages=template.render(shown), sampling=Sampling(), yields=template.yields, lineage=lineage)
    with TeacherServer() as server:
        first, second = asked(server, one, one)
    assert first == second
    samples = parse(AskTask(prompt=one), first)
    assert isinstance(samples, list)
    assert len(samples) == 2
    for sample in samples:
        source = (
            PASSAGE if name.startswith("knowledge") else "".join(pair.answer for seed in SEEDS for pair in seed.pairs)
        )
        assert sample.answer in source
