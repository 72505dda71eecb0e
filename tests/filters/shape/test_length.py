from __future__ import annotations

import pytest
from pydantic import ValidationError

from instructlab_like.filters.shape.length import Length, words_in


@pytest.mark.parametrize("answer", ["1874", "+", "🙂", "青", "a b c " * 200])
def test_one_word_and_many_words_are_answers(sample, answer):
    assert Length().judge(sample("When was it?", answer)).keep


@pytest.mark.parametrize(
    ("question", "answer", "rule", "reason", "threshold"),
    [
        ("Why?", "Because", "too-short", "question has 1 word, at least 2 wanted", 2),
        ("Why is it?", "so " * 1501, "too-long", "answer has 1501 words, at most 1500 allowed", 1500),
        ("why " * 1901, "Because", "too-long", "question has 1901 words, at most 1900 allowed", 1900),
        ("Why is it?", "塔" * 1501, "too-long", "answer has 1501 words, at most 1500 allowed", 1500),
        ("Why is it?", "x" * 16001, "too-long", "answer has 16001 characters, at most 16000 allowed", 16000),
    ],
)
def test_the_reason_counts_and_names_the_limit(sample, question, answer, rule, reason, threshold):
    told = Length().judge(sample(question, answer))
    assert not told.keep
    assert (told.rule, told.reason, told.threshold) == (rule, reason, threshold)


def test_a_question_may_bring_its_passage_along_or_have_it_apart(sample):
    long = "why " * 401
    assert Length().judge(sample(long, "Because.")).keep
    told = Length().judge(sample(long, "Because.", kind="grounded", context="A text of some more words."))
    assert told.reason == "question has 401 words, at most 400 allowed"


def test_only_a_trained_passage_counts(sample):
    long = "word " * 2000
    assert not Length().judge(sample("Sum it up.", "Words.", kind="grounded", context=long)).keep
    assert Length().judge(sample("Sum it up.", "Words.", kind="knowledge", context=long)).keep


@pytest.mark.parametrize(("text", "words"), [("", 0), ("It is 1,5 m.", 5), ("塔は高い", 4), ("a+b = c", 3), ("-", 1)])
def test_words_are_counted_in_any_script(text, words):
    assert words_in(text) == words


@pytest.mark.parametrize("words", [1, 2, 3, 799, 800, 801, 1500, 1501])
@pytest.mark.parametrize("word", ["a", "ab,", "塔", "é-", "1 - "])
def test_texts_are_judged_by_their_words_however_many_characters_they_have(sample, words, word):
    text = f"{word} " * words
    assert Length().judge(sample("Why is it?", text)).keep == (words_in(text) <= 1500)


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(ValidationError, match="min_answer_words is 1900, above max_answer_words, 1500"):
        Length(min_answer_words=1900)
