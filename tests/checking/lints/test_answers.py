from __future__ import annotations

from pathlib import Path

import pytest
from one_lint import of_code, written_knowledge, written_skill

NONE, STRANGE = "answer-not-in-context", "claim-not-in-context"
CONTEXT = "The Kestle Lighthouse was built by Ruth Amsel in 1874. It stands thirty-one metres high on Gull Point."


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        (CONTEXT, "Granite and limestone."),
        (CONTEXT, "1950"),
        (CONTEXT, "It was Greta Lindqvist."),
        ("Der Leuchtturm wurde 1874 gebaut.", "Ein Fischer namens Hansen."),
        ("この灯台は1874年に建てられました。", "船長の帽子"),
        ("서울은 한국의 수도이다.", "바나나"),
    ],
)
def test_an_answer_that_shares_nothing_with_its_context_is_an_error(tmp_path: Path, context: str, answer: str) -> None:
    (told,) = of_code(NONE, written_knowledge(tmp_path, context, "What is it?", answer))
    assert told.severity == "error"
    assert told.field == "seed_examples[1].questions_and_answers[1].answer"
    assert told.line == 14


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        (CONTEXT, "The tide rises twice a day because of the moon"),
        (CONTEXT, "The text does not say."),
        (CONTEXT, "Twelve"),
        (CONTEXT, "They fell over."),
        ("Two thirds of the members said yes.", "About 67 %"),
        ("東京は日本の首都です。", "Tokyo"),
    ],
)
def test_what_may_be_said_in_other_words_is_a_warning(tmp_path: Path, context: str, answer: str) -> None:
    (told,) = of_code(NONE, written_knowledge(tmp_path, context, "What is it?", answer))
    assert told.severity == "warning"


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        (CONTEXT, "Ruth Amsel"),
        (CONTEXT, "31 metres"),
        (CONTEXT, "It is a light house."),
        (CONTEXT, "Yes."),
        (CONTEXT, "No, never."),
        (CONTEXT, "by it"),
        (CONTEXT, "Builders"),
        ("She swam there once and back once.", "First there."),
        ("Helsinki on Suomen pääkaupunki.", "Helsingissä"),
        ("Der Leuchtturm wurde 1874 gebaut.", "Leuchttürme"),
        ("この灯台は1874年に建てられました。", "灯台です"),
        ("서울은 한국의 수도이다.", "서울"),
        ("Ціна становить 1,200 гривень.", "1200"),
    ],
)
def test_an_answer_that_shares_a_word_or_a_number_is_no_error(tmp_path: Path, context: str, answer: str) -> None:
    assert not of_code(NONE, written_knowledge(tmp_path, context, "What is it?", answer))


@pytest.mark.parametrize(
    ("answer", "strange", "column"),
    [
        ("It was built in 1875 on Gull Point.", "1875", 29),
        ("It was built by Karl Venner on Gull Point.", "karl, venner", 29),
        ("It has 4 windows and stands on Gull Point.", "4", 20),
        ("Of its seven doors one is on Gull Point.", "7", 13),
    ],
)
def test_a_number_or_name_that_the_context_lacks_is_a_warning(
    tmp_path: Path, answer: str, strange: str, column: int
) -> None:
    (told,) = of_code(STRANGE, written_knowledge(tmp_path, CONTEXT, "What about the lighthouse?", answer))
    assert told.severity == "warning"
    assert told.message == f"the context does not hold {strange}"
    assert (told.line, told.column) == (14, column)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When?", "The lighthouse is from 1874."),
        ("How high?", "The lighthouse is 31 metres high."),
        ("Was it there in 1900?", "Yes, in 1900 the lighthouse was there."),
        ("Did Hanna Torne see it?", "It says that Hanna Torne saw the lighthouse."),
        ("Who?", "The lighthouse was built by Mrs Amsel."),
        ("What?", "Built of wood. Nobody knows."),
    ],
)
def test_what_context_or_question_say_is_no_warning(tmp_path: Path, question: str, answer: str) -> None:
    assert not of_code(STRANGE, written_knowledge(tmp_path, CONTEXT, question, answer))


def test_german_nouns_are_no_names(tmp_path: Path) -> None:
    context = (
        "Der Turm ist 1874 von Ruth Amsel gebaut und nicht das erste Haus auf dem Felsen, die Leute nennen ihn alt."
    )
    folder = written_knowledge(tmp_path, context, "Was ist er?", "Er ist 1874 als Bauwerk und Wahrzeichen gebaut.")
    assert not of_code(STRANGE, folder)


def test_skills_are_not_measured_by_their_context(tmp_path: Path) -> None:
    folder = written_skill(tmp_path, context=CONTEXT, question="Invent a title.", answer="Granite 1999")
    assert not of_code(NONE, folder)
    assert not of_code(STRANGE, folder)
