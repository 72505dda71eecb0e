"""Commands that serve a model, ready to copy, and what a chat template puts around turns."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from go_template import rendered as by_ollama

from instructlab_like.tuning import serving
from instructlab_like.tuning.serving import Around, around_of, go_template

AWKWARD = Path("my runs/O'Brien $(rm -rf x)/`x`;&|*.gguf")
TURNS = [
    {"role": "system", "content": "Be {{ brief }}."},
    {"role": "user", "content": 'Why "so"?'},
    {"role": "assistant", "content": "So.\n"},
    {"role": "user", "content": "Oh"},
]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (serving.vllm(AWKWARD, "tuned"), ["vllm", "serve", str(AWKWARD), "--served-model-name", "tuned"]),
        (serving.llama_server(AWKWARD, context=4096), ["llama-server", "-m", str(AWKWARD), "-c", "4096", "--jinja"]),
        (
            serving.llama_server("b.gguf", adapter=AWKWARD),
            ["llama-server", "-m", "b.gguf", "--lora", str(AWKWARD), "--jinja"],
        ),
        (
            serving.converter(AWKWARD, "out.gguf", "float16"),
            ["python", "convert_hf_to_gguf.py", str(AWKWARD), "--outfile", "out.gguf", "--outtype", "f16"],
        ),
    ],
)
def test_paths_come_back_whole_from_a_shell(command: serving.Command, words: list[str]) -> None:
    assert shlex.split(command.line) == words
    assert "\n" not in command.line


def test_an_adapter_is_served_with_a_rank_that_vllm_takes() -> None:
    found = serving.vllm_adapter("granite", AWKWARD, "tuned", 24)
    assert found is not None
    words = shlex.split(found.line)
    assert words[words.index("--max-lora-rank") + 1] == "32"
    assert words[-1] == f"tuned={AWKWARD}"
    assert serving.vllm_adapter("granite", AWKWARD, "tuned", 1024) is None


def test_ollama_gets_two_commands_and_a_path_that_is_no_option() -> None:
    create, run = serving.ollama(Path("-out") / "Modelfile", "tuned").line.split(" && ")
    assert shlex.split(create) == ["ollama", "create", "tuned", "-f", "./-out/Modelfile"]
    assert shlex.split(run) == ["ollama", "run", "tuned"]


def chatml(turns: serving.Turns, answering: bool) -> str:
    said = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
    return said + ("<|im_start|>assistant\n" if answering else "")


def llama3(turns: serving.Turns, answering: bool) -> str:
    heads = [f"<|start_header_id|>{turn['role']}<|end_header_id|>\n\n{turn['content']}<|eot_id|>" for turn in turns]
    return (
        "<|begin_of_text|>"
        + "".join(heads)
        + ("<|start_header_id|>assistant<|end_header_id|>\n\n" if answering else "")
    )


def inst(turns: serving.Turns, answering: bool) -> str:
    if turns[0]["role"] == "system":
        raise ValueError("only user and assistant")
    return "<s>" + "".join(
        f"[INST] {turn['content']} [/INST]" if turn["role"] == "user" else f" {turn['content']}</s>" for turn in turns
    )


def stripped(turns: serving.Turns, answering: bool) -> str:
    return chatml([{**turn, "content": turn["content"].strip() + "!"} for turn in turns], answering)


def defaulted(turns: serving.Turns, answering: bool) -> str:
    given = turns if turns[0]["role"] == "system" else [{"role": "system", "content": "You help."}, *turns]
    return chatml(given, answering)


@pytest.mark.parametrize(("render", "bos"), [(chatml, ""), (llama3, "<|begin_of_text|>"), (llama3, "")])
def test_ollama_writes_what_the_template_writes(render: serving.Render, bos: str) -> None:
    around = around_of(render, bos=bos)
    assert around is not None
    for turns in (TURNS, TURNS[1:], TURNS[1:2]):
        assert bos + by_ollama(go_template(around), turns) == render(turns, True)


@pytest.mark.parametrize("render", [inst, defaulted])
def test_a_template_that_does_more_is_left_to_ollama(render: serving.Render) -> None:
    assert around_of(render, bos="") is None
    told = serving.modelfile("x.gguf", None, stops=["</s>", 'a"b'], context=100_000)
    assert "TEMPLATE" not in told
    assert told.count("PARAMETER stop") == 1
    assert "PARAMETER num_ctx 8192" in told


def test_what_the_probe_cannot_see_is_seen_by_the_forms() -> None:
    assert around_of(stripped, bos="") == Around(
        system=("<|im_start|>system\n", "!<|im_end|>\n"),
        user=("<|im_start|>user\n", "!<|im_end|>\n<|im_start|>assistant\n"),
        assistant=("", "!<|im_end|>\n"),
        answer="",
    )  # no form has spaces at its ends: nothing that they say is lost


def test_braces_of_a_template_are_no_actions() -> None:
    around = Around(system=("{{", "}}"), user=("{{ if ", "\n"), assistant=("", "."), answer="{{")
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert by_ollama(go_template(around), turns) == "{{s}}{{ if u\n{{"
