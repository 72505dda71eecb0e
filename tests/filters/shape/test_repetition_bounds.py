"""What the repetition filter does not look for is not there: its cheap looks never hide what the thorough ones find."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.loops import bare, frequent, said_again, sentences
from instructlab_like.filters.shape.repetition import comes_again, threes_again

WORDS = st.lists(st.sampled_from("abcd"), max_size=80)
FEW = st.lists(st.sampled_from("ab"), max_size=80)
# Passages of a few kinds, strung together, so that long ones come again.
PASSAGES = st.lists(st.integers(0, 5), max_size=12).map(
    lambda kinds: [f"{['stone', 'water', 'river', 'moon'][n % 4]}{kind}" for kind in kinds for n in range(3 + kind)]
)
PIECES = st.sampled_from(
    (
        "The moon pulls it.",
        "2) The moon pulls it!",
        "So it goes on and on for us.",
        "1.Why not (so) ask?",
        "\n",
        "- It is.",
    )
)


def comes_twice(words: list[str]) -> bool:
    """The definition."""
    if len(words) < 5:
        return len(words) == 1 and len(words[0]) > 30
    pairs, fours = list(pairwise(words)), list(zip(words, words[1:], words[2:], words[3:], strict=False))
    if any(one == other for one, other in pairs):
        return True
    if len(set(pairs)) == len(pairs):
        return False
    return len(set(fours)) < len(fours) or (len(words) > 60 and 4 * len(set(words)) < len(words))


@given(st.one_of(WORDS, FEW, PASSAGES, st.lists(st.integers(0, 60).map(str), max_size=90)))
def test_what_comes_again_is_seen(words):
    assert comes_again(words) == comes_twice(words)


@given(st.one_of(WORDS, FEW, PASSAGES))
def test_passages_said_again_are_threes_that_come_again(words):
    share, _ = said_again(words)
    assert 3 * share * len(words) <= 4 * threes_again(words) + 1e-9


@given(st.one_of(WORDS, FEW, PASSAGES))
def test_frequent_passages_are_threes_that_come_again(words):
    times = frequent(words)[1]
    assert times < 2 or times + 1 <= threes_again(words)


@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_sentences_that_stand_often_are_threes_that_come_again(text):
    again = threes_again(bare(text))
    found = sentences(text)
    for sentence, times in found.items():
        assert times < 3 or times * len(sentence.split()) <= 6 * again
    twice = [sentence for sentence, times in found.items() if times > 1 and sentence.count(" ") > 6]
    assert sum(len(sentence.split()) for sentence in twice) <= 6 * again
