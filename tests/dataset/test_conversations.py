"""Conversations out of other programs' files: every shape, and one clear message for whatever fits none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset.reading import read, sources
from instructlab_like.dataset.reading.turns import MARKS
from instructlab_like.errors import InputError
from instructlab_like.records import Message

TURNS = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ann."}]
ASKED = (Message(role="user", content="Who?"), Message(role="assistant", content="Ann."))
SYSTEM = Message(role="system", content="Be brief.")


@pytest.fixture
def put(tmp_path):
    def write(*rows, name="rows.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    return write


def told(path):
    return [one.messages for one in read(path).conversations]


def refusal(path):
    with pytest.raises(InputError) as refused:
        read(path)
    assert refused.value.code == 2
    assert refused.value.fix
    return refused.value


# --- shapes


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": TURNS}, ASKED),
        ({"messages": [{"role": "system", "content": "Be brief."}, *TURNS]}, (SYSTEM, *ASKED)),
        ({"messages": [{"role": "system", "content": ""}, *TURNS]}, ASKED),
        ({"messages": TURNS, "metadata": '{"system": "Be brief."}'}, (SYSTEM, *ASKED)),
        ({"messages": TURNS, "metadata": '{"system": ""}'}, ASKED),
        ({"messages": TURNS, "metadata": '{"system": "Be brief.", "domain": "d"}'}, ASKED),
        ({"messages": TURNS, "metadata": '{"system": "Be brief."}', "id": "x", "unmask": False}, ASKED),
        ({"messages": TURNS, "metadata": "no JSON"}, ASKED),
        ({"id": "x", "messages": TURNS, "metadata": "{}", "unmask": False, "question": "Who?", "response": "A"}, ASKED),
        ({"messages": [turn | {"reasoning_content": None} for turn in TURNS]}, ASKED),
        ({"messages": [*TURNS, *TURNS]}, (*ASKED, *ASKED)),
        ({"system": "Be brief.", "user": "Who?", "assistant": "Ann."}, (SYSTEM, *ASKED)),
        ({"system": "", "user": "Who?", "assistant": "Ann.", "text": "<|user|>Who?"}, ASKED),
        ({"user": "Who?", "assistant": "Ann.", "system": None}, ASKED),
        ({"user": "Who?", "assistant": "Ann."}, ASKED),
    ],
)
def test_each_shape_comes_back_as_its_turns(put, row, expected):
    assert told(put(row)) == [expected]


def test_rows_of_several_shapes_in_one_file_are_each_known_by_their_fields(put):
    path = put(
        {"messages": TURNS}, "\n", {"user": "Who?", "assistant": "Ann."}, "   \r\n", {"messages": TURNS, "unmask": True}
    )
    assert told(path) == [ASKED] * 3
    assert [one.unmask for one in read(path).conversations] == [False, False, True]
    assert read(path).notes == ("1 of 3 rows are marked to be trained on whole; here a model learns answers alone",)


def test_a_byte_order_mark_dos_line_ends_and_a_missing_last_one_are_no_matter(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"messages": TURNS}).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line)
    assert told(path) == [ASKED, ASKED]


def test_slashes_and_characters_that_pandas_escapes_are_read(put):
    row = '{"user": "a\\/b \\u00e9", "assistant": "\\ud83d\\ude00"}\n'
    assert [turn.content for turn in told(put(row))[0]] == ["a/b é", "😀"]


# --- older p07 rows


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: text.strip() and "<|" not in text and "|>" not in text and text == text.strip("\n")
)


@given(PLAIN, PLAIN, st.sampled_from(MARKS), st.booleans())
def test_both_turns_of_an_older_row_come_back(tmp_path_factory, user, assistant, marks, ended):
    asks, answers, end = marks
    text = f"{asks}\n{user}\n{answers}\n{assistant}{end if ended else ''}"
    path = tmp_path_factory.mktemp("old") / "rows.jsonl"
    row = {"messages": [{"role": "pretraining", "content": text}], "metadata": "{}", "id": "x"}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    (found,) = read(path).conversations
    assert [turn.content for turn in found.messages] == [user, assistant]
    assert [turn.role for turn in found.messages] == ["user", "assistant"]
    assert found.unmask


def test_an_angle_bracket_in_an_older_row_cuts_nothing_off(put):
    text = "<|user|>\nIs 3 < 5 & <b>bold</b>?\n<|assistant|>\nYes: 3 < 5."
    assert [turn.content for turn in told(put({"messages": [{"role": "pretraining", "content": text}]}))[0]] == [
        "Is 3 < 5 & <b>bold</b>?",
        "Yes: 3 < 5.",
    ]


def test_an_older_row_keeps_its_system_prompt(put):
    rows = [
        {"role": "system", "content": "Be brief."},
        {"role": "pretraining", "content": "<|user|>\nWho?\n<|assistant|>\nAnn."},
    ]
    assert told(put({"messages": rows})) == [(SYSTEM, *ASKED)]


@pytest.mark.parametrize(
    "text",
    [
        "Who? Ann.",
        "<|user|>\nWho?",
        "<|assistant|>\nAnn.\n<|user|>\nWho?",
        "Well: <|user|>\nWho?\n<|assistant|>\nAnn.",
        "<|user|>\na\n<|assistant|>\nb\n<|user|>\nc\n<|assistant|>\nd",
        "<|user|>\nthe mark <|assistant|> is odd\n<|assistant|>\nAnn.",
    ],
)
def test_an_older_row_whose_turns_cannot_be_told_apart_is_refused(put, text):
    path = put({"messages": TURNS}, {"messages": [{"role": "pretraining", "content": text}]})
    assert refusal(path).where == f"{path}:2"


# --- what fits nothing


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (3, "holds no JSON object"),
        ("text", "holds no JSON object"),
        ({}, "has none of the known shapes; its fields: none"),
        ({"prompt": "Who?", "completion": "Ann."}, "has none of the known shapes; its fields: completion, prompt"),
        ({"question": "Who?", "choices": ["a"], "answer": 0}, "is a multiple-choice question, no conversation"),
        ({"user": "Who?"}, "`assistant` is missing"),
        ({"assistant": "Ann."}, "`user` is missing"),
        ({"user": "Who?", "assistant": 3}, "`assistant` is no text"),
        ({"system": ["x"], "user": "Who?", "assistant": "Ann."}, "`system` is no text"),
        ({"user": "Who?", "assistant": " \n"}, "a turn says nothing"),
        ({"messages": None}, "`messages` is no list of turns"),
        ({"messages": []}, "`messages` is no list of turns"),
        ({"messages": "Who?"}, "`messages` is no list of turns"),
        ({"messages": ["Who?"]}, "`messages[0]` is no object"),
        ({"messages": [{"role": "human", "content": "Who?"}]}, "`messages[0].role` is 'human'"),
        ({"messages": [{"content": "Who?"}]}, "`messages[0].role` is None"),
        ({"messages": [*TURNS, {"role": "tool", "content": "x"}]}, "`messages[2].role` is 'tool'"),
        ({"messages": [{"role": "user"}]}, "`messages[0].content` is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "`messages[0].content` is no text"),
        (
            {"messages": [TURNS[0], TURNS[1] | {"reasoning_content": "hm"}]},
            "`messages[1].reasoning_content` would be lost",
        ),
        ({"messages": TURNS, "unmask": "yes"}, "`unmask` is neither true nor false"),
        ({"messages": [TURNS[1]]}, "the first turn is not the user's"),
        ({"messages": [TURNS[0]]}, "nobody answers"),
        ({"messages": [*TURNS, {"role": "system", "content": "x"}]}, "a system prompt stands after the first turn"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": ""}]}, "a turn says nothing"),
        ({"messages": [{"role": "system", "content": "x"}]}, "the first turn is not the user's"),
    ],
)
def test_a_row_that_is_no_conversation_is_named_with_its_line(put, row, what):
    path = put({"messages": TURNS}, "\n", json.dumps(row) + "\n")
    found = refusal(path)
    assert (found.where, found.what) == (f"{path}:3", what)


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        (b'{"messages": [}', 15, "is not valid JSON"),
        (b'{"messages": [{"role": "user", "content": "Wh', 46, "is not valid JSON"),
        (b'{"a": NaN}', 7, "is not valid JSON"),
        (b"no JSON at all", 1, "is not valid JSON"),
        (b'{"user": "\xe9t\xe9", "assistant": "x"}', 11, "is not UTF-8 (byte 0xe9)"),
        ('{"é": 1}'.encode() + b"\xff", 9, "is not UTF-8 (byte 0xff)"),
        ('{"é": x}'.encode(), 7, "is not valid JSON"),
        (b'{"user": "\\ud800", "assistant": "x"}', 11, "is not valid JSON"),
    ],
)
def test_a_line_that_is_no_json_is_named_with_its_column(put, line, column, what):
    path = put({"messages": TURNS})
    path.write_bytes(path.read_bytes() + line + b"\n")
    found = refusal(path)
    assert found.where == f"{path}:2:{column}"
    assert found.what.startswith(what)


@pytest.mark.parametrize("data", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_rows_says_so(tmp_path, data):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    assert refusal(path).what == "holds no row"


def test_what_is_not_there_or_no_file_says_so(tmp_path):
    assert refusal(tmp_path / "none.jsonl").what == "there is no such file"
    assert refusal(tmp_path).what == "is a folder without a dataset's card"


def test_a_json_array_is_told_to_be_written_in_lines(put):
    found = refusal(put(json.dumps([{"messages": TURNS}])))
    assert (found.what, found.fix) == ("holds a JSON array", "write each of its objects in a line of its own")


def test_text_that_is_neither_rows_nor_a_recipe_is_refused(put):
    assert "no mapping" in refusal(put("just some words\n", name="notes.txt")).what
    assert refusal(put("just some words\n", name="rows.json")).what.startswith("is not valid JSON")


# --- folders


CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: [data/a.jsonl, "data/more-*.jsonl"]
  - split: test
    path: data/test.jsonl
- config_name: other
  data_files: data/test.jsonl
---
# A dataset
"""


@pytest.fixture
def dataset(put):
    for name, answer in (("a", "A"), ("more-1", "B"), ("more-0", "C"), ("test", "T")):
        put({"user": "Who?", "assistant": answer}, name=f"d/data/{name}.jsonl")
    return put(CARD, name="d/README.md").parent


def test_a_folder_gives_the_training_split_of_its_default_config(dataset):
    assert [turns[-1].content for turns in told(dataset)] == ["A", "C", "B"]
    assert sources(dataset) == [
        dataset / name for name in ("README.md", "data/a.jsonl", "data/more-0.jsonl", "data/more-1.jsonl")
    ]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("---\nconfigs", "configs"), "has no front matter"),
        (("configs:", "config:"), "names no configs"),
        (("config_name: default", "config_name: main"), "has no default among its configs (main, other)"),
        (("split: train", "split: validation"), "its default config names no files of the split train"),
        (("data/a.jsonl", "../a.jsonl"), "names a file outside the folder: ../a.jsonl"),
        (("data/a.jsonl", "/etc/a.jsonl"), "names a file outside the folder: /etc/a.jsonl"),
        (("data/a.jsonl", "hf://x/a.jsonl"), "names a file outside the folder: hf://x/a.jsonl"),
        (("data/a.jsonl", "data/b.jsonl"), "names data/b.jsonl, which is not there"),
    ],
)
def test_a_folder_whose_card_does_not_name_its_rows_is_refused(dataset, change, what):
    card = dataset / "README.md"
    card.write_text(CARD.replace(*change))
    found = refusal(dataset)
    assert found.what == what
    assert str(card) in found.where


def test_a_lone_config_is_the_default_and_without_splits_all_is_training(dataset):
    (dataset / "README.md").write_text("---\nconfigs:\n- config_name: only\n  data_files: data/more-*.jsonl\n---\n")
    assert [turns[-1].content for turns in told(dataset)] == ["C", "B"]


def test_broken_front_matter_is_named_with_its_line(dataset):
    (dataset / "README.md").write_text("---\nconfigs:\n- {\n---\n")
    assert refusal(dataset).where.startswith(f"{dataset / 'README.md'}:")
