"""Names: which words of an answer are names that its passage does not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.ordinary import language, ordinary
from instructlab_like.filters.parts.proper import strangers

PASSAGE = (
    "The Orrin Tower was built in 1874 by Mara Vell for the United Nations. J. Smith, a German engineer from Zürich, "
    "drew its plans for King Louis XIV on 12/03/1874. It is in Calif. near the harbour. Swift wrote of it."
)


def unknown(answer: str, passage: str = PASSAGE, question: str = "What is told about the Orrin Tower?") -> list[str]:
    return strangers(answer, passage, question)


@pytest.mark.parametrize(
    "answer",
    [
        "The UN paid.",
        "John Smith drew it.",
        "A man from Zurich in Germany did.",
        "Louis the Fourteenth",
        "On 12 March 1874",
        "It is in California.",
        "Jonathan Swift wrote of it.",
        "However, the Tower is tall.",
        "Seabirds migrate. Hydrothermal vents are hot. Narwhals live there.",
        "**Key Features**: it is tall.",
        "Benefits of Regular Visits:\n- Better View: it is high",
        "NOT at all; see the PDF or call the CEO.",
        "Mr. Vell built it.",
        'It says "Open the door".',
    ],
)
def test_what_the_passage_knows_in_another_form_and_ordinary_words_are_no_strangers(answer):
    assert unknown(answer) == []


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("Benno Hart", ["Benno", "Hart"]),
        ("Berlin is the place.", ["Berlin"]),
        ("Dr. Karen Holt built it.", ["Karen", "Holt"]),
        ("Karen Vell built it.", ["Karen"]),
        ("It was opened by NATO.", ["NATO"]),
        ("It was built by Turner.", ["Turner"]),
        ("It was built by Mara Velling.", ["Velling"]),
        ("The Great Depression came.", ["Great", "Depression"]),
        ("On Tuesday it opened.", ["Tuesday"]),
        ("- Texas\n- Ohio", ["Texas", "Ohio"]),
        ("Louis XVI", ["XVI"]),
        ("James was the builder.", ["James"]),
        ("The Institute for Solar Physics built it.", ["Institute", "Solar", "Physics"]),
    ],
)
def test_a_name_that_the_passage_does_not_know_is_a_stranger(answer, names):
    assert set(unknown(answer)) & set(names)


def test_names_of_a_script_with_cases_are_known_in_every_case():
    assert unknown("Он жил в Москве.", "Он жил в городе Москва.", "Где?") == []
    assert unknown("Он жил в Берлине.", "Он жил в городе Москва.", "Где?") == ["Берлине"]


@pytest.mark.parametrize(
    "word", ["seabirds", "annually", "evaporation", "hikers", "unlocked", "fishermen", "libraries"]
)
def test_forms_of_ordinary_words_are_ordinary(word):
    assert ordinary(word)


@pytest.mark.parametrize("word", ["berlin", "karen", "james", "marcus", "toyota", "harding", "wells", "orrin"])
def test_names_are_not_ordinary(word):
    assert not ordinary(word)


@pytest.mark.parametrize(
    ("text", "code"),
    [("The tower was built.", "en"), ("Der Turm ist alt.", "de"), ("La torre es de cobre", "es"), ("Benno Hart", "")],
)
def test_a_language_is_told_by_its_commonest_words(text, code):
    assert language(text) == code


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_searched_for_names(answer, passage):
    assert strangers(passage, passage, "") == [] or not passage.isascii()
    assert isinstance(strangers(answer, passage, ""), list)
