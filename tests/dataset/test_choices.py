"""Multiple-choice questions: one right answer, three that a reader can tell to be wrong."""

from __future__ import annotations

import json

import pytest
from finished_run import HARBOUR, sample
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset.instructlab.choices import choices, said, shape
from instructlab_like.dataset.reading.questions import questions
from instructlab_like.errors import InputError
from instructlab_like.records import normalise


def known(*answers):
    return [sample(HARBOUR, f"Number {number}?", answer) for number, answer in enumerate(answers)]


def made(tests, samples, seed=0):
    return choices(tests, samples, subject="Ships", seed=seed)


def test_wrong_choices_are_of_the_right_ones_kind():
    samples = known("1901", "1922", "1888", "1954", "Ann Bell", "12 metres", "red", "a ferry")
    (found,) = made(samples[:1], samples)
    assert sorted(found.choices) == ["1888", "1901", "1922", "1954"]
    assert found.choices[found.answer] == "1901"
    assert found.subject == "Ships"


def test_a_leaf_with_too_few_answers_gives_no_question():
    samples = known("1901", "1922", "1888", "red", "blue", "1922")
    assert made(samples, samples) == []


@pytest.mark.parametrize(
    ("right", "same"),
    [("12 boats", "twelve boats"), ("gas", "by gas"), ("The Gull", "the gull."), ("on Monday", "Monday")],
)
def test_what_says_the_same_is_no_wrong_choice(right, same):
    assert said(right) <= said(same) or said(same) <= said(right)
    samples = known(right, same, *[f"{word} {right.split()[-1]}x" for word in ("old", "new", "big")])
    for found in made(samples[:1], samples):
        assert same not in found.choices


def test_another_right_answer_to_the_same_question_is_no_wrong_choice():
    asked = [sample(HARBOUR, "Who was there?", name) for name in ("Ann Bell", "Bob Carr")]
    others = known("Cid Dorn", "Dan Eames", "Eve Finch")
    for found in made(asked, [*asked, *others]):
        assert not {"Ann Bell", "Bob Carr"} <= set(found.choices)


ANSWERS = st.lists(
    st.sampled_from(
        ["1901", "1922", "in 1922", "12", "twelve", "Ann Bell", "Bob Carr", "Cid Dorn", "Eve Ann Bell", "red"]
    )
    | st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=1, max_size=6),
    min_size=1,
    max_size=20,
)


@given(ANSWERS, st.integers(0, 9))
def test_four_choices_that_can_be_told_apart_and_one_of_them_right(answers, seed):
    samples = known(*answers)
    by_question = {one.question: one.answer for one in samples}
    for found in made(samples, samples, seed):
        assert found.choices[found.answer] == by_question[found.question]
        words = [said(choice) for choice in found.choices]
        assert not any(one <= other for one in words for other in words if one is not other)
        assert {shape(choice) for choice in found.choices} == {shape(by_question[found.question])}
        assert set(map(normalise, found.choices)) <= set(map(normalise, answers))


def test_the_draw_depends_on_seed_and_samples_alone():
    samples = known(*(str(year) for year in range(1900, 1940)))
    assert made(samples[:5], samples) == made(samples[:5], samples[::-1])
    assert made(samples[:5], samples) != made(samples[:5], samples, seed=1)
    places = {found.answer for found in made(samples, samples)}
    assert places == {0, 1, 2, 3}


# --- reading them back


ROW = {"question": "When?", "choices": ["1", "2", "3", "4"], "answer": 2, "subject": "Ships"}


def test_rows_of_other_writers_are_read_whatever_else_they_hold(tmp_path):
    path = tmp_path / "mmlubench_x.jsonl"
    path.write_text(json.dumps({**ROW, "document": "D", "dataset_type": "mcq_qa"}) + "\n")
    (found,) = questions(path)
    assert found.model_dump(mode="json") == ROW


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"choices": ["1", "2", "3"]}, "choices"),
        ({"answer": 4}, "answer"),
        ({"answer": "B"}, "answer"),
        ({"subject": None}, "subject"),
        ({"question": 1}, "question"),
    ],
)
def test_a_row_that_is_no_question_is_named_with_its_line(tmp_path, change, told):
    path = tmp_path / "mmlubench_x.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **change}) + "\n")
    with pytest.raises(InputError) as refused:
        questions(path)
    assert refused.value.where == f"{path}:2"
    assert told in refused.value.what


def test_a_task_without_data_says_what_it_lacks(tmp_path):
    path = tmp_path / "x_task.yaml"
    path.write_text("task: x\ndataset_kwargs: {}\n")
    with pytest.raises(InputError, match="names no file of test rows"):
        questions(path)
