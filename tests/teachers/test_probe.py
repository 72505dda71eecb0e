"""The probe: what it concludes, what it tells the ledger, what it remembers, and what follows for a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from server import Fault, TeacherServer, failing

from instructlab_like.errors import InputError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.chat import Reply
from instructlab_like.teachers.context import Context
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.probe import (
    BOUND,
    SPARE,
    Capabilities,
    Feature,
    Finding,
    Need,
    Outcome,
    ProbeCall,
    describe,
    judged_choices,
    judged_length,
    judged_logprobs,
    judged_schema,
    judged_seed,
    merged,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("instructlab_like.teachers.http.PROBE_PAUSE", 0.0)
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Ledger:
    """What the probe tells, in order."""

    def __init__(self) -> None:
        self.told: list[ProbeCall] = []

    async def record(self, call: ProbeCall) -> None:
        self.told.append(call)

    @property
    def ended(self) -> list[ProbeCall]:
        return [call for call in self.told if call.ended]


def probed(*servers: TeacherServer, ledger: Ledger | None = None, **recipe: object) -> Capabilities:
    async def session() -> Capabilities:
        urls = tuple(server.url for server in servers)
        teacher = HttpTeacher(TeacherRecipe(**{"url": urls, "model": "m", **recipe}))
        try:
            return await teacher.probe((ledger or Ledger()).record)
        finally:
            await teacher.close()

    return asyncio.run(session())


ALL: tuple[Feature, ...] = ("seed", "logprobs", "n", "schema")
FIELDS = {"seed": "seed", "logprobs": "logprobs", "n": "n", "schema": "response_format"}


def varied(request: dict) -> str:
    """Depends on the seed; bound to a schema, it follows it."""
    if "response_format" in request:
        return BOUND
    return f"word {request.get('seed')} for {request['messages'][-1]['content'][:9]}"


@pytest.mark.parametrize("ignored", [(), *((feature,) for feature in ALL), ALL])
def test_each_field_that_is_passed_over_is_noticed(ignored: tuple[Feature, ...]) -> None:
    with TeacherServer(answer=varied, ignores=[FIELDS[feature] for feature in ignored]) as server:
        found = probed(server)
    assert {feature for feature in ALL if found.of(feature).able == "no"} == set(ignored)
    assert all(found.of(feature).able == "yes" for feature in ALL if feature not in ignored)
    assert all(found.of(feature).said for feature in ignored)


@pytest.mark.parametrize("dialect", ["vllm", "llama.cpp"])
def test_a_prompt_that_is_too_long_is_refused_and_the_context_known(dialect: str) -> None:
    with TeacherServer(answer=varied, context=300, dialect=dialect) as server:
        found = probed(server)
    assert (found.over_long, found.context) == ("refused", 300)
    assert "HTTP 400" in found.over_long_said


def test_the_ledger_is_told_what_the_server_got() -> None:
    ledger = Ledger()
    with TeacherServer({1: failing(500), 3: Fault("reset"), 5: failing(400, "no such field")}, answer=varied) as server:
        probed(server, ledger=ledger)
    sent = sorted(json.dumps(json.loads(body), sort_keys=True) for body in server.bodies)
    assert sorted(json.dumps(json.loads(call.request), sort_keys=True) for call in ledger.ended) == sent
    assert len({call.key for call in ledger.ended}) == len(sent)
    for call in ledger.ended:
        begun = call.model_copy(
            update={"ended": False, "completion": None, "kind": None, "error": None}
            | {"prompt_tokens": 0, "completion_tokens": 0}
        )
        assert ledger.told.index(begun) < ledger.told.index(call)  # told before it was sent, and after
    assert sorted(call.kind for call in ledger.ended if call.kind) == ["refused", "reset", "server_error"]
    assert sum(call.prompt_tokens for call in ledger.ended) == sum(entry.prompt_tokens for entry in server.log)
    assert sum(call.completion_tokens for call in ledger.ended) == sum(entry.completion_tokens for entry in server.log)


def test_trouble_that_passes_does_not_decide() -> None:
    faults = {number: failing(429, retry_after="0.01") for number in range(6)}
    with TeacherServer(faults, answer=varied) as server:
        found = probed(server)
    assert all(found.of(feature).able == "yes" for feature in ALL)


def test_trouble_that_stays_leaves_it_open_and_is_not_remembered(cache: Path) -> None:
    def broken(request: dict) -> bool:
        return "logprobs" in request

    bodies: list[bytes] = []
    with TeacherServer(answer=varied) as server:
        server.choose = lambda arrival: failing(500, "oops") if broken(json.loads(arrival.body)) else None
        found = probed(server)
        bodies = list(server.bodies)
        assert (found.logprobs.able, found.logprobs.said) == ("unknown", "HTTP 500: oops")
        assert sum(broken(json.loads(body)) for body in bodies) == 3
        probed(server)
        assert len(server.bodies) > len(bodies)
    assert not list(cache.glob("probes/*"))


def test_what_was_found_is_remembered_for_this_url_and_what_it_says_of_the_model(cache: Path) -> None:
    with TeacherServer(answer=varied, context=300) as server:
        first, asked = probed(server), len(server.bodies)
        assert probed(server) == first
        assert len(server.bodies) == asked
        server.context = 400  # another model behind the same name
        assert probed(server).context == 400
        assert len(server.bodies) == 2 * asked
    assert len(list(cache.glob("probes/*.json"))) == 2


def test_a_damaged_memory_and_a_cache_that_cannot_be_written_mean_asking_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TeacherServer(answer=varied) as server:
        first, asked = probed(server), len(server.bodies)
        (kept,) = cache.glob("probes/*.json")
        kept.write_bytes(kept.read_bytes()[:20])
        assert probed(server) == first
        assert len(server.bodies) == 2 * asked
        kept.unlink()
        (cache / "file").touch()
        monkeypatch.setenv("ILK_CACHE", str(cache / "file"))
        assert probed(server) == first


def test_several_endpoints_can_what_all_of_them_can() -> None:
    with (
        TeacherServer(answer=varied, context=300) as one,
        TeacherServer(answer=varied, context=200, ignores=["n"]) as two,
    ):
        found = probed(one, two)
    assert (found.seed.able, found.n.able, found.context) == ("yes", "no", 200)


def test_a_probe_of_an_endpoint_that_is_not_there_leaves_it_to_the_others() -> None:
    gone = TeacherServer()
    with TeacherServer(answer=varied) as there:
        with TeacherServer() as closed:
            gone.port = closed.port
        ledger = Ledger()
        found = probed(there, gone, ledger=ledger)
        assert found.seed == Finding(able="unknown", said="cannot be reached: Connection refused")
        assert len(ledger.ended) == len(there.bodies)
        with pytest.raises(TeacherError, match="cannot be reached"):
            probed(gone)


def test_a_wrong_key_is_said_before_anything_else() -> None:
    refusing = TeacherServer(lambda _: failing(401, "who are you?"))
    with refusing as server, pytest.raises(InputError, match="does not let us in"):
        probed(server)


def test_no_more_is_asked_at_once_than_the_recipe_allows() -> None:
    with TeacherServer(answer=varied) as server:
        assert probed(server, concurrency=1).seed.able == "yes"
    spans = [(entry.arrived, entry.left or 0.0) for entry in server.log]
    assert all(left <= arrived for (_, left), (arrived, _) in pairwise(spans))


def reply(text: str = "", **fields: object) -> Outcome:
    told = {"finish_reason": "stop", "prompt_tokens": None, "completion_tokens": None, "choices": 1, "logprobs": False}
    return Outcome(Reply(text=text, **(told | fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "able"),
    [
        (("a", "a", "b", "c"), "yes"),
        (("a", "a", "a", "b"), "yes"),
        (("a", "b", "c", "d"), "no"),
        (("a", "b", "a", "b"), "no"),
        (("a", "a", "a", "a"), "no"),
        (("", " ", "", ""), "unknown"),
    ],
)
def test_a_seed_is_honoured_if_it_repeats_and_another_differs(texts: Iterable[str], able: str) -> None:
    assert judged_seed([reply(text) for text in texts]).able == able


@pytest.mark.parametrize(
    ("outcome", "able"),
    [
        (reply(' {\n"word" : "heron-4817-quartz" }\n'), "yes"),
        (reply('{"word": "hello"}'), "no"),
        (reply("Hello!"), "no"),
        (reply('{"word": "heron-48', finish_reason="length"), "unknown"),
        (reply("Hello! I am", finish_reason="length"), "no"),
        (Outcome(None, "HTTP 400: no such field"), "no"),
        (Outcome(None, "HTTP 500: oops", lasting=False), "unknown"),
    ],
)
def test_a_schema_is_honoured_if_only_its_one_value_comes(outcome: Outcome, able: str) -> None:
    assert judged_schema(outcome).able == able


def test_other_features_are_judged_by_the_reply() -> None:
    assert judged_logprobs(reply(logprobs=True)).able == "yes"
    assert judged_logprobs(reply()).able == "no"
    assert judged_choices(reply(choices=2)).able == "yes"
    assert judged_choices(reply(choices=1)) == Finding(able="no", said="asked for 2 answers, it gave 1")


CONTEXT = Context(100, False, "it says so")


@pytest.mark.parametrize(
    ("outcome", "context", "judged"),
    [
        (None, None, "unknown"),
        (None, Context(10**6, True, "it says so"), "unknown"),
        (Outcome(None, "HTTP 400: too long"), CONTEXT, "refused"),
        (Outcome(None, "HTTP 500: oops", lasting=False), CONTEXT, "unknown"),
        (reply(prompt_tokens=100), CONTEXT, "truncated"),
        (reply(prompt_tokens=100 + SPARE), CONTEXT, "unknown"),
        (reply(), CONTEXT, "unknown"),
    ],
)
def test_a_long_prompt_is_refused_or_cut_in_silence(
    outcome: Outcome | None, context: Context | None, judged: str
) -> None:
    assert judged_length(outcome, context)[0] == judged


YES, NO, OPEN = Finding(able="yes"), Finding(able="no", said="it laughed"), Finding(able="unknown", said="HTTP 500")


def capable(seed: Finding = YES, logprobs: Finding = YES, n: Finding = YES, json_schema: Finding = YES) -> Capabilities:
    return Capabilities(seed=seed, logprobs=logprobs, n=n, json_schema=json_schema, over_long="refused")


def test_what_nothing_needs_is_not_spoken_of() -> None:
    assert describe(capable(NO, NO, NO, NO), [], teacher="t") == []
    assert describe(capable(n=NO), [Need("seed", "a.j2"), Need("schema", "b.j2")], teacher="t") == []


def test_a_missing_seed_is_one_warning_for_all_that_need_it() -> None:
    needs = [Need("seed", "a.j2"), Need("seed", "b.j2"), Need("seed", "a.j2")]
    (warning,) = describe(capable(seed=NO), needs, teacher="http:m")
    assert warning == (
        "http:m: does not honour seeds (it laughed): answers already in the ledger stay; "
        "another run may be answered otherwise; a.j2, b.j2"
    )


def test_what_could_not_be_found_out_is_a_warning() -> None:
    (warning,) = describe(capable(json_schema=OPEN), [Need("schema", "a.j2")], teacher="http:m")
    assert warning == (
        "http:m: whether it honours JSON Schemas (response_format) could not be found out (HTTP 500); a.j2"
    )


def test_all_that_a_template_cannot_do_without_is_refused_together() -> None:
    needs = [Need("logprobs", "a.j2"), Need("schema", "b.j2"), Need("seed", "b.j2")]
    with pytest.raises(InputError) as caught:
        describe(capable(seed=NO, logprobs=NO, json_schema=NO), needs, teacher="http:m")
    assert caught.value.where == "a.j2, b.j2"
    assert "log-probabilities" in caught.value.what
    assert "JSON Schemas" in caught.value.what
    assert "vLLM and llama.cpp" in caught.value.fix


def test_of_several_findings_the_worst_counts() -> None:
    assert merged([capable(), capable(seed=OPEN), capable(n=NO)]) == capable(seed=OPEN, n=NO)
