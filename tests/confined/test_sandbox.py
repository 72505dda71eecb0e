"""What may stand in a template, and how much one rendering of it may do; all of it on plain values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.confined.wire import Bounds, Failure
from instructlab_like.generation import simulation
from instructlab_like.prompts import BOUNDS as PROMPT

BOUNDS = simulation.BOUNDS
VALUES: dict[str, object] = {"n": 3, "x": "tide", "l": [1, 2], "d": {"a": 1}}


def flaws(source: str, bounds: Bounds = BOUNDS) -> list[str]:
    return [f"{flaw.line}: {flaw.what}" for flaw in Sandbox(bounds).look(source).flaws]


def text(source: str, bounds: Bounds = BOUNDS) -> str:
    rendered = tried(source, bounds)
    assert isinstance(rendered, str), rendered
    return rendered


def tried(source: str, bounds: Bounds = BOUNDS) -> str | Failure | list[str]:
    sandbox = Sandbox(bounds)
    if look := sandbox.look(source).flaws:
        return [flaw.what for flaw in look]
    rendered = sandbox.render([(0, VALUES)])
    return rendered.failure or rendered.texts[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ n }}, {{ x|upper }}, {{ l|sum }}, {{ d.a }}, {{ d['a'] }}", "3, TIDE, 3, 1, 1"),
        ("{% for _ in range(n) %}{{ loop.index }}/{{ loop.length }}{{ ' ' if not loop.last }}{% endfor %}",
         "1/3 2/3 3/3"),
        ("{% set ns = namespace(a=0) %}{% for y in l %}{% set ns.a = ns.a + y %}{% endfor %}{{ ns.a }}", "3"),
        ("{% with a = n * 2 %}{{ a }}{% endwith %}", "6"),
        ("{% if n > 4 %}a{% elif n > 2 %}b{% else %}c{% endif %}", "b"),
        ("{{ 'a' if n == 1 else 'b' if n == 2 else 'c' if n == 3 else 'd' }}", "c"),
        ("{{ x[1:3] ~ x.upper() ~ dict(k=n).k ~ (n, 'q')|join }}", "idTIDE33q"),
        ("{{ " + " + ".join(["n"] * 50) + " }}", "150"),
        ("{{ 2.5|round }} {{ 1234.567|round(1) }} {{ none is none }}", "2.0 1234.6 True"),
        ("&lt; {{ '<b>' }}", "&lt; <b>"),
    ],
)  # fmt: skip
def test_what_a_template_computes(source: str, expected: str) -> None:
    assert text(source) == expected


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a\n{% include 'x' %}", "2: an include has no place here"),
        ("{% import 'x' as y %}", "1: an import has no place here"),
        ("{% from 'x' import y %}", "1: a from … import has no place here"),
        ("{% extends 'x' %}", "1: an extends has no place here"),
        ("{% block a %}{% endblock %}", "1: a block has no place here"),
        ("{% macro a() %}{% endmacro %}", "1: a macro has no place here"),
        ("{% call dict() %}{% endcall %}", "1: a call block has no place here"),
        ("{% filter upper %}{% endfilter %}", "1: a filter block has no place here"),
        ("{% set a %}b{% endset %}", "1: a set block has no place here"),
        ("{% autoescape true %}{% endautoescape %}", "1: an autoescape has no place here"),
        ("{{ x.__class__ }}", "1: a name that opens with _ has no place here"),
        ("{{ x._a }}", "1: a name that opens with _ has no place here"),
        ("{{ __import__ }}", "1: a name that opens with _ has no place here"),
        ("{{ dict(__class__=1) }}", "1: a name that opens with _ has no place here"),
        ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "1: a name that opens with _ has no place here"),
        ("{{ self }}", "1: self has no meaning here"),
        ("{{ x.format(n) }}", "1: .format() cannot be called"),
        ("{{ x() }}", "1: x() cannot be called"),
        ("{{ (x ~ 'a')() }}", "1: this cannot be called"),
        ("{% set dict = n %}", "1: dict is a function"),
        ("{{ x|center }}", "1: is not valid Jinja: No filter named 'center'."),
        ("{% do x %}", "1: is not valid Jinja: Encountered unknown tag 'do'."),
        ("{% for a in l recursive %}{% endfor %}", "1: loops run in loops without bound"),
        ("{{ " + "[" * 11 + "]" * 11 + " }}", "1: is nested more than 10 deep"),
        ("{{ " + "[" * 1500 + "]" * 1500 + " }}", "None: is nested too deeply"),
        ("{{ " + "not " * 70 + "n }}", "1: is nested more than 10 deep"),
        ("{{ " + "+".join(["n"] * 80) + " }}", "1: has an expression of more than 60 operations"),
        ("{{ n" + "|abs" * 80 + " }}", "1: has an expression of more than 60 operations"),
        ("{{n}}" * 610, "None: has a syntax tree of more than 600 nodes"),
        ("x" * 4_001, "None: holds 4001 characters, more than 4000"),
    ],
)
def test_what_has_no_place_is_told_with_its_line(source: str, said: str) -> None:
    assert flaws(source) == [said]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ x * 10 ** 9 }}", "* gives more than 2000 characters"),
        ("{{ l * 10 ** 9 }}", "* gives more than 2000 characters"),
        ("{{ 10 ** 9 * x }}", "* gives more than 2000 characters"),
        ("{{ 9 ** (9 ** 9) }}", "bits"),
        ("{{ '%0999999999d' % n }}", "% is for numbers"),
        ("{{ range(10 ** 30)|list }}", "a range of more than 1000 numbers"),
        ("{{ 1|round(10 ** 8, 'floor') }}", "round is for at most 100 places"),
        ("{{ 1|round(-10 ** 8, 'ceil') }}", "round is for at most 100 places"),
        ("{{ ('a' * 1000)|replace('a', 'bbb') }}", "a value grows beyond 2000"),
        ("{{ ([x] * 400)|join('--') }}", "a value grows beyond 2000"),
        ("{% set a = x %}" + "{% set a = a ~ a %}" * 30, "a value grows beyond 2000"),
        ("{% set a = l %}" + "{% set a = [a, a] %}" * 30, "a value grows beyond 2000"),
        ("{% set s = namespace(a=l) %}" + "{% set s.a = {'k': s.a, 'l': s.a} %}" * 30, "a value grows beyond 2000"),
        ("{% for i in range(900) %}{% for j in range(900) %}{% endfor %}{% endfor %}", "turn more than 20000"),
        ("{% for i in range(900) %}{{ 'a' * 900 }}{% endfor %}", "the text grows beyond 20000"),
        ("{{ ('ΐ' * 900).upper() }}", "a value grows beyond 2000"),
        ("{{ x.upper }}", "a builtin_function_or_method cannot be printed"),
        ("{{ range(3) }}", "a range cannot be printed"),
        ("{{ {'a': [l|map('abs')]} }}", "a generator cannot be printed"),
        ("{{ [x]|map(attribute='__class__')|list }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ x['__class__'] }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ '\\ud800' }}", "half a character"),
        ("{% if n == 3 %}{{ l[9] }}{% endif %}", "has no element 9"),
    ],
)
def test_a_rendering_that_grows_or_fails_says_so(source: str, said: str) -> None:
    failure = tried(source)
    assert isinstance(failure, Failure), failure
    assert said in failure.what


def test_indentation_is_for_prompts_and_bounded() -> None:
    assert text("{{ x|indent(2, first=true) }}!", PROMPT) == "tide!"
    for width in ("10 ** 9", "'a' * 1000"):
        failure = tried(f"{{{{ x|indent({width}) }}}}", PROMPT)
        assert isinstance(failure, Failure)
        assert "indent is for at most 100" in failure.what


def test_a_failure_tells_its_line_and_whether_something_is_missing() -> None:
    sandbox = Sandbox(BOUNDS)
    sandbox.look("a\n{{ n }}\n{{ 1 // (n - 3) }}")
    sandbox.look("a\n\n{{ m }}")
    assert sandbox.render([(0, VALUES)]).failure == Failure(3, "integer division or modulo by zero", False)
    assert sandbox.render([(1, VALUES)]).failure == Failure(3, "'m' is undefined", True)


def test_the_turns_of_one_rendering_are_not_counted_in_the_next() -> None:
    sandbox = Sandbox(BOUNDS)
    sandbox.look("{% for i in range(150) %}{% for j in range(100) %}{% endfor %}{% endfor %}a")
    assert sandbox.render([(0, {})] * 3).texts == ("a", "a", "a")


WORDS = """
{{ }} {% %} {# #} for in if else elif endif endfor set with endwith range dict namespace x n l d loop self | . ( ) [ ]
{ } , : ~ + - * ** / // % == < not and or is 'a' "b" 1 2.5 -3 __class__ .upper() |list |join |sort |round |map('abs')
.a ['a'] [0] [::2] \\ é
"""
TOKENS = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(TOKENS, max_size=25).map(" ".join))
def test_any_text_is_a_text_a_flaw_or_a_failure(source: str) -> None:
    for bounds in (BOUNDS, PROMPT):
        found = tried(source, bounds)
        if isinstance(found, str):
            assert not re.search(r"<\w.* at 0x|<class|<module|<function", found)
