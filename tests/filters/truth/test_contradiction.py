"""Contradiction: the opposite in otherwise the same words, and what only looks like it."""

from __future__ import annotations

import pytest

from instructlab_like.filters.truth.contradiction import Contradiction

PASSAGE = (
    "The Orrin Tower was built in 1874 by Mara Vell. The tower is open to visitors in winter. It is taller than the "
    "Bell House. The lamp contains copper and tin. Seabirds migrate north before the first snow. Velmouth was founded "
    "by Karl Ott. The ferry does not run on Sundays. Wages increased by 5 percent in 1881. The museum, which was not "
    "built until 1902, shows maps. The council always meets on Monday. France defeated Prussia in the battle. The pump"
    " has two valves and weighs 14 kg. Der Turm ist im Winter offen."
)


def judge(sample, answer, question="What is told?", *, passage=PASSAGE, kind="knowledge", **options):
    return Contradiction(**options).judge(sample(question, answer, kind=kind, context=passage))


@pytest.mark.parametrize(
    "answer",
    [
        "The tower is open to visitors in winter.",
        "The Orrin Tower was built in 1874.",
        "The Bell House is shorter than the tower.",
        "The museum was built in 1902.",
        "The museum shows maps.",
        "Karl Ott founded Velmouth.",
        "Prussia was defeated by France in the battle.",
        "The lamp contains tin and copper.",
        "The lamp contains copper.",
        "On Sundays the ferry does not run.",
        "The tower isn't closed to visitors in winter.",
        "The pump has two valves.",
        "Wages increased by about 5 percent in 1881.",
        "The ferry runs on weekdays.",
        "Copper",
    ],
)
def test_what_agrees_with_the_passage_is_kept(sample, answer):
    told = judge(sample, answer)
    assert told.keep, (told.rule, told.reason)


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("The tower is not open to visitors in winter.", "denial"),
        ("The tower isn't open to visitors in winter.", "denial"),
        ("The ferry runs on Sundays.", "denial"),
        ("The council never meets on Monday.", "denial"),
        ("Der Turm ist im Winter nicht offen.", "denial"),
        ("The tower is closed to visitors in winter.", "opposite"),
        ("Seabirds migrate south before the first snow.", "opposite"),
        ("Seabirds migrate north after the first snow.", "opposite"),
        ("It is shorter than the Bell House.", "opposite"),
        ("The council always meets on Tuesday.", "opposite"),
        ("Wages increased by 15 percent in 1881.", "other-number"),
        ("The Orrin Tower was built in 1881 by Mara Vell.", "other-number"),
        ("Karl Ott was founded by Velmouth.", "exchanged-roles"),
        ("Velmouth founded Karl Ott.", "exchanged-roles"),
        ("Prussia defeated France in the battle.", "exchanged-roles"),
    ],
)
def test_what_turns_a_sentence_of_the_passage_round_is_rejected(sample, answer, rule):
    told = judge(sample, answer)
    assert (told.keep, told.rule) == (False, rule), told.reason
    assert judge(sample, answer, passage=PASSAGE, kind="grounded").keep
    assert Contradiction(passage=False).judge(sample("What?", answer, kind="knowledge", context=PASSAGE)).keep


def test_both_sides_are_quoted(sample):
    told = judge(sample, "Seabirds migrate south before the first snow.")
    assert told.reason == '"south" is in the passage: "north"'


@pytest.mark.parametrize(
    ("question", "answer", "rule"),
    [
        ("Is the tower open to visitors in winter?", "No, the tower is open to visitors in winter.", "yes-and-no"),
        ("Is the tower open to visitors in winter?", "Yes, it is not open to visitors in winter.", "yes-and-no"),
        ("Is the tower open to visitors in winter?", "No.", "against-passage"),
        ("Does the ferry run on Sundays?", "Yes.", ""),
        ("Does the ferry of Velmouth run on Sundays?", "No.", ""),
        ("Is the tower open to visitors in winter?", "Yes, the tower is open to visitors in winter.", ""),
        ("Is Mars bigger than Earth?", "No, Earth is bigger than Mars.", ""),
        ("Do all birds fly?", "No, some birds cannot fly.", ""),
        ("Is the sun a planet?", "No, the sun is a star.", ""),
        ("Was it built in 1874?", "No, it was built in 1880.", ""),
        ("Is water not wet?", "No, water is wet.", ""),
    ],
)
def test_a_yes_or_no_must_go_with_what_follows_and_with_the_passage(sample, question, answer, rule):
    told = judge(sample, answer, question)
    assert told.rule == ("against-passage" if answer == "Yes." else rule), told.reason


def test_without_a_passage_an_answer_is_held_to_itself(sample):
    both = "The lamp of the tower is made of copper. It shines. The lamp of the tower is not made of copper."
    assert judge(sample, both, passage=None, kind="freeform").rule == "self-contradiction"
    assert judge(sample, both, passage=None, kind="freeform", itself=False).keep
    assert judge(sample, both, "Give an example of a contradiction.", passage=None, kind="freeform").keep


def test_hedges_may_make_both_true(sample):
    both = "Some towers of the coast are open in winter. Some towers of the coast are not open in winter."
    assert judge(sample, both, passage=None, kind="freeform").keep


def test_what_has_neither_passage_nor_yes_is_not_judged(sample):
    assert not judge(sample, "Because the moon pulls.", passage=None, kind="freeform").applied
