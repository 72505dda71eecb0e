"""What counts as a right answer."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.evaluation.score import score, words
from instructlab_like.records import Item, normalise

Metric = Literal["exact", "f1", "contains", "number"]
METRICS: tuple[Metric, ...] = ("exact", "f1", "contains", "number")


def item(answer: str, *, metric: Metric = "exact", accept: tuple[str, ...] = ()) -> Item:
    return Item(id="i", leaf="l", source="heldout", question="?", answer=answer, accept=accept, metric=metric)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("The harbour master", "harbour master."),
        ("an eel", "Eel"),
        ("three", "3"),
        ("Twenty ships", "20 ships"),
        ("1,250", "1250"),
        ("1,250,000", "1250000"),
        ("-5", "\u22125"),
        ("3.5 m", "3.5  M."),
        ("Straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("A", "a"),
        ("->", " -> "),
    ],
)
def test_the_same_said_otherwise_is_exact(answer: str, text: str) -> None:
    assert score(item(answer), text) == 1.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("5", "-5"),
        ("3.5", "35"),
        ("3.5", "3 5"),
        ("harbour", "harbour master"),
        ("12", "1 2"),
        ("2", "2nd"),
        ("->", "<-"),
        ("yes", ""),
        ("->", ""),
    ],
)
def test_something_else_is_not_exact(answer: str, text: str) -> None:
    assert score(item(answer), text) == 0.0


def test_a_dash_between_years_is_no_minus_sign() -> None:
    assert words("1990-1995") == ("1990", "1995")
    assert words("from 7 to -2") == ("from", "7", "to", "-2")


def test_any_accepted_answer_counts() -> None:
    asked = item("Lake Orsen", accept=("Orsen", "the Orsen water"))
    assert score(asked, "orsen") == score(asked, "Orsen Water") == 1.0
    assert score(asked, "Lake Arsen") == 0.0


def test_contains_wants_whole_words_in_order() -> None:
    asked = item("two keels", metric="contains")
    assert score(asked, "It was built with 2 keels, in 1904.") == 1.0
    assert score(asked, "keels: two") == 0.0
    assert score(item("art", metric="contains"), "a party") == 0.0


def test_f1_is_the_harmonic_mean_of_word_precision_and_recall() -> None:
    asked = item("the red brick mill", metric="f1", accept=("a windmill",))
    assert score(asked, "red mill by the sea") == pytest.approx(2 * 2 / (3 + 4))
    assert score(asked, "the windmill") == 1.0
    assert score(asked, "red red red") == pytest.approx(2 * 1 / (3 + 3))


@pytest.mark.parametrize(
    ("answer", "text", "right"),
    [
        ("42", "6 times 7 is 42.", True),
        ("42", "42, not 41", False),
        ("42", "It is 42.0", True),
        ("42", "It is 42.3", False),
        ("3.14", "about 3.14159", True),
        ("3.14", "about 3.146", False),
        ("3.14", "3", False),
        ("-5", "5 - 10 = \u22125", True),
        ("5", "10-5", True),
        ("1250", "1,250 ships", True),
        ("12", "twelve", True),
        ("7", "no idea", False),
        ("0.5", "1/2 is 0." + "5" + "0" * 60, True),
    ],
)
def test_of_a_number_the_last_one_counts_rounded_to_the_decimals_of_the_right_one(
    answer: str, text: str, right: bool
) -> None:
    assert score(item(answer, metric="number"), text) == float(right)


def test_what_the_text_alone_does_not_tell_is_no_score_of_zero() -> None:
    asked = Item(id="i", leaf="l", source="heldout", question="?", answer="x", metric="judge")
    with pytest.raises(ValueError, match="judge"):
        score(asked, "x")


@given(answer=st.text(), text=st.text(), metric=st.sampled_from(METRICS))
def test_a_score_lies_between_0_and_1_and_the_answer_itself_has_1(answer: str, text: str, metric: Metric) -> None:
    asked = item(answer, metric=metric)
    assert 0.0 <= score(asked, text) <= 1.0
    assert score(asked, answer) == float(bool(answer.strip()))
    assert score(asked, "") == 0.0


@given(answer=st.text(), text=st.text())
def test_an_exact_answer_is_right_by_every_metric(answer: str, text: str) -> None:
    if score(item(answer), text) == 1.0:
        assert {score(item(answer, metric=metric), text) for metric in METRICS} == {1.0}


@pytest.mark.parametrize(
    ("metric", "answer", "text", "right"),
    [
        ("contains", "東京", "日本の首都は東京です。", True),
        ("contains", "กรุงเทพ", "เมืองหลวงคือกรุงเทพมหานคร", True),
        ("contains", "京都", "日本の首都は東京です。", False),
        ("exact", "दिन", "दीन", False),
        ("exact", "दिन", "दिन।", True),
        ("number", "1/2", "3/2", False),
        ("number", "3:45", "It is 3:45 now", True),
        ("number", "3:45", "5:45", False),
        ("number", "12,5", "7,5", False),
        ("number", "1 000", "5 000", False),
        ("number", "1/2", "2", False),
    ],
)
def test_other_scripts_and_numbers_of_several_parts(metric: Metric, answer: str, text: str, right: bool) -> None:
    assert score(item(answer, metric=metric), text) == float(right)


def test_words_of_scripts_without_spaces_are_shared_in_part() -> None:
    assert 0.0 < score(item("東京", metric="f1"), "首都は東京") < 1.0


@given(st.text(alphabet=st.characters(categories=["L", "Z"], max_codepoint=0x58F)))
def test_words_are_those_of_normalise_where_there_are_no_numbers(text: str) -> None:
    found = normalise(text).split()
    assert len(found) - 1 <= len(words(text)) <= len(found)
