"""Reckoning: arithmetic is read as it is written, and bounded."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.reckoning import equations, readings

small = st.integers(min_value=0, max_value=500)
sums = st.recursive(
    small.map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=6,
)


def stated(line: str) -> list[Fraction | None]:
    return [equation.wrong() for equation in equations(line)]


@given(sums)
def test_a_sum_is_worked_out_as_python_does(text):
    value = eval(text)
    if "(" not in text:
        return
    assert stated(f"{text} = {value}") == [None]
    assert stated(f"{text} = {value + 1}") == [Fraction(value)]


@given(small, st.integers(min_value=1, max_value=500))
def test_a_quotient_may_be_rounded_or_cut_off(one, other):
    exact = Fraction(one, other)
    for places in (1, 2, 3):
        assert stated(f"{one} / {other} = {float(exact):.{places}f}") == [None]
        wrong = float(exact) + 2 / 10**places
        assert stated(f"{one} / {other} = {wrong:.{places}f}") == [exact]


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("1,234", [1234, Fraction("1.234")]),
        ("1.234", [Fraction("1.234"), 1234]),
        ("1,234,567.5", [Fraction("1234567.5")]),
        ("3,5", [Fraction("3.5")]),
        ("1.2.3", []),
        ("9" * 60, []),
    ],
)
def test_a_number_may_be_read_in_more_than_one_way(said, values):
    assert list(readings(said)[0]) == values


@pytest.mark.parametrize(
    "line", ["x + 3 = 4", "f(2) + 1 = 9", "3 = 4", "a1 + 2 = 9", "2 H2 + O2 = 2", "10:30 + 1 = 9", "1/0 = 3"]
)
def test_what_is_not_arithmetic_alone_has_no_wrong_result(line):
    assert all(value is None for value in stated(line))


@given(st.text(alphabet="0123456789+-*/^()=!%. x√½", max_size=60))
def test_any_line_can_be_read(line):
    assert all(value is None or isinstance(value, Fraction) for value in stated(line))
