"""What the search for copies is built from: words, opposites, differences, and what is remembered of pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.parts.changes import Text, Told, compared, likeness
from instructlab_like.filters.parts.compared import Compared
from instructlab_like.filters.parts.opposites import opposed
from instructlab_like.filters.parts.shelves import SLOTS, counted_pairs, in_order, shelved, signature, within
from instructlab_like.filters.parts.tokens import Part, spoken, unmarked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("rises", "falls"), ("increased", "decreased"), ("higher", "lower"), ("always", "never")],
        *[("march", "october"), ("likely", "unlikely"), ("upstream", "downstream"), ("harmless", "harmful")],
        *[("import", "export"), ("steigt", "sinkt"), ("avant", "après"), ("mayor", "menor"), ("上", "下")],
    ],
)
def test_words_that_exclude_each_other_are_known(one, other):
    assert opposed(one, other)
    assert opposed(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rises", "rising"),
        ("rises", "rises"),
        ("house", "barn"),
        ("old", "oldest"),
        ("able", "table"),
        ("press", "ress"),
    ],
)
def test_other_words_are_not(one, other):
    assert not opposed(one, other)


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("**bold**, and *so* on", "bold, and so on"),
        ("* one\n* two", " one\n two"),
        ("> said he", " said he"),
        ("a * b, 5*3 and 2 ** 8", "a * b, 5*3 and 2 ** 8"),
        ("snake_case and _this_", "snake_case and this"),
        ("-5 degrees", "-5 degrees"),
        ("ze\u200bro wi\u00addth", "zero width"),
    ],
)
def test_marks_of_lists_and_emphasis_go_and_signs_stay(marked, plain):
    assert unmarked(marked) == plain


def test_words_are_read_alike_for_a_sketch_and_for_comparing():
    for text in (
        "The Río isn't 1,200 km long.",
        "The river isn't 1,200 km long.",
        "潮の高さは3メートルです。",
        "Ёлка — 5 м",
    ):
        folded = [word.decode() for word in spoken(text).words]
        assert folded == [word for word in Part(text).tokens if word != "-"]


def test_numbers_and_names_are_marks_and_what_opens_a_sentence_is_none():
    text = "In 1874 the firm of Orrin Vell moved. Then McAdam came to see (London) and I left."
    assert [mark.decode() for mark in spoken(text).marks] == ["1874", "Orrin", "Vell", "McAdam", "London"]
    part = Part(text)
    assert {part.tokens[place] for place in part.capitals} == {"orrin", "vell", "mcadam", "london"}


def text_of(sample, question, answer):
    return Text.of(sample(question, answer))


MOULD = (
    "The {} beside the old mill was built in {} and has been used by {} ever since, although the roof leaks whenever "
    "it rains for more than {} days and nobody has found the money to have it repaired."
)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (("barn", "1874", "Orrin", "three"), Told.COPY),
        (("barn", "1875", "Orrin", "three"), Told.ANOTHER),
        (("barn", "1874", "Maraden", "three"), Told.ANOTHER),
        (("barn", "1874", "Orrin", "seven"), Told.ANOTHER),
        (("stable", "1874", "Orrin", "three"), Told.ANOTHER),
    ],
)
def test_one_other_fact_makes_another_sample(sample, facts, told):
    one = text_of(sample, "What is said of the barn?", MOULD.format("barn", "1874", "Orrin", "three"))
    other = text_of(sample, f"What is said of the {facts[0]}?", MOULD.format(*facts))
    assert compared(one, other) is told
    assert compared(other, one) is told


def test_the_same_fact_among_many_edits_leaves_a_doubt(sample):
    one = text_of(sample, "What is said of the barn?", MOULD.format("barn", "1874", "Orrin", "three"))
    answer = (
        MOULD.format("barn", "1875", "Orrin", "three").replace("has been", "been has").replace("and nobody", "nobody")
    )
    answer = answer.replace("for more than", "more than").replace("to have it", "have to it").replace("in 1875", "1875")
    assert compared(one, text_of(sample, "What is said the barn?", answer)) is Told.DOUBT


def test_a_part_that_agrees_too_little_makes_no_likeness(sample):
    one, other = (text_of(sample, asked, MOULD.format(*"abcd")) for asked in ("Why is it so?", "Who paid them, then?"))
    assert likeness(one, other, 0.5) == 0
    assert likeness(one, other, 0.0) > 0.9
    assert likeness(one, one, 1.0) == 1


@given(st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_keys_are_put_in_order(keys):
    keys = np.array(keys, dtype=np.uint32)
    assert in_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30))
def test_shelves_hold_those_that_share_a_band(rows):
    bands = np.array(rows, dtype=np.uint32).reshape(-1, 2)
    found, sizes = shelved(bands, np.zeros(len(bands), dtype=np.uint32))
    for band in range(2):
        for one in range(len(bands)):
            alike = [other for other in range(len(bands)) if bands[other, band] == bands[one, band]]
            assert (found[one, band] >= 0) == (len(alike) > 1)
            if len(alike) > 1:
                assert np.flatnonzero(found[:, band] == found[one, band]).tolist() == alike
                assert sizes[found[one, band]] == len(alike)


@given(st.lists(st.integers(0, 5), max_size=40))
def test_pairs_on_a_shelf_are_all_pairs(shelves):
    rows = np.arange(len(shelves), dtype=np.int32)
    later, earlier = within(rows, np.array(shelves, dtype=np.int32))
    found = sorted(zip(later.tolist(), earlier.tolist(), strict=True))
    expected = [(i, j) for i in rows.tolist() for j in range(i) if shelves[i] == shelves[j]]
    assert found == expected
    assert counted_pairs(np.array(shelves, dtype=np.int32)) == len(expected)


def test_a_signature_is_the_same_everywhere():
    assert len(signature([b"one", b"two"])) == SLOTS
    assert signature([b"one", b"two"]).hex()[:16] == "5fac674cf807ba77"


KEYS = b"".join(bytes([number]) * 16 for number in range(6))


def test_pairs_are_found_again_by_the_keys_of_their_samples(tmp_path):
    file, identity = tmp_path / "memory" / "pairs", "ab" * 32
    first = Compared(file, identity, KEYS)
    for pair, score in {(3, 1): 0.9, (5, 0): -0.8, (4, 2): math.nan}.items():
        first.tell(*pair, score)
    first.save()
    moved = KEYS[16:] + KEYS[:16]
    again = Compared(file, identity, moved)
    assert again.score(2, 0) == 0.9
    assert again.score(4, 5) == -0.8
    assert math.isnan(again.score(1, 3))
    assert again.score(0, 1) is None
    gone = Compared(file, identity, KEYS[32:])
    assert gone.score(2, 0) is not None
    assert len(gone.pairs) == 1
    assert not len(Compared(file, "cd" * 32, KEYS).pairs)
    assert not len(Compared(file, identity, b"").pairs)
