"""The schemas that a template may ask an answer in, and values checked against them as JSON Schema says."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.answer_schema import Place, Scalar, form, read_schema
from instructlab_like.errors import TemplateError

TEXT = {"type": "string"}


def where(place: Place) -> str:
    return "mine.j2:" + ".".join(place)


def root(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def text(schema: object) -> str:
    return read_schema(schema, where).text


def refusal(schema: object) -> str:
    with pytest.raises(TemplateError) as raised:
        read_schema(schema, where)
    assert raised.value.fix
    return f"{raised.value.where}: {raised.value.what.removeprefix('has a schema that cannot be used: ')}"


def test_what_strict_servers_want_is_filled_in() -> None:
    assert json.loads(text(root(question=TEXT, score={"type": "integer"}))) == {
        "type": "object",
        "properties": {"question": TEXT, "score": {"type": "integer"}},
        "required": ["question", "score"],
        "additionalProperties": False,
    }


def test_the_order_of_the_properties_is_the_authors_and_that_of_the_keywords_is_ours() -> None:
    one = {"properties": {"b": {"maxLength": 9, "type": "string"}, "a": TEXT}, "type": "object", "description": "é"}
    other = {"description": "é", "type": "object", "properties": {"b": {"type": "string", "maxLength": 9.0}, "a": TEXT}}
    assert text(one) == text(other)
    assert read_schema(one, where).fields == ("b", "a")
    assert text(root(a=TEXT, b=TEXT)) != text(root(b=TEXT, a=TEXT))


def test_an_array_of_objects_gives_the_fields_of_its_elements() -> None:
    pairs = {"type": "array", "items": root(question=TEXT, answer=TEXT), "minItems": 1, "maxItems": 5}
    read = read_schema(root(pairs=pairs), where)
    assert read.fields == ("question", "answer")
    assert json.loads(read.text)["properties"]["pairs"]["items"]["required"] == ["question", "answer"]
    assert (form(read.text).array, form(read.text).least, form(read.text).most) == ("pairs", 1, 5)


def test_a_schema_that_was_read_is_read_as_itself() -> None:
    pairs = {"type": "array", "items": root(a={"type": "string", "enum": ["x", "y"], "description": "one of two"})}
    written = text(root(pairs=pairs))
    assert text(json.loads(written)) == written


SCORE = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "mine.j2:: schema: is no schema"),
        ({}, "mine.j2:: schema: has no type"),
        ({"type": "array", "items": root(a=TEXT)}, "mine.j2:type: schema.type: has the type 'array'"),
        ({"type": ["object"], "properties": {"a": TEXT}}, "mine.j2:type: schema.type: has the type ['object']"),
        ({"type": "object"}, "mine.j2:properties: schema.properties: has no properties"),
        (root(), "mine.j2:properties: schema.properties: has no properties"),
        (root(A=TEXT), "mine.j2:properties.A: schema.properties.A: 'A' cannot be the name"),
        (root(**{"a" * 61: TEXT}), f"mine.j2:properties.{'a' * 61}: "),
        (root(**{f"a{'b' * n}": TEXT for n in range(21)}), "mine.j2:properties: schema.properties: has more than 20"),
        ({**root(a=TEXT), "title": "x"}, "mine.j2:title: schema.title: 'title' is not supported here"),
        ({**root(a=TEXT), "$defs": {}}, "mine.j2:$defs: schema.$defs: '$defs' is not supported here"),
        ({**root(a=TEXT, b=TEXT), "required": ["a"]}, "mine.j2:required: schema.required: does not name all"),
        ({**root(a=TEXT), "additionalProperties": True}, "mine.j2:additionalProperties: "),
        (root(a={"type": "null"}), "mine.j2:properties.a.type: schema.properties.a.type: has the type 'null'"),
        (root(a=root(b=TEXT)), "mine.j2:properties.a.type: schema.properties.a.type: has the type 'object'"),
        (root(a={"enum": ["x"]}), "mine.j2:properties.a: schema.properties.a: has no type"),
        (root(a={"type": "array", "items": TEXT}), "mine.j2:properties.a.items.type: "),
        (root(a={"type": "array"}), "mine.j2:properties.a: schema.properties.a: has no items"),
        (root(a={"type": "array", "items": root(b=TEXT)}, c=TEXT), "mine.j2:properties.a: schema.properties.a: stands"),
        (root(a={"type": "array", "items": root(b={"type": "array", "items": root(c=TEXT)})}), "mine.j2:properties.a."),
        (root(a={**TEXT, "format": "date"}), "mine.j2:properties.a.format: "),
        (root(a={**TEXT, "minimum": 1}), "mine.j2:properties.a.minimum: "),
        (root(a={**TEXT, "minLength": -1}), "mine.j2:properties.a.minLength: "),
        (root(a={**TEXT, "minLength": 1.5}), "mine.j2:properties.a.minLength: "),
        (root(a={**TEXT, "maxLength": True}), "mine.j2:properties.a.maxLength: "),
        (root(a={**TEXT, "minLength": 5, "maxLength": 4}), "mine.j2:properties.a.maxLength: "),
        (root(a={**TEXT, "description": 5}), "mine.j2:properties.a.description: "),
        (root(a={**SCORE, "minimum": "1"}), "mine.j2:properties.a.minimum: "),
        (root(a={**SCORE, "minimum": 0.5}), "mine.j2:properties.a.minimum: "),
        (root(a={"type": "number", "maximum": float("inf")}), "mine.j2:properties.a.maximum: "),
        (root(a={"type": "number", "maximum": 10**400}), "mine.j2:properties.a.maximum: "),
        (root(a={"type": "number", "maximum": float("nan")}), "mine.j2:properties.a.maximum: "),
        (root(a={**TEXT, "enum": []}), "mine.j2:properties.a.enum: "),
        (root(a={**TEXT, "enum": "x"}), "mine.j2:properties.a.enum: "),
        (root(a={**TEXT, "enum": [True]}), "mine.j2:properties.a.enum: schema.properties.a.enum: one of its values"),
        (root(a={**TEXT, "enum": ["x", "x"]}), "mine.j2:properties.a.enum: schema.properties.a.enum: names a value"),
        (root(a={**TEXT, "enum": ["long"], "maxLength": 3}), "mine.j2:properties.a.enum: "),
        (root(a={**SCORE, "enum": [1, 7], "maximum": 5}), "mine.j2:properties.a.enum: "),
        (root(a={"type": "boolean", "enum": [1]}), "mine.j2:properties.a.enum: "),
        (root(a={**TEXT, "pattern": 5}), "mine.j2:properties.a.pattern: "),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_told_with_its_place(schema: object, said: str) -> None:
    assert refusal(schema).startswith(said)


# --- patterns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z][a-z]+$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^[^?]+\?$",
        "^yes$",
        "^[a-zäöü ]*$",
        r"^\S+ \S+$",
        r"^[\w.-]{1,20}@[\w.-]{1,20}$",
    ],
)
def test_a_pattern_of_simple_parts_is_taken(pattern: str) -> None:
    longest = {} if pattern != r"^\S+ \S+$" else {"maxLength": 80}
    assert json.loads(text(root(a={**TEXT, **longest, "pattern": pattern})))["properties"]["a"]["pattern"] == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "a+", "^a", "a$", "^(a+)+$", "^(a|a)*$", "^(?=a)$", "^a|b$", "^a*?b$", "^a++$", r"^(a)\1$", r"^\bx$", "^a{,3}$",
        "^[a$", "^[b-a]$", "^a{3,1}$", "^a**$", "^[[:alpha:]]$", "^[a--b]$", "^[a&&b]$", "^a{99999}$", r"^\p{L}$", "^",
        "$", "^a^b$", "^a$b$", "^" + "a" * 500 + "$",
    ],
)  # fmt: skip
def test_a_pattern_with_more_in_it_is_refused(pattern: str) -> None:
    assert refusal(root(a={**TEXT, "pattern": pattern})).startswith("mine.j2:properties.a.pattern: ")


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("^a*a*b$", None), ("^a*a*a*b$", 100), (r"^\w+\s*\w+$", None), ("^" + "a?" * 20 + "b$", 100),
        ("^.{0,200}.{0,200}$", 500),
    ],
)  # fmt: skip
def test_a_pattern_that_matches_in_many_ways_is_refused(pattern: str, longest: int | None) -> None:
    part = {**TEXT, "pattern": pattern, **({"maxLength": longest} if longest else {})}
    assert "can match a text in too many ways" in refusal(root(a=part))


ATOMS = st.sampled_from(["a", ".", r"\w", "[ab]", "[^c]", r"\d"])
TIMES = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,3}", "{0,60}", "{2,}"])


@pytest.mark.timeout(120)  # where one that is catastrophic takes hours
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(ATOMS, TIMES), max_size=8), st.sampled_from([None, 10, 80]))
def test_no_pattern_that_is_taken_is_busy_for_long(parts: list[tuple[str, str]], longest: int | None) -> None:
    part = {**TEXT, "pattern": f"^{''.join(map(''.join, parts))}b$", **({"maxLength": longest} if longest else {})}
    try:
        scalar = form(text(root(a=part))).fields["a"]
    except TemplateError:
        return
    scalar.problem("a" * (longest or 20_000))


# --- values -----------------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.builds(
        lambda low, more, pattern: {"type": "string", "minLength": low, "maxLength": low + more, **pattern},
        st.integers(0, 4), st.integers(0, 4), st.sampled_from([{}, {"pattern": "^[a-c]*$"}, {"pattern": r"^a.{1,3}$"}]),
    ),
    st.builds(
        lambda kind, low, more: {"type": kind, "minimum": low, "maximum": low + more},
        st.sampled_from(["integer", "number"]), st.integers(-3, 3), st.integers(0, 5),
    ),
    st.sampled_from(
        [
            {"type": "string", "enum": ["a", "b", ""]},
            {"type": "integer", "enum": [1, 2.0]},
            {"type": "number", "enum": [0.5, 3]},
            {"type": "boolean"},
            {"type": "boolean", "enum": [True]},
        ]
    ),
)  # fmt: skip
VALUES = st.one_of(
    st.text("abc\n", max_size=6), st.integers(-5, 9), st.sampled_from([0.5, 1.0, 2.5, 3.0, -0.0, 1e300]),
    st.booleans(), st.none(), st.just([]), st.just({}),
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(SCALARS, VALUES)
def test_a_value_fits_if_and_only_if_it_is_valid(part: dict[str, object], value: object) -> None:
    schema = json.loads(text(root(a=part)))["properties"]["a"]
    valid = jsonschema.Draft202012Validator(schema).is_valid(value)
    if isinstance(value, str) and value.endswith("\n") and "pattern" in schema:
        # Python's $ matches before a last line end, JSON Schema's does not.
        valid = valid and re.fullmatch(str(schema["pattern"])[1:-1], value) is not None
    assert (Scalar.of(schema).problem(value) is None) == valid


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("string", " é\n", "é"),
        ("string", "3", "3"),
        ("integer", 3, "3"),
        ("integer", 3.0, "3"),
        ("integer", -(10**30), "-1" + "0" * 30),
        ("number", 0.5, "0.5"),
        ("number", 3, "3"),
        ("number", 1e22, "1e+22"),
        ("boolean", True, "true"),
        ("boolean", False, "false"),
    ],
)
def test_a_value_becomes_the_text_that_it_is_in_json(kind: str, value: object, written: str) -> None:
    scalar = Scalar(kind)
    assert scalar.problem(value) is None
    assert scalar.text(value) == written


def test_what_is_wrong_with_a_value_is_told() -> None:
    assert Scalar("string").problem(3) == "is a number, not a string"
    assert (
        Scalar("string", low=2, high=3).problem("a") == "has 1 characters, where it should be at least 2 and at most 3"
    )
    assert Scalar("integer", high=5).problem(7) == "is 7, where it should be at most 5"
    assert Scalar("integer").problem(0.5) == "is 0.5, not a whole number"
    assert Scalar("number").problem(True) == "is true or false, not a number"
    assert Scalar("number").problem(float("nan")) == "is beyond all numbers"
    assert Scalar("boolean").problem(None) == "is null, not true or false"
    assert Scalar("string", choices=frozenset({"a"})).problem("b") == "is 'b', none of the values to choose from"
