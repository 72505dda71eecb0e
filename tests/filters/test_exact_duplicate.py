from __future__ import annotations

from instructlab_like.filters import Surroundings
from instructlab_like.filters.exact_duplicate import ExactDuplicate


def judge(samples, **options):
    return list(ExactDuplicate(**options).judge(samples, Surroundings()))


def test_the_first_stays_and_is_named(sample):
    first = sample("Who built it?", "Ann", id="1")
    again = sample("who built it", "Ann.", id="2", leaf="another/leaf")
    kept, rejected = judge([first, again])
    assert kept.keep
    assert (rejected.keep, rejected.partner, rejected.reason) == (False, "1", "same question, same answer")


def test_the_same_question_with_another_answer_is_a_contradiction(sample):
    samples = [sample("Who built it?", name, kind="knowledge", id=name) for name in ("Ann", "Ben", "Cid")]
    verdicts = judge(samples)
    assert [verdict.keep for verdict in verdicts] == [True, False, False]
    assert {(verdict.partner, verdict.reason) for verdict in verdicts[1:]} == {("Ann", "same question, other answer")}
    assert all(verdict.keep for verdict in judge(samples, contradictions=False))


def test_a_sign_makes_another_question_of_a_skill(sample):
    assert all(verdict.keep for verdict in judge([sample("What is 5 + 3?", "8"), sample("What is 5 - 3?", "2")]))


def test_several_phrasings_of_one_fact_stay(sample):
    asked = ["Who built it?", "By whom was it built?", "Name its builder."]
    assert all(verdict.keep for verdict in judge([sample(question, "Ann", method="rules") for question in asked]))


def test_an_instruction_about_two_passages_is_two_questions(sample):
    samples = [sample("Sum it up.", f"About {what}.", kind="grounded", context=f"On {what}") for what in ("ice", "sea")]
    assert all(verdict.keep for verdict in judge(samples))
