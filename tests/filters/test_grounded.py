from __future__ import annotations

import pytest

from instructlab_like.filters.grounded import Grounded

PASSAGE = (
    "The Orrin Tower was built in 1874 by Mara Vell and opened by three sailors. Its 1,200 steps lead to a lamp of "
    "copper. Seabirds migrate past it every autumn. About 2.5 million people have visited, the first in the nineteenth "
    "century."
)


def judge(sample, answer, question="What is told about the Orrin Tower?", **options):
    return Grounded(**options).judge(sample(question, answer, kind="knowledge", context=PASSAGE))


@pytest.mark.parametrize(
    "answer",
    [
        "1874",
        "Mara Vell",
        "copper",
        "It has 1200 steps.",
        "It was opened by 3 sailors.",
        "2,500,000 people",
        "Two and a half: 2.5 million people have visited it.".removeprefix("Two and a half: "),
        "In the 19th century.",
        "The migration of seabirds passes the tower in autumn.",
        "One of the towers, built by Mara Vell, is the Orrin Tower.",
        "1. copper lamp\n2. steps",
        "Yes.",
    ],
)
def test_what_the_passage_says_in_other_spelling_is_kept(sample, answer):
    verdict = judge(sample, answer)
    assert verdict.keep, verdict.reason


@pytest.mark.parametrize(
    ("answer", "culprit"),
    [
        ("1875", "the number 1875"),
        ("The tower has 1,300 steps of copper.", "the number 1300"),
        ("It was opened by four sailors.", "the number 4"),
        ("The tower was built by Benno Hart.", "the name benno, hart"),
        ("Porcelain", "1 of 1 content words are not in the passage: porcelain"),
        ("Angry dragons guard gold inside", "dragons"),
    ],
)
def test_an_invention_is_rejected_by_name(sample, answer, culprit):
    verdict = judge(sample, answer)
    assert not verdict.keep
    assert culprit in verdict.reason


def test_a_year_that_only_the_question_names_was_made_up(sample):
    assert not judge(sample, "In 1999 the steps were copper.", "What were the steps in 1999?").keep
    assert judge(sample, "In 1999 the steps were copper.", "What were the steps in 1999?", numbers=False).keep


def test_a_name_that_the_question_gives_may_be_repeated(sample):
    assert judge(sample, "The lamp of Vellmoor is copper.", "What is the lamp of Vellmoor made of?").keep


def test_the_score_is_the_share_of_supported_words(sample):
    verdict = judge(sample, "copper lamp, porcelain dragon")
    assert (verdict.score, verdict.threshold) == (0.5, 0.7)


@pytest.mark.parametrize("kind", ["grounded", "freeform"])
def test_a_skill_may_say_what_its_passage_does_not(sample, kind):
    verdict = Grounded().judge(sample("Rewrite this.", "Dragons of 1999", kind=kind, context=PASSAGE))
    assert verdict.keep
    assert "skill" in verdict.reason


def test_a_script_without_spaces_is_compared_by_pairs_of_characters(sample):
    passage = "灯台は海岸に立っている。青い屋根を持つ。"
    good = sample("灯台はどこに立っている？", "海岸に立っている", kind="knowledge", context=passage)
    bad = sample("灯台はどこに立っている？", "山頂の広場", kind="knowledge", context=passage)
    assert Grounded().judge(good).keep
    assert not Grounded().judge(bad).keep
