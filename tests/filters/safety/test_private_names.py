from __future__ import annotations

import unicodedata

import pytest

from instructlab_like.filters import LeafFacts
from instructlab_like.filters.safety.private_names import PrivateNames

LEAF = LeafFacts(path="knowledge/x", private=("Mara Vell", "Óscar Núñez Prado", "Ann", "王小明"))


@pytest.mark.parametrize(
    "text",
    [
        "Mara Vell built it.", "It is Mara Vell's.", "It is Mara Vell’s.", "Das war Mara Vells Haus.", "by Mara\n Vell",
        "M. Vell signed.", "Vell, Mara: Works", "MARA VELL", "(Mara Vell)", "Óscar Núñez Prado", "Óscar Prado",
        "Óscar N. Prado", unicodedata.normalize("NFD", "Óscar Núñez Prado"), "Ann's boat", "Ann", "由王小明建造",
    ],
)  # fmt: skip
def test_a_marked_name_is_found_as_texts_write_it(sample, text):
    for one in (sample("Who?", text), sample(text, "Yes."), sample("Who?", "x", context=text)):
        told = PrivateNames().judge(one, LEAF)
        assert (told.keep, told.rule) == (False, "private-name")
        assert "Vell" not in told.reason


@pytest.mark.parametrize(
    "text",
    ["mara vell", "Tamara Vellini", "Annual", "Hannah", "Mara went with the vell.", "Vell alone", "Anne", "小明"],
)
def test_other_words_are_no_marked_name(sample, text):
    assert PrivateNames().judge(sample("Who?", text), LEAF).keep


def test_each_word_counts_where_that_is_asked_for(sample):
    assert PrivateNames(parts=True).judge(sample("Who?", "Old Vell's house"), LEAF).rule == "private-name"
    assert PrivateNames(parts=True).judge(sample("Who?", "vellum"), LEAF).keep


def test_a_name_is_masked_or_exchanged_with_its_ending_left(sample):
    one = sample("Is it Mara Vell's?", "Yes, Mara Vell's, not Ann's.")
    masked = PrivateNames(action="mask").judge(one, LEAF).instead
    assert masked is not None
    assert (masked.question, masked.answer) == ("Is it [NAME]'s?", "Yes, [NAME]'s, not [NAME]'s.")
    other = PrivateNames(action="pseudonym").judge(one, LEAF).instead
    assert other is not None
    name = other.question.removeprefix("Is it ").removesuffix("'s?")
    assert len(name.split()) == 2
    assert other.answer.startswith(f"Yes, {name}'s, not ")
    assert PrivateNames().judge(other, LEAF).keep


def test_a_leaf_that_marks_none_is_not_judged(sample):
    told = PrivateNames().judge(sample("Who?", "Mara Vell"), LeafFacts(path="x"))
    assert (told.keep, told.applied) == (True, False)
