"""Sentences: where texts are parted, and what turns one sentence into the opposite of another."""

from __future__ import annotations

import pytest

from instructlab_like.filters.parts.sentences import sentences, stem, turned


def only(text: str):
    (found,) = sentences(text)
    return found


def test_a_wrapped_line_does_not_end_a_sentence_and_a_list_item_does():
    text = "The tower stands on the\nharbour wall. It is tall and red.\n\n- The lamp is copper\n- The steps are stone"
    assert [" ".join(one.said.split()) for one in sentences(text)] == [
        "The tower stands on the harbour wall.",
        "It is tall and red.",
        "- The lamp is copper",
        "- The steps are stone",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("increases", "increased"),
        ("carries", "carried"),
        ("stopped", "stops"),
        ("closing", "closes"),
        ("walls", "wall"),
    ],
)
def test_forms_of_a_word_have_one_stem(one, other):
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("claim", "other", "rule"),
    [
        ("The gate is not locked at night.", "The gate is locked at night.", "denial"),
        ("The gate is open at night.", "The gate is closed at night.", "opposite"),
        ("Anna Berg taught Karl Roth.", "Karl Roth taught Anna Berg.", "exchanged-roles"),
        ("The wall has 14 towers of brick.", "The wall has 12 towers of brick.", "other-number"),
        ("The gate is locked at night.", "The gate is locked at night.", None),
        ("Anna Berg met Karl Roth.", "Karl Roth met Anna Berg.", None),
        ("The gate is locked at night.", "If it rains, the gate is not locked at night.", None),
        ("The gate is locked.", "The gate is not only locked but bolted.", None),
        ("The wall has about 12 towers of brick.", "The wall has 13 towers of brick.", None),
        ("Is the gate not locked at night?", "The gate is locked at night.", None),
    ],
)
def test_a_sentence_is_turned_round_by_one_change_alone(claim, other, rule):
    how = turned(only(claim), only(other))
    assert (how and how.rule) == rule
