"""Answers in tags that a template names itself: enclosed texts, texts that the next tag ends, and whole answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.generation.parse import Reading, read, reason
from instructlab_like.records import Completion

PAIR = ("question", "answer")
ENCLOSED = (("[Start of Question]", "[End of Question]"), ("[Start of Answer]", "[End of Answer]"))
OPEN = (("[QUESTION]", ""), ("[ANSWER]", "[END]", ""))
WHOLE = (("", ""),)


def found(text: str, tags: tuple[tuple[str, ...], ...], *, cut: bool = False) -> Reading:
    return read(text, PAIR if len(tags) > 1 else ("text",), None, tags, cut=cut)


def texts(reading: Reading) -> list[tuple[str, ...]]:
    return [tuple(group.texts.values()) for group in reading.groups]


def enclosed(*pairs: tuple[str, str]) -> str:
    return "\n".join(
        f"[Start of Question]\n{question}\n[End of Question]\n[Start of Answer]\n{answer}\n[End of Answer]"
        for question, answer in pairs
    )


def test_enclosed_texts_are_found_whatever_stands_around_them() -> None:
    text = "Sure:\n\n" + enclosed(("Why?", "So."), ("Who?", "Ida\n\nherself.")) + "\nI hope this helps!"
    assert texts(found(text, ENCLOSED)) == [("Why?", "So."), ("Who?", "Ida\n\nherself.")]
    assert [group.number for group in found(text, ENCLOSED).groups] == [1, 2]
    assert found(text, ENCLOSED).broken == 0


def test_the_case_of_tags_and_the_blanks_in_them_do_not_matter() -> None:
    text = enclosed(("Why?", "So.")).replace("[Start of", "[START  of").replace("[End", "[end")
    assert texts(found(text, ENCLOSED)) == [("Why?", "So.")]


def test_other_tags_of_the_prompt_that_an_answer_repeats_do_not_matter() -> None:
    text = "[Start of Context]\nA text.\n[End of Context]\n" + enclosed(("Why?", "So."))
    assert texts(found(text, ENCLOSED)) == [("Why?", "So.")]


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_tag_loses_its_own_group_and_no_other(lost: int) -> None:
    marks = ["[Start of Question]", "[End of Question]", "[Start of Answer]", "[End of Answer]"]
    damaged = enclosed(("Why?", "So.")).replace(marks[lost], "")
    text = enclosed(("First?", "One.")) + "\n" + damaged + "\n" + enclosed(("Last?", "Three."))
    assert texts(found(text, ENCLOSED)) == [("First?", "One."), ("Last?", "Three.")]


def test_a_question_never_gets_the_answer_of_another() -> None:
    """Where regular expressions that look for each text apart would pair them."""
    text = enclosed(("One?", "1."), ("Two?", "2.")).replace("[Start of Answer]\n1.\n[End of Answer]\n", "")
    assert texts(found(text, ENCLOSED)) == [("Two?", "2.")]
    assert found(text, ENCLOSED).broken == 1


def test_a_text_goes_to_the_next_opening_tag_or_the_end() -> None:
    text = "[Question]\nWhy?\n[Answer]\nSo.\n[End]\n\n[QUESTION]\nWho?\n[ANSWER]\nIda."
    assert texts(found(text, OPEN)) == [("Why?", "So."), ("Who?", "Ida.")]


def test_what_was_cut_off_is_not_taken_for_whole() -> None:
    text = "[QUESTION]\nWhy?\n[ANSWER]\nSo.\n[QUESTION]\nWho?\n[ANSWER]\nId"
    assert texts(found(text, OPEN, cut=True)) == [("Why?", "So.")]
    assert found(text, OPEN, cut=True).broken == 1
    assert texts(found(text + "a.\n[END]", OPEN, cut=True)) == [("Why?", "So."), ("Who?", "Ida.")]
    assert found("A summary that", WHOLE, cut=True) == Reading((), 1)


def test_an_answer_that_another_tag_than_the_next_ends_is_none() -> None:
    assert texts(found("[QUESTION]\nWhy?\n[ANSWER]\nSo.\n[ANSWER]\nOr so.", OPEN)) == []
    assert texts(found("[QUESTION]\nWhy?\n[QUESTION]\nWho?\n[ANSWER]\nIda.", OPEN)) == [("Who?", "Ida.")]


def test_an_answer_as_a_whole_is_one_text_without_a_models_thoughts() -> None:
    assert texts(found("<think>hm</think>\nAll of it,\n\nto the end. ", WHOLE)) == [("All of it,\n\nto the end.",)]
    assert texts(found(" \n ", WHOLE)) == []


def test_a_text_may_begin_with_the_answer_and_end_at_a_tag() -> None:
    text = "First part [STOP]\nsecond part [STOP]"
    assert texts(found(text, (("", "[STOP]"),))) == [("First part",), ("second part",)]


@given(st.lists(st.tuples(*[st.text("abc \n.", min_size=1).filter(str.strip)] * 2), min_size=1, max_size=5))
def test_well_formed_answers_give_what_regular_expressions_give(pairs: list[tuple[str, str]]) -> None:
    text = enclosed(*pairs)
    apart = [
        [match.strip() for match in re.findall(re.escape(start) + "(.*?)" + re.escape(end), text, re.DOTALL)]
        for start, end in ENCLOSED
    ]
    assert texts(found(text, ENCLOSED)) == list(zip(*apart, strict=True))


@given(st.lists(st.sampled_from([*(mark for one in ENCLOSED for mark in one), "text", "\n"]), max_size=14))
def test_whatever_is_found_is_enclosed_in_the_answer(pieces: list[str]) -> None:
    """And no tag is inside of it."""
    text = " ".join(pieces)
    reading = found(text, ENCLOSED)
    for group in reading.groups:
        for name, (start, end) in zip(PAIR, ENCLOSED, strict=True):
            assert not {mark for one in ENCLOSED for mark in one if mark in group.texts[name]}
            assert re.search(rf"{re.escape(start)}\s*{re.escape(group.texts[name])}\s*{re.escape(end)}", text)
    assert len(reading.groups) + reading.broken >= ("[Start of Question]" in text)


@pytest.mark.parametrize(
    ("text", "tags", "told"),
    [
        ("Nothing.", ENCLOSED, "the answer holds no tags such as [Start of Question]"),
        ("[Start of Question] Why?", ENCLOSED, "none of the 1 begun in the answer is whole: [Start of Question], "),
        ("A piece", WHOLE, "the answer holds no text; it was cut off at max_tokens"),
    ],
)
def test_why_an_answer_gave_nothing_is_told(text: str, tags: tuple[tuple[str, ...], ...], told: str) -> None:
    cut = "cut off" in told
    reading = found(text, tags, cut=cut)
    completion = Completion(key="k", text=text, finish_reason="length" if cut else "stop")
    assert not reading.groups
    assert reason(completion, PAIR, None, reading.broken, tags).startswith(told)
