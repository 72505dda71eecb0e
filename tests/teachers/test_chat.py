"""The chat format: whatever a server sends, it is a reply, a complaint or a wait, and never an error of ours."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_prompts import prompt

from instructlab_like.records import Sampling
from instructlab_like.teachers.chat import MalformedError, Reply, body, read_complaint, read_reply, retry_after

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "text", "usage", "prompt_tokens", "finish_reason", "logprobs"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_bytes_are_a_reply_or_malformed(data: bytes) -> None:
    with suppress(MalformedError):
        assert isinstance(read_reply(data), Reply)


@given(choice=JSON, usage=JSON)
def test_any_choice_is_a_reply_or_malformed(choice: object, usage: object) -> None:
    data = json.dumps({"choices": [choice], "usage": usage}).encode()
    try:
        reply = read_reply(data)
    except MalformedError:
        return
    assert isinstance(reply.text, str)
    assert isinstance(reply.finish_reason, str)
    assert all(told is None or told >= 0 for told in (reply.prompt_tokens, reply.completion_tokens))


@given(JSON.map(lambda value: json.dumps({"error": value}).encode()) | st.binary(max_size=60))
def test_any_bytes_are_words(data: bytes) -> None:
    assert read_complaint(data).words


@given(
    st.dictionaries(
        st.sampled_from(["Retry-After", "Retry-After-Ms", "Date"]),
        st.text(max_size=40)
        | st.floats().map(str)
        | st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
        | st.sampled_from(["Wed, 21 Oct 2015 07:28:00 +9999", "21 Oct 99999 07:28:00 GMT", "1" * 400, "infinity"]),
    )
)
def test_any_header_is_a_wait_or_none(headers: dict[str, str]) -> None:
    wait = retry_after(headers)
    assert wait is None or (wait >= 0 and not math.isnan(wait))


def test_a_request_holds_no_more_than_it_must() -> None:
    assert body(prompt("hi", Sampling(temperature=0.5, max_tokens=9, seed=None)), "m") == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"content": [{"token": "a"}]}, {"tokens": ["a"]}])
def test_logprobs_that_hold_no_number_are_none(logprobs: object) -> None:
    assert not read_reply(
        json.dumps({"choices": [{"message": {"content": "a"}, "logprobs": logprobs}]}).encode()
    ).logprobs
