"""The test teacher: a function of the request that answers any form it is shown, and judges as a teacher would."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from schema_values import fitting
from teacher_answers import answered, scale_of

FORM = "\n\nUse this form:\n\n[REASON 1]\nwhy\n[SCORE 1]\n{scale}\n[END 1]"
LIST = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "question": {"type": "string"},
                    "answer": {"type": "string"},
                    "score": {"type": "integer", "minimum": 1, "maximum": 5},
                    "verdict": {"enum": ["YES", "NO"], "type": "string"},
                },
                "required": ["question", "answer", "score", "verdict"],
            },
        }
    },
    "required": ["pairs"],
}


def request(prompt: str, **fields: object) -> dict:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": prompt}],
        **fields,
    }


def scores(scale: str, *, always_good: bool = False) -> Counter[str]:
    told = (answered(request(f"{n}{FORM.format(scale=scale)}"), always_good=always_good) for n in range(1000))
    return Counter(text.split("[SCORE 1]\n")[1].split("\n")[0] for text in told)


@pytest.mark.parametrize("scale", ["0 or 1", "1, 2 or 3", "YES or NO", "a whole number from 1 to 5"])
def test_about_a_tenth_of_the_judgements_is_low_unless_all_are_to_be_good(scale: str) -> None:
    worst, best = scale_of(scale)[0], scale_of(scale)[-1]
    found = scores(scale)
    assert 60 <= found[worst] <= 140
    assert found.keys() <= set(scale_of(scale))
    assert scores(scale, always_good=True) == {best: 1000}


@pytest.mark.parametrize(
    ("told", "scale"),
    [
        ("0 or 1", ["0", "1"]),
        ("0, 1 or 2", ["0", "1", "2"]),
        ("YES or NO", ["NO", "YES"]),
        ("a whole number from 1 to 5", ["1", "2", "3", "4", "5"]),
        ("the answer", []),
        ("what 2 or 3 people would say", []),
    ],
)
def test_a_scale_is_read_off_the_form_worst_first(told: str, scale: list[str]) -> None:
    assert scale_of(told) == scale


def test_the_same_request_has_the_same_answer_and_another_draw_another() -> None:
    passage = (
        "The tide rises twice a day at Orrin. The bell is rung by hand in fog. Nobody keeps the light any more now."
    )
    form = "[EVIDENCE 1]\nwords\n[QUESTION 1]\nquestion\n[ANSWER 1]\nanswer\n[END 1]"
    prompt = f"<passage>\n{passage}\n</passage>\n\nWrite 2 new pairs\n\n{form}"
    one = answered(request(prompt, seed=1))
    assert one == answered(request(prompt, seed=1))
    assert len({answered(request(prompt, seed=seed)) for seed in range(20)}) > 2
    good = answered(request(prompt), always_good=True)
    quoted = [block.split("\n")[1] for block in good.split("\n\n")]
    assert len(quoted) == 2
    assert all(words in passage for words in quoted)


@pytest.mark.parametrize(
    "prompt", ["", "Say a word.", "<passage>\n\n</passage>", "[ANSWER 1] [END 1]", "Write 0 new [END 1]"]
)
def test_a_prompt_without_passage_examples_or_form_has_an_answer_too(prompt: str) -> None:
    assert isinstance(answered(request(prompt)), str)


def test_a_form_in_one_line_or_in_the_system_message_is_filled_in_too() -> None:
    asked = {
        "model": "m",
        "messages": [{"role": "system", "content": "[SCORE 1] 0 or 1 [END 1]"}, {"role": "user", "content": "?"}],
    }
    assert answered(asked, always_good=True) == "[SCORE 1]\n1\n[END 1]"


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_held_to_a_schema_fits_it_and_is_made_of_the_prompt(seed: int) -> None:
    prompt = "<example>\nQuestion: Why?\nAnswer: Because of the moon.\n</example>\n\nWrite 5 new pairs."
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": LIST}}
    found = json.loads(answered(request(prompt, seed=seed, response_format=wanted)))
    assert found.keys() == {"pairs"}
    assert len(found["pairs"]) == 3
    for pair in found["pairs"]:
        assert pair["question"].endswith("Why?")
        assert pair["answer"] == "Because of the moon."
        assert pair["score"] in range(1, 6)
        assert pair["verdict"] in ("YES", "NO")


def test_what_a_schema_says_beyond_a_type_is_left_to_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "maxLength": 5}, "sure": {"type": "boolean"}},
    }
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    found = json.loads(answered(request("?", response_format=wanted)))
    assert len(found["answer"]) <= 5
    assert isinstance(found["sure"], bool)
    assert fitting(schema, 1).keys() == found.keys()
