"""Plain templates: which they are, that both ways of rendering give the same, and what a worker that lies can do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.confined import lasting, plain
from instructlab_like.confined.here import Here, sent
from instructlab_like.confined.plain import NotPlainError, is_json, told
from instructlab_like.confined.process import LOOKS, Confined
from instructlab_like.confined.sandbox import BoundedEnvironment, Sandbox, tree_of
from instructlab_like.confined.wire import Looks, Part, Rendered
from instructlab_like.errors import TemplateError
from instructlab_like.prompts import BOUNDS

WHERE = "templates/mine.j2"
VALUES: dict[str, object] = {
    "x": " tide é ", "n": 3, "f": 1.5, "t": True, "z": None, "l": ["b", "a"], "e": [],
    "d": {"a": 1, "items": "field", "deep": {"l": [1, 2]}, "_a": "own", "title": "T"},
    "pairs": [{"question": "Q?", "answer": "A.", "seen": ["x", "y"]}, {"question": "R?", "answer": "", "seen": []}],
}  # fmt: skip


def parts_of(source: str) -> tuple[Part, ...] | None:
    """A template's parts as they arrive from a worker."""
    look = Sandbox(BOUNDS).look(source)
    assert not [flaw for flaw in look.flaws if flaw.line], look.flaws  # on no line is: too large
    return LOOKS.validate_json(json.dumps(Looks((look,)), default=vars)).looks[0].plain


def here(source: str, *more: str) -> Here:
    listings = [parts_of(one) or () for one in (source, *more)]
    return Here(listings, BOUNDS, where=WHERE)


# --- which templates are plain


@pytest.mark.parametrize(
    "source",
    [
        "",
        "text\nalone",
        "{# a remark #}{% raw %}{{ x|replace('a', 'b') }}{% endraw %}",
        "{{ x }}{{ d.a }}{{ d['a'] }}{{ l[0] }}{{ l[-1] }}{{ d.deep.l[1] }}{{ pairs[0].question }}",
        "{{ true }} {{ false }} {{ none }} {{ 1 }} {{ '1' }} {{ 'none' }} {{ n == true }} {{ t == 1 }} {{ 1 == true }}",
        "{{ x|trim }}{{ x|upper|lower }}{{ l|join(', ') }}{{ l|length }}{{ l|first }}{{ l|last }}{{ q|default('-') }}",
        "{% if n == 1 %}a{% elif 1 < n <= 3 %}b{% else %}c{% endif %}{{ 'one' if n == 1 else 'many' }}{{ 'a' if e }}",
        "{% if x and not e or q is defined and z is not none %}a{% endif %}",
        "{% for pair in pairs %}{{ loop.index }}/{{ loop.length }} {{ pair.question|trim }}"
        "{% for one in pair.seen %}{{ one }}{{ ', ' if not loop.last }}{% else %}none{% endfor %}{% endfor %}",
        "{% for pair in pairs %}{{ x }}{% if n == 3 %}{{ l }}{% endif %}{{ l|length }}{% endfor %}",
        "{% for a in l %}{% endfor %}{% for a in l %}{% for b in a %}{{ b|upper }}{% endfor %}{% endfor %}",
        "{% if n %}" + "{% elif n %}" * 20 + "{% endif %}",
    ],
)
def test_what_is_plain(source: str) -> None:
    parts = parts_of(source)
    assert parts is not None
    assert told(tree_of(parts, BOUNDS)) == parts
    rendered = Sandbox(BOUNDS)
    rendered.look(source)
    assert here(source).render([(0, VALUES)], each=1) == rendered.render([(0, VALUES)])


@pytest.mark.parametrize(
    "source",
    [
        "{{ x|replace('a', 'aa') }}",
        "{{ x|indent(4) }}",
        "{{ x|truncate(9) }}",
        "{{ x|title }}",
        "{{ l|sort }}",
        "{{ pairs|map(attribute='question')|join }}",
        "{{ l|join(x) }}",
        "{{ l|join(', ', 'a') }}",
        "{{ l|join(d=', ') }}",
        "{{ l|join('" + "-" * 21 + "') }}",
        "{{ x|join('-')|join('-') }}",
        "{{ x|trim('a') }}",
        "{{ q|default(x) }}",
        "{{ q|default([]) }}",
        "{{ x ~ x }}",
        "{{ n + 1 }}",
        "{{ x * 2 }}",
        "{{ -n }}",
        "{{ x[0:2] }}",
        "{{ l[n] }}",
        "{{ d[x] }}",
        "{{ d['a b'] }}",
        "{{ d['_a'] }}",
        "{{ l[1000001] }}",
        "{{ n == 1000001 }}",
        "{{ 0x" + "f" * 2_000 + " }}",
        "{{ 1.5 }}",
        "{{ '" + "a" * 201 + "' }}",
        "{{ '\\ud800' }}",
        "{{ x == q }}",
        "{{ 1 < n < f }}",
        "{{ 'a' in x }}",
        "{{ x is mapping }}",
        "{{ x is divisibleby(3) }}",
        "{{ x.upper() }}",
        "{{ d.items() }}",
        "{{ range(3) }}",
        "{{ range }}",
        "{{ dict }}",
        "{{ namespace|trim }}",
        "{{ loop }}",
        "{{ loop.index }}",
        "{{ [x] }}",
        "{{ (x, x) }}",
        "{{ {'a': x} }}",
        "{{ é }}",
        "{{ x.ﬁeld }}",
        "{% set y = x %}",
        "{% with y = x %}{% endwith %}",
        "{% for y in l|first %}{% endfor %}",
        "{% for y in 'ab' %}{% endfor %}",
        "{% for y in l if y %}{% endfor %}",
        "{% for k, v in l %}{% endfor %}",
        "{% for _ in l %}{% endfor %}",
        "{% for y in l %}{{ loop }}{% endfor %}",
        "{% for y in l %}{{ loop.previtem }}{% endfor %}",
        "{% for y in l %}{% else %}{{ loop.index }}{% endfor %}",
        "{% for y in loop.x %}{% endfor %}",
        "{% for y in l %}{% for z in x %}{% endfor %}{% endfor %}",  # as often as one list is long, the other
        "{% for y in l %}{% for z in l %}{% endfor %}{% endfor %}",
        "{% for y in l %}{{ x|upper }}{% endfor %}",
        "{% for y in l %}{{ (x if y else y)|trim }}{% endfor %}",
        "{% for y in pairs %}{% for z in y.seen %}{{ y.question|trim }}{% endfor %}{% endfor %}",
        "{% for y in l %}" + "{{ y }}" * 61 + "{% endfor %}",
        "{{ x|trim }}" * 21,
        "{% if n %}" + "{% elif n %}" * 21 + "{% endif %}",
        "a" * 20_001,
        "\n" * 20_000 + "{{ x }}",
    ],
)
def test_what_stays_confined(source: str) -> None:
    assert parts_of(source) is None


# --- both ways of rendering give the same

ROOTS = st.sampled_from(["x", "n", "f", "t", "z", "l", "e", "d", "pairs", "missing"])
FIELDS = [".a", ".items", ".deep", ".question", ".seen", ".title", ".upper", ".l", "['a']", "['answer']", "[0]", "[-1]"]
CONSTANTS = st.sampled_from(["''", "'a'", "0", "1", "3", "-2", "none", "true", "'<é>'", "' '"])
CHAINS = st.lists(
    st.sampled_from(["trim", "upper", "lower", "length", "first", "last", "default('-')", "default('', true)"]),
    max_size=3,
)


@st.composite
def expressions(draw: st.DrawFn, variable: str | None) -> str:
    """An expression; inside a loop, what is filtered is reached from its variable."""
    root = draw(ROOTS) if variable is None else draw(st.sampled_from([variable, variable, "x"]))
    path = root + "".join(draw(st.lists(st.sampled_from(FIELDS), max_size=2)))
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return draw(CONSTANTS)
    if kind == 1:
        return f"{path} {draw(st.sampled_from(['==', '!=', '<', '>=']))} {draw(CONSTANTS)}"
    if kind == 2:
        return f"{path} is {draw(st.sampled_from(['defined', 'not defined', 'undefined', 'none']))}"
    if kind == 3:
        return f"{path} {draw(st.sampled_from(['and', 'or']))} not {draw(ROOTS)}"
    if kind == 4:
        return f"{draw(CONSTANTS)} if {path}" + draw(st.sampled_from(["", f" else {path}"]))
    if kind == 5 and variable:
        return f"loop.{draw(st.sampled_from(['index', 'index0', 'first', 'last', 'length']))}"
    if variable is None or root == variable:
        joined = draw(st.sampled_from(["", "", "|join(', ')", "|join"]))
        return path + joined + "".join(f"|{name}" for name in draw(CHAINS))
    return path


@st.composite
def bodies(draw: st.DrawFn, depth: int = 0, variable: str | None = None) -> str:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 4 if depth < 2 else 2))
        if kind == 0:
            made.append(draw(st.sampled_from(["text ", "\n", "\n  \n", "é <b> {# #}", "[ANSWER 1]"])))
        elif kind <= 2:
            made.append("{{ " + draw(expressions(variable)) + " }}")
        elif kind == 3:
            made.append("{% if (" + draw(expressions(variable)) + ") %}" + draw(bodies(depth + 1, variable)))
            if draw(st.booleans()):
                made.append("{% elif (" + draw(expressions(variable)) + ") %}" + draw(bodies(depth + 1, variable)))
            made.append("{% else %}" + draw(bodies(depth + 1, variable)) + "{% endif %}\n")
        elif variable in (None, "p"):
            path = draw(ROOTS) if variable is None else f"p{draw(st.sampled_from(['', '.seen', '.question']))}"
            inner = "p" if variable is None else "q"
            made.append("{% for " + inner + " in " + path + " %}" + draw(bodies(depth + 1, inner)) + "{% endfor %}\n")
    return "".join(made)


TEXTS = st.text(st.sampled_from([*"ab é\n\t<{%}", "\u2028", "ΐ", "İ", "\U0001f600"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "question", "seen", "title", "items", "l"]), inner, max_size=4)
    ),
    max_leaves=6,
)
CHANGED = st.dictionaries(st.sampled_from([*VALUES]), JSON, max_size=3)
CASE = st.tuples(bodies(), CHANGED.map(lambda changed: VALUES | changed))


@settings(max_examples=300)
@given(CASE)
def test_a_plain_template_gives_what_the_sandbox_gives(case: tuple[str, dict[str, object]]) -> None:
    source, values = case
    if parts := parts_of(source):
        sandbox = Sandbox(BOUNDS)
        sandbox.look(source)
        assert Here([parts], BOUNDS, where=WHERE).render([(0, values)], each=1) == sandbox.render([(0, values)])


@settings(max_examples=15)
@given(st.lists(CASE, min_size=4, max_size=8))
def test_a_plain_template_gives_in_this_process_what_it_gives_in_a_confined_one(
    cases: list[tuple[str, dict[str, object]]],
) -> None:
    with Confined([source for source, _ in cases], BOUNDS, where=WHERE) as confined:
        listings = [look.plain for look in confined.looks]
        for number, ((_, values), listing) in enumerate(zip(cases, listings, strict=True)):
            if listing is not None:
                ours = Here([listing], BOUNDS, where=WHERE).render([(0, values)], each=1)
                assert ours == replace(confined.render([(number, values)]), spent=0.0)


@pytest.mark.parametrize(
    ("source", "values", "said"),
    [
        ("{% for c in x %}{% if c %}{% endif %}{% endfor %}", {"x": "a" * 20_001}, "its loops turn more than 20000"),
        ("{% for c in x %}{{ y }}{% endfor %}", {"x": "a" * 600, "y": "b" * 1_000}, "the text grows beyond 512000"),
        ("a\n{{ x|upper|length }}", {"x": "a" * 512_001}, "a value grows beyond 512000"),
        ("a\n{{ x|join('12345678901234567890') }}", {"x": "a" * 30_000}, "a value grows beyond 512000"),
        ("a\n{{ x }}", {"x": "\ud800"}, "half a character"),
        ("a\n\n{{ x.upper|trim }}", {"x": "a"}, "a builtin_function_or_method cannot be printed"),
        (
            "{% for a in x %}\n{% for b in a.c %}\n{{ b.d }}{% endfor %}{% endfor %}",
            {"x": [{"c": [1]}]},
            "no attribute",
        ),
    ],
)
def test_the_bounds_are_met_alike(source: str, values: dict[str, object], said: str) -> None:
    with Confined([source], BOUNDS, where=WHERE) as confined:
        assert confined.looks[0].plain is not None
        theirs = confined.render([(0, values)]).failure
        ours = Here([confined.looks[0].plain], BOUNDS, where=WHERE).render([(0, values)], each=1).failure
    assert theirs == ours
    assert ours
    assert said in ours.what


def test_prompts_have_the_processor_time_of_confined_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made = here("{{ x }}", "{{ n }}")
    assert made.render([(0, VALUES), (1, VALUES)] * 3, each=2).texts == ("tide é", "3") * 3
    assert made.ration.prompts == 3
    monkeypatch.setattr(lasting, "SECONDS", 0.0)
    with pytest.raises(TemplateError, match="needs more than 0 s of processor time for 4 prompts") as raised:
        made.render([(0, VALUES)], each=1)
    assert raised.value.where == WHERE


def test_the_first_failure_comes_with_the_texts_before_it() -> None:
    rendered = here("{{ l[0].a }}").render([(0, {"l": [{"a": n}] if n < 3 else []}) for n in range(5)], each=1)
    assert rendered.texts == ("0", "1", "2")
    assert rendered.failure
    assert rendered.failure.undefined


# --- values


class Acting(dict[str, object]):
    def __getitem__(self, key: str) -> object:
        raise AssertionError("it acts")


@pytest.mark.parametrize("value", ["a", 1, 1.5, True, None, [], {}, [{"a": [None, {}]}, "b"]])
def test_what_comes_out_of_json_as_it_went_in_is_taken_as_it_is(value: object) -> None:
    assert is_json(value)
    assert sent({"x": value})["x"] is value


@pytest.mark.parametrize("value", [("a", 1), {1: "a"}, [{"a": ("b",)}], {"a": {True: 1}}, [Acting(a=1)]])
def test_any_other_value_is_what_a_confined_process_would_get(value: object) -> None:
    assert not is_json(value)
    assert sent({"x": value})["x"] == json.loads(json.dumps(value))
    assert is_json(sent({"x": value})["x"])


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, [print], b"a", jinja2.Undefined(), {("a",): 1}])
def test_what_is_no_value_at_all_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        sent({"x": value})


# --- what a worker may say


def test_nothing_is_parsed_where_the_parts_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of("{% for p in pairs %}{{ p.question|trim }}{% endfor %}")
    assert parts

    def never(*_: object) -> None:
        raise AssertionError("a template is parsed")

    for name in ("_tokenize", "_parse", "parse", "lex"):
        monkeypatch.setattr(jinja2.Environment, name, never)
    assert Here([parts], BOUNDS, where=WHERE).render([(0, VALUES)], each=1).texts == ("Q?R?",)


def lies() -> Iterator[tuple[str, list[Part]]]:
    """Lists of parts that no plain template has, each with its name."""

    def printed(*parts: Part) -> list[Part]:
        return [*parts, Part("print", 1, None, 1), Part("block", 1, None, 1)]

    x = Part("name", 1, "x", 0)
    for name in (
        "x; import os",
        "__import__",
        "_x",
        "x y",
        "",
        "1",
        "x\n",
        "é",
        "\u212a",
        "\u017f",
        "range",
        "self",
        "loop",
        "a" * 201,
    ):
        yield f"name {name[:20]!r}", printed(Part("name", 1, name, 0))
    for name in ("__class__", "_a", "a b", "x)", "", "x'"):
        yield f"field {name!r}", printed(x, Part("field", 1, name, 1))
        yield f"item {name!r}", printed(x, Part("const", 1, name, 0), Part("item", 1, None, 2))
    for name in ("replace", "attr", "map", "center", "weighed value", "counted turns", "__class__", "nothing"):
        yield f"filter {name!r}", printed(x, Part("filter", 1, name, 1))
    for name in ("callable", "in", "sameas", "filter", "nothing"):
        yield f"test {name!r}", printed(x, Part("test", 1, name, 1))
    for line in (0, -1, 10**9):
        yield f"line {line}", printed(Part("name", line, "x", 0))
    for own in (1, -1, 10**9):
        yield f"own {own}", printed(Part("name", 1, "x", own))
    for kind in ("call", "list", "import", "Name", "__init__", "text", "block", "print", "operand", "loop"):
        yield f"kind {kind}", printed(x, Part(kind, 1, "x", 1))
    yield "operator", printed(x, x, Part("operand", 1, "in", 1), Part("compare", 1, None, 2))
    yield "no operands", printed(x, x, Part("compare", 1, None, 2))
    yield "two that vary", printed(x, x, Part("operand", 1, "eq", 1), Part("compare", 1, None, 2))
    yield "item by a name", printed(x, x, Part("item", 1, None, 2))
    yield "separator by a name", printed(x, x, Part("filter", 1, "join", 2))
    yield "large number", printed(Part("const", 1, 10**4_000, 0))
    yield "half a character", printed(Part("text", 1, "\ud800", 0))
    yield "long text", printed(Part("text", 1, "a" * 20_001, 0))
    yield "loop without one", printed(Part("loop", 1, "index", 0))
    yield "loop's own", loops(1, Part("loop", 1, "_iterator", 0))
    yield "three loops", loops(3, x)
    yield "depth", printed(x, *[Part("not", 1, None, 1)] * 11)
    yield "great depth", printed(x, *[Part("not", 1, None, 1)] * 50_000)
    yield "great length", printed(x, *[Part("field", 1, "a", 1)] * 61)
    yield "many nodes", [*[x, Part("print", 1, None, 1)] * 301, Part("block", 1, None, 301)]
    yield "no block", [x]
    yield "two blocks", [Part("block", 1, None, 0)] * 2
    yield "nothing", []
    empty = Part("block", 1, None, 0)
    yield "statement in an expression", printed(x, empty, empty, empty, Part("if", 1, None, 4))
    yield "branch that is none", [x, empty, *printed(x)[:-1], empty, Part("if", 1, None, 4), Part("block", 1, None, 1)]
    branch = [x, empty, empty, empty, Part("if", 1, None, 4), Part("block", 1, None, 1)]
    nested = [x, empty, *branch, empty, Part("if", 1, None, 4), Part("block", 1, None, 1)]
    yield "branches of a branch", [x, empty, *nested, empty, Part("if", 1, None, 4), Part("block", 1, None, 1)]


def loops(depth: int, inside: Part) -> list[Part]:
    """Loops in each other, each over the variable of the one around it."""
    made = [inside, Part("print", 1, None, 1), Part("block", 1, None, 1)]
    for _ in range(depth):
        made = [Part("name", 1, "x", 0), *made, Part("block", 1, None, 0), Part("for", 1, "x", 3)]
        made.append(Part("block", 1, None, 1))
    return made


@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in lies()])
def test_parts_that_make_no_plain_template_are_refused(parts: list[Part]) -> None:
    with pytest.raises(NotPlainError):
        tree_of(parts, BOUNDS)


def test_the_same_shapes_without_the_lie_are_taken() -> None:
    x = Part("name", 1, "x", 0)
    assert tree_of([x, Part("print", 1, None, 1), Part("block", 1, None, 1)], BOUNDS)
    assert tree_of(loops(2, Part("loop", 1, "index", 0)), BOUNDS)


KINDS = """
and block choice compare const field filter for if item loop name not operand or print test text other
"""
WORDS = st.sampled_from(["x", "p", "index", "trim", "join", "eq", "defined", "__class__", "loop", "range", "a b", ""])
PART = st.builds(
    Part, st.sampled_from(KINDS.split()), st.integers(0, 3), st.none() | WORDS | st.integers(-2, 2) | st.booleans(),
    st.integers(-1, 4),
)  # fmt: skip
TRUE = [listing for source in (
    "{% for p in x %}{{ p.a|join('-') }}{{ loop.index }}{% for q in p %}{{ q|trim }}{% endfor %}{% endfor %}",
    "{% if x == 1 %}a{% elif x is defined %}{{ x[0] }}{% else %}{{ 'a' if x and not y else z }}{% endif %}",
) if (listing := parts_of(source))]  # fmt: skip


@st.composite
def twisted(draw: st.DrawFn) -> list[Part]:
    """The parts of a plain template, some of them exchanged."""
    parts = list(draw(st.sampled_from(TRUE)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(parts) - 1))
        other = draw(PART | st.sampled_from(parts))
        field = draw(st.sampled_from(["kind", "line", "value", "own", "all"]))
        parts[place] = other if field == "all" else replace(parts[place], **{field: getattr(other, field)})
    return parts


@settings(max_examples=400)
@given(st.lists(PART, max_size=12) | twisted())
def test_of_any_parts_there_comes_a_plain_template_or_none(parts: list[Part]) -> None:
    try:
        tree = tree_of(parts, BOUNDS)
    except NotPlainError:
        return
    assert told(tree) == tuple(parts)
    values = {"x": [["a"]], "p": "b", "y": "", "z": 1}
    assert isinstance(Here([parts], BOUNDS, where=WHERE).render([(0, values)], each=1), Rendered)


def test_the_filters_of_plain_templates_are_known_to_prompts() -> None:
    environment = BoundedEnvironment(BOUNDS)
    assert set(plain.FILTERS) <= set(environment.filters)
    assert set(plain.TESTS) <= set(environment.tests)
