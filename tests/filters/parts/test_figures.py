"""Figures: what a text claims in numbers, and what another text bears out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.figure_support import support, unsupported
from instructlab_like.filters.parts.figures import figures


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,200.5 and 1 200 and 1'200", ["1200.5", "1200", "1200"]),
        ("1.200.000,5", ["1200000.5"]),
        ("two hundred and five", ["205"]),
        ("nineteen eighty-four", ["1984"]),
        ("two and a half million", ["2500000"]),
        ("5 and a half", ["5.5"]),
        ("half a dozen, a hundred", ["6", "100"]),
        ("$3M, 2.5 Mio., 4k", ["3000000", "2500000", "4000"]),
        ("-5 °C, a well-known 3-5", ["-5", "3", "5"]),
        ("2½", ["2.5"]),
        ("the 3rd, the twenty-first", ["3", "21"]),
        ("1. one\n2) two of them\nStep 3: three", ["2", "3"]),
        ("no one, one of them, hundreds of people, the two", []),
        ("二十一年, 一八七四年", ["21", "1874"]),
        ("Der Turm hat zwölf Stufen und ist alt.", ["12"]),
        ("٣ and 12", ["3", "12"]),
    ],
)
def test_a_text_claims_these_numbers(text, values):
    assert [str(figure.value) for figure in figures(text)] == values


@pytest.mark.parametrize(
    ("claim", "passage"),
    [
        ("15:30", "at 3:30 pm"),
        ("3:30 pm", "at 15:30"),
        ("37 °C", "98.6 °F"),
        ("135 feet", "41 metres"),
        ("seven days", "a week"),
        ("two-thirds of members", "66.7% of members"),
        ("a quarter of them", "12 of 48 members"),
        ("1881", "1874–81"),
        ("einundzwanzig", "21"),
        ("21", "einundzwanzig Türme"),
        ("CO2", "water"),
        ("KT-300", "the model KT-300"),
        ("3.14", "3.14159"),
        ("im 19. Jahrhundert", "1874 gebaut"),
        ("three parts: A, B and C", "it has A, B and C"),
        ("from 62 to 38, by 24 votes", "62 to 38"),
    ],
)
def test_a_passage_bears_out_a_number_in_another_form(claim, passage):
    assert unsupported(claim, passage, "What is told?") == []


@pytest.mark.parametrize(
    ("claim", "passage"),
    [
        ("MP4", "an MP3 file"),
        ("A380", "the A320"),
        ("15 km", "15 m"),
        ("5 °C", "it was -5 °C"),
        ("about 1,500", "1,200"),
        ("20%", "an eighth director"),
        ("8 years", "8.7 million"),
        ("42.3 km", "42.0 km"),
        ("19 May 1844", "16 May 1844"),
    ],
)
def test_a_passage_does_not_bear_out_what_is_only_near(claim, passage):
    assert unsupported(claim, passage, "What is told?")


@given(st.integers(min_value=2, max_value=10**12))
def test_a_number_is_borne_out_by_itself_with_and_without_separators(value):
    assert unsupported(f"it has {value:,} parts", f"there are {value} parts", "") == []
    assert unsupported(f"it has {value} parts", f"there are {value:,} parts", "") == []


@given(st.integers(min_value=13, max_value=10**9), st.integers(min_value=13, max_value=10**9))
def test_no_whole_number_bears_out_another(one, other):
    assert bool(unsupported(f"It has {one} parts.", f"There are {other} things.", "")) == (one != other)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40))
def test_any_text_can_be_looked_up(answer, passage, question):
    assert len(unsupported(answer, passage, question)) <= len(figures(answer))
    assert support(passage).values is not None
