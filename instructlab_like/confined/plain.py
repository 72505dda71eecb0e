"""Plain templates, whose worst case is linear in what they are given: texts, fields, conditions, loops, a few filters.

Who parsed a template tells its tree as a flat list of parts. Whoever gets the parts builds the tree from them, and has
it told once more: out of these few kinds of node nothing but a plain template can be built, whatever the parts say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jinja2 import nodes

from instructlab_like.confined.wire import FUNCTIONS, NUMBERS, Part

FILTERS = {"default": 2, "first": 0, "join": 1, "last": 0, "length": 0, "lower": 0, "trim": 0, "upper": 0}  # arguments
TESTS = frozenset(("defined", "none", "undefined"))
OPERATORS = frozenset(("eq", "ne", "gt", "gteq", "lt", "lteq"))
WORD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII | re.IGNORECASE)
LETTERS, LINES = 20_000, 20_000  # characters of all texts and names, and the last line that may have some
CONSTANT, SEPARATOR, NUMBER = 200, 20, 1_000_000  # characters of a text in an expression; how large a number may be
LINEAR = 20  # filters that go through the whole of a value
TURNING = 60  # parts inside loops: each is done in every turn
ELIFS = 20
STRINGS = frozenset((str,))
SCALARS = frozenset((str, int, float, bool, type(None)))

Built = nodes.Node | list[nodes.Node]


class NotPlainError(Exception):
    pass


def told(tree: nodes.Template) -> tuple[Part, ...] | None:
    """The parts of a tree that the sandbox has found sound, children before parents; None if it is not plain."""
    teller = _Teller()
    with suppress(NotPlainError):
        teller.block(tree.body)
        return tuple(teller.parts)
    return None


def built(parts: Sequence[Part]) -> nodes.Template:
    """The tree that is told in parts; raises NotPlainError where they do not fit together."""
    stack: list[Built] = []
    for part in parts:
        start = len(stack) - part.own
        if not 0 <= start <= len(stack):
            raise NotPlainError
        own = stack[start:]
        del stack[start:]
        stack.append(_built(part, own))
    if len(stack) != 1 or not isinstance(stack[0], list):
        raise NotPlainError
    return nodes.Template(stack[0], lineno=1)


def is_json(value: object) -> bool:
    """Whether a value would come out of JSON as it went in; a template can do nothing with such a one but read it."""
    if type(value) in SCALARS:
        return True
    waiting = [value]
    while waiting:
        piece = waiting.pop()
        if type(piece) is dict:
            if not STRINGS.issuperset(map(type, piece)):
                return False
            inner: Collection[object] = piece.values()
        elif type(piece) is list:
            inner = piece
        elif type(piece) in SCALARS:
            continue
        else:
            return False
        if not SCALARS.issuperset(map(type, inner)):
            waiting += inner
    return True


@dataclass
class _Teller:
    """Walks a tree. In a loop, only what is reached from its own variable may be gone through: in all turns together
    that is the looped list once, where any other value would be gone through in every turn."""

    parts: list[Part] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)  # variables of the loops around
    letters: int = 0
    linear: int = 0
    turning: int = 0

    def add(self, node: nodes.Node | int, kind: str, value: str | int | None = None, own: int = 0) -> None:
        line = node if isinstance(node, int) else node.lineno
        self.letters += len(value) if isinstance(value, str) else 0
        self.turning += bool(self.loops)
        _require(0 < line <= LINES and self.letters <= LETTERS and self.turning <= TURNING)
        self.parts.append(Part(kind, line, value, own))

    # --- statements

    def block(self, body: Sequence[nodes.Node]) -> None:
        _require(isinstance(body, list))
        for node in body:
            self.statement(node)
        self.add(1, "block", own=len(body))

    def statement(self, node: nodes.Node) -> None:
        match node:
            case nodes.Output(nodes=children):
                for child in children:
                    if type(child) is nodes.TemplateData:
                        self.add(child, "text", _text(child.data, LETTERS))
                    else:
                        self.expression(child)
                self.add(node, "print", own=len(children))
            case nodes.If(elif_=elifs):
                _require(
                    len(elifs) <= ELIFS and all(type(one) is nodes.If and not (one.elif_ or one.else_) for one in elifs)
                )
                self.expression(node.test)
                self.block(node.body)
                self.block(elifs)
                self.block(node.else_)
                self.add(node, "if", own=4)
            case nodes.For(target=nodes.Name() as target, test=None, recursive=False):
                self.loop(node, target)
            case _:
                raise NotPlainError

    def loop(self, node: nodes.For, target: nodes.Name) -> None:
        name = _word(target.name)
        path: nodes.Node = node.iter
        while isinstance(path, nodes.Getattr | nodes.Getitem):
            path = path.node
        _require(isinstance(path, nodes.Name) and (not self.loops or path.name == self.loops[-1]))
        self.expression(node.iter)
        self.loops.append(name)
        self.block(node.body)
        self.loops.pop()
        self.block(node.else_)
        self.add(node, "for", name, own=3)

    # --- expressions

    def expression(self, node: nodes.Node) -> None:
        match node:
            case nodes.Const(value=value):
                self.add(node, "const", _constant(value))
            case nodes.Neg(node=nodes.Const(value=int(value))) if not isinstance(value, bool):
                self.add(node, "const", _constant(-value))
            case nodes.Name(name=name, ctx="load"):
                self.add(node, "name", _word(name))
            case nodes.Getattr(node=nodes.Name(name="loop", ctx="load"), attr=attribute, ctx="load"):
                _require(bool(self.loops) and attribute in NUMBERS)
                self.add(node, "loop", attribute)
            case nodes.Getattr(node=of, attr=attribute, ctx="load"):
                self.expression(of)
                self.add(node, "field", _word(attribute), own=1)
            case nodes.Getitem(node=of, arg=key, ctx="load"):
                self.expression(of)
                self.key(key)
                self.add(node, "item", own=2)
            case nodes.CondExpr(test=test, expr1=one, expr2=other):
                expressions = [test, one, *([] if other is None else [other])]
                self.joint(node, "choice", expressions)
            case nodes.And(left=left, right=right):
                self.joint(node, "and", [left, right])
            case nodes.Or(left=left, right=right):
                self.joint(node, "or", [left, right])
            case nodes.Not(node=of):
                self.joint(node, "not", [of])
            case nodes.Compare(expr=expr, ops=operands):
                self.compare(node, expr, operands)
            case nodes.Filter():
                self.filter(node)
            case nodes.Test(node=of, name=name, args=[], kwargs=[], dyn_args=None, dyn_kwargs=None) if name in TESTS:
                self.expression(of)
                self.add(node, "test", name, own=1)
            case _:
                raise NotPlainError

    def joint(self, node: nodes.Node, kind: str, expressions: Sequence[nodes.Node]) -> None:
        for expression in expressions:
            self.expression(expression)
        self.add(node, kind, own=len(expressions))

    def key(self, node: nodes.Node) -> None:
        """A number, or a word that could also stand behind a dot."""
        self.expression(node)
        told = self.parts[-1]
        _require(told.kind == "const" and (type(told.value) is int or isinstance(_word(told.value), str)))

    def compare(self, node: nodes.Node, expr: nodes.Node, operands: Sequence[nodes.Operand]) -> None:
        """With constants, which ends at the first difference however long the other is."""
        self.expression(expr)
        varying = int(self.parts[-1].kind != "const")
        for operand in operands:
            _require(operand.op in OPERATORS)
            self.expression(operand.expr)
            varying += self.parts[-1].kind != "const"
            self.add(operand.expr, "operand", operand.op, own=1)  # Jinja knows no line of the other
        _require(varying < 2)
        self.add(node, "compare", own=1 + len(operands))

    def filter(self, node: nodes.Filter) -> None:
        arguments, start = node.args, len(self.parts)
        _require(len(arguments) <= FILTERS.get(node.name, -1))
        _require(not (node.kwargs or node.dyn_args or node.dyn_kwargs))
        assert node.node
        self.expression(node.node)
        if node.name != "length":
            self.linear += 1
            within = {part.value for part in self.parts[start:] if part.kind == "name"}
            _require(self.linear <= LINEAR and (not self.loops or within <= {self.loops[-1]}))
        if node.name == "join":  # a join of joined texts would multiply, and so would a long separator
            _require(all(part.kind in ("name", "field", "item", "const") for part in self.parts[start:]))
        for argument in arguments:
            self.expression(argument)
            _require(self.parts[-1].kind == "const")
            if node.name == "join":
                _text(self.parts[-1].value, SEPARATOR)
        self.add(node, "filter", node.name, own=1 + len(arguments))


def _require(condition: bool) -> None:
    if not condition:
        raise NotPlainError


def _text(value: object, most: int) -> str:
    _require(isinstance(value, str) and len(value) <= most)
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half a character, which no answer of a worker's can hold
        raise NotPlainError from error
    return text


def _word(value: object) -> str:
    """A name that is neither Python's own nor the sandbox's."""
    word = _text(value, CONSTANT)
    _require(bool(WORD.fullmatch(word)) and word not in FUNCTIONS and word != "loop")
    return word


def _constant(value: object) -> str | int | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        _require(abs(value) <= NUMBER)
        return value
    return _text(value, CONSTANT)


def _built(part: Part, own: Sequence[Built]) -> Built:
    line = part.line
    match part.kind, part.value, own:
        case "block", None, statements:
            return [_node(one) for one in statements]
        case "print", None, children:
            return nodes.Output([_expression(one) for one in children], lineno=line)
        case "if", None, [test, list(body), list(elifs), list(otherwise)]:
            return nodes.If(_expression(test), body, elifs, otherwise, lineno=line)
        case "for", str(name), [path, list(body), list(otherwise)]:
            target = nodes.Name(name, "store", lineno=line)
            return nodes.For(target, _expression(path), body, otherwise, None, False, lineno=line)
        case "operand", str(name), [of]:
            return nodes.Operand(name, _expression(of), lineno=line)
        case "compare", None, [of, *operands]:
            compared = [one for one in operands if isinstance(one, nodes.Operand)]
            _require(len(compared) == len(operands))
            return nodes.Compare(_expression(of), compared, lineno=line)
        case _:
            return _operation(part, [_expression(one) for one in own])


def _operation(part: Part, own: Sequence[nodes.Expr]) -> nodes.Expr:
    line = part.line
    match part.kind, part.value, own:
        case "text", str(text), []:
            return nodes.TemplateData(text, lineno=line)
        case "const", constant, []:
            return nodes.Const(constant, lineno=line)
        case "name", str(name), []:
            return nodes.Name(name, "load", lineno=line)
        case "loop", str(name), []:
            return nodes.Getattr(nodes.Name("loop", "load", lineno=line), name, "load", lineno=line)
        case "field", str(name), [of]:
            return nodes.Getattr(of, name, "load", lineno=line)
        case "item", None, [of, key]:
            return nodes.Getitem(of, key, "load", lineno=line)
        case "choice", None, [test, one]:
            return nodes.CondExpr(test, one, None, lineno=line)
        case "choice", None, [test, one, other]:
            return nodes.CondExpr(test, one, other, lineno=line)
        case "and", None, [left, right]:
            return nodes.And(left, right, lineno=line)
        case "or", None, [left, right]:
            return nodes.Or(left, right, lineno=line)
        case "not", None, [of]:
            return nodes.Not(of, lineno=line)
        case "test", str(name), [of]:
            return nodes.Test(of, name, [], [], None, None, lineno=line)
        case "filter", str(name), [of, *arguments]:
            return nodes.Filter(of, name, arguments, [], None, None, lineno=line)
        case _:
            raise NotPlainError


def _node(one: Built) -> nodes.Node:
    if isinstance(one, list):
        raise NotPlainError
    return one


def _expression(one: Built) -> nodes.Expr:
    if not isinstance(one, nodes.Expr):
        raise NotPlainError
    return one
