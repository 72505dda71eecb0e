from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.runs import cut, quoted, squeezed, words

TOKENS = st.sampled_from(["a", "tower", "lamp", "3", "-3", "+", "Fog", "é", "塔", "灯", "สวน", "x_y"])
LISTS = st.lists(TOKENS, max_size=30)


@given(LISTS, LISTS, LISTS, st.integers(2, 6))
def test_a_run_has_one_hash_wherever_it_stands(shared, before, after, size):
    alone, within = cut(" ".join(shared)), cut(" ".join([*before, *shared, *after]))
    assert set(alone.runs(size).tolist()) <= set(within.runs(size).tolist())


@given(LISTS, st.integers(2, 6))
def test_hashes_tell_runs_apart(tokens, size):
    text = cut(" ".join(tokens))
    begins, ends = text.stretches(size)
    runs = {text.words[begin:end] for begin, end in zip(begins, ends, strict=True)}
    assert len(text.runs(size)) == len(begins)
    assert len(set(text.runs(size).tolist())) == len(runs)


def test_a_text_shorter_than_a_run_has_none():
    for text in ("", "  ", "one two", "灯塔灯"):
        assert len(cut(text).runs(3)) == 0
    assert len(cut("").whole()) == 0
    assert len(cut("one two three").runs(3)) == len(cut("灯塔灯塔灯塔").runs(3)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who built it?", "WHO  built\nit"),
        ("**Bold** – and *slanted*", "bold and slanted"),
        ("so\u00adft hy\u200bphen", "soft hyphen"),
        ("ﬁve ＦＩＶＥ", "five five"),
        ("2*3", "2 × 3"),
        ("x * y", "x × y"),
    ],
)
def test_typography_does_not_count(one, other):
    assert cut(one).words == cut(other).words
    assert cut(one).whole() == cut(other).whole()


def test_arithmetic_counts():
    assert len({cut(text).words for text in ("5 + 3", "5 - 3", "5 * 3", "5 / 3", "5 3", "5 = 3")}) == 6


def test_words_of_each_script_are_whole():
    assert cut("हिन्दी भाषा").words == ("हिन्दी", "भाषा")
    assert cut("كَتَبَ الوَلَد").length == 2
    assert cut("naïve Straße").words == ("naïve", "strasse")
    assert cut("東京タワー 333").words == ("東", "京", "タ", "ワ", "ー", "333")


def test_segments_are_paragraphs_lines_and_sentences_without_their_labels():
    text = cut("Q: Who built it? Ann did.\n\nUser 2: It is 3.5 metres.\nAnd then? So")
    found = [" ".join(text.words[begin:end]) for begin, end in text.segments(2)]
    assert found == [
        "who built it",
        "ann did",
        "who built it ann did",
        "user 2",
        "it is 3 5 metres",
        "and then",
        "and then so",
        "it is 3 5 metres and then so",
    ]
    assert cut("one line and no more").segments(1) == []


def test_squeezed_is_letters_and_digits_alone():
    assert squeezed(cut("Def f_x(a, b): return a + b!").words) == "deffxabreturnab"


def test_a_quotation_is_one_line_and_short():
    assert quoted("a\n b") == "“a b”"
    assert len(quoted("word " * 99)) == 82


def test_hashes_are_the_same_in_every_process():
    text = "Which of the two lamps is lit? 塔の灯"
    told = "from instructlab_like.filters.parts.runs import cut; import sys; print(cut(sys.argv[1]).runs(3).tolist())"
    other = subprocess.run([sys.executable, "-c", told, text], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(words(text).runs(3).tolist())
    assert words(text).runs(3).dtype == np.uint64


TEXTS = st.text(alphabet="ab1 _.,:!?\"'\n|-+*/=<>^%()\t", max_size=40)


@given(TEXTS)
def test_the_quick_way_for_ascii_text_gives_the_same_words_and_breaks(text):
    """An invisible character takes a text the other way."""
    one, other = cut(text), cut(f"{text}\u200b")
    assert one.words == other.words
    assert one.segments(1) == other.segments(1)
    assert (one.sums == other.sums).all()
