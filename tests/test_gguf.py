"""The tiny base as a GGUF file answers in llama.cpp's server as it does in transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
import torch
from gguf_file import write_gguf
from real_server import real_server
from transformers import AutoModelForCausalLM, AutoTokenizer

from instructlab_like.evaluation.items import base_items
from instructlab_like.records import with_context
from instructlab_like.workspace import find

MODEL = find("training/base/model")
ANCHORS = find("training/base/anchors.jsonl")
ASKED = 12  # three of each kind of task
LIMIT = 32  # tokens of an answer


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return [with_context(item.question, item.context) for item in base_items(ANCHORS)[:ASKED]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_server(write_gguf(MODEL, tmp_path_factory.mktemp("gguf") / "base.gguf")) as address:
        yield address


def test_greedy_answers_are_those_of_transformers(url: str, questions: list[str]) -> None:
    expected = transformers_answers(questions)
    assert [server_answer(url, question) for question in questions] == expected
    assert len(set(expected)) > ASKED // 2  # different questions are told apart


def transformers_answers(questions: list[str]) -> list[str]:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    answers = []
    for question in questions:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            made = model.generate(**asked, do_sample=False, max_new_tokens=LIMIT)
        answers.append(tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers


def server_answer(url: str, question: str) -> str:
    asked = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": LIMIT}
    request = Request(
        f"{url}/chat/completions", data=json.dumps(asked).encode(), headers={"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=120) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]
