"""The HTTP teacher against a real server that misbehaves on request."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from made_prompts import prompt
from server import Fault, TeacherServer, failing

from instructlab_like.errors import IlkError, InputError, PassingError, RecipeError, RefusedError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt, Sampling
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.lines import LARGEST_ANSWER


def echo(request: dict) -> str:
    return f"heard {request['messages'][-1]['content']}"


def asked(server: TeacherServer, *prompts: Prompt, **recipe: object) -> list[Completion]:
    """The answers to prompts asked one after the other."""

    async def session() -> list[Completion]:
        teacher = HttpTeacher(TeacherRecipe(**{"url": server.url, "model": "m", **recipe}))
        try:
            return [await teacher.answer(one) for one in prompts or (prompt(),)]
        finally:
            await teacher.close()

    return asyncio.run(session())


def failure(server: TeacherServer, *prompts: Prompt, **recipe: object) -> PassingError:
    """What the one attempt raised."""
    with pytest.raises(PassingError) as caught:
        asked(server, *prompts, **recipe)
    return caught.value


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


def reply(**fields: object) -> Fault:
    return Fault(body=json.dumps(fields).encode())


SPENT = {"prompt_tokens": 7, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (failing(408), "server_error", "HTTP 408: try later"),
        (failing(425), "server_error", "HTTP 425: try later"),
        (failing(429), "rate_limit", "HTTP 429: try later"),
        (failing(500, "out of\n memory"), "server_error", "HTTP 500: out of memory"),
        (failing(502), "server_error", "HTTP 502: try later"),
        (failing(503), "server_error", "HTTP 503: try later"),
        (failing(529), "rate_limit", "HTTP 529: try later"),
        (failing(599), "server_error", "HTTP 599: try later"),
        (Fault(status=500, body=b"{"), "server_error", "HTTP 500: {"),
        (Fault(status=500), "server_error", "HTTP 500: (empty)"),
        (Fault(status=201, body=b"{}"), "malformed", "what it sent is no chat completion (HTTP 201: {})"),
        (Fault("reset"), "reset", "the connection broke: "),
        (Fault("cut"), "reset", "the connection broke: "),
        (Fault(body=b" " * (LARGEST_ANSWER + 1)), "malformed", "its answer is larger than 16 MiB"),
        (Fault(body=b""), "malformed", "what it sent is no JSON: (empty)"),
        (Fault(body=b"oops"), "malformed", "what it sent is no JSON: oops"),
        (Fault(body=b"{"), "malformed", "what it sent is no JSON: {"),
        (Fault(body=b"[" * 100_000), "malformed", "what it sent is no JSON: [[["),
        (Fault(body=b"\xff"), "malformed", "what it sent is no JSON: "),
        (Fault(body=b"[]"), "malformed", "what it sent is no chat completion: []"),
        (Fault(body=b'{"error": "busy"}'), "malformed", "what it sent is no chat completion: busy"),
        (reply(choices=[]), "malformed", "it sent no choice: "),
        (reply(choices=[None]), "malformed", "its first choice holds no message: "),
        (reply(choices=[{"message": "hi"}]), "malformed", "its first choice holds no message: "),
        (reply(choices=[{"message": {"content": 5}}]), "malformed", "its first choice holds no message: "),
        (reply(choices=[{"message": {"content": None}, "finish_reason": "stop"}]), "empty", "its answer is empty"),
        (reply(choices=[{"message": {"content": " \n"}}]), "empty", "its answer is empty"),
        (reply(choices=[{"message": {}}]), "empty", "its answer is empty"),
    ],
    ids=lambda told: f"{told.status}-{told.body[:30]!r}" if isinstance(told, Fault) else str(told)[:20],
)
def test_trouble_that_may_pass_has_a_kind_and_is_one_request(fault: Fault, kind: str, said: str) -> None:
    with TeacherServer({0: fault}, answer=echo) as server:
        error = failure(server)
        assert (error.kind, error.where) == (kind, f"{server.url}/chat/completions")
        assert error.what.startswith(said)
        assert error.what.isprintable()
        assert len(server.bodies) == 1
        assert asked(server)[0].text == "heard hello"


@pytest.mark.parametrize("choices", [[], [{"message": {"content": " "}}], [{"message": 1}]])
def test_what_a_failed_answer_cost_is_told(choices: list[object]) -> None:
    with TeacherServer({0: reply(choices=choices, usage=SPENT)}) as server:
        error = failure(server)
    assert (error.prompt_tokens, error.completion_tokens) == (7, 5)


@pytest.mark.parametrize(
    "usage", [None, 5, {}, {"prompt_tokens": "7", "completion_tokens": -1}, {"prompt_tokens": 1e300}]
)
def test_an_answer_without_usable_usage_is_an_answer(usage: object) -> None:
    with TeacherServer({0: reply(choices=[{"message": {"content": "hi"}}], usage=usage)}) as server:
        completion = asked(server)[0]
    assert (completion.text, completion.finish_reason) == ("hi", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens) == (None, None)


def test_an_answer_in_parts_is_one_text() -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "image_url"}, {"type": "text", "text": "two"}]
    with TeacherServer({0: reply(choices=[{"message": {"content": parts}}])}) as server:
        assert asked(server)[0].text == "one two"


def test_a_server_that_hangs_is_given_up_after_the_timeout() -> None:
    with TeacherServer({0: Fault("hang")}, answer=echo) as server:
        error = failure(server, timeout=0.2)
    assert (error.kind, error.what) == ("timeout", "no answer within 0.2 s")


@pytest.mark.parametrize("temperature", [0, 0.1])
def test_an_empty_answer_may_be_better_another_time(temperature: float) -> None:
    with TeacherServer(answer=lambda _: "") as server:
        assert failure(server, prompt(sampling=Sampling(temperature=temperature))).kind == "empty"


def test_an_empty_answer_that_was_cut_off_is_an_answer() -> None:
    with TeacherServer({0: reply(choices=[{"message": {"content": ""}, "finish_reason": "length"}])}) as server:
        assert asked(server)[0].finish_reason == "length"


def test_a_compressed_answer_is_read_and_bounded() -> None:
    whole = json.dumps({"choices": [{"message": {"content": "hi"}}]}).encode()
    packed = [gzip.compress(data) for data in (whole, whole + b" " * LARGEST_ANSWER)]
    faults = {number: Fault(body=data, headers={"Content-Encoding": "gzip"}) for number, data in enumerate(packed)}
    with TeacherServer(faults) as server:
        assert asked(server)[0].text == "hi"
        assert failure(server).what == "its answer is larger than 16 MiB"


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "2.5"}, 2.5),
        ({"retry_after": "0"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Wed, 21 Oct 2015 07:29:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 60.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:29:00", "date": "Wed, 21 Oct 2015 09:28:00 +0200"}, 60.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:27:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_by_the_servers_clock(
    headers: dict[str, str], waited: float | None
) -> None:
    with TeacherServer({0: failing(429, **headers)}, answer=echo) as server:
        wait = failure(server).wait
    assert wait == pytest.approx(waited, abs=0.5) if waited else wait is None


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
        (400, RefusedError, "refuses the request (HTTP 400: too long)\n  → correct what the server names"),
        (413, RefusedError, "refuses the request (HTTP 413: too long)"),
        (422, RefusedError, "refuses the request (HTTP 422: too long)"),
        (401, InputError, "does not let us in (HTTP 401: too long)\n  → put a valid key into a key (teacher.key_env"),
        (403, InputError, "does not let us in"),
        (402, TeacherError, "wants to be paid (HTTP 402: too long)\n  → see to the account"),
        (407, InputError, "the proxy in between wants a name and a password"),
        (405, InputError, "knows no model 'm' at this URL (HTTP 405: too long)"),
        (404, InputError, "knows no model 'm' at this URL (HTTP 404: too long)\n  → teacher.url ends in /v1"),
        (307, InputError, "sends us elsewhere (HTTP 307: too long)\n  → give the final URL"),
    ],
)
def test_what_will_not_pass_is_said_at_once(status: int, kind: type[IlkError], said: str) -> None:
    with TeacherServer(lambda _: failing(status, "too long")) as server, pytest.raises(kind) as caught:
        asked(server)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{server.url}/chat/completions: {said}")
    assert len(server.bodies) == 1


def test_an_empty_account_is_no_rate_limit() -> None:
    told = {"error": {"message": "You exceeded your quota", "type": "insufficient_quota", "code": "insufficient_quota"}}
    fault = Fault(status=429, body=json.dumps(told).encode())
    with TeacherServer({0: fault}) as server, pytest.raises(TeacherError, match="wants to be paid") as caught:
        asked(server)
    assert type(caught.value) is TeacherError


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "no such field"}', "no such field"),
        (b'{"detail": [{"loc": ["body", "n"]}]}', '[{"loc":["body","n"]}]'),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"error": {"message": "", "code": 1}}', '{"error": {"message": "", "code": 1}}'),
        (b"<html>\n<b>Bad</b></html>", "<html> <b>Bad</b></html>"),
        (b"", "(empty)"),
    ],
)
def test_a_servers_own_words_are_found(body: bytes, said: str) -> None:
    with TeacherServer({0: Fault(status=400, body=body)}) as server, pytest.raises(RefusedError) as caught:
        asked(server)
    assert caught.value.what == f"refuses the request (HTTP 400: {said})"


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
        server = TeacherServer()
        server.port = port  # bound, but nobody listens
        with pytest.raises(TeacherError) as caught:
            asked(server)
    assert str(caught.value) == (
        f"http://127.0.0.1:{port}/v1/chat/completions: cannot be reached: Connection refused\n"
        "  → start the server, or correct teacher.url"
    )
    assert caught.value.code == 3
    assert not isinstance(caught.value, PassingError)


def test_a_host_that_does_not_exist_is_said_at_once() -> None:
    teacher = HttpTeacher(TeacherRecipe(url="http://no-such-host.invalid/v1", model="m"))
    with pytest.raises(TeacherError, match="cannot be reached"):
        asyncio.run(closing(teacher))


async def closing(teacher: HttpTeacher) -> Completion:
    try:
        return await teacher.answer(prompt())
    finally:
        await teacher.close()


def test_a_schema_is_sent_as_a_response_format() -> None:
    schema = '{"properties":{"a":{"type":"string"}},"type":"object"}'
    with TeacherServer(answer=echo) as server:
        asked(server, prompt(schema=schema), prompt())
    bound, free = (json.loads(body) for body in server.bodies)
    assert bound["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": json.loads(schema)},
    }
    assert "response_format" not in free


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
    assert teacher.addresses == ((posted, shown),)


@pytest.mark.parametrize("urls", [(), ("",), ("http://a/v1", "http://a/v1/")])
def test_a_list_of_endpoints_is_checked_too(urls: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError):
        HttpTeacher(TeacherRecipe(url=urls, model="m"))


def test_the_capacity_is_that_of_all_endpoints() -> None:
    assert HttpTeacher(TeacherRecipe(url=("http://a/v1", "http://b/v1"), model="m", concurrency=5)).capacity == 10


def test_closing_without_a_question_is_fine() -> None:
    asyncio.run(HttpTeacher(TeacherRecipe(url="http://localhost/v1", model="m")).close())
