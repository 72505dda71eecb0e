"""Whether two answers say the same: numbers first, then names, then words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.agreement import clusters, length, likeness

SAME = [
    ("7", "7."),
    ("12", "x = 12"),
    ("1,200", "1200"),
    ("1.5 kg", "1.50"),
    ("$30", "30 dollars"),
    ("-4", "−4"),
    ("Every 30 seconds.", "30 seconds"),
    ("In 1874.", "The Orrin lighthouse was built in 1874 by Mara Vell."),
    ("Mara Vell", "It was built by Mara Vell"),
    ("Two", "2"),
    ("Yes.", "Yes, it does."),
    ("Paris", "PARIS"),
    ("The keeper and his wife shared it", "It was shared by the keeper and his wife."),
    ("東京", "東京です"),
    ("Der Turm ist 41 Meter hoch.", "41 Meter"),
]
OTHER = [
    ("7", "8"),
    ("12", "-12"),
    ("1.5", "15"),
    ("In 1874.", "In 1931."),
    ("Every 30 seconds.", "Every 40 seconds."),
    ("It was built by Mara Vell.", "It was built by Benno Hart."),
    ("Yes, always.", "No, never."),
    ("The engine rings the bell.", "The engine does not ring the bell."),
    ("Granite", "Slate"),
    ("not known", "Granite"),
    ("東京", "大阪"),
    ("", "Granite"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_answers_that_say_the_same(one: str, two: str) -> None:
    assert likeness(one, two).score >= 0.5
    assert likeness(two, one).score == likeness(one, two).score


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_answers_that_say_something_else(one: str, two: str) -> None:
    assert likeness(one, two).score < 0.5
    assert likeness(two, one).score == likeness(one, two).score
    assert likeness(one, two).told


@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_symmetric_and_between_none_and_all(one: str, two: str) -> None:
    assert 0.0 <= likeness(one, two).score <= 1.0
    assert likeness(one, two).score == likeness(two, one).score


def test_draws_that_say_the_same_are_one_cluster_the_largest_first() -> None:
    drawn = ["12", "x = 12", "13", "about nothing", "12.0"]
    assert clusters(drawn, 0.5) == [[0, 1, 4], [2], [3]]


def test_length_is_in_words_in_scripts_without_spaces_too() -> None:
    assert length("one two three") == 3
    assert length("塔は1874年に建てられた") in range(5, 9)
