"""The part of JSON Schema that a template may ask its answer in: read from a header, then values checked against it.

The root is an object, for servers demand one: of scalars, or with one property that is an array of objects of scalars.
An object holds all of its properties and no others. A scalar is a

- string: enum, minLength, maxLength, pattern
- integer or number: enum, minimum, maximum
- boolean: enum

An array has minItems and maxItems, and each part may have a description. A pattern is characters, escapes and
[classes], each with its repetition, between ^ and $; \\d, \\w and \\s are of ASCII, and there are no groups. One that
can match a text in many ways is refused, so that no answer keeps it busy.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NoReturn

from instructlab_like.errors import TemplateError

Place = tuple[str, ...]  # of keys, from the schema's root
Where = Callable[[Place], str]  # the position of a part in its file
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Properties = dict[str, dict[str, Json]]

FIELD = re.compile(r"[a-z_]{1,60}")
FIELDS, CHOICES = 20, 200  # properties of an object, values of an enum
LENGTH, NUMBER = 1_000_000, 10**15  # largest bounds
ANNOTATION = "description"
KEYWORDS: dict[str, tuple[str, ...]] = {  # of each type, in the order in which they are written
    "object": (ANNOTATION, "properties", "required", "additionalProperties"),
    "array": (ANNOTATION, "items", "minItems", "maxItems"),
    "string": (ANNOTATION, "enum", "minLength", "maxLength", "pattern"),
    "integer": (ANNOTATION, "enum", "minimum", "maximum"),
    "number": (ANNOTATION, "enum", "minimum", "maximum"),
    "boolean": (ANNOTATION, "enum"),
}
SCALARS = ("string", "integer", "number", "boolean")
LEAST, MOST = ("minItems", "minLength", "minimum"), ("maxItems", "maxLength", "maximum")
PIECE = re.compile(
    r"(?P<atom>\\[dwsDWS]|\\[^A-Za-z0-9]|\[\^?(?:\\[dwsDWS]|\\[^A-Za-z0-9]|[^\]\[\\])+\]|[^\\\[\](){}|^$*+?])"
    r"(?P<times>[?*+]|\{[0-9]{1,4}(?:,[0-9]{0,4})?\})?"
)
UNCLEAR = ("--", "&&", "||", "~~", "[[")  # in a class; some readers of patterns take them for set operations
WAYS = 10_000  # in which a pattern may match a text, that is steps of a search
FEW_WAYS = 20  # without the most variable of its parts, which may then be as long as an answer is


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnswerSchema:
    """A schema as it is sent, with all that was left out filled in, and the names of the texts a group holds."""

    text: str  # canonical JSON: keywords in one order, properties in the author's, for that is the order of an answer
    fields: tuple[str, ...]


def read_schema(told: object, where: Where) -> AnswerSchema:
    """Raises TemplateError, with the position, for what is no such schema."""
    return _Reader(where).schema(told)


class _Reader:
    def __init__(self, where: Where) -> None:
        self.where = where

    def schema(self, told: object) -> AnswerSchema:
        root = self.typed(told, (), ("object",))
        properties = self.properties(root, ())
        inner: Properties = {}
        made: Properties = {}
        for name, part in properties.items():
            place = ("properties", name)
            kind = self.typed(part, place, (*SCALARS, "array"))["type"]
            if kind != "array":
                made[name] = self.scalar(part, place)
            elif len(properties) > 1:
                self.refuse(place, "stands beside other properties, and it is an array", "ask for the array alone")
            else:
                made[name], inner = self.array(part, place)
        whole = self.closed(root, made)
        return AnswerSchema(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), tuple(inner or made))

    def array(self, told: object, place: Place) -> tuple[dict[str, Json], Properties]:
        """The array, and the properties of its elements."""
        array = self.typed(told, place, ("array",))
        if "items" not in array:
            self.refuse(place, "has no items", "say what an element is: items: {type: object, properties: …}")
        below = (*place, "items")
        element = self.typed(array["items"], below, ("object",))
        made = {
            name: self.scalar(part, (*below, "properties", name))
            for name, part in self.properties(element, below).items()
        }
        counts = self.bounds(array, place, whole=True)
        return self.ordered("array", array, {"items": self.closed(element, made), **counts}), made

    def closed(self, told: Mapping[str, object], made: Properties) -> dict[str, Json]:
        filled: dict[str, Json] = {"properties": {**made}, "required": list(made), "additionalProperties": False}
        return self.ordered("object", told, filled)

    def scalar(self, told: object, place: Place) -> dict[str, Json]:
        found = self.typed(told, place, SCALARS)
        kind = str(found["type"])
        made: dict[str, Json] = self.bounds(found, place, whole=kind != "number")
        if "pattern" in found:
            made["pattern"] = self.pattern(found["pattern"], made.get("maxLength"), (*place, "pattern"))
        if "enum" in found:
            made["enum"] = self.choices(found["enum"], (*place, "enum"), Scalar.of({"type": kind, **made}))
        return self.ordered(kind, found, made)

    def ordered(self, kind: str, told: Mapping[str, object], made: Mapping[str, Json]) -> dict[str, Json]:
        known: dict[str, Json] = {**made}
        if ANNOTATION in told:
            known[ANNOTATION] = str(told[ANNOTATION])
        return {"type": kind, **{word: known[word] for word in KEYWORDS[kind] if word in known}}

    # --- parts

    def typed(self, told: object, place: Place, kinds: Sequence[str]) -> Mapping[str, object]:
        """A part of one of these types, with no keyword that is not of its type."""
        if not isinstance(told, dict):
            self.refuse(place, "is no schema", f"write a mapping with a type: {', '.join(kinds)}")
        kind = told.get("type")
        if not isinstance(kind, str) or kind not in kinds:
            said = "has no type" if kind is None else f"has the type {_short(kind)}"
            here = (*place, "type") if "type" in told else place
            self.refuse(here, said, f"here it may be: {', '.join(kinds)}")
        for word in told:
            if word != "type" and word not in KEYWORDS[kind]:
                fix = f"what is, with type {kind}: {', '.join(KEYWORDS[kind])}"
                self.refuse((*place, str(word)), f"{_short(word)} is not supported here", fix)
        if not isinstance(told.get(ANNOTATION, ""), str):
            self.refuse((*place, ANNOTATION), "the description is no text", "put it in quotes")
        return told

    def properties(self, told: Mapping[str, object], place: Place) -> dict[str, object]:
        here = (*place, "properties")
        found = told.get("properties")
        if not isinstance(found, dict) or not found:
            self.refuse(here, "has no properties", "name at least one: properties: {question: {type: string}}")
        if len(found) > FIELDS:
            self.refuse(here, f"has more than {FIELDS} properties", "ask for less at a time")
        for name in found:
            if not isinstance(name, str) or not FIELD.fullmatch(name):
                fix = "name a property in letters from a to z and _, and in quotes where YAML reads it as yes or no"
                self.refuse((*here, str(name)), f"{_short(name)} cannot be the name of a property", fix)
        required = told.get("required", list(found))
        if not isinstance(required, list) or set(map(str, required)) != set(found):
            fix = "leave `required` out: every property is, for strict servers know no others"
            self.refuse((*place, "required"), "does not name all of the properties", fix)
        if told.get("additionalProperties", False) is not False:
            self.refuse((*place, "additionalProperties"), "further properties are not supported", "leave it out")
        return found

    def bounds(self, told: Mapping[str, object], place: Place, *, whole: bool) -> dict[str, Json]:
        made: dict[str, Json] = {}
        sides: list[float] = [-math.inf, math.inf]
        for word in told:
            if word not in (*LEAST, *MOST):
                continue
            bound = told[word]
            counts = word not in ("minimum", "maximum")
            if not isinstance(bound, int | float) or isinstance(bound, bool) or not abs(bound) <= NUMBER:
                self.refuse((*place, word), f"{_short(bound)} is no number up to 10¹⁵", "write one")
            if (whole and bound != int(bound)) or (counts and not 0 <= bound <= LENGTH):
                allowed = f"a whole number from 0 to {LENGTH}" if counts else "a whole number"
                self.refuse((*place, word), f"{_short(bound)} has no place here", f"write {allowed}")
            made[word] = _tidy(bound)
            sides[word in MOST] = bound
        if sides[0] > sides[1]:
            word = next(word for word in told if word in MOST)
            self.refuse((*place, word), "is below the least that is allowed", "change one of the two")
        return made

    def choices(self, told: object, place: Place, scalar: Scalar) -> list[Json]:
        if not isinstance(told, list) or not told or len(told) > CHOICES:
            self.refuse(place, f"is no list of 1 to {CHOICES} values", "name the values: enum: [low, high]")
        for value in told:
            if problem := scalar.problem(value):
                fix = "name values of the type; put yes, no and dates in quotes, for YAML reads them otherwise"
                self.refuse(place, f"one of its values {problem}", fix)
        made: list[Json] = [value if isinstance(value, str | bool) else _tidy(value) for value in told]
        if len(set(made)) < len(made):
            self.refuse(place, "names a value twice", "name each once")
        return made

    def pattern(self, told: object, longest: Json, place: Place) -> str:
        fix = "write characters, escapes and [classes] with repetitions between ^ and $, or an enum"
        if not isinstance(told, str) or len(told) > 500:
            self.refuse(place, "is no pattern of at most 500 characters", fix)
        try:
            ways = sorted(_ways(told, longest if isinstance(longest, int) else LENGTH))
        except (ValueError, re.error):
            self.refuse(place, f"{_short(told)} is not supported", fix)
        if math.prod(ways) > WAYS and math.prod(ways[:-1]) > FEW_WAYS:
            fix = "give the string a maxLength, and repeat fewer parts without a bound"
            self.refuse(place, f"{_short(told)} can match a text in too many ways", fix)
        return told

    def refuse(self, place: Place, what: str, fix: str) -> NoReturn:
        told = ".".join(("schema", *place))
        raise TemplateError(f"has a schema that cannot be used: {told}: {what}", where=self.where(place), fix=fix)


def _ways(pattern: str, longest: int) -> Iterator[int]:
    """For each piece of a pattern how many lengths it may have; raises ValueError for what is no such pattern.

    No piece is within another, so a search goes through the product of them at the most.
    """
    if not pattern.startswith("^") or not pattern.endswith("$") or any(pair in pattern for pair in UNCLEAR):
        raise ValueError
    _compiled(pattern)
    end = 1
    while end < len(pattern) - 1:
        piece = PIECE.match(pattern, end, len(pattern) - 1)
        if not piece:
            raise ValueError
        end = piece.end()
        times = piece["times"]
        if times == "?":
            yield 2
        elif times in ("*", "+"):
            yield longest + 1
        elif times and "," in times:
            low, high = times[1:-1].split(",")
            yield max(1, min(int(high or longest), longest) - int(low) + 1)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern[1:-1], re.ASCII)


def _tidy(number: int | float) -> int | float:
    """A whole number without the fraction that JSON does not need."""
    return int(number) if number == int(number) else number


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:59]}…"


# --- checking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    kind: str
    low: float = -math.inf  # of the number, or of the text's length
    high: float = math.inf
    choices: frozenset[str | int | float | bool] | None = None
    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, part: Mapping[str, Json]) -> Scalar:
        """Of a part of a schema that was read."""
        bounds = {word: bound for word, bound in part.items() if isinstance(bound, int | float)}
        enum, pattern = part.get("enum"), part.get("pattern")
        return cls(
            kind=str(part["type"]),
            low=next((bounds[word] for word in LEAST if word in bounds), -math.inf),
            high=next((bounds[word] for word in MOST if word in bounds), math.inf),
            choices=frozenset(map(_plain, enum)) if isinstance(enum, list) else None,
            pattern=_compiled(pattern) if isinstance(pattern, str) else None,
        )

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, if anything is."""
        kind = self.kind
        if kind == "string":
            if type(value) is not str:
                return f"is {_kind(value)}, not a string"
            if not self.low <= len(value) <= self.high:
                return f"has {len(value)} characters, {self.bounds}"
            if self.pattern and not self.pattern.fullmatch(value):
                return f"does not match ^{self.pattern.pattern}$"
        elif kind == "boolean":
            if type(value) is not bool:
                return f"is {_kind(value)}, not true or false"
        else:
            if not isinstance(value, int | float) or type(value) is bool:
                return f"is {_kind(value)}, not a number"
            if not abs(value) < math.inf:
                return "is beyond all numbers"
            if kind == "integer" and value != int(value):
                return f"is {_short(value)}, not a whole number"
            if not self.low <= value <= self.high:
                return f"is {_short(value)}, {self.bounds}"
        if self.choices is not None and value not in self.choices:
            return f"is {_short(value)}, none of the values to choose from"
        return None

    @property
    def bounds(self) -> str:
        told = [f"least {self.low:g}"] * (self.low > -math.inf) + [f"most {self.high:g}"] * (self.high < math.inf)
        return f"where it should be at {' and at '.join(told)}"

    def text(self, value: object) -> str:
        """A value without a problem, as it stands in JSON; a text without its outer blanks."""
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, bool):
            return "true" if value else "false"
        assert isinstance(value, int | float)
        return str(int(value)) if self.kind == "integer" else repr(value)


@dataclass(frozen=True)
class Form:
    """A schema to check answers against: the fields of a group; for an array also its name and how many it may hold."""

    fields: Mapping[str, Scalar]
    array: str | None = None
    least: float = 0
    most: float = math.inf


@lru_cache(maxsize=256)
def form(text: str) -> Form:
    """Of the text of a schema that `read_schema` wrote."""
    root = json.loads(text)["properties"]
    name, first = next(iter(root.items()))
    if first["type"] != "array":
        return Form({field: Scalar.of(part) for field, part in root.items()})
    fields = {field: Scalar.of(part) for field, part in first["items"]["properties"].items()}
    return Form(fields, array=name, least=first.get("minItems", 0), most=first.get("maxItems", math.inf))


def _plain(value: Json) -> str | int | float | bool:
    assert isinstance(value, str | int | float | bool)
    return value


def _kind(value: object) -> str:
    names: Mapping[type, Literal["a string", "a number", "true or false", "null", "an array", "an object"]] = {
        str: "a string", int: "a number", float: "a number", bool: "true or false", type(None): "null",
        list: "an array", dict: "an object",
    }  # fmt: skip
    return names.get(type(value), f"a {type(value).__name__}")
