from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.claims import content_words, names, numbers, spelled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200 and 1200 and 1 200 and 1'200", {"1200"}),
        ("1.200.000 or 1,200,000", {"1200000"}),
        ("3,5 or 3.50", {"3.5"}),
        ("in 1874, 200 came", {"1874", "200"}),
        ("three", {"3"}),
        ("twenty-one, ninety nine", {"21", "99"}),
        ("twelve hundred and five", {"1205"}),
        ("two thousand and twenty-four", {"2024"}),
        ("2.5 million", {"2500000"}),
        ("two, three", {"2", "3"}),
        ("two three", {"2", "3"}),
        ("H2O and B12", set()),
        ("the 1980s, the 3rd, 50km", {"1980", "3", "50"}),
        ("1. first\n2) second", set()),
        ("one of them; hundreds", set()),
        ("007 and 0", {"7", "0"}),
        ("", set()),
    ],
)
def test_numbers_have_one_spelling(text, found):
    assert numbers(text) == found


def test_ordinals_count_where_numbers_are_looked_up():
    assert numbers("one in the nineteenth, twice", ordinals=True) == {"1", "19", "2"}


@given(st.integers(min_value=0, max_value=10**15))
def test_a_number_is_the_same_with_and_without_thousands_separators(value):
    assert numbers(f"it has {value:,} parts") == numbers(f"{value} parts") == {str(value)}


@given(st.text(max_size=60))
def test_any_text_has_numbers_names_and_words(text):
    assert all(spelled(Decimal(number)) == number for number in numbers(text, ordinals=True))
    assert all(name == name.casefold() for name in names(text))
    assert all(content_words(text))


def test_names_are_capitals_inside_a_sentence():
    text = 'Built by Mara Vell. Then came rain: Heavy rain.\n- Later the "Orrin Tower" fell. I saw NASA'
    assert names(text) == {"mara", "vell", "orrin", "tower", "nasa"}
