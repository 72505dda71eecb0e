"""Evidence: what is quoted must stand in the passage, and must bear the answer out."""

from __future__ import annotations

import pytest

from instructlab_like.filters.evidence import Evidence

PASSAGE = "The Orrin Tower was built in 1874 by Mara Vell.\nIts lamp of copper was lit in 1881, after 7 years."


def quoting(sample, evidence, answer, question="When was the Orrin Tower built?", *, kind="knowledge"):
    """A sample whose evidence is these words of the passage; None: words that nobody found there."""
    made = sample(question, answer, kind=kind, context=PASSAGE)
    if evidence is None:
        return made
    start = PASSAGE.index(evidence)
    return made.model_copy(update={"evidence": (start, start + len(evidence))})


@pytest.mark.parametrize(
    ("evidence", "answer"),
    [
        ("was built in 1874", "In 1874."),
        ("was built in 1874", "It was erected in eighteen hundred and seventy four."),
        ("by Mara Vell", "A woman called Mara Vell put it up."),
        ("Its lamp of copper", "Yes"),
    ],
)
def test_an_answer_that_its_evidence_bears_out_is_kept(sample, evidence, answer):
    verdict = Evidence().judge(quoting(sample, evidence, answer))
    assert verdict.keep, verdict.reason


def test_words_that_are_not_in_the_passage_are_no_evidence(sample):
    verdict = Evidence().judge(quoting(sample, None, "In 1874."))
    assert (verdict.keep, verdict.reason) == (False, "the evidence is not in the passage")


@pytest.mark.parametrize("evidence", [".", ".\n", ", "])
def test_punctuation_is_no_evidence(sample, evidence):
    assert Evidence().judge(quoting(sample, evidence, "Yes")).reason == "the evidence says nothing"


def test_a_number_from_elsewhere_in_the_passage_is_not_borne_out(sample):
    wrong = quoting(sample, "was built in 1874", "In 1881.")
    verdict = Evidence().judge(wrong)
    assert (verdict.keep, verdict.reason) == (False, "neither in the evidence nor in the question: the number 1881")
    assert Evidence(numbers=False).judge(wrong).keep


def test_an_answer_may_repeat_the_number_of_its_question(sample):
    asked = quoting(sample, "Its lamp of copper", "In 1881 the lamp was lit.", "What was lit in 1881?")
    assert Evidence().judge(asked).keep


def test_the_score_is_the_share_of_words_that_evidence_or_question_hold(sample):
    verdict = Evidence().judge(quoting(sample, "Its lamp of copper", "copper lamp, porcelain dragon"))
    assert (verdict.keep, verdict.score, verdict.threshold) == (True, 0.5, None)


@pytest.mark.parametrize("kind", ["grounded", "freeform"])
def test_skills_quote_nothing(sample, kind):
    assert Evidence().judge(quoting(sample, None, "Dragons of 1999", kind=kind)).keep


def test_nothing_can_be_quoted_where_there_is_no_passage(sample):
    assert Evidence().judge(sample("When?", "In 1874.", kind="knowledge")).keep
