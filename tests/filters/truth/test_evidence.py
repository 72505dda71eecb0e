"""Evidence: what is quoted must stand in the passage, and must bear the answer out."""

from __future__ import annotations

import pytest

from instructlab_like.filters.truth.evidence import Evidence

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
        ("was built in 1874", "It dates from the 1870s."),
        ("by Mara Vell", "A woman called Mara Vell put it up."),
        ("Its lamp of copper", "Yes"),
    ],
)
def test_an_answer_that_its_evidence_bears_out_is_kept(sample, evidence, answer):
    told = Evidence().judge(quoting(sample, evidence, answer))
    assert told.keep, told.reason


def test_words_that_are_not_in_the_passage_are_no_evidence(sample):
    told = Evidence().judge(quoting(sample, None, "In 1874."))
    assert (told.keep, told.rule, told.reason) == (False, "not-quoted", "the evidence is not in the passage")


@pytest.mark.parametrize("span", [(-1, 5), (4, 4), (0, 10_000)])
def test_a_span_that_is_not_of_the_passage_is_no_evidence(sample, span):
    made = quoting(sample, None, "In 1874.").model_copy(update={"evidence": span})
    assert Evidence().judge(made).rule == "not-quoted"


@pytest.mark.parametrize("evidence", [".", ".\n", ", ", "was", "in"])
def test_what_means_nothing_is_no_evidence(sample, evidence):
    assert Evidence().judge(quoting(sample, evidence, "Yes")).reason == "the evidence says nothing"


def test_a_number_from_elsewhere_in_the_passage_is_not_borne_out(sample):
    wrong = quoting(sample, "was built in 1874", "In 1881.")
    told = Evidence().judge(wrong)
    assert (told.keep, told.rule) == (False, "number-beside-evidence")
    assert told.reason == "neither in the evidence nor in the question: the number 1881"
    assert Evidence(numbers=False).judge(wrong).keep


def test_an_answer_may_repeat_the_number_of_its_question(sample):
    asked = quoting(sample, "Its lamp of copper", "In 1881 the lamp was lit.", "What was lit in 1881?")
    assert Evidence().judge(asked).keep


def test_the_score_is_the_share_of_words_that_evidence_or_question_hold(sample):
    told = Evidence().judge(quoting(sample, "Its lamp of copper", "copper lamp, porcelain dragon"))
    assert (told.keep, told.score, told.threshold) == (True, 0.5, None)


@pytest.mark.parametrize("kind", ["grounded", "freeform"])
def test_skills_quote_nothing(sample, kind):
    assert not Evidence().judge(quoting(sample, None, "Dragons of 1999", kind=kind)).applied


def test_nothing_can_be_quoted_where_there_is_no_passage(sample):
    assert not Evidence().judge(sample("When?", "In 1874.", kind="knowledge")).applied


def test_samples_from_elsewhere_were_not_asked_for_a_quotation(sample):
    made = quoting(sample, None, "In 1874.")
    given = made.model_copy(update={"lineage": made.lineage.model_copy(update={"method": "given"})})
    assert not Evidence().judge(given).applied
