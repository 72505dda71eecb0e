"""Files of questions are read whole, or the first thing that is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from leaf_files import dumped, knowledge, skill, write_leaf

from instructlab_like.errors import InputError
from instructlab_like.evaluation.questions import from_file, from_text, in_context, single
from instructlab_like.evaluation.score import score


def written(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_a_text_has_a_question_on_each_line_that_is_not_blank() -> None:
    found = from_text("\ufeffOne?\r\n\n  Zwei – drei?  \n".encode(), "q.txt")
    assert [(one.item.question, one.where) for one in found] == [("One?", "q.txt:1"), ("Zwei – drei?", "q.txt:3")]
    assert not any(one.known or one.scored for one in found)


def test_json_lines_may_hold_passages_answers_and_metrics(tmp_path: Path) -> None:
    lines = (
        '{"question": "A?"}\n\n'
        '{"question": "B?", "context": "Bees.", "answer": "b"}\n'
        '{"id": "7", "kind": "reading", "question": "C?", "answer": "c", "accept": ["see"], "metric": "f1"}'
    )
    bare, gold, scored = from_file(written(tmp_path, "q.jsonl", lines))
    assert (bare.known, bare.item.context) == (False, None)
    assert (gold.known, gold.scored, gold.item.context, gold.item.answer) == (True, False, "Bees.", "b")
    assert (scored.scored, scored.item.metric, scored.item.accept) == (True, "f1", ("see",))
    assert scored.where.endswith("q.jsonl:4")


@pytest.mark.parametrize(
    ("name", "data", "where", "told"),
    [
        ("q.txt", b"fine\nn\xc3\xa4h \xff\n", "q.txt:2:5", "not UTF-8"),
        ("q.txt", b" \n\n", "q.txt", "holds no question"),
        ("q.jsonl", b'{"question": "a"}\n{"question": \n', "q.jsonl:2:14", "not valid JSON"),
        ("q.jsonl", b'{"question": 5}\n', "q.jsonl:1", "question"),
        ("q.jsonl", b'["a"]\n', "q.jsonl:1", "is no JSON object"),
        ("q.jsonl", b'{"question": " "}\n', "q.jsonl:1", "the question is empty"),
        ("q.jsonl", b'{"question": "a", "contxt": "b"}\n', "q.jsonl:1", "contxt"),
        ("q.jsonl", b'{"question": "a", "metric": "f1"}\n', "q.jsonl:1", "no answer to score by"),
        ("q.jsonl", b'{"question": "a", "answer": "b", "metric": "best"}\n', "q.jsonl:1", "metric"),
        ("heldout.yaml", b"questions:\n  - question: a\n", "heldout.yaml:2:5", "'answer' is missing"),
        ("heldout.yaml", b"questions: [\n", "heldout.yaml:2:1", ""),
        ("heldout.yaml", b"questions: []\n", "heldout.yaml", "holds no question"),
        ("heldout.yaml", b'questions:\n  - question: "a\\uD800b"\n    answer: c\n', "heldout.yaml:2", ""),
        ("q.csv", b"a,b\n", "q.csv", "is no file of questions"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    tmp_path: Path, name: str, data: bytes, where: str, told: str
) -> None:
    with pytest.raises(InputError) as caught:
        from_file(written(tmp_path, name, data))
    assert str(tmp_path / where) in str(caught.value)
    assert told in caught.value.what


@pytest.mark.parametrize("name", ["none.txt", "none.jsonl", "none.yaml", "none.csv", "qna.yaml", "."])
def test_a_file_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        from_file(tmp_path / name)


def test_held_out_questions_are_scored_by_their_metric(tmp_path: Path) -> None:
    text = dumped(
        {
            "questions": [
                {"question": "A?", "answer": "12", "accept": ["twelve"], "metric": "contains", "context": "On.\n"}
            ]
        }
    )
    (found,) = from_file(written(tmp_path, "heldout.yaml", text))
    assert (found.item.answer, found.item.accept, found.item.metric) == ("12", ("twelve",), "contains")
    assert (found.item.context, found.scored, found.where) == ("On.", True, f"{tmp_path}/heldout.yaml:2")


CHOICE = {"question": "Made of?", "answer": "slate", "options": ["brick", "slate", "a tile"], "metric": "choice"}


@pytest.mark.parametrize("name", ["heldout.yaml", "some.jsonl"])
def test_a_choice_is_shown_with_its_options(tmp_path: Path, name: str) -> None:
    text = dumped({"questions": [CHOICE]}) if name.endswith("yaml") else json.dumps(CHOICE)
    (found,) = from_file(written(tmp_path, name, text))
    assert found.item.question == "Made of?\nA. brick\nB. slate\nC. a tile"
    assert (found.item.answer, found.known, found.scored) == ("slate", True, True)
    right = ("slate", "Slate.", "B", "b.", "(B)", "B. slate", "Option B", "B) Slate")
    assert [score(found.item, text) for text in right] == [1.0] * len(right)
    wrong = ("A", "C", "brick", "A. brick", "slate or brick", "It is B or C", "")
    assert [score(found.item, text) for text in wrong] == [0.0] * len(wrong)


def test_a_letter_that_is_an_option_stands_for_itself(tmp_path: Path) -> None:
    line = {"question": "Which grade?", "answer": "A", "options": ["B", "A"]}
    (found,) = from_file(written(tmp_path, "some.jsonl", json.dumps(line)))
    assert (score(found.item, "A"), score(found.item, "B")) == (1.0, 0.0)


def test_options_without_an_answer_are_shown_and_not_scored(tmp_path: Path) -> None:
    line = {"question": "Made of?", "options": ["brick", "slate"]}
    (found,) = from_file(written(tmp_path, "some.jsonl", json.dumps(line)))
    assert (found.item.question, found.known, found.scored) == ("Made of?\nA. brick\nB. slate", False, False)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"options": ["slate"]}, "something to choose from"),
        ({"options": ["slate", "slate"]}, "something to choose from"),
        ({"answer": "oak"}, "'oak' is none of the options"),
        ({"options": "slate"}, "options"),
    ],
)
def test_a_choice_that_cannot_be_made_is_said(tmp_path: Path, changed: dict[str, object], told: str) -> None:
    path = written(tmp_path, "some.jsonl", json.dumps(CHOICE | changed))
    with pytest.raises(InputError, match=told) as caught:
        from_file(path)
    assert caught.value.where == f"{path}:1"


@pytest.mark.parametrize("metric", ["judge", "perplexity"])
def test_what_a_text_alone_does_not_tell_is_not_scored(tmp_path: Path, metric: str) -> None:
    line = {"question": "Refuse.", "answer": "No, thanks.", "metric": metric}
    for name, text in (("heldout.yaml", dumped({"questions": [line]})), ("some.jsonl", json.dumps(line))):
        (found,) = from_file(written(tmp_path, name, text))
        assert (found.known, found.scored, found.item.metric) == (True, False, metric)


def test_seed_examples_are_asked_as_they_are_trained(tmp_path: Path) -> None:
    """A skill's with its context; knowledge without the passage, which it is to learn."""
    leaf = write_leaf(tmp_path / "taxonomy", "knowledge/tides", knowledge())
    asked = from_file(leaf / "qna.yaml")
    assert len(asked) == 15
    assert all(one.known and not one.scored and one.item.context is None for one in asked)
    leaf = write_leaf(tmp_path / "taxonomy", "compositional_skills/sums", skill(grounded=True))
    assert [one.item.context for one in from_file(leaf / "qna.yaml")] == [f"The number is {n}." for n in range(5)]


def test_a_broken_leaf_is_said_with_its_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "taxonomy/compositional_skills/sums/qna.yaml", "version: 3\ncreated_by: x\n")
    with pytest.raises(InputError, match=r"qna\.yaml:1:1: .*seed_examples"):
        from_file(path)


def test_a_context_is_given_to_questions_that_have_none() -> None:
    bare = in_context(single("A?"), "New.")
    assert bare.item.context == "New."
    assert in_context(bare, "Newer.") == bare
    assert bare.item.id != single("A?").item.id


@pytest.mark.parametrize("text", ["", "  \n", "\udcff"])
def test_nothing_is_no_question(text: str) -> None:
    with pytest.raises(InputError, match=r"the question is empty|no UTF-8"):
        single(text)
