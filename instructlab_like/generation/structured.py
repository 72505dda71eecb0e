"""Answers in JSON: strict, checked against the template's schema, and never repaired.

Removed are a model's thoughts (by the caller) and the fence around one block of code. An element of an array that does
not fit is dropped by itself, and an answer that breaks off keeps the elements that were closed before; where the JSON
is wrong in any other way nothing is kept, since nobody knows what belongs to what.

A text that stands where another should, in JSON that is right, cannot be told by any reader: elements bear no numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from instructlab_like.answer_schema import Form, Scalar, form

FENCE = re.compile(r"^[ \t]*```[ \t]*\w*[ \t]*\r?$", re.MULTILINE)
BLANK = " \t\r\n"  # of JSON
TAIL = 5  # characters in which an escape or a literal breaks off

Texts = Mapping[str, str]  # of a group, by field


@dataclass(frozen=True)
class Doubled:
    """Stands for an object that names a property twice."""

    name: str


def _object(pairs: list[tuple[str, object]]) -> object:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    return Doubled(next(name for name in names if names.count(name) > 1))


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def read_json(text: str, schema: str) -> tuple[list[tuple[int, Texts]], int]:
    """The groups of an answer with their numbers from 1, and how many more it began."""
    wanted = form(schema)
    found = _elements(unfenced(text), wanted)
    if isinstance(found, str):
        return [], int("{" in text)
    groups = [
        (number, texts)
        for number, element in enumerate(found.elements, start=1)
        if (texts := _texts(element, wanted.fields)) is not None
    ]
    return groups, len(found.elements) - len(groups) + found.cut


def problem(text: str, schema: str) -> str:
    """Why an answer gives no group."""
    wanted = form(schema)
    found = _elements(unfenced(text), wanted)
    if isinstance(found, str):
        return found
    for number, element in enumerate(found.elements, start=1):
        if told := _problem(element, wanted.fields):
            return f"the answer does not fit its schema: {f'{wanted.array}[{number}]' if wanted.array else 'it'} {told}"
    return "the answer breaks off in its first element" if found.cut else f"the answer's {wanted.array} is empty"


def unfenced(text: str) -> str:
    """What stands in the one block of code of an answer, or all of it."""
    text = text.strip()
    if "```" not in text:
        return text
    fences = list(FENCE.finditer(text))
    if not 1 <= len(fences) <= 2 or (len(fences) == 1 and fences[0].start()):
        return text
    if len(fences) == 1:
        return text[fences[0].end() :].removesuffix("```")
    first, last = fences
    around = text[: first.start()] + text[last.end() :]
    return text if "{" in around else text[first.end() : last.start()]


@dataclass(frozen=True)
class Found:
    """The elements of an answer, or it itself as one; `cut` is 1 if it breaks off within a further one."""

    elements: Sequence[object]
    cut: int = 0


def _elements(text: str, wanted: Form) -> Found | str:
    """What an answer holds, or why nothing in it can be used."""
    try:
        root = DECODER.decode(text)
    except RecursionError:
        return "the answer is nested too deeply"
    except ValueError as error:
        return _before_the_end(text, wanted) or f"the answer is no JSON: {_told(error)}"
    if wanted.array is None:
        return Found([root])
    if not isinstance(root, dict) or root.keys() != {wanted.array} or not isinstance(root[wanted.array], list):
        if isinstance(root, Doubled):
            return f"the answer does not fit its schema: it has {root.name!r} twice"
        return f"the answer does not fit its schema: it is no object with the one property {wanted.array}, an array"
    elements = root[wanted.array]
    if not wanted.least <= len(elements) <= wanted.most:
        most = f" and at most {wanted.most:g}" if wanted.most < math.inf else ""
        told = f"{wanted.array} has {len(elements)}, where it should have at least {wanted.least:g}{most}"
        return f"the answer does not fit its schema: {told}"
    return Found(elements)


def _told(error: ValueError) -> str:
    """What the decoder says, without its position in characters."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}"
    return str(error).partition(";")[0]


def _before_the_end(text: str, wanted: Form) -> Found | None:
    """The elements that are whole in an answer that only breaks off; None for one that is wrong in another way."""
    opened = wanted.array and re.match(rf'[{BLANK}]*{{[{BLANK}]*"{wanted.array}"[{BLANK}]*:[{BLANK}]*\[', text)
    if not opened:
        return None
    elements: list[object] = []
    place = _past(text, opened.end())
    while place < len(text):
        if text[place] != "{":
            return None
        try:
            element, place = DECODER.raw_decode(text, place)
        except RecursionError:
            return None
        except json.JSONDecodeError as error:
            cut = error.pos >= len(text.rstrip(BLANK)) - TAIL or error.msg.startswith("Unterminated string")
            return _few_enough(Found(elements, cut=1), wanted) if cut else None
        except ValueError:
            return None
        elements.append(element)
        place = _past(text, place)
        if text[place : place + 1] == "]":
            return _few_enough(Found(elements), wanted) if _past(text, place + 1) == len(text) else None
        if text[place : place + 1] not in (",", ""):
            return None
        place = _past(text, place + 1)
    return _few_enough(Found(elements), wanted)


def _few_enough(found: Found, wanted: Form) -> Found | None:
    """Nothing if there are more than the schema allows; that there are too few is what breaking off means."""
    return found if found.elements and len(found.elements) <= wanted.most else None


def _past(text: str, place: int) -> int:
    """The place of the next character that is no blank."""
    while place < len(text) and text[place] in BLANK:
        place += 1
    return place


def _texts(element: object, fields: Mapping[str, Scalar]) -> Texts | None:
    """The texts of an element, in the schema's order; None if it does not fit."""
    if type(element) is not dict or element.keys() != fields.keys():
        return None
    texts = {}
    for name, scalar in fields.items():
        value = element[name]
        if scalar.problem(value):
            return None
        text = texts[name] = scalar.text(value)
        if not text or not _encodable(text):
            return None
    return texts


def _problem(element: object, fields: Mapping[str, Scalar]) -> str | None:
    if isinstance(element, Doubled):
        return f"has {element.name!r} twice"
    if not isinstance(element, dict):
        return "is no object"
    if missing := [name for name in fields if name not in element]:
        return f"has no {missing[0]!r}"
    if more := [name for name in element if name not in fields]:
        return f"has {more[0][:60]!r}, which was not asked for"
    for name, scalar in fields.items():
        if told := scalar.problem(element[name]):
            return f"has {name!r}, which {told}"
        text = scalar.text(element[name])
        if not text:
            return f"has {name!r}, which is empty"
        if not _encodable(text):
            return f"has {name!r}, which holds half a character"
    return None


def _encodable(text: str) -> bool:
    """An escape such as \\ud800 gives what no encoding takes."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
