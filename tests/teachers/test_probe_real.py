"""The probe against real servers: llama.cpp's honours what it is told, `transformers serve` passes over it silently."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_file import write_gguf
from made_prompts import prompt
from real_server import real_server, transformers_server
from tiny_chat_model import save_base

from instructlab_like.errors import InputError, RefusedError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt, Sampling
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.probe import Capabilities, Need, ProbeCall, describe

SCHEMA = (
    '{"additionalProperties":false,"properties":{"colour":{"enum":["mauve"],"type":"string"}},'
    '"required":["colour"],"type":"object"}'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def llama_cpp(folder: Path) -> Iterator[str]:
    with real_server(write_gguf(folder, folder.with_suffix(".gguf"))) as url:
        yield url


@pytest.fixture(scope="module")
def transformers(folder: Path) -> Iterator[str]:
    with transformers_server(folder) as url:
        yield url


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def probed(url: str, model: str) -> tuple[Capabilities, list[ProbeCall]]:
    calls: list[ProbeCall] = []

    async def record(call: ProbeCall) -> None:
        calls.append(call)

    async def session() -> Capabilities:
        teacher = HttpTeacher(TeacherRecipe(url=url, model=model))
        try:
            return await teacher.probe(record)
        finally:
            await teacher.close()

    return asyncio.run(session()), calls


def answers(url: str, model: str, *prompts: Prompt) -> list[Completion]:
    async def session() -> list[Completion]:
        teacher = HttpTeacher(TeacherRecipe(url=url, model=model))
        try:
            return list(await asyncio.gather(*(teacher.answer(one) for one in prompts)))
        finally:
            await teacher.close()

    return asyncio.run(session())


def able(found: Capabilities) -> tuple[str, ...]:
    return found.seed.able, found.logprobs.able, found.n.able, found.json_schema.able, found.over_long


def test_the_probe_tells_the_servers_apart(llama_cpp: str, transformers: str, folder: Path) -> None:
    honest, _ = probed(llama_cpp, "m")
    assert able(honest) == ("yes", "yes", "yes", "yes", "refused")
    assert honest.context == 512
    assert "512" in honest.over_long_said
    deaf, calls = probed(transformers, str(folder))
    assert able(deaf) == ("no", "no", "no", "no", "unknown")
    assert all(call.completion is not None for call in calls if call.ended)  # it said 200 to everything


def test_what_a_template_needs_and_the_server_passes_over_is_a_warning_or_a_refusal(
    llama_cpp: str, transformers: str, folder: Path
) -> None:
    seed, schema = Need("seed", "knowledge/pairs.j2"), Need("schema", "judge/verdict.j2")
    honest, _ = probed(llama_cpp, "m")
    assert describe(honest, [seed, schema], teacher="http:m") == []
    deaf, _ = probed(transformers, str(folder))
    assert describe(deaf, [], teacher="http:m") == []
    (warning,) = describe(deaf, [seed], teacher="http:m")
    assert warning.startswith("http:m: does not honour seeds (3 seeds gave the same answer at temperature 1)")
    assert warning.endswith("; knowledge/pairs.j2")
    with pytest.raises(InputError) as caught:
        describe(deaf, [seed, schema], teacher="http:m")
    assert caught.value.what == (
        "http:m does not honour JSON Schemas (response_format) (its answer does not follow the schema)"
    )
    assert caught.value.where == "judge/verdict.j2"


def test_a_second_probe_asks_nothing_until_another_model_is_served(llama_cpp: str, tmp_path: Path) -> None:
    first, asked = probed(llama_cpp, "m")
    assert asked
    assert probed(llama_cpp, "m") == (first, [])
    assert probed(llama_cpp, "another name")[1]


def test_both_servers_answer_prompts(llama_cpp: str, transformers: str, folder: Path) -> None:
    still = prompt("The spider has", Sampling(temperature=0, max_tokens=12, seed=None))
    (of_llama,), (of_transformers,) = answers(llama_cpp, "m", still), answers(transformers, str(folder), still)
    assert of_llama.completion_tokens == of_transformers.completion_tokens == 12
    assert of_llama.prompt_tokens == of_transformers.prompt_tokens
    assert of_llama.text


def test_an_answer_is_bound_to_its_schema(llama_cpp: str) -> None:
    (completion,) = answers(llama_cpp, "m", prompt("Say hello.", Sampling(max_tokens=200), SCHEMA))
    assert "".join(completion.text.split()) == '{"colour":"mauve"}'


def test_a_prompt_beyond_the_context_is_not_sent(llama_cpp: str) -> None:
    async def session() -> str:
        teacher = HttpTeacher(TeacherRecipe(url=llama_cpp, model="m"))
        short = Sampling(max_tokens=4)
        try:
            await teacher.answer(prompt("hello", short))
            (line,) = teacher.opened().members
            assert line.asking is not None
            await line.asking
            sent = line.sent
            await teacher.answer(prompt("The spider has eight legs. " * 22, short))  # 600 bytes, and it fits
            with pytest.raises(RefusedError) as caught:
                await teacher.answer(prompt("7 Q " * 400, short))
            assert line.sent == sent + 3  # one answer, and two texts counted by its tokenizer
            return caught.value.what
        finally:
            await teacher.close()

    told = asyncio.run(session())
    assert told.startswith("a prompt has ")
    assert told.endswith(" tokens, and the context holds 512 (/props says n_ctx)")
