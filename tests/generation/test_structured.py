"""Answers in JSON: what is read, what is dropped, and what is said about it."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.answer_schema import read_schema
from instructlab_like.generation.parse import read, reason
from instructlab_like.records import Completion

TEXT = {"type": "string"}
PAIR = {"type": "object", "properties": {"question": TEXT, "answer": TEXT, "score": {"type": "integer", "maximum": 5}}}
PAIRS = read_schema({"type": "object", "properties": {"pairs": {"type": "array", "items": PAIR}}}, str)
FEW = read_schema(
    {"type": "object", "properties": {"pairs": {"type": "array", "items": PAIR, "minItems": 2, "maxItems": 3}}}, str
)
VERDICT = read_schema(
    {
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": ["YES", "NO"]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "sure": {"type": "boolean"},
        },
    },
    str,
)
ONE = {"question": "Why?", "answer": "So.", "score": 3}
TWO = {"answer": "Ida", "score": 5, "question": "Who\n– é?"}
WHOLE = json.dumps({"pairs": [ONE, TWO]}, indent=1)
YES = '{"verdict": "YES", "score": 0.50, "sure": true}'


def texts(text: str, schema: str = PAIRS.text) -> list[tuple[int, str]]:
    return [(group.number, group.texts["question"]) for group in read(text, PAIRS.fields, schema).groups]


def why(text: str, schema: str = PAIRS.text) -> str:
    reading = read(text, PAIRS.fields, schema)
    assert not reading.groups
    return reason(Completion(key="k", text=text, finish_reason="stop"), PAIRS.fields, schema, reading.broken)


def test_an_array_gives_a_group_an_element_in_the_schemas_order() -> None:
    reading = read(WHOLE, PAIRS.fields, PAIRS.text)
    assert [(group.number, list(group.texts.items())) for group in reading.groups] == [
        (1, [("question", "Why?"), ("answer", "So."), ("score", "3")]),
        (2, [("question", "Who\n– é?"), ("answer", "Ida"), ("score", "5")]),
    ]
    assert reading.broken == 0


def test_an_object_of_scalars_is_one_group() -> None:
    reading = read(YES, VERDICT.fields, VERDICT.text)
    assert [(group.number, dict(group.texts)) for group in reading.groups] == [
        (1, {"verdict": "YES", "score": "0.5", "sure": "true"})
    ]


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        json.dumps({"pairs": [ONE, TWO]}),
        f"\n {WHOLE}\n",
        WHOLE.replace("\n", "\r\n"),
        f"```json\n{WHOLE}\n```",
        f"```\n{WHOLE}\n```\n",
        f"```JSON\r\n{WHOLE}\r\n```",
        f"```json\n{WHOLE}```",
        f"```json\n{WHOLE}",
        f"Here are the pairs:\n\n```json\n{WHOLE}\n```\nI hope this helps!",
        f"<think>\nPerhaps {{}}?\n</think>\n{WHOLE}",
        f"I should answer in JSON.\n</think>\n\n```json\n{WHOLE}\n```",
        WHOLE.replace("é", "\\u00e9"),
    ],
)
def test_thoughts_and_one_fence_are_removed(text: str) -> None:
    assert texts(text) == [(1, "Why?"), (2, "Who\n– é?")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Sure! " + WHOLE, "the answer is no JSON: Expecting value at line 1, column 1"),
        (WHOLE + "\nDone.", "the answer is no JSON: Extra data at line "),
        (WHOLE + WHOLE, "the answer is no JSON: Extra data at line "),
        (f"```json\n{WHOLE}\n```\n```json\n{WHOLE}\n```", "the answer is no JSON: Expecting value at line 1"),
        (f"Not {{}}:\n```\n{WHOLE}\n```", "the answer is no JSON: Expecting value at line 1"),
        (WHOLE.replace("]", "],"), "the answer is no JSON: "),
        (WHOLE.replace("},", "}"), "the answer is no JSON: "),
        (WHOLE.replace("3", "NaN"), "the answer is no JSON: NaN is no JSON"),
        (WHOLE.replace("3", "-Infinity"), "the answer is no JSON: -Infinity is no JSON"),
        (WHOLE.replace("3", "9" * 5_000), "the answer is no JSON: Exceeds the limit"),
        (WHOLE.replace('"', "'"), "the answer is no JSON: Expecting property name"),
        (WHOLE.replace("Why?", "Why\nso?"), "the answer is no JSON: Invalid control character at line"),
        ("[" * 100_000, "the answer is nested too deeply"),
        ('{"pairs": ' + "[" * 100_000, "the answer is nested too deeply"),
        ("[]", "the answer does not fit its schema: it is no object with the one property pairs, an array"),
        ("null", "the answer does not fit its schema: it is no object"),
        ('{"pairs": []}', "the answer's pairs is empty"),
        ('{"pairs": {}}', "the answer does not fit its schema: it is no object with the one property pairs, an array"),
        ('{"pairs": [], "more": 1}', "the answer does not fit its schema: it is no object with the one property"),
        (WHOLE[:-1] + ', "pairs": []}', "the answer does not fit its schema: it has 'pairs' twice"),
        (json.dumps([ONE, TWO]), "the answer does not fit its schema: it is no object with the one property"),
        ("I cannot do that.", "the answer is no JSON: Expecting value at line 1, column 1"),
    ],
)  # fmt: skip
def test_an_answer_that_is_wrong_as_a_whole_is_rejected_with_a_reason(text: str, told: str) -> None:
    assert why(text).startswith(told)


@pytest.mark.parametrize(
    ("element", "told"),
    [
        ('{"question": "Q", "answer": "A"}', "has no 'score'"),
        ('{"question": "Q", "answer": "A", "score": 3, "more": 1}', "has 'more', which was not asked for"),
        ('{"question": "Q", "answer": "A", "score": 3, "answer": "B"}', "has 'answer' twice"),
        ('{"question": "Q", "answer": "A", "score": 3, "answer": "A"}', "has 'answer' twice"),
        ('{"question": "Q", "answer": "A", "score": "3"}', "has 'score', which is a string, not a number"),
        ('{"question": "Q", "answer": "A", "score": true}', "has 'score', which is true or false, not a number"),
        ('{"question": "Q", "answer": "A", "score": 3.5}', "has 'score', which is 3.5, not a whole number"),
        ('{"question": "Q", "answer": "A", "score": 7}', "has 'score', which is 7, where it should be at most 5"),
        ('{"question": "Q", "answer": "A", "score": 1e999}', "has 'score', which is beyond all numbers"),
        ('{"question": "Q", "answer": null, "score": 3}', "has 'answer', which is null, not a string"),
        ('{"question": ["Q"], "answer": "A", "score": 3}', "has 'question', which is an array, not a string"),
        ('{"question": " ", "answer": "A", "score": 3}', "has 'question', which is empty"),
        ('{"question": "\\ud800", "answer": "A", "score": 3}', "has 'question', which holds half a character"),
        ('"Q"', "is no object"),
        ("[]", "is no object"),
    ],
)
def test_an_element_that_does_not_fit_is_dropped_by_itself(element: str, told: str) -> None:
    one = json.dumps(ONE)
    assert why(f'{{"pairs": [{element}]}}') == f"the answer does not fit its schema: pairs[1] {told}"
    reading = read(f'{{"pairs": [{one}, {element}, {one}]}}', PAIRS.fields, PAIRS.text)
    assert ([group.number for group in reading.groups], reading.broken) == ([1, 3], 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"verdict": "YES", "score": 0.5}', "it has no 'sure'"),
        ('{"verdict": "yes", "score": 0.5, "sure": true}', "it has 'verdict', which is 'yes', none of the values"),
        (
            '{"verdict": "YES", "score": 1.5, "sure": true}',
            "it has 'score', which is 1.5, where it should be at least 0",
        ),
        ('{"verdict": "YES", "verdict": "NO", "score": 0.5, "sure": true}', "it has 'verdict' twice"),
        ('{"verdict": "YES", "score": 0.5, "sure": 1}', "it has 'sure', which is a number, not true or false"),
        ('["YES", 0.5, true]', "it is no object"),
    ],
)
def test_an_object_that_does_not_fit_is_rejected(text: str, told: str) -> None:
    assert why(text, VERDICT.text).startswith(f"the answer does not fit its schema: {told}")


@pytest.mark.parametrize(("count", "kept"), [(1, 0), (2, 2), (3, 3), (4, 0)])
def test_an_array_has_as_many_elements_as_the_schema_wants(count: int, kept: int) -> None:
    text = json.dumps({"pairs": [ONE] * count})
    assert len(texts(text, FEW.text)) == kept
    if not kept:
        assert why(text, FEW.text) == (
            f"the answer does not fit its schema: pairs has {count}, where it should have at least 2 and at most 3"
        )


# --- answers that break off ---------------------------------------------------------------------------------------


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("indent", [None, 2])
def test_the_elements_before_the_end_of_an_answer_that_breaks_off_are_kept(indent: int | None) -> None:
    """Wherever it breaks off: an element is kept as soon as it is closed, and never before."""
    text = json.dumps({"pairs": [ONE, TWO, {**ONE, "question": 'A "quoted\\" é [x] {y}?'}]}, indent=indent)
    closed = [end for end in range(len(text)) if text[end - 1] == "}" and is_json(text[:end] + "]}")]
    for end in range(len(text)):
        reading = read(text[:end], PAIRS.fields, PAIRS.text)
        whole = sum(place <= end for place in closed)
        assert [group.number for group in reading.groups] == list(range(1, whole + 1))
        assert reading.broken in (0, 1)
    assert len(closed) == 3


def test_an_answer_that_breaks_off_says_so() -> None:
    cut = read(WHOLE[: WHOLE.index("Ida")], PAIRS.fields, PAIRS.text)
    assert ([group.number for group in cut.groups], cut.broken) == ([1], 1)
    told = reason(Completion(key="k", text='{"pairs": [{"qu', finish_reason="length"), PAIRS.fields, PAIRS.text, 1)
    assert told.startswith("the answer is no JSON: Unterminated string starting at line 1, column 13")
    assert told.endswith("; it was cut off at max_tokens")


@pytest.mark.parametrize(
    "text",
    [
        WHOLE[: WHOLE.index("Ida")].replace('"So."', '"So.'),
        WHOLE[: WHOLE.index("Ida")].replace('"score": 3', '"score" 3'),
        '{"pairs": [' + json.dumps(ONE) + ", 3",
        '{"pairs": [' + json.dumps(ONE) + ",]}",
        '{"pairs": [' + json.dumps(ONE) + "} {",
        '{"more": 1, "pairs": [' + json.dumps(ONE) + ', {"qu',
        '[' + json.dumps(ONE) + ', {"qu',
        '{"verdict": "YES", "score": 0.5',
    ],
)  # fmt: skip
def test_nothing_is_kept_of_an_answer_that_is_wrong_before_it_breaks_off(text: str) -> None:
    assert texts(text) == []
    assert why(text)


def test_too_many_elements_are_too_many_in_an_answer_that_breaks_off_as_well() -> None:
    text = json.dumps({"pairs": [ONE] * 5})
    assert texts(text[:-40], FEW.text) == []
    assert len(texts(text[: len(text) // 5 * 2], FEW.text)) == 1


# --- against the reference ----------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.sampled_from(["Q", "YES", "", " a "]), st.integers(-1, 7), st.booleans(), st.none(), st.just(0.5)
)
OBJECTS = st.dictionaries(st.sampled_from(["question", "answer", "score", "more"]), SCALARS, max_size=4)
ANSWERS = st.one_of(
    OBJECTS,
    SCALARS,
    st.fixed_dictionaries({"pairs": st.one_of(SCALARS, st.lists(st.one_of(OBJECTS, st.just(ONE)), max_size=4))}),
)


@settings(deadline=None, max_examples=300)
@given(ANSWERS)
def test_all_of_a_valid_answer_is_kept_and_none_of_an_element_that_is_not(answer: object) -> None:
    """But for texts that are empty: those are no texts here, as in tags."""
    schema = json.loads(PAIRS.text)
    reading = read(json.dumps(answer), PAIRS.fields, PAIRS.text)
    element = jsonschema.Draft202012Validator(schema["properties"]["pairs"]["items"])
    found = answer.get("pairs") if isinstance(answer, dict) and set(answer) == {"pairs"} else None
    elements = found if isinstance(found, list) else []
    valid = [
        number
        for number, one in enumerate(elements, start=1)
        if element.is_valid(one) and one["question"].strip() and one["answer"].strip()
    ]
    assert [group.number for group in reading.groups] == valid
    if jsonschema.Draft202012Validator(schema).is_valid(answer):
        assert reading.broken == len(elements) - len(valid)


@settings(deadline=None)
@given(st.text(alphabet='{}[]":,pairs question0.e-\\n`', max_size=120))
def test_any_text_is_read_or_has_a_reason(text: str) -> None:
    for schema in (PAIRS, VERDICT):
        reading = read(text, schema.fields, schema.text)
        assert reading.broken >= 0
        if not reading.groups:
            told = Completion(key="k", text=text, finish_reason="stop")
            assert reason(told, schema.fields, schema.text, reading.broken)
