"""As much of Go's text/template as the Modelfiles here use: range, if and else if with eq, end, fields, strings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

ACTION = re.compile(r"{{(.*?)}}", re.DOTALL)


def rendered(template: str, messages: Sequence[dict[str, str]]) -> str:
    """The template over `.Messages`. Raises ValueError for anything that this does not know."""
    tokens = list(cut(template))
    turns = [{name.capitalize(): told for name, told in message.items()} for message in messages]
    text, rest = block(tokens, {"Messages": turns})
    if rest:
        raise ValueError(f"an end too many: {rest[0]}")
    return text


def cut(template: str) -> Iterator[tuple[str, str]]:
    at = 0
    for action in ACTION.finditer(template):
        if template[at : action.start()]:
            yield "text", template[at : action.start()]
        inside = action[1]
        if inside.startswith("-") or inside.endswith("-"):
            raise ValueError("trims spaces, which is not known here")
        yield "action", inside.strip()
        at = action.end()
    if template[at:]:
        yield "text", template[at:]


def block(tokens: list[tuple[str, str]], dot: dict[str, object]) -> tuple[str, list[tuple[str, str]]]:
    """What stands up to the end of a block, written, and what follows."""
    made = []
    while tokens:
        kind, told = tokens[0]
        if kind == "action" and (told == "end" or told.startswith("else")):
            return "".join(made), tokens
        tokens = tokens[1:]
        if kind == "text":
            made.append(told)
        elif told.startswith("range ."):
            inside = tokens
            for one in dot[told.removeprefix("range .")]:  # type: ignore[attr-defined]
                text, tokens = block(inside, one)
                made.append(text)
            tokens = after(tokens)
        elif told.startswith("if "):
            text, tokens = choice(told.removeprefix("if "), tokens, dot)
            made.append(text)
        elif told.startswith('"'):
            made.append(json.loads(told))
        elif told.startswith("."):
            made.append(str(dot[told[1:]]))
        else:
            raise ValueError(f"is not known here: {told}")
    return "".join(made), []


def choice(condition: str, tokens: list[tuple[str, str]], dot: dict[str, object]) -> tuple[str, list[tuple[str, str]]]:
    told = re.fullmatch(r'eq \.(\w+) "(\w+)"', condition)
    if told is None:
        raise ValueError(f"is not known here: {condition}")
    holds = dot[told[1]] == told[2]
    text, tokens = block(tokens, dot)
    other = ""
    if tokens[0][1].startswith("else if "):
        other, tokens = choice(tokens[0][1].removeprefix("else if "), tokens[1:], dot)
        return (text if holds else other), tokens
    return (text if holds else other), after(tokens)


def after(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if not tokens or tokens[0] != ("action", "end"):
        raise ValueError("a block without its end")
    return tokens[1:]
