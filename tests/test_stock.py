from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.records import Lineage, Sample, digest
from instructlab_like.stock import Some, Stock, id_bytes
from instructlab_like.workspace import write_records


def made(number, leaf="l", *, chunk=None, text=""):
    return Sample(
        id=digest([number])[:32],
        kind="freeform",
        question=f"Question {number}? {text}",
        answer="Ja – 東京",
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="m", chunk=chunk),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.text(st.characters(exclude_categories=["Cs"]), max_size=9))))
def test_the_samples_of_a_file_stand_in_id_order_and_those_of_one_id_in_that_of_the_file(tmp_path, told):
    path = tmp_path / "samples.jsonl"
    samples = [made(number, chunk=str(place), text=text) for place, (number, text) in enumerate(told)]
    write_records(path, samples)
    with Stock(path) as stock:
        ordered = sorted(samples, key=lambda sample: sample.id)
        assert list(stock) == ordered
        assert [stock[place] for place in range(len(stock))] == ordered
        assert list(stock[1:7:2]) == ordered[1:7:2]


def test_those_left_out_by_id_are_not_there(tmp_path):
    path = tmp_path / "samples.jsonl"
    samples = [made(number) for number in (1, 2, 3, 2)]
    write_records(path, samples)
    with Stock(path, without={id_bytes(samples[1].id)}) as stock:
        assert sorted(sample.question for sample in stock) == ["Question 1? ", "Question 3? "]


def test_a_line_that_is_no_sample_is_named(tmp_path):
    path = tmp_path / "samples.jsonl"
    write_records(path, [made(1)])
    with path.open("ab") as file:
        file.write(b'{"id": "%s", "kind": "poem"}\n' % made(2).id.encode())
    with Stock(path) as stock, pytest.raises(InputError) as refused:
        list(stock)
    assert refused.value.where == f"{path}:2"


def test_some_of_some_are_looked_up_where_they_lie():
    letters = Some("abcdef", [5, 3, 3, 0])
    assert (list(letters), len(letters), letters[-1], "d" in letters) == (["f", "d", "d", "a"], 4, "a", True)
    assert list(Some(letters, [0, 3])) == ["f", "a"]
    assert list(letters[1:3]) == ["d", "d"]
    with pytest.raises(IndexError):
        letters[4]
