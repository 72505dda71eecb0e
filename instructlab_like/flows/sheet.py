"""A flow's YAML as texts with their lines, and what is said of a place that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from instructlab_like.errors import RecipeError, position
from instructlab_like.flows.steps import (
    CONDITIONS,
    STEPS,
    TESTS,
    UNIONS,
    Limits,
    Plan,
)
from instructlab_like.recipe import FilterChoice

LARGEST, BRACKETS = 64_000, 400  # bytes of a flow's file, and opening brackets in it

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Sheet:
    """A flow's YAML as texts (YES is a word here, not a truth value), and the line of each."""

    path: Path
    value: object
    lines: Mapping[Place, tuple[int, int]]

    def at(self, *place: str | int) -> str:
        """The position of a value, or of the nearest one around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return position(self.path, *self.lines.get(place, (1, 1)))

    def plan(self) -> Plan:
        try:
            return Plan.model_validate(self.value)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            problem = next((one for one in problems if unknown(one["type"], one["loc"])), problems[0])
            place = tuple(part for part in problem["loc"] if part not in STEPS and not str(part).startswith(UNIONS))
            if unknown(problem["type"], problem["loc"]):
                raise self.unknown(place, problem["loc"]) from error
            field = ".".join(str(part) for part in place)
            limits = (one for one in problems if one["loc"][-1] in TESTS or one["type"] == "value_error")
            limits = (one for one in limits if one["type"] != "extra_forbidden")  # each member's of the others' fields
            said = next(limits, problem)["msg"].removeprefix("Value error, ")
            if len(place) > 3 and place[2] in CONDITIONS and said == problem["msg"] and problem["type"] == "tuple_type":
                said = "is neither a list of words, nor at_least or at_most with a number, nor same_as with a field"
            if place[:1] == ("axes",) and said == problem["msg"]:
                said = "is no list of values, no names with texts, no file, and no from: with one word"
            raise RecipeError(
                f"{field}: {said}" if field else said,
                where=self.at(*place),
                fix=f"a flow holds {', '.join(Plan.model_fields)}; docs/flows.md shows every field of a step",
            ) from error

    def unknown(self, place: Place, told: Place) -> RecipeError:
        """What is said of a key that nothing reads, with the nearest that is read in its place."""
        holder: type[BaseModel] = Plan if len(place) == 1 else STEPS[str(told[2])]
        if len(place) > 3:
            holder = Limits if place[2] in CONDITIONS else FilterChoice
        known = [field.alias or name for name, field in holder.model_fields.items()]
        known = list(TESTS) if holder is Limits else known
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return RecipeError(f"there is no field {place[-1]!r}", where=self.at(*place), fix=hint)


def unknown(kind: str, place: Place) -> bool:
    """Whether a key is one that nothing reads: a condition's members do not know one another's."""
    return kind == "extra_forbidden" and not (place[-1] in TESTS and {*CONDITIONS} & {*place})


def read(data: bytes, path: Path) -> Sheet:
    if len(data) > LARGEST:
        raise RecipeError(f"holds more than {LARGEST} bytes", where=str(path), fix="a flow is a short file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("is not UTF-8 text", where=str(path), fix="save the flow as UTF-8") from error
    if text.count("[") + text.count("{") > BRACKETS:
        raise RecipeError("has too many brackets", where=str(path), fix="a flow is a short file")
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        lines: dict[Place, tuple[int, int]] = {}
        return Sheet(path, plain(root, (), lines, path), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = position(path, mark.line + 1, mark.column + 1) if mark else str(path)
        raise RecipeError(f"is not valid YAML: {error.problem}", where=where, fix="correct the YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"is not valid YAML: {error}", where=str(path), fix="correct the YAML") from error


def plain(node: yaml.Node | None, place: Place, lines: dict[Place, tuple[int, int]], path: Path) -> object:
    if node is None:
        raise RecipeError("is empty", where=str(path), fix="a flow holds purpose, leaves and steps")
    if place in lines or len(place) > 8:  # an alias is the only way back to a place; nothing of a flow is so deep
        raise RecipeError("is nested too deeply", where=str(path), fix="write it out")
    lines[place] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [plain(child, (*place, number), lines, path) for number, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    found: dict[str, object] = {}
    for key, value in node.value:
        where = position(path, key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise RecipeError("has a key that is no word", where=where, fix="write names as keys")
        if key.value in found:
            raise RecipeError(f"says {key.value!r} twice", where=where, fix="keep one of them")
        found[str(key.value)] = plain(value, (*place, str(key.value)), lines, path)
        lines[(*place, str(key.value))] = (key.start_mark.line + 1, key.start_mark.column + 1)
    return found
