"""The codes of all findings that the source can make, read off the source itself.

A code stands where a finding is told (`found.error(at, CODE, …)`), or in what becomes a finding: a record or function
with a field or parameter called `code`. From there its value is followed back to the texts that it can be.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from yamllint.config import YamlLintConfig

import instructlab_like
from instructlab_like.checking.yaml_style import DUPLICATE, PROFILE

PACKAGE = Path(instructlab_like.__file__).parent
ROOMS = ("taxonomy", "checking")
NOT_FINDINGS = (
    "checking/repair",
    "checking/forms",
    "checking/codes",
)  # they print findings, or have codes of their own
TELLERS = ("error", "warning", "tell")
KEBAB = re.compile(r"[a-z]+(-[a-z]+)*")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            name = file.relative_to(PACKAGE).with_suffix("").as_posix()
            if not name.startswith(NOT_FINDINGS):
                yield name, ast.parse(file.read_text(encoding="utf-8"))


@cache
def emitted() -> dict[str, set[str]]:
    """Each code, with the modules that can make a finding of it."""
    modules = dict(sources())
    takers = {name: index for module in modules.values() for name, index in _takers(module)}
    found: dict[str, set[str]] = {}
    for name, module in modules.items():
        for call, scope in _calls(module, module):
            for expression in _code_of(call, takers):
                for code in _Follower(name, module, scope).values(expression):
                    found.setdefault(code, set()).add(name)
    return found


def _takers(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Records and functions that take a code, with its position among their arguments."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            fields = [part.target.id for part in node.body if isinstance(part, ast.AnnAssign)]
            if "code" in fields:
                yield node.name, fields.index("code")
        elif isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
            if "code" in names and node.name not in TELLERS:
                yield node.name, names.index("code")


def _calls(module: ast.Module, scope: ast.AST) -> Iterator[tuple[ast.Call, ast.AST]]:
    for child in ast.iter_child_nodes(scope):
        inner = child if isinstance(child, ast.FunctionDef) else scope
        if isinstance(child, ast.Call):
            yield child, scope
        for call, place in _calls(module, child):
            yield call, place if isinstance(place, ast.FunctionDef) else inner


def _code_of(call: ast.Call, takers: dict[str, int]) -> Iterator[ast.expr]:
    """The expressions that stand for a code in a call."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    index = 1 if name in TELLERS else takers.get(name)
    if index is None:
        return
    yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")
    arguments = list(call.args)
    if arguments and isinstance(arguments[0], ast.Starred):  # `Problem(*position, code, …)`: a line and a column
        arguments[:1] = [ast.Constant(None), ast.Constant(None)]
    if len(arguments) > index and (name in TELLERS or len(arguments) > 1):
        yield arguments[index]


class _Follower:
    """Follows an expression in a function to the texts that it can be."""

    def __init__(self, name: str, module: ast.Module, scope: ast.AST) -> None:
        self.name = name
        self.module = module
        self.scope = scope

    def values(self, expression: ast.expr) -> set[str]:
        match expression:
            case ast.Constant(value=str() as text):
                assert KEBAB.fullmatch(text), f"{self.name}: {text!r} is no code"
                return {text}
            case ast.IfExp():
                return self.values(expression.body) | self.values(expression.orelse)
            case ast.BoolOp():
                return set().union(*map(self.values, expression.values))
            case ast.Attribute(attr="code"):
                return set()  # of a record: told where the record is made
            case ast.Attribute(attr="rule"):
                return set(YamlLintConfig(PROFILE).rules) - {DUPLICATE} - _switched_off()
            case ast.Call(func=ast.Attribute(attr="replace")):
                return {group.replace("_", "-") for group in _groups(self.module)}
            case ast.Name(id=name):
                return self.named(name)
        raise AssertionError(f"{self.name}: no telling which codes {ast.unparse(expression)!r} can be")

    def named(self, name: str) -> set[str]:
        """What a name can be: a parameter called `code` is told by the callers."""
        if name == "code" and name in _parameters(self.scope):
            return set()
        found = [*_assigned(self.scope, name), *_assigned(self.module, name, deep=False)]
        if found:
            return set().union(*map(self.values, found))
        position = _loop_position(self.scope, name)
        assert position, f"{self.name}: no telling which codes {name!r} can be"
        told = [part for part in ast.walk(self.module) if isinstance(part, ast.Tuple) and len(part.elts) == position[1]]
        texts = [part.elts[position[0]] for part in told]
        return {text.value for text in texts if isinstance(text, ast.Constant) and KEBAB.fullmatch(str(text.value))}


def _switched_off() -> set[str]:
    return {rule for rule, conf in YamlLintConfig(PROFILE).rules.items() if conf is False}


def _parameters(scope: ast.AST) -> list[str]:
    if not isinstance(scope, ast.FunctionDef):
        return []
    return [argument.arg for argument in (*scope.args.args, *scope.args.kwonlyargs)]


def _assigned(scope: ast.AST, name: str, *, deep: bool = True) -> Iterator[ast.expr]:
    """What is assigned to a name, tuples taken apart."""
    nodes = ast.walk(scope) if deep else ast.iter_child_nodes(scope)
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value
            elif isinstance(target, ast.Tuple):
                yield from _taken_apart(target, node.value, name)


def _taken_apart(target: ast.Tuple, value: ast.expr, name: str) -> Iterator[ast.expr]:
    index = next((i for i, part in enumerate(target.elts) if isinstance(part, ast.Name) and part.id == name), None)
    if index is None:
        return
    for choice in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
        assert isinstance(choice, ast.Tuple), ast.unparse(value)
        yield choice.elts[index]


def _loop_position(scope: ast.AST, name: str) -> tuple[int, int] | None:
    """Where a name stands in the tuple that a loop takes apart, and how long that is."""
    for node in ast.walk(scope):
        target = node.target if isinstance(node, ast.For | ast.comprehension) else None
        if isinstance(target, ast.Tuple):
            for index, part in enumerate(target.elts):
                if isinstance(part, ast.Name) and part.id == name:
                    return index, len(target.elts)
    return None


def _groups(module: ast.Module) -> set[str]:
    """The named groups of the module's patterns."""
    texts = (node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {group for text in texts for group in re.findall(r"\(\?P<(\w+)>", text)}
