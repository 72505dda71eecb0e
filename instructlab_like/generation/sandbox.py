"""The sandbox of simulation templates: Jinja's arithmetic and plain filters, with bounds on the work of a rendering.

Jinja's own sandbox keeps a template from Python, but bounds neither time nor memory, and a leaf comes by pull request.
So every value that a template keeps, and every result that can grow, is weighed; loops are bounded in length and depth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeGuard

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from instructlab_like.prompts import environment

# Jinja's filters that compute or choose; those that lay out text (center, indent, format, …) can grow it at will.
FILTERS = frozenset(
    {"abs", "capitalize", "count", "default", "dictsort", "first", "float", "int", "items", "join", "last", "length"}
    | {"list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select"}
    | {"selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper"}
)
METHODS = frozenset(
    {"capitalize", "count", "endswith", "find", "get", "index", "items", "keys", "lower", "split", "startswith"}
    | {"strip", "title", "upper", "values"}
)
FUNCTIONS = frozenset({"range", "dict", "namespace"})
RESERVED = FUNCTIONS | {"loop", "self", "varargs", "kwargs", "caller"}
STATEMENTS = (
    nodes.Macro, nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block,
    nodes.AssignBlock, nodes.FilterBlock,
)  # fmt: skip
MAX_SOURCE = 4_000  # characters of a template
MAX_LOOPS = 2  # one inside the other
MAX_TURNS = 1_000  # of a range
MAX_BITS = 4_096  # of a whole number
MAX_WEIGHT = 2_000  # characters and items of a kept value, nested ones included
MAX_TEXT = 20_000  # characters of a rendered text
WEIGHED = "weighed"


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do the arithmetic, unless its result would be enormous."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% is for numbers here; join texts with ~")
        if _whole(left) and _whole(right):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if operator in ("*", "**") and bits > MAX_BITS:
                raise SecurityError(f"{operator} gives a number of more than {MAX_BITS} bits")
        elif operator == "*" and _length(left) * _length(right) > MAX_WEIGHT:
            raise SecurityError(f"* gives more than {MAX_WEIGHT} characters or items")
        return weighed(super().call_binop(context, operator, left, right))


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int)


def _length(factor: object) -> int:
    """What a factor of `*` contributes to the length of a text or list."""
    if isinstance(factor, str | list | tuple):
        return len(factor)
    return max(0, factor) if _whole(factor) else 0


def weighed(value: Any) -> Any:
    """The value itself; raises SecurityError when it holds too many characters and items, nested ones included."""
    weight, waiting = 0, [value]
    while waiting:
        piece = waiting.pop()
        weight += len(piece) if isinstance(piece, str) else 1
        if weight > MAX_WEIGHT:
            raise SecurityError(f"a value grows beyond {MAX_WEIGHT} characters and items")
        if isinstance(piece, Mapping):
            piece = [*piece.keys(), *piece.values()]
        if isinstance(piece, list | tuple | set | frozenset):
            if len(piece) > MAX_WEIGHT:
                raise SecurityError(f"a list grows beyond {MAX_WEIGHT} items")
            waiting += piece
    return value


def _weighing(made: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(made)  # keeps the marks by which Jinja knows what to pass
    def filtered(*arguments: Any, **named: Any) -> Any:
        return weighed(made(*arguments, **named))

    return filtered


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_TURNS:
        raise SecurityError(f"a range of {len(made)} numbers; at most {MAX_TURNS}")
    return made


class _Weigher(NodeTransformer):
    """Weighs whatever `{% set %}` keeps, so that no chain of them can double a value step by step."""

    def visit_Assign(self, node: nodes.Assign) -> nodes.Assign:  # noqa: N802  # Jinja's naming
        node.node = nodes.Filter(node.node, WEIGHED, [], [], None, None, lineno=node.lineno)
        return node


class Template:
    """A checked template; `render` raises what Jinja raises."""

    def __init__(self, source: str) -> None:
        made = bounded()
        code = made.compile(_Weigher().visit(made.parse(source)))
        self.template = jinja2.Template.from_code(made, code, made.make_globals(None))

    def render(self, values: Mapping[str, object]) -> str:
        pieces, length = [], 0
        for piece in self.template.generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_TEXT:
                raise SecurityError(f"the text grows beyond {MAX_TEXT} characters")
        return "".join(pieces).strip()


def bounded() -> BoundedEnvironment:
    """The project's sandbox for templates, with a simulation's filters and bounds."""
    base = environment()
    made = BoundedEnvironment(
        undefined=base.undefined,
        autoescape=False,  # questions and answers, never HTML
        trim_blocks=base.trim_blocks,
        lstrip_blocks=base.lstrip_blocks,
        keep_trailing_newline=base.keep_trailing_newline,
    )
    made.filters = {name: _weighing(base.filters[name]) for name in sorted(FILTERS)} | {WEIGHED: weighed}
    made.globals = {"range": _range, "dict": dict, "namespace": base.globals["namespace"]}
    return made


def variables(source: str) -> set[str]:
    """The names that a template takes from outside, functions apart."""
    return meta.find_undeclared_variables(bounded().parse(source)) - FUNCTIONS


def findings(source: str, known: Collection[str]) -> list[str]:
    """What is wrong with a template as it stands: its syntax, a name that is no parameter, work without bounds."""
    if len(source) > MAX_SOURCE:
        return [f"holds {len(source)} characters, more than {MAX_SOURCE} → simplify it"]
    try:
        tree = bounded().parse(source)
        bounded().compile(source)
    except jinja2.TemplateSyntaxError as error:
        return [f"line {error.lineno}: {error.message} → correct the template"]
    except RecursionError:
        return ["is nested too deeply → simplify it"]
    return list(dict.fromkeys([*_unknown(tree, known), *_refused(tree), *_calls(tree), *_loops(tree, depth=0)]))


def _unknown(tree: nodes.Template, known: Collection[str]) -> Iterator[str]:
    for name in sorted(meta.find_undeclared_variables(tree) - FUNCTIONS - set(known)):
        yield f"{name!r} is no parameter → parameters: {', '.join(sorted(known))}"


def _refused(tree: nodes.Template) -> Iterator[str]:
    for statement in tree.find_all(STATEMENTS):
        kind = type(statement).__name__.lower()
        yield f"line {statement.lineno}: a {kind} has no place in a simulation → write it out"
    for name in tree.find_all(nodes.Name):
        if name.ctx == "store" and name.name in FUNCTIONS:
            yield f"line {name.lineno}: {name.name} is a function → call the value otherwise"


def _calls(tree: nodes.Template) -> Iterator[str]:
    """A call is of one of the functions, or of a text's or a list's plain method."""
    for call in tree.find_all(nodes.Call):
        called = call.node
        method = isinstance(called, nodes.Getattr) and called.attr in METHODS
        function = isinstance(called, nodes.Name) and called.name in FUNCTIONS
        if not (method or function):
            shown = f"{called.name}()" if isinstance(called, nodes.Name) else "this"
            shown = f".{called.attr}()" if isinstance(called, nodes.Getattr) else shown
            may = ", ".join([*sorted(FUNCTIONS), *(f".{name}" for name in sorted(METHODS))])
            yield f"line {call.lineno}: {shown} cannot be called → what can: {may}"


def _loops(node: nodes.Node, *, depth: int) -> Iterable[str]:
    for child in node.iter_child_nodes():
        inner = depth + isinstance(child, nodes.For)
        if isinstance(child, nodes.For) and (child.recursive or inner > MAX_LOOPS):
            yield f"line {child.lineno}: loops run in loops without bound → at most {MAX_LOOPS} deep, none recursive"
        else:
            yield from _loops(child, depth=inner)
