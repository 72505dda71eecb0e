"""The test server itself: other tests take its word for what was asked, answered and charged."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults import NAMED, Fault
from jsonschema import validate
from server import CHAT, Arrival, Entry, Latency, TeacherServer, by_share

HERE = Path(__file__).parent
PROMPT = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}], "temperature": 1.0, "max_tokens": 50}
SCHEMA = {
    "type": "object",
    "properties": {
        "word": {"enum": ["heron", "quartz"]},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "pairs": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/pair"}},
        "sure": {"type": ["boolean", "null"]},
    },
    "$defs": {"pair": {"type": "object", "properties": {"text": {"type": "string", "minLength": 40}}}},
    "required": ["word", "score", "pairs", "sure"],
}


def post(port: int, **fields: object) -> tuple[int, dict]:
    """Status and reply of one request."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    link.request("POST", f"/v1{CHAT}", json.dumps(PROMPT | fields), {"Authorization": "Bearer k"})
    with link.getresponse() as got:
        return got.status, json.loads(got.read())


def words(request: dict) -> str:
    """An answer that any field of the request changes."""
    return " ".join(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8] for _ in range(3))


def text_of(reply: dict) -> str:
    return reply["choices"][0]["message"]["content"]


def test_an_answer_is_a_function_of_the_request() -> None:
    with TeacherServer(answer=words) as server:
        first, again, other = (text_of(post(server.port, seed=seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


def test_what_is_asked_for_is_honoured() -> None:
    with TeacherServer(answer=words) as server:
        assert len({each["message"]["content"] for each in post(server.port, n=3)[1]["choices"]}) == 3
        likely = post(server.port, logprobs=True, top_logprobs=2)[1]
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        shaped = [post(server.port, response_format=wanted, seed=seed)[1] for seed in range(20)]
    told = likely["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in told) == text_of(likely)
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 2 for token in told)
    for reply in shaped:
        validate(json.loads(text_of(reply)), SCHEMA)
    assert len({text_of(reply) for reply in shaped}) > 1


def test_what_is_ignored_is_answered_as_if_it_were_not_there() -> None:
    with TeacherServer(answer=words, ignores=("seed", "n", "logprobs", "response_format")) as server:
        plain = {"n": 3, "logprobs": True, "response_format": {"type": "json_object"}, "seed": 1}
        (status, first), (_, again) = post(server.port, **plain), post(server.port, **plain)
    assert status == 200
    assert len(first["choices"]) == 1
    assert "logprobs" not in first["choices"][0]
    assert text_of(first) != text_of(again)
    assert not text_of(first).startswith("{")


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (
            "vllm",
            "This model's maximum context length is 10 tokens. However, you requested 52 tokens (2 in the messages",
        ),
        ("llama.cpp", "the request exceeds the available context size, try increasing it"),
    ],
)
def test_what_is_too_long_is_refused_in_each_servers_words(dialect: str, said: str) -> None:
    fields = {} if dialect == "vllm" else {"messages": [{"role": "user", "content": "word " * 10}]}
    with TeacherServer(answer=words, context=10, dialect=dialect) as server:
        status, reply = post(server.port, **fields)
        fits, _ = post(server.port, max_tokens=8)
    assert (status, fits) == (400, 200)
    assert reply.get("error", reply)["message"].startswith(said)
    assert [(entry.done, entry.completion_tokens > 0) for entry in server.log] == [
        ("refused", False),
        ("answered", True),
    ]


def test_the_log_says_what_was_charged_and_whether_the_client_could_know() -> None:
    faults = {0: NAMED["empty"], 1: NAMED["cut"], 2: Fault("reset"), 3: NAMED["429-seconds"]}
    with TeacherServer(faults, answer=words) as server:
        post(server.port)
        for _ in range(2):
            with pytest.raises((http.client.HTTPException, ConnectionError, ValueError)):
                post(server.port)
        post(server.port)
        post(server.port)
    told = [(entry.done, entry.completion_tokens, entry.told, entry.times) for entry in server.log]
    assert told == [
        ("empty", 3, True, 0),
        ("cut", 3, False, 1),
        ("reset", 0, False, 2),
        ("429-seconds", 0, False, 3),
        ("answered", 3, True, 4),
    ]
    assert server.log[3].retry_after == "1"
    assert {entry.authorization for entry in server.log} == {"Bearer k"}
    assert all(entry.left is not None and entry.left >= entry.arrived for entry in server.log)


def test_latency_and_faults_are_decided_by_the_request() -> None:
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(4000)]
    latency = Latency(0.05, 0.05, 1.0)
    slow = [latency.of(digest) for digest in digests]
    assert slow == [latency.of(digest) for digest in digests]
    assert {0.05, 1.0} == set(slow)
    assert 0.04 < sum(seconds == 1.0 for seconds in slow) / len(slow) < 0.06
    choose = by_share({"500": 0.1, "hang": 0.1})
    drawn = [choose(Arrival(0, str(number).encode(), 0, 0)) for number in range(4000)]
    assert drawn == [choose(Arrival(9, str(number).encode(), 0, 9)) for number in range(4000)]
    assert 0.08 < sum(fault is NAMED["500"] for fault in drawn) / len(drawn) < 0.12
    assert any(choose(Arrival(0, b"0", times, 0)) is None for times in range(20)), "a fault that never passes"


def test_by_hand_it_prints_its_url_and_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--port", "0", "--latency", "0.001", "--tail", "0.5:0.002", "--fault", "500:0.5", "--log", str(log)]
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), *options], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline().strip().removesuffix("/v1").rpartition(":")[2])
        replies = [post(port, seed=seed)[0] for seed in range(40)]
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    entries = [Entry(**json.loads(line)) for line in log.read_text().splitlines()]
    assert [entry.status for entry in sorted(entries, key=lambda entry: entry.number)] == replies
    assert set(replies) == {200, 500}


def test_a_fault_that_it_does_not_know_is_named() -> None:
    found = subprocess.run(
        [sys.executable, str(HERE / "server.py"), "--fault", "gost:1"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "'gost' is no fault; known: 429, " in found.stderr
