"""The sandbox of templates: Jinja's arithmetic and plain filters on plain values, with bounds on all that can grow.

Jinja's own sandbox keeps a template from Python, but bounds neither time nor memory. So what may stand in a template is
listed; every value it keeps, and every result that can grow, is weighed; turns of loops and characters are counted.
Even compiling runs code, for constants are folded: whatever a contributor wrote is parsed in the worker alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from types import TracebackType
from typing import Any, TypeGuard

import jinja2
import jinja2.debug  # jinja imports it on a template's first error, when the worker can open no file any more
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import do_indent, do_round, make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from instructlab_like.confined.plain import SCALARS, NotPlainError, built, told
from instructlab_like.confined.wire import FUNCTIONS, NUMBERS, Bounds, Failure, Flaw, Look, Part, Rendered

SPECIAL = frozenset({"self", "caller", "varargs", "kwargs"})  # Jinja's own names, with nothing in them here
ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.With, nodes.Scope,
    nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
    nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat,
    nodes.Compare, nodes.Operand, nodes.BinExpr, nodes.UnaryExpr,
)  # fmt: skip
STATEMENTS: dict[type[nodes.Node], str] = {  # whose classes are not called by their words
    nodes.ScopedEvalContextModifier: "autoescape", nodes.FromImport: "from … import",
    nodes.AssignBlock: "set block", nodes.FilterBlock: "filter block", nodes.CallBlock: "call block",
}  # fmt: skip
FAILURES = (
    jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError,
    StopIteration, SyntaxError, TypeError, ValueError,
)  # fmt: skip
PLACES = 100  # digits that are rounded to, characters of an indentation
SAID = 300  # characters of a failure's text
WEIGHED, COUNTED, PRINTED = (
    "weighed value",
    "counted turns",
    "printed text",
)  # no template can name these, for the space
TEXTUAL = frozenset((  # filters that make a text of what they are given
    "capitalize", "indent", "lower", "replace", "string", "title", "trim", "truncate", "upper", "wordcount",
))  # fmt: skip
NAME = "template"  # the file name of compiled templates, by which a traceback's lines are known
METHODS = frozenset(dir(dict))
LAYOUT: dict[str, Any] = {
    "autoescape": False,  # prompts, questions and answers, never HTML
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}


class FieldsFirst(jinja2.Environment):
    """Finds what templates take most, a mapping's fields and a loop's numbers, without Jinja's detours."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj and attribute not in METHODS:
            return obj[attribute]
        if type(obj) is LoopContext and attribute in NUMBERS:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


class BoundedEnvironment(FieldsFirst, ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, bounds: Bounds) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            optimized=False,  # folding constants takes time that grows with the square of an expression's length
            finalize=_printable,
            **LAYOUT,
        )
        self.bounds = bounds
        self.turns = 0
        replaced = {"round": _round, "indent": _indent, "join": self._joining(self.filters["join"])}
        made = {name: replaced.get(name, self.filters[name]) for name in bounds.filters}
        known = {name: self._weighing(one, of_texts=name in TEXTUAL) for name, one in made.items()}
        self.filters = known | {WEIGHED: self.weighed, COUNTED: self.counted, PRINTED: _printable}
        self.globals = {"range": self.limited_range, "dict": dict, "namespace": Namespace}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do the arithmetic, unless its result would be enormous."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% is for numbers here; join texts with ~")
        if _whole(left) and _whole(right):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if operator in ("*", "**") and bits > self.bounds.bits:
                raise SecurityError(f"{operator} gives a number of more than {self.bounds.bits} bits")
        elif operator == "*" and _length(left) * _length(right) > self.bounds.weight:
            raise SecurityError(f"* gives more than {self.bounds.weight} characters or items")
        return self.weighed(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  # Jinja's way to keep names free
        return __self.weighed(super().call(__context, __obj, *args, **kwargs))

    def weighed(self, value: Any) -> Any:
        """The value itself; raises SecurityError when it holds too many characters and items, nested ones included."""
        most = self.bounds.weight
        if type(value) is str and len(value) <= most:
            return value
        weight, waiting = 0, [value]
        while waiting:
            piece = waiting.pop()
            weight += len(piece) if isinstance(piece, str) else 1
            if weight > most:
                raise self._too_heavy()
            if isinstance(piece, Mapping):
                piece = [*piece.keys(), *piece.values()]
            if isinstance(piece, list | tuple | set | frozenset):
                if len(piece) > most:
                    raise SecurityError(f"a list grows beyond {most} items")
                waiting += piece
        return value

    def _too_heavy(self) -> SecurityError:
        return SecurityError(f"a value grows beyond {self.bounds.weight} characters and items")

    def counted(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """What a loop goes through; raises SecurityError when the loops of this rendering have turned too often."""
        for item in iterable:
            self.turns += 1
            if self.turns > self.bounds.turns:
                raise SecurityError(f"its loops turn more than {self.bounds.turns} times")
            yield item

    def limited_range(self, *bounds: int) -> range:
        made = range(*bounds)
        most = self.bounds.range
        if made[most:]:  # a range of 2⁶³ numbers has no len()
            raise SecurityError(f"a range of more than {most} numbers")
        return made

    def _weighing(self, made: Callable[..., Any], *, of_texts: bool) -> Callable[..., Any]:
        passed = hasattr(made, "jinja_pass_arg")  # the first argument is Jinja's own

        @wraps(made)  # keeps the marks by which Jinja knows what to pass
        def filtered(*arguments: Any, **named: Any) -> Any:
            if of_texts and (named or not SCALARS.issuperset(map(type, arguments))):
                for argument in (*arguments[passed:], *named.values()):
                    _printable(argument)
            return self.weighed(made(*arguments, **named))

        return filtered

    def _joining(self, made: Callable[..., Any]) -> Callable[..., Any]:
        """Jinja's, of what can be printed, and unless what it would join is too much before it is joined."""

        @wraps(made)
        def join(eval_ctx: nodes.EvalContext, value: Any, d: Any = "", attribute: str | int | None = None) -> Any:
            joined = value if isinstance(value, str) else list(value)
            if attribute is not None:
                joined = [*map(make_attrgetter(self, attribute), joined)]
            least = (len(joined) - 1) * _length(_printable(d)) + (len(joined) if isinstance(joined, str) else 0)
            if isinstance(d, str) and least > self.bounds.weight:
                raise self._too_heavy()
            return made(eval_ctx, _printable(joined), d)

        return join


def _printable(value: Any) -> Any:
    """The value itself, if printing it gives what it holds and not what it is, with its address in memory."""
    if type(value) in SCALARS:
        return value
    waiting = [value]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, Mapping):
            waiting += [*piece.keys(), *piece.values()]
        elif isinstance(piece, list | tuple):
            waiting += piece
        elif isinstance(piece, jinja2.Undefined):
            str(piece)  # raises: a list would print one as such
        elif piece is not None and not isinstance(piece, str | int | float):
            raise SecurityError(f"a {type(piece).__name__} cannot be printed; the values of a generator are its |list")
    return value


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int)


def _length(factor: object) -> int:
    """What a factor of `*` contributes to the length of a text or list."""
    if isinstance(factor, str | list | tuple):
        return len(factor)
    return max(0, factor) if _whole(factor) else 0


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    """Jinja's, which raises 10 to the precision."""
    if abs(precision) > PLACES:
        raise SecurityError(f"round is for at most {PLACES} places")
    return do_round(value, precision, method)


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Jinja's, which repeats the width in every line."""
    if _length(width) > PLACES:
        raise SecurityError(f"indent is for at most {PLACES} characters")
    return do_indent(s, width, first, blank)


class _Guard(NodeTransformer):
    """Weighs whatever is kept, so that no chain can double a value step by step; counts what loops go through.

    What ~ makes texts of must be printable, as it must be where it is printed.
    """

    def visit_Assign(self, node: nodes.Assign) -> nodes.Assign:  # noqa: N802  # Jinja's naming
        self.generic_visit(node)
        node.node = _through(WEIGHED, node.node)
        return node

    def visit_With(self, node: nodes.With) -> nodes.With:  # noqa: N802
        self.generic_visit(node)
        node.values = [_through(WEIGHED, value) for value in node.values]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Concat:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_through(PRINTED, value) for value in node.nodes]
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        node.iter = _through(COUNTED, node.iter)
        return node


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class Sandbox:
    """Templates under bounds: looked at first, then rendered by their number."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.environment = BoundedEnvironment(bounds)
        self.templates: list[
            jinja2.Template | nodes.Template | None
        ] = []  # a plain one is compiled when first rendered

    def look(self, source: str) -> Look:
        """Take in one more template; one with a flaw can never be rendered."""
        self.templates.append(None)
        if len(source) > self.bounds.source:
            what = f"holds {len(source)} characters, more than {self.bounds.source}"
            return Look((Flaw(None, what, "simplify it"),), ())
        try:
            tree = self.environment.parse(source)
            if flaws := tuple(dict.fromkeys(findings(tree, self.bounds))):
                return Look(flaws, ())
            names = meta.find_undeclared_variables(tree) - set(FUNCTIONS)
            plain = told(tree)
            self.templates[-1] = self.compiled(tree) if plain is None else tree
        except jinja2.TemplateSyntaxError as error:
            what = f"is not valid Jinja: {_cut(error.message or '')}"
            return Look((Flaw(error.lineno, what, "correct the template"),), ())
        except (RecursionError, SyntaxError):  # Python's, of an expression too long for it
            return Look((Flaw(None, "is nested too deeply", "simplify it"),), ())
        return Look((), tuple(sorted(names)), plain)

    def take(self, parts: Sequence[Part]) -> None:
        """Take in one more template without parsing it; raises NotPlainError unless it is a plain one."""
        tree = tree_of(parts, self.bounds)
        tree.set_environment(self.environment)
        self.templates.append(tree)

    def compiled(self, tree: nodes.Template) -> jinja2.Template:
        code = self.environment.compile(_Guard().visit(tree), filename=NAME)
        return jinja2.Template.from_code(self.environment, code, self.environment.make_globals(None))

    def ready(self, number: int) -> jinja2.Template:
        template = self.templates[number]
        assert template is not None
        if isinstance(template, nodes.Template):
            template = self.templates[number] = self.compiled(template)
        return template

    def render(self, calls: Iterable[tuple[int, Mapping[str, object]]], *, until: float = math.inf) -> Rendered:
        """Each call's template with its values, up to the first that fails or until there are so many characters."""
        texts: list[str] = []
        length = 0
        for number, values in calls:
            template = self.ready(number)
            try:
                texts.append(self.text(template, values))
            except FAILURES as error:
                return Rendered(tuple(texts), failure(error))
            length += len(texts[-1])
            if length > until:
                break
        return Rendered(tuple(texts))

    def text(self, template: jinja2.Template, values: Mapping[str, object]) -> str:
        pieces, length, most = [], 0, self.bounds.text
        self.environment.turns = 0
        try:
            for piece in template.root_render_func(template.new_context(dict(values))):
                pieces.append(piece)
                length += len(piece)
                if length > most:
                    break
        except FAILURES:
            self.environment.handle_exception()  # raises it again, with the template's lines
        if length > most:
            raise SecurityError(f"the text grows beyond {most} characters")
        return whole("".join(pieces))


def whole(text: str) -> str:
    """The text without its outer blanks; raises SecurityError for what no encoding takes: an escape may give that."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SecurityError("the text holds half a character, a surrogate") from error
    return text.strip()


def failure(error: Exception) -> Failure:
    """One of FAILURES as it is told of: the template's line, and what went wrong."""
    return Failure(_line(error.__traceback__), _cut(str(error)), isinstance(error, jinja2.UndefinedError))


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= SAID else shown[:SAID] + "…"


def _line(trace: TracebackType | None) -> int | None:
    """The innermost line of a template that an error passed through; Jinja puts it into the traceback."""
    found = None
    while trace:
        if trace.tb_frame.f_code.co_filename == NAME:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def tree_of(parts: Sequence[Part], bounds: Bounds) -> nodes.Template:
    """The tree that is told in these parts; raises NotPlainError unless it is a plain template's within the bounds."""
    tree = built(parts)
    if any(findings(tree, bounds)) or told(tree) != tuple(parts):
        raise NotPlainError
    return tree


def findings(tree: nodes.Template, bounds: Bounds) -> Iterator[Flaw]:
    """What has no place in a template, read from its syntax alone."""
    oversized = list(_size(tree, bounds))
    yield from oversized
    if oversized:
        return
    yield from _refused(tree)
    yield from _calls(tree, bounds.methods)
    yield from _loops(tree, most=bounds.loops, depth=0)


def _size(tree: nodes.Template, bounds: Bounds) -> Iterator[Flaw]:
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    count = 0
    while waiting:
        node, depth, length = waiting.pop()
        count += 1
        if count > bounds.nodes:
            yield Flaw(None, f"has a syntax tree of more than {bounds.nodes} nodes", "simplify it")
            return
        if depth > bounds.depth:
            yield Flaw(node.lineno, f"is nested more than {bounds.depth} deep", "simplify it")
            return
        if length > bounds.length:
            yield Flaw(node.lineno, f"has an expression of more than {bounds.length} operations", "simplify it")
            return
        operand = _operand(node)
        waiting += [(child, depth + (child is not operand), length + 1) for child in node.iter_child_nodes()]


def _operand(node: nodes.Node) -> nodes.Node | None:
    """What stands at the node's own depth: in `a + b + c`, `x|lower|trim`, `a if b else c if d` nothing is nested."""
    if isinstance(node, nodes.BinExpr):
        return node.left
    if isinstance(node, nodes.CondExpr):
        return node.expr2
    if isinstance(node, nodes.Filter | nodes.Test | nodes.Call | nodes.Getattr | nodes.Getitem):
        return node.node
    return node.expr if isinstance(node, nodes.Compare) else None


def _refused(tree: nodes.Template) -> Iterator[Flaw]:
    for node in _nodes(tree):
        if not isinstance(node, ALLOWED):
            yield Flaw(node.lineno, f"{_named(type(node))} has no place here", "write it out")
        elif isinstance(node, nodes.Name) and node.ctx == "store" and node.name in FUNCTIONS:
            yield Flaw(node.lineno, f"{node.name} is a function", "call the value otherwise")
        elif isinstance(node, nodes.Name) and node.name in SPECIAL:
            yield Flaw(node.lineno, f"{node.name} has no meaning here", "use the template's own values")
        elif _private(node):
            yield Flaw(node.lineno, "a name that opens with _ has no place here", "use the template's own values")


def _nodes(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Every node, in the order of the source."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(node.iter_child_nodes()))


def _private(node: nodes.Node) -> bool:
    """Whether a node names what is Python's own; `_` alone is a common name for a loop's unused variable."""
    if isinstance(node, nodes.Getattr | nodes.NSRef):
        return node.attr.startswith("_")
    if isinstance(node, nodes.Keyword):
        return node.key.startswith("_")
    return isinstance(node, nodes.Name) and node.name.startswith("__")


def _named(kind: type[nodes.Node]) -> str:
    name = STATEMENTS.get(kind, kind.__name__.lower())
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _calls(tree: nodes.Template, methods: Sequence[str]) -> Iterator[Flaw]:
    """A call is of one of the functions, or of a text's or a list's plain method."""
    for call in tree.find_all(nodes.Call):
        called = call.node
        method = isinstance(called, nodes.Getattr) and called.attr in methods
        function = isinstance(called, nodes.Name) and called.name in FUNCTIONS
        if not (method or function):
            shown = f"{called.name}()" if isinstance(called, nodes.Name) else "this"
            shown = f".{called.attr}()" if isinstance(called, nodes.Getattr) else shown
            may = ", ".join([*FUNCTIONS, *(f".{name}" for name in sorted(methods))])
            yield Flaw(call.lineno, f"{shown} cannot be called", f"what can: {may}")


def _loops(node: nodes.Node, *, most: int, depth: int) -> Iterator[Flaw]:
    for child in node.iter_child_nodes():
        inner = depth + isinstance(child, nodes.For)
        if isinstance(child, nodes.For) and (child.recursive or inner > most):
            yield Flaw(child.lineno, "loops run in loops without bound", f"at most {most} deep, none recursive")
        else:
            yield from _loops(child, most=most, depth=inner)
