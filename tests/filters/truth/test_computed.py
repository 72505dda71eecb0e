"""Computed: sums that an answer states come out, or are told with what comes out instead."""

from __future__ import annotations

import pytest

from instructlab_like.filters.truth.computed import Computed


def judge(sample, answer, question="Tell me."):
    return Computed().judge(sample(question, answer))


RIGHT = """3 + 4 = 7|1/3 = 0.333|2/3 = 0.66|5! = 120|2^10 = 1024|2**10 = 1024|2³ = 8|48/2 = <<48/2=24>>24 clips.
$5 x 3 = $15|20% of 50 is 10|50 * 20% = 10|3/4 * 100 = 75%|1/4 = 25%|17 / 5 = 3 R 2|7/2 = 3 1/2|7/2 = 3½
3,5 + 1,5 = 5|1.000 + 500 = 1.500|1 000 + 500 = 1 500|1,203,411 * 2 = 2.4 million|100/7 = 14
0.1 + 0.2 = 0.30000000000000004|-3 + 5 = 2|\\frac{1}{2} + \\frac{1}{4} = \\frac{3}{4}|$3 + 4 = 7$
\\(3 \\times 4 = 12\\)|3 * (4 + 5) = 27|5 − 8 = −3|10 ÷ 4 = 2.5|three plus four equals seven
the square root of 81 is 9|the sum of 3 and 4 is 7|half of 10 is 5|**12 * 12 = 144**|3.33 * 3 = 10
2.67 * 100 = 266.67|1 - 0.05 = 95%|2 + 3 = 5 + 4 = 9|- 3 + 4 = 7|2 + 2 = 4!|5 * 2 = 10 = 5 + 5|100 - 20% = 80"""
UNMEANT = """x + 3 = 8|2x + 3 + 4 = 9|f(2) + 3 = 9|1/2 hour = 30 minutes|10:30 + 1:15 = 11:45|5 - 3 May
2H2 + O2 = 2H2O|A common mistake is 2 + 2 = 5.|`3 + 4 = 8`|pages 10-20 = 11 pages|9-5 = 8 hours|10 + 5 = 3 o'clock
3 == 4 + 2|v1.2 + 3 = 8|(1,2,3) + (3,4,5) = (4,6,8)|10 mod 3 = 1|log 100 + 3 = 5|1011 + 1 = 1100|3 - 1 = 5 (mod 3)
If 1 + 1 = 3, all follows.|about 3 * 4 = 13|6/2(1+2) = 1|5 / 0 = 0|a[3] - 1 = 5|[4] + [7] = [4, 7]| 3 + 4 | = 8
5 feet 6 inches = 66 inches|4 = 5|€3 + $4 = 8"""


def listed(text: str) -> list[str]:
    return [one for line in text.splitlines() for one in line.split("|") if one.strip()]


@pytest.mark.parametrize("answer", [*listed(RIGHT), "```\nx = 3 + 4 = 8\n```"])
def test_what_comes_out_however_it_is_written_is_kept(sample, answer):
    told = judge(sample, answer)
    assert told.keep, told.reason


@pytest.mark.parametrize("answer", listed(UNMEANT))
def test_what_may_mean_something_else_is_left_alone(sample, answer):
    told = judge(sample, answer)
    assert told.keep, told.reason


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("3 + 4 = 8", "7"),
        ("12 x 12 = 148", "144"),
        ("So 48/2 = <<48/2=25>>25 clips", "24"),
        ("20% of 50 is 12", "10"),
        ("√81 = 8", "9"),
        ("5! = 100", "120"),
        ("2^10 = 1000", "1024"),
        ("three plus four equals eight", "7"),
        ("\\frac{1}{2} + \\frac{1}{4} = \\frac{2}{3}", "0.75"),
        ("$3 + 4 = 8$", "7"),
        ("3 * (4 + 5) = 36", "27"),
        ("10 ÷ 4 = 2.6", "2.5"),
        ("1/3 = 0.34", "0.333333"),
        ("7/2 = 3 1/3", "3.5"),
        ("1,200 + 300 = 1,600", "1500"),
        ("the square root of 81 is 8", "9"),
        ("She has 10 - 4 = 7 apples left.", "6"),
        ("2 + 3 = 6 + 4 = 10", "5"),
        ("**12 * 12 = 145**", "144"),
        ("1.5 * 4 = 6.2", "6"),
        ("If she works, 7 * 8 = 54 crowns are hers", "56"),
    ],
)
def test_a_wrong_sum_is_rejected_with_what_comes_out(sample, answer, value):
    told = judge(sample, answer)
    assert (told.keep, told.rule) == (False, "wrong-equation")
    assert told.reason.endswith(f" is {value}")


def test_what_the_question_states_is_no_fault_of_the_answer(sample):
    assert judge(sample, "Indeed, 2 + 2 = 5.", "Explain why 2 + 2 = 5 in this story.").keep
    assert judge(sample, "11 + 1 = 100", "Add 11 and 1 in binary.").keep


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        ("What is 3 + 4?", "8", "the answer is 8, but 3 + 4 is 7"),
        ("Calculate 17 * 23.", "The answer is 392.", "the answer is 392, but 17 * 23 is 391"),
        ("What is 20% of 50?", "**12**", "the answer is 12, but 20% * 50 is 10"),
    ],
)
def test_a_bare_number_answers_a_bare_sum(sample, question, answer, told):
    found = judge(sample, answer, question)
    assert (found.rule, found.reason) == ("wrong-result", told)
    assert Computed(question=False).judge(sample(question, answer)).keep


@pytest.mark.parametrize(
    ("question", "answer"),
    [("What is 3 + 4?", "7"), ("What is 2024?", "12"), ("What is 3 + x?", "8"), ("What is 17 / 5?", "3 remainder 2")],
)
def test_a_right_result_and_a_question_that_is_no_sum_are_kept(sample, question, answer):
    assert judge(sample, answer, question).keep


@pytest.mark.parametrize(
    "answer",
    ["9^9^9^9 = 1", "(" * 5000 + "1" + ")" * 5000 + " + 1 = 3", "1 + " * 4000 + "1 = 2", "2" + "⁹" * 9000 + " = 1"],
)
def test_what_is_too_large_to_be_worked_out_is_left_alone(sample, answer):
    assert judge(sample, answer).keep


def test_a_text_without_arithmetic_is_not_judged(sample):
    assert not judge(sample, "The tide rises twice a day.").applied
