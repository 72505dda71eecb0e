from __future__ import annotations

import pytest
from pydantic import ValidationError

from instructlab_like.filters.length import Length, words_in


@pytest.mark.parametrize("answer", ["1874", "+", "🙂", "青", "a b c " * 200])
def test_one_word_and_many_words_are_answers(sample, answer):
    assert Length().judge(sample("When was it?", answer)).keep


@pytest.mark.parametrize(
    ("question", "answer", "reason", "threshold"),
    [
        ("Why?", "Because", "question has 1 word, at least 2 wanted", 2),
        ("Why is it?", "so " * 801, "answer has 801 words, at most 800 allowed", 800),
        ("why " * 401, "Because", "question has 401 words, at most 400 allowed", 400),
        ("Why is it?", "x" * 16001, "answer has 16001 characters, at most 16000 allowed", 16000),
    ],
)
def test_the_reason_counts_and_names_the_limit(sample, question, answer, reason, threshold):
    verdict = Length().judge(sample(question, answer))
    assert not verdict.keep
    assert (verdict.reason, verdict.threshold) == (reason, threshold)


def test_only_a_trained_passage_counts(sample):
    long = "word " * 2000
    assert not Length().judge(sample("Sum it up.", "Words.", kind="grounded", context=long)).keep
    assert Length().judge(sample("Sum it up.", "Words.", kind="knowledge", context=long)).keep


@pytest.mark.parametrize(("text", "words"), [("", 0), ("It is 1,5 m.", 5), ("塔は高い", 4), ("a+b = c", 3), ("-", 1)])
def test_words_are_counted_in_any_script(text, words):
    assert words_in(text) == words


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(ValidationError, match="min_answer_words is 900, above max_answer_words, 800"):
        Length(min_answer_words=900)
