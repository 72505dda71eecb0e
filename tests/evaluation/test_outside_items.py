"""Items of other files are read whole, or the first thing that is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instructlab_like.dataset import formats
from instructlab_like.errors import InputError
from instructlab_like.evaluation.items import item_id
from instructlab_like.evaluation.outside import read
from instructlab_like.records import Item
from instructlab_like.workspace import write_records

TOWNS = "knowledge/towns/harbour"


def written(folder: Path, name: str, *rows: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(answer: object = 1, *, question: object = "Which?", choices: object = ("a", "b", "c", "d"), **more: object):
    return {"question": question, "choices": choices, "answer": answer, "subject": "x", **more}


@pytest.mark.parametrize(
    ("answer", "right"), [(0, "a"), (3, "d"), ("B", "b"), (" C ", "c"), ("d", "d")], ids=lambda value: repr(value)
)
def test_an_answer_is_a_place_a_letter_or_a_text(tmp_path: Path, answer: object, right: str) -> None:
    path = written(tmp_path, "mmlubench_x.jsonl", asked(answer, document="…", icl_query_1="passed over"))
    (item,) = read([str(path)], leaves=())
    assert (item.answer, item.options, item.metric, item.source) == (right, ("a", "b", "c", "d"), "choice", "mmlu")


def test_the_leaf_is_known_by_the_files_name_and_else_named_after_it(tmp_path: Path) -> None:
    known = written(tmp_path, "node_datasets_1/mmlubench_knowledge_towns_harbour.jsonl", asked())
    written(tmp_path, "node_datasets_1/mmlubench_knowledge_law.jsonl", asked("D"))
    (tmp_path / "node_datasets_1/knowledge_towns_harbour_p10.jsonl").write_text("no item")
    found = read([str(tmp_path)], leaves=[TOWNS, "knowledge/towns/quay"])
    assert [item.leaf for item in found] == ["mmlu/knowledge_law", TOWNS]
    assert [item.id for item in found] == [item_id(item.leaf, "Which?", None) for item in found]
    (again,) = read([str(known)], leaves=[TOWNS, "knowledge/towns_harbour"])
    assert again.leaf == "mmlu/knowledge_towns_harbour"  # which of the two cannot be told


def test_a_task_stands_for_the_file_it_names(tmp_path: Path) -> None:
    written(tmp_path, "mmlubench_t.jsonl", asked(2))
    task = tmp_path / "t_task.yaml"
    task.write_text("dataset_kwargs:\n  data_files:\n    test: /gone/mmlubench_t.jsonl\n")
    assert [item.answer for item in read([str(task)], leaves=())] == ["c"]


def test_what_instructlab_export_writes_is_read_with_its_leaves(tmp_path: Path) -> None:
    from dataset.finished_run import TESTS, whole

    for file in formats.build("instructlab", {}).export(whole(), tmp_path).files:
        path = tmp_path / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.chunks))
    (item,) = read([str(tmp_path)], leaves=[TOWNS])
    (sample,) = [sample for sample in TESTS if sample.question == item.question]
    assert (item.leaf, item.answer, len(item.options)) == (TOWNS, sample.answer, 4)


def test_own_items_come_back_as_they_were_written(tmp_path: Path) -> None:
    items = [
        Item(id="1", leaf="a/b", source="simulation", question="5 + 3?", answer="8", metric="number", cluster="c"),
        Item(id="2", leaf="a/b", source="mmlu", question="8?", answer="x", metric="choice", options=("x", "y")),
    ]
    write_records(tmp_path / "items.jsonl", items)
    written(tmp_path, "answers.jsonl", {"not": "read"})
    told = [item.model_copy(update={"id": item_id(item.leaf, item.question, item.context)}) for item in items]
    assert read([str(tmp_path)], leaves=()) == told


def test_two_files_that_number_their_items_alike_are_both_asked(tmp_path: Path) -> None:
    one = written(tmp_path, "x.jsonl", {"id": "1", "leaf": "a/b", "question": "Is it?", "answer": "yes"})
    other = written(tmp_path, "y.jsonl", {"id": "1", "leaf": "a/c", "question": "Was it?", "answer": "no"})
    assert [item.question for item in read([str(one), str(other)], leaves=())] == ["Is it?", "Was it?"]


def test_an_item_written_by_hand_is_given_an_id(tmp_path: Path) -> None:
    path = written(tmp_path, "mine.jsonl", {"leaf": "a/b", "question": "Why?", "answer": "So.", "context": "P."})
    (item,) = read([str(path)], leaves=())
    assert (item.id, item.source, item.metric) == (item_id("a/b", "Why?", "P."), "heldout", "exact")


def test_the_same_question_in_two_files_is_one_item_unless_the_answers_differ(tmp_path: Path) -> None:
    one = written(tmp_path, "1/mmlubench_x.jsonl", asked(1))
    same = written(tmp_path, "2/mmlubench_x.jsonl", asked("B"))
    other = written(tmp_path, "3/mmlubench_x.jsonl", asked(2, question="New?"), asked(2))
    assert len(read([str(one), str(same)], leaves=())) == 1
    with pytest.raises(InputError, match=r"asks again what .*1/mmlubench_x\.jsonl:1 asks") as error:
        read([str(one), str(other)], leaves=())
    assert error.value.where == f"{other}:2"


OWN = {"leaf": "a", "question": "q", "answer": "x"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (asked(None), "has no answer"),
        (asked(""), "has no answer"),
        ({"question": "Which?", "choices": ["a", "b"]}, "has no answer"),
        (asked(4), "the answer 4 is none of the 4 options"),
        (asked(-1), "the answer -1 is none of the 4 options"),
        (asked("E"), "the answer 'E' is none of the 4 options"),
        (asked("A", choices=["x", "A", "y"]), "the answer 'A' may be either of two options"),
        (asked(True), "answer"),
        (asked(1.0), "answer"),
        (asked([1]), "answer"),
        (asked(question=7), "question"),
        (asked(question="  "), "the question is empty"),
        (asked(choices="abcd"), "choices"),
        (asked(choices=["a", 5, "c"]), "choices.1"),
        (asked(choices=["a"]), "a choice needs 2 to 26 options, and there are 1"),
        (asked(choices=["a", " "]), "an option is empty"),
        (asked(choices=["a", "b", "a "]), "two options are the same"),
        (["Which?"], "holds no JSON object"),
        ({**OWN, "answer": None}, "has no answer"),
        ({**OWN, "answer": " "}, "the answer is empty"),
        ({**OWN, "leaf": ""}, "the leaf is empty"),
        ({"question": "q", "answer": "x"}, "leaf: Field required"),
        ({**OWN, "metric": "exakt"}, "metric"),
        ({**OWN, "anser": "x"}, "anser"),
        ({**OWN, "metric": "choice"}, "a choice needs 2 to 26 options, and there are 0"),
        ({**OWN, "metric": "choice", "options": ["y", "z"]}, "the answer 'x' is none of the 2 options"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_cannot_be_asked_is_named_with_its_line(tmp_path: Path, row: object, told: str) -> None:
    path = written(tmp_path, "mmlubench_x.jsonl", asked(question="Fine?"), row)
    with pytest.raises(InputError) as error:
        read([str(path)], leaves=())
    assert told in error.value.what
    assert error.value.where == f"{path}:2"
    assert error.value.fix


@pytest.mark.parametrize(
    ("data", "where", "told"),
    [
        (b'{"question": "\xff"}', "x.jsonl:1:15", "is not UTF-8"),
        (b'\n{"question": \n', "x.jsonl:2:14", "is not valid JSON"),
        (b"\n \n", "x.jsonl", "holds no row"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(tmp_path: Path, data: bytes, where: str, told: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(data)
    with pytest.raises(InputError, match=told) as error:
        read([str(tmp_path / "x.jsonl")], leaves=())
    assert str(error.value.where).endswith(where)


def test_a_folder_without_items_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file of items"):
        read([str(tmp_path)], leaves=())
    with pytest.raises(InputError, match="there is no such file"):
        read([str(tmp_path / "none.jsonl")], leaves=())
