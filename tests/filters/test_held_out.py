from __future__ import annotations

import pytest

from instructlab_like.filters import Surroundings
from instructlab_like.filters.held_out import HeldOutOverlap
from instructlab_like.records import Item

LONG = "Which of the two lamps on the Orrin Tower is lit when fog comes in from the sea?"


def item(question, source="heldout", context=None, id="item"):
    return Item(id=id, leaf="leaf", source=source, question=question, answer="secret", context=context)


def judge(sample, *items):
    return next(iter(HeldOutOverlap().judge([sample], Surroundings(held_out=items))))


def test_an_equal_question_is_rejected_whatever_its_case_and_punctuation(sample):
    verdict = judge(sample("who built it", "Ann"), item("Who built it?"))
    assert (verdict.keep, verdict.partner, verdict.score) == (False, "item", 1.0)


def test_eight_words_in_a_row_give_a_held_out_question_away(sample):
    asked = sample("Say which of the two lamps on the Orrin Tower is red.", "The left")
    verdict = judge(asked, item("Who built the house over there by the sea?", id="other"), item(LONG))
    assert (verdict.keep, verdict.partner) == (False, "item")
    assert 0 < verdict.score < 1
    assert judge(sample("Which of the two lamps on the tower is red?", "The left"), item(LONG)).keep


def test_a_short_question_inside_a_longer_one_is_another_question(sample):
    assert judge(
        sample("Who built it, and when was the building opened to visitors?", "Ann"), item("Who built it?")
    ).keep


def test_questions_of_a_simulation_may_share_their_phrasing(sample):
    asked = sample("A crate holds 7 boxes of 12 eggs each. How many eggs are there?", "84", method="simulation")
    held = "A crate holds 9 boxes of 12 eggs each. How many eggs are there?"
    assert judge(asked, item(held, "simulation")).keep
    assert not judge(asked, item(asked.question, "simulation")).keep
    assert not judge(asked, item(held.replace("9", "7", 1).replace("there", "left"), "heldout")).keep


def test_answers_are_not_compared(sample):
    assert judge(sample("What is kept under the third stair?", "secret"), item("Where is the key?")).keep


@pytest.mark.parametrize(
    ("context", "keep"),
    [
        ("A quite different text about the weather on the coast in spring.", True),
        ("The tower, built long ago, leans a little to the west side now, they say.", False),
    ],
)
def test_an_instruction_may_return_about_another_passage(sample, context, keep):
    instruction = "Return the text after correcting any errors of punctuation in it."
    held = item(instruction, context="The tower built long ago leans a little to the west.")
    assert judge(sample(instruction, "Text.", kind="grounded", context=context), held).keep is keep


def test_a_held_out_question_with_a_passage_is_not_asked_without_it(sample):
    held = item("Who built the tower?", context="Ann built the tower in a year.")
    assert not judge(sample("Who built the tower?", "Ann", kind="knowledge"), held).keep


def test_without_held_out_items_all_are_kept(sample):
    assert judge(sample(LONG, "The left")).keep
