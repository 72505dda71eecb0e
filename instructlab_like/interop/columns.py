"""The columns of another tool's rows, as expressions over what a template of ours sees; and prompts put into them.

A field that a step will make has no name before the whole pipeline is known: in an expression it stands as a mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from instructlab_like.flows import LeafKind

PATH = re.compile(r"[a-z_]+(\[\d\]|\.[a-z_]+)*")  # an expression that needs no brackets
OPEN, CLOSE = "\ue000", "\ue001"  # around the number of a field; no column is called so
FIELD = re.compile(f"{OPEN}([0-9]+){CLOSE}")
WORDS = frozenset((  # of expressions
    "and", "else", "false", "if", "in", "is", "loop", "none", "not", "or", "true", "False", "None", "True",
    "dict", "namespace", "range",
))  # fmt: skip
STATEMENTS = frozenset((
    "if", "elif", "else", "endif", "for", "endfor", "set", "endset", "with", "endwith",
))  # fmt: skip
SECTION = re.compile(r"=== (?:system|user|assistant)[^\S\n]*$", re.MULTILINE)
PAIRS = 3  # that every seed example of a knowledge leaf has


@dataclass(frozen=True)
class Column:
    """A Jinja expression; the field that it is, if it is no more; the text that it always is, if it is known."""

    expression: str
    field: int | None = None
    constant: str | None = None
    parts: tuple[int, ...] = ()  # the fields that a blank line joins in it
    missing: str = ""  # why there is none

    @property
    def fields(self) -> frozenset[int]:
        """The fields that must be there before it is."""
        return frozenset(int(number) for number in FIELD.findall(self.expression))


Columns = Mapping[str, Column]


def of_field(number: int) -> Column:
    return Column(f"{OPEN}{number}{CLOSE}", field=number)


def of_text(text: str) -> Column:
    return Column(quoted(text), constant=text)


def quoted(text: str) -> str:
    """As a text in an expression."""
    return json.dumps(text, ensure_ascii=False)


def of_leaf(kind: LeafKind) -> dict[str, Column]:
    """The columns that rows of a leaf begin with."""
    told = {"leaf_node_path": 'leaf|replace("/", "_")'}
    if kind == "knowledge":
        told |= {"document": "passage", "document_outline": "outline", "domain": "domain"}
        told |= {"icl_document": "example.context"}
        for number in range(PAIRS):
            told[f"icl_query_{number + 1}"] = f"example.pairs[{number}].question"
            told[f"icl_response_{number + 1}"] = f"example.pairs[{number}].answer"
    else:
        first = "examples[0].pairs[0]"
        told |= {"task_description": "task", "seed_question": f"{first}.question", "seed_response": f"{first}.answer"}
    if kind == "grounded":
        told["seed_context"] = "examples[0].context"
    named = kind if kind == "knowledge" else f"{kind}_skill"
    return {name: Column(expression) for name, expression in told.items()} | {"leaf_node_type": of_text(named)}


def joined(columns: Sequence[Column], separator: str) -> Column:
    fields = tuple(column.field for column in columns if column.field is not None)
    whole = len(fields) == len(columns) and separator == "\n\n"
    pieces = f" ~ {quoted(separator)} ~ " if separator else " ~ "
    return Column(pieces.join(map(bracketed, columns)), parts=fields if whole else ())


def chosen(by: Column, among: Mapping[str, Column]) -> Column:
    """The column that a value chooses; the last where it has none of the values that are known."""
    if by.constant is not None:
        return among.get(by.constant, Column("", missing=f"there is nothing for {by.constant!r}"))
    *others, last = among.items()
    expression = bracketed(last[1])
    for value, column in reversed(others):
        expression = f"{bracketed(column)} if {equal(by, value)} else {expression}"
    return Column(expression)


def equal(by: Column, value: str) -> str:
    """The condition that a column has a value, whatever its case and the blanks around it."""
    return f"{bracketed(by)}|trim|lower == {quoted(value.strip().lower())}"


def bracketed(column: Column) -> str:
    simple = PATH.fullmatch(column.expression) or FIELD.fullmatch(column.expression) or column.constant is not None
    return column.expression if simple else f"({column.expression})"


def named(expression: str, fields: Mapping[int, str]) -> str:
    """The expression with its fields' names."""
    return FIELD.sub(lambda found: fields[int(found[1])], expression)


@dataclass(frozen=True)
class Shown:
    """What a prompt shows: columns, and names that no column has."""

    columns: frozenset[str]
    unknown: tuple[str, ...]
    assigned: frozenset[str]  # names that it gives values itself


class Source:
    """A prompt's Jinja, in pieces. Raises jinja2.TemplateSyntaxError for what cannot be cut into them."""

    def __init__(self, text: str) -> None:
        self.tokens = [(kind, value) for _, kind, value in jinja2.Environment().lex(text)]  # noqa: S701  # never rendered
        self.solid = [number for number, (kind, _) in enumerate(self.tokens) if kind != "whitespace"]

    def names(self) -> Iterator[tuple[int, str]]:
        """The tokens that may be a variable: no attribute, no filter, no test, no argument's name."""
        for place, number in enumerate(self.solid):
            kind, value = self.tokens[number]
            if kind != "name":
                continue
            before = self.beside(place - 1)
            after = self.beside(place + 1)
            statement = before[0] == "block_begin"
            called = before in (("operator", "."), ("operator", "|")) or before == ("name", "is")
            negated = before == ("name", "not") and self.beside(place - 2) == ("name", "is")
            argument = after == ("operator", "=") and not self.sets(place)
            if not (statement or called or negated or argument or after == ("operator", ":=")):
                yield number, value

    def beside(self, place: int) -> tuple[str, str]:
        return self.tokens[self.solid[place]] if 0 <= place < len(self.solid) else ("", "")

    def sets(self, place: int) -> bool:
        return self.beside(place - 1) in (("name", "set"), ("name", "with"))

    def strange(self) -> str:
        """The first statement that templates may not have; empty where there is none."""
        begun = (
            self.beside(place + 1) for place, number in enumerate(self.solid) if self.tokens[number][0] == "block_begin"
        )
        return next((value for kind, value in begun if kind == "name" and value not in STATEMENTS), "")

    def assigned(self) -> frozenset[str]:
        """Names that it gives values itself, in `set`, `with` and `for`."""
        found: set[str] = set()
        for place, number in enumerate(self.solid):
            kind, value = self.tokens[number]
            if kind == "name" and value in ("set", "with", "for") and self.beside(place - 1)[0] == "block_begin":
                for behind in range(place + 1, len(self.solid)):
                    one = self.beside(behind)
                    if one in (("name", "in"), ("operator", "=")) or one[0] == "block_end":
                        break
                    if one[0] == "name":
                        found.add(one[1])
        return frozenset(found)

    def shown(self, columns: Columns) -> Shown:
        """What it shows of these columns, and of what is none."""
        seen = {value for _, value in self.names()}
        own = self.assigned()
        strange = seen - columns.keys() - own - WORDS
        return Shown(frozenset(seen & columns.keys()), tuple(sorted(strange)), own & columns.keys())

    def put(self, expressions: Mapping[str, str]) -> str:
        """The same prompt with each column as its expression, line by line as it was, whatever stands at their ends."""
        places = dict(self.names())
        pieces = []
        for number, (kind, value) in enumerate(self.tokens):
            if number in places and value in expressions:
                pieces.append(self.bare(number, expressions[value]))
            elif kind in ("block_begin", "comment_begin", "raw_begin"):
                pieces.append(kept(value, "{%", "{#"))
            elif kind in ("block_end", "comment_end", "raw_end"):
                pieces.append(ended(kept(value, "{%", "{#")))
            elif kind == "data":
                pieces.append(SECTION.sub(lambda found: f'{{{{ "{found[0]}" }}}}', value))
            else:
                pieces.append(value)
        return "".join(pieces)

    def bare(self, number: int, expression: str) -> str:
        """With brackets, unless it stands alone or needs none."""
        place = self.solid.index(number)
        alone = self.beside(place - 1)[0] == "variable_begin" and self.beside(place + 1)[0] == "variable_end"
        return expression if alone or PATH.fullmatch(expression) else f"({expression})"


def kept(token: str, *begins: str) -> str:
    """A tag's opening so that the blanks before it stay, which templates of ours leave out otherwise."""
    for begin in begins:
        if token.startswith(begin) and token[2:3] not in ("-", "+"):
            return f"{begin}+{token[2:]}"
    return token


def ended(token: str) -> str:
    """Likewise its end, and the line behind it."""
    trimmed = token.rstrip()
    if trimmed.endswith(("%}", "#}")) and trimmed[-3:-2] not in ("-", "+"):
        return f"{trimmed[:-2]}+{trimmed[-2:]}{token[len(trimmed) :]}"
    return token
