"""Grounded: numbers and names of an answer are the passage's, however they are spelled; an invention is none."""

from __future__ import annotations

import pytest

from instructlab_like.filters.truth.grounded import Grounded
from instructlab_like.records import Turn

PASSAGE = (
    "The Orrin Tower was built in 1874 by Mara Vell and opened by three sailors. Its 1,200 steps lead to a lamp of "
    "copper. Seabirds migrate past it every autumn. About 2.5 million people have visited, the first in the nineteenth "
    "century. The Velmouth Port Authority, led by J. Smith, paid 34% of it on 3 May 1871; it is 41.5 km from Zürich."
)
OTHER_WORDS = (
    "Nobody remembers when musicians gathered beneath ancient chestnut branches, singing mournful ballads about "
    "vanished fishermen, forgotten orchards and restless winters."
)


def judge(sample, answer, question="What is told about the Orrin Tower?", *, passage=PASSAGE, **options):
    return Grounded(**options).judge(sample(question, answer, kind="knowledge", context=passage))


@pytest.mark.parametrize(
    "answer",
    [
        "1874",
        "Mara Vell",
        "Vell's tower",
        "It has 1200 steps.",
        "It has twelve hundred steps.",
        "It was opened by 3 sailors.",
        "2,500,000 people",
        "Two and a half million people have visited it.",
        "In the 19th century.",
        "In the 1870s.",
        "May 3, 1871",
        "1871-05-03",
        "34 percent",
        "41,5 km",
        "41,500 metres",
        "About a third of it, 34 per cent, was paid.",
        "The VPA paid for it.",
        "John Smith led it.",
        "A place near Zurich.",
        "The migration of seabirds passes the tower in autumn.",
        "One of the towers, built by Mara Vell, is the Orrin Tower.",
        "1. copper lamp\n2. steps",
        "**Key Facts**: it is tall.",
        "Yes.",
        "Annually.",
        "Ornithologists come to watch.",
        "It was put up by a woman whose work nobody had expected to last, and she is remembered for it.",
    ],
)
def test_what_the_passage_says_in_other_words_and_spellings_is_kept(sample, answer):
    told = judge(sample, answer)
    assert told.keep, told.reason


@pytest.mark.parametrize(
    ("answer", "rule", "culprit"),
    [
        ("1875", "unsupported-number", "1875"),
        ("The tower has 1,300 steps of copper.", "unsupported-number", "1,300"),
        ("It was opened by four sailors.", "unsupported-number", "four"),
        ("In the 1880s.", "unsupported-number", "1880s"),
        ("In the 18th century.", "unsupported-number", "18th"),
        ("About 2.6 million came.", "unsupported-number", "2.6 million"),
        ("4 May 1871", "unsupported-number", "4"),
        ("43%", "unsupported-number", "43"),
        ("41.5 m", "unsupported-number", "41.5"),
        ("The tower was built by Benno Hart.", "unsupported-name", "Benno, Hart"),
        ("Benno Hart built it.", "unsupported-name", "Benno, Hart"),
        ("Mara Hart built it.", "unsupported-name", "Hart"),
        ("Marcus built it.", "unsupported-name", "Marcus"),
        ("Berlin.", "unsupported-name", "Berlin"),
        ("It stands in Toulouse.", "unsupported-name", "Toulouse"),
        ("On 3 April 1871.", "unsupported-name", "April"),
        ("NATO paid for it.", "unsupported-name", "NATO"),
        (OTHER_WORDS, "unsupported-words", "content words"),
    ],
)
def test_an_invention_is_rejected_by_name(sample, answer, rule, culprit):
    told = judge(sample, answer)
    assert (told.keep, told.rule) == (False, rule)
    assert culprit in told.reason


def test_a_year_that_only_the_question_names_was_made_up(sample):
    assert not judge(sample, "In 1999 the steps were copper.", "What were the steps in 1999?").keep
    assert judge(sample, "In 1999 the steps were copper.", "What were the steps in 1999?", numbers=False).keep


def test_a_number_that_the_question_supposes_may_be_repeated(sample):
    assert judge(sample, "Then all 30 people see the lamp.", "If 30 people come, what do they see?").keep


def test_a_sum_is_borne_out_where_one_is_asked_for(sample):
    passage = "The crew had 12 sailors and 31 marines."
    assert judge(sample, "There were 43.", "How many were there in total?", passage=passage).keep
    assert not judge(sample, "There were 43.", "Who was there?", passage=passage).keep
    assert not judge(sample, "There were 44.", "How many were there in total?", passage=passage).keep


def test_a_name_that_the_question_gives_may_be_repeated(sample):
    assert judge(sample, "The lamp of Tessaly is copper.", "What is the lamp of Tessaly made of?").keep


def test_german_nouns_are_no_names_and_full_names_are(sample):
    passage = "Der Turm wurde 1874 von Mara Vell gebaut. Er steht auf der Hafenmauer."
    question = "Was wird erzählt?"
    assert judge(sample, "Die Errichtung des Bauwerks leitete Mara Vell.", question, passage=passage).keep
    told = judge(sample, "Der Turm wurde von Karl Lehmann gebaut.", question, passage=passage)
    assert told.reason == "neither in the passage nor in the question: the name Karl, Lehmann"


def test_a_foreign_name_in_katakana_is_looked_up(sample):
    passage = "灯台は海岸に立っている。設計者は田中である。"
    assert judge(sample, "海岸に立っている", "灯台はどこ？", passage=passage).keep
    assert judge(sample, "設計者はマーク・トウェインである", "設計者は？", passage=passage).rule == "unsupported-name"


def test_words_decide_nothing_where_evidence_was_quoted_or_a_judge_has_read_the_answer(sample):
    made = sample("What is told?", OTHER_WORDS, kind="knowledge", context=PASSAGE)
    turn = Turn(
        step="judge", role="critic", template="judge/knowledge.j2", template_blob="0" * 40, model="critic", call="c"
    )
    judged = made.model_copy(update={"lineage": made.lineage.model_copy(update={"turns": (turn,)})})
    assert not Grounded().judge(made).keep
    assert Grounded(threshold=0).judge(made).keep
    assert Grounded().judge(made.model_copy(update={"evidence": (0, 20)})).keep
    assert Grounded().judge(judged).keep


def test_the_score_of_words_is_the_share_that_is_known(sample):
    told = judge(sample, OTHER_WORDS)
    assert told.score is not None
    assert told.score < (told.threshold or 0) == 0.05


@pytest.mark.parametrize("kind", ["grounded", "freeform"])
def test_a_skill_may_say_what_its_passage_does_not_unless_it_is_to_extract(sample, kind):
    made = sample("Rewrite this.", "Dragons of 1999", kind=kind, context=PASSAGE)
    assert Grounded().judge(made) == Grounded().judge(sample("Why?", "So."))
    assert not Grounded().judge(made).applied
    assert Grounded(skills=True).judge(made).rule == "unsupported-number"


def test_without_a_passage_nothing_is_judged(sample):
    assert not Grounded().judge(sample("When?", "In 1874.", kind="knowledge")).applied
