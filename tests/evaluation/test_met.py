"""A question was met in its own words, or in eight of them in a row; nothing else counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.evaluation.met import RUN, Met
from instructlab_like.records import ngrams, normalise

LONG = "At what hour does the morning ferry leave the north quay on weekdays?"


@pytest.mark.parametrize(
    ("question", "met"),
    [
        ("WHEN?", True),
        ("When, then?", False),
        ("So at what hour does the morning ferry leave, please?", True),
        ("At what hour does the morning ferry sail from the north quay on weekdays?", False),
        ("Ferry leave the north quay on weekdays", False),
        ("", False),
    ],
)
def test_whole_questions_and_eight_words_in_a_row_are_met(question: str, met: bool) -> None:
    assert Met({normalise("When?"), normalise(LONG)}).shares(question) is met


def test_scripts_without_spaces_are_compared_by_their_characters() -> None:
    met = Met({normalise("東京タワーは何年に完成しましたか、教えてください。")})
    assert met.shares("ところで東京タワーは何年に完成しましたか、教えてほしい。")
    assert not met.shares("大阪城は誰が建てましたか。")


def test_nothing_was_met_in_nothing() -> None:
    assert not Met(()).shares(LONG)


WORDS = st.lists(st.sampled_from("a b c -3 4,5 ß É x_y".split()), max_size=14).map(" ".join)  # noqa: SIM905


@given(st.lists(WORDS, max_size=5), WORDS)
def test_it_is_what_sets_of_words_say(asked: list[str], question: str) -> None:
    known = {normalise(text) for text in asked}
    runs = {gram for text in known for gram in ngrams(text, RUN) if len(gram) == RUN}
    own = {gram for gram in ngrams(question, RUN) if len(gram) == RUN}
    assert Met(known).shares(question) == (normalise(question) in known or bool(own & runs))
