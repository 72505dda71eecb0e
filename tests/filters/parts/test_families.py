"""Who is of one family with whom, by the names that models go by."""

from __future__ import annotations

import pytest

from instructlab_like.filters.parts.families import bare, families, kinship

NAMED = {
    "llama": [
        "meta-llama/Llama-3.1-8B-Instruct",
        "llama3",
        "http:meta.llama3-8b-instruct-v1:0",
        "TheBloke/CodeLlama-13B",
    ],
    "qwen": ["http:Qwen/Qwen2.5-72B-Instruct-AWQ", "Qwen/QwQ-32B", "ollama/qwen2.5:7b", "marco-o1"],
    "mistral": [
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "codestral-latest",
        "magistral-small",
        "/srv/llama.cpp/models/mistral-7b-instruct-v0.2.Q4_K_M.gguf",
        "mistral-7b.llamafile",
        "instructlab/merlinite-7b-lab",
        "HuggingFaceH4/zephyr-7b-beta",
    ],
    "gemma": ["gemma2:9b-instruct-q4_K_M", "google/gemini-2.0-flash", "medgemma-4b"],
    "gpt": ["gpt-4o-mini", "o1", "openai/o3-mini", "gpt-oss:20b", "chatgpt-4o-latest", "text-davinci-003"],
    "claude": ["claude-3-5-sonnet-20241022", "us.anthropic.claude-3-haiku-20240307-v1:0"],
    "phi": ["microsoft/phi-4", "ollama_chat/phi4", "Phi-3.5-mini-instruct"],
    "granite": ["ibm-granite/granite-3.1-8b-instruct"],
    "deepseek": ["deepseek-chat", "deepseek-r1:8b"],
    "yi": ["01-ai/Yi-1.5-34B-Chat"],
    "command": ["CohereForAI/c4ai-command-r-plus", "command-a-03-2025", "aya-expanse-8b"],
    "falcon": ["tiiuae/falcon-180B-chat"],
    "olmo": ["allenai/OLMo-2-1124-13B-Instruct"],
    "smollm": ["HuggingFaceTB/SmolLM2-1.7B-Instruct"],
    "glm": ["THUDM/glm-4-9b-chat", "zai-org/GLM-4.5", "chatglm3-6b"],
}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in NAMED.items() for name in names])
def test_a_name_tells_its_family_through_prefix_path_quantisation_and_tag(family: str, name: str) -> None:
    assert families(name) == {family}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"deepseek", "llama"}),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", {"deepseek", "qwen"}),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct", {"llama", "nemotron"}),
        ("nvidia/nemotron-4-340b-instruct", {"llama", "nemotron"}),
        ("NousResearch/Hermes-3-Llama-3.1-8B", {"llama"}),
        ("teknium/OpenHermes-2.5-Mistral-7B", {"mistral"}),
    ],
)
def test_a_distillate_or_fine_tune_is_of_each_family_that_it_names(name: str, wanted: set[str]) -> None:
    assert families(name) == wanted


@pytest.mark.parametrize(
    "name",
    ["m", "test-teacher", "local:abcdef0123456789", "Delphi-7b", "mega-olm", "my-o1-clone", "Babyi-7b", "ollama/x", ""],
)
def test_what_only_looks_like_a_family_is_none(name: str) -> None:
    assert families(name) == frozenset()


@pytest.mark.parametrize(
    ("judge", "maker", "wanted"),
    [
        ("meta-llama/Llama-3-70B", "http:llama3:8b", "family"),
        ("my-judge", "http:my-judge", "itself"),
        ("acme/judge-7b-AWQ", "http:other/judge-7b", "itself"),
        ("judge-7b.Q4_K_M.gguf", "/models/judge-7b", "itself"),
        ("my-judge", "http:another", "unknown"),
        ("gpt-4o", "http:another", "unknown"),
        ("gpt-4o", "http:claude-3-opus", "none"),
        ("gpt-4o", "", "unnamed"),
        ("gpt-4o", "given/1", "unnamed"),
        ("DeepSeek-R1-Distill-Qwen-7B", "http:qwen3", "family"),
    ],
)
def test_a_judge_is_as_near_to_a_maker_as_their_names_tell(judge: str, maker: str, wanted: str) -> None:
    assert kinship(judge, maker) == wanted


def test_size_and_version_stay_in_a_bare_name() -> None:
    assert bare("acme/judge-7b-instruct-AWQ") == "judge-7b-instruct"
    assert bare("judge-7b") != bare("judge-70b")
