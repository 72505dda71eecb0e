"""What people said of answers: read with the line of each mistake, and held against a judge."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.evaluation.labels import Label, Pairing, grades_agree, kappa, preferences_agree, read

GRADE = st.integers(1, 10)
SIDE = st.sampled_from([1.0, 0.0, -1.0])


def pairings(told: list[tuple[float, float]]) -> list[Pairing]:
    return [Pairing(str(number), person, judge) for number, (person, judge) in enumerate(told)]


def test_labels_are_of_texts_or_of_models(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        '{"item": "Who?", "answer": "Mara", "grade": 9}\n\n'
        '{"item": "Who?", "model": "tuned", "grade": 3.5, "labeller": "ines"}\n'
        '{"item": "Who?", "model": "tuned", "preference": "better"}\n'
        '{"item": "Who?", "answer": "Mara", "other": "Benno", "preference": "tie"}\n'
    )
    found = read(path)
    assert [one.grade for one in found] == [9, 3.5, None, None]
    assert found[3] == Label(item="Who?", answer="Mara", other="Benno", preference="tie")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"item": "Who?", "answer": "Mara"}',
        '{"item": "Who?", "grade": 3}',
        '{"item": "", "answer": "Mara", "grade": 3}',
        '{"item": "Who?", "answer": "Mara", "model": "tuned", "grade": 3}',
        '{"item": "Who?", "answer": "Mara", "grade": 11}',
        '{"item": "Who?", "answer": "Mara", "grade": 0}',
        '{"item": "Who?", "answer": "Mara", "grade": "9"}',
        '{"item": "Who?", "answer": "Mara", "grade": true}',
        '{"item": "Who?", "answer": "Mara", "grade": NaN}',
        '{"item": "Who?", "answer": "Mara", "grade": 3, "preference": "tie"}',
        '{"item": "Who?", "answer": "Mara", "preference": "tie"}',
        '{"item": "Who?", "model": "tuned", "other": "Benno", "preference": "tie"}',
        '{"item": "Who?", "model": "tuned", "preference": "win"}',
        '{"item": "Who?", "answer": "Mara", "grade": 3, "score": 1}',
    ],
)
def test_a_line_that_is_no_label_is_named_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"item": "Who?", "answer": "Mara", "grade": 9}\n' + line + "\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.where == f"{path}:2"
    assert "a line is" in caught.value.fix


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe"])
def test_a_file_without_a_label_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels.jsonl").write_bytes(data)
    with pytest.raises(InputError):
        read(tmp_path / "labels.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


def test_kappa_is_cohens() -> None:
    """His own arithmetic: 0.7 observed, 0.5 by chance."""
    told = [(1.0, 1.0)] * 20 + [(1.0, -1.0)] * 5 + [(-1.0, 1.0)] * 10 + [(-1.0, -1.0)] * 15
    found = preferences_agree(pairings(told))
    assert found is not None
    assert found.same.share == pytest.approx(0.7)
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(0.4)
    assert found.kappa.low < 0.2 < 0.6 < found.kappa.high


def test_forty_agreements_of_forty_are_no_certainty() -> None:
    found = preferences_agree(pairings([(1.0, 1.0), (-1.0, -1.0)] * 20))
    assert found is not None
    assert found.kappa is not None
    assert found.kappa.value == 1
    assert found.kappa.low < 0.9


def test_there_is_no_kappa_where_everything_is_called_the_same() -> None:
    found = grades_agree(pairings([(7, 7)] * 20))
    assert found is not None
    assert found.kappa is None
    assert found.same.share == 1
    assert grades_agree([]) is None
    assert preferences_agree([]) is None


@given(st.lists(st.tuples(GRADE, GRADE), min_size=1, max_size=30))
def test_the_weighted_kappa_is_one_less_observed_over_expected_squares(told: list[tuple[int, int]]) -> None:
    found = kappa(pairings(list(told)), 9.0)
    observed = fmean((one - other) ** 2 for one, other in told)
    expected = fmean((one - other) ** 2 for one, _ in told for _, other in told)
    if found is None:
        assert expected == pytest.approx(0)
    else:
        assert found.value == pytest.approx(1 - observed / expected)
        assert found.low <= found.value + 1e-9
        assert found.value - 1e-9 <= found.high <= 1


@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_kappa_depends_on_no_order(told: list[tuple[float, float]], rng: random.Random) -> None:
    pairs = pairings(told)
    mixed = rng.sample(pairs, len(pairs))
    one, other = kappa(pairs, None), kappa(mixed, None)
    assert (one is None) == (other is None)
    if one and other:
        assert one.value == pytest.approx(other.value)


def test_the_interval_holds_zero_for_a_judge_that_rolls_dice() -> None:
    rng = random.Random(5)
    held = 0
    for _ in range(100):
        found = kappa(pairings([(rng.choice((1, 0, -1)), rng.choice((1, 0, -1))) for _ in range(40)]), None)
        held += found is not None and found.low <= 0 <= found.high
    assert held >= 90


def test_labels_of_one_question_are_no_independent_ones() -> None:
    alone = kappa(pairings([(1, 1), (1, -1), (-1, -1), (-1, -1)] * 10), None)
    together = kappa(
        [Pairing(number // 10, *told) for number, told in enumerate([(1, 1), (1, -1), (-1, -1), (-1, -1)] * 10)], None
    )
    assert alone is not None
    assert together is not None
    assert together.value == pytest.approx(alone.value)
    assert together.low < alone.low
