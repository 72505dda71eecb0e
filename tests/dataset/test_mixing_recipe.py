"""Mixing recipes: what is written is read, and a recipe takes what InstructLab would, without a draw left to chance."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset.instructlab.mixing import MixingRecipe, Part, dumped, parsed, sampled
from instructlab_like.dataset.reading import read, sources
from instructlab_like.errors import InputError

SIZES = st.integers(0, 10**6) | st.floats(0, 100, allow_subnormal=False)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1, max_size=20).filter(str.strip)
PARTS = st.builds(Part, path=NAMES, sampling_size=SIZES)


@given(
    st.builds(MixingRecipe, datasets=st.lists(PARTS, max_size=4).map(tuple), sys_prompt=st.none() | NAMES | st.just(""))
)
def test_a_recipe_that_is_written_is_read(recipe):
    data = dumped(recipe)
    assert parsed(data, Path("r.yaml")) == recipe
    assert [type(part.sampling_size) for part in parsed(data, Path("r.yaml")).datasets] == [
        type(part.sampling_size) for part in recipe.datasets
    ]


@given(st.integers(0, 30), st.integers(0, 100), st.text(max_size=3))
def test_no_row_comes_twice_before_every_row_came_once(count, size, purpose):
    rows = list(range(count))
    drawn = sampled(rows, size, purpose=purpose)
    assert drawn == sampled(rows, size, purpose=purpose)
    assert len(drawn) == (size if rows else 0)
    times = Counter(drawn)
    assert not rows or max(times.values(), default=0) - min(times[row] for row in rows) <= 1


@pytest.mark.parametrize(
    ("size", "rows"), [(1.0, 8), (1, 8), (0.5, 4), (0.99, 7), (3, 3), (0, 0), (0.0, 0), (2.0, 16), (20, 20)]
)
def test_a_fraction_is_a_share_and_a_whole_number_so_many_rows(size, rows):
    assert Part(path="x", sampling_size=size).rows(8) == rows


@pytest.fixture
def mix(tmp_path):
    def write(recipe, **files):
        for name, rows in files.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        path = tmp_path / "skills_recipe_gen.yaml"
        path.write_text(recipe if isinstance(recipe, str) else yaml.safe_dump(recipe))
        return path

    return write


def pairs(count, **more):
    return [{"user": f"Number {number}?", "assistant": str(number)} | more for number in range(count)]


def recipe(*parts, **metadata):
    told = {"datasets": [{"path": path, "sampling_size": size} for path, size in parts]}
    return told | ({"metadata": metadata} if metadata else {})


def answers(path):
    return [one.messages[-1].content for one in read(path).conversations]


def test_files_are_taken_in_the_recipes_order_and_share(mix):
    path = mix(recipe(("b.jsonl", 1.0), ("a.jsonl", 0.5)), a=pairs(8), b=pairs(2))
    found = answers(path)
    assert found[:2] == ["0", "1"]
    assert len(set(found[2:])) == len(found[2:]) == 4
    assert found == answers(path)


def test_rows_lie_relative_to_the_recipe_wherever_the_command_runs(mix, tmp_path, monkeypatch):
    path = mix(recipe(("a.jsonl", 1.0)), a=pairs(3))
    monkeypatch.chdir("/")
    assert len(answers(path)) == 3
    assert sources(path) == [path, tmp_path / "a.jsonl"]


@pytest.mark.parametrize(("prompt", "first"), [("Be kind.", "Be kind."), ("", "Number 0?")])
def test_the_recipes_system_prompt_stands_in_every_row(mix, prompt, first):
    path = mix(recipe(("a.jsonl", 1.0), sys_prompt=prompt), a=pairs(2, system="Be brief."))
    assert {one.messages[0].content for one in read(path).conversations[:1]} == {first}
    assert not any(turn.content == "Be brief." for one in read(path).conversations for turn in one.messages)


def test_without_one_each_row_keeps_its_own(mix):
    path = mix(recipe(("a.jsonl", 1.0)), a=pairs(2, system="Be brief."))
    assert {one.messages[0].content for one in read(path).conversations} == {"Be brief."}


def test_a_size_of_one_row_is_read_as_all_and_said(mix):
    path = mix(recipe(("a.jsonl", 1)), a=pairs(5))
    assert len(answers(path)) == 5
    assert read(path).notes == (f"{path}: sampling_size 1 of a.jsonl is read as 1.0, all rows, as InstructLab does",)


def test_rows_in_which_a_turn_says_nothing_are_left_out_and_counted(mix, tmp_path):
    path = mix(recipe(("a.jsonl", 1.0)), a=[*pairs(3), {"user": "Who?", "assistant": ""}])
    assert answers(path) == ["0", "1", "2"]
    assert read(path).notes == (f"{tmp_path / 'a.jsonl'}: 1 rows left out: a turn says nothing",)


def test_rows_from_outside_the_recipes_folder_are_taken_and_said(mix, tmp_path):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    inner = outside / "r.yaml"
    mix("", a=pairs(2))
    inner.write_text(yaml.safe_dump(recipe(("../a.jsonl", 1.0), (str(tmp_path / "a.jsonl"), 1.0))))
    assert len(answers(inner)) == 4
    assert [note for note in read(inner).notes if "outside its folder" in note] == [
        f"{inner}: takes rows from outside its folder: ../a.jsonl",
        f"{inner}: takes rows from outside its folder: {tmp_path / 'a.jsonl'}",
    ]


def test_a_link_out_of_the_folder_is_said_like_a_path(mix, tmp_path):
    (tmp_path / "in").mkdir()
    mix("", a=pairs(2))
    (tmp_path / "in" / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    inner = tmp_path / "in" / "r.yaml"
    inner.write_text(yaml.safe_dump(recipe(("b.jsonl", 1.0))))
    assert read(inner).notes == (f"{inner}: takes rows from outside its folder: b.jsonl",)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("- a\n", "", "holds no mapping of key: value"),
        ("", "", "holds no mapping of key: value"),
        ("datasets: 3\n", ":1:11", "`datasets` is not a list"),
        ("metadata: {}\n", ":1:1", "`datasets` is not a list"),
        ("datasets: []\n", "", "names no datasets"),
        ("datasets:\n- a.jsonl\n", ":2:3", "an entry of `datasets` is no mapping"),
        ("datasets:\n- sampling_size: 1.0\n", ":2:3", "an entry of `datasets` names no `path`"),
        ("datasets:\n- path: a.jsonl\n", ":2:3", "`sampling_size` of a.jsonl is missing"),
        (
            "datasets:\n- {path: a.jsonl, sampling_size: some}\n",
            ":2:34",
            "`sampling_size` of a.jsonl is no size: 'some'",
        ),
        ("datasets:\n- {path: a.jsonl, sampling_size: true}\n", ":2:34", "`sampling_size` of a.jsonl is no size: True"),
        ("datasets:\n- {path: a.jsonl, sampling_size: -1}\n", ":2:34", "`sampling_size` of a.jsonl is no size: -1"),
        ("datasets:\n- {path: a.jsonl, sampling_size: .nan}\n", ":2:34", "`sampling_size` of a.jsonl is no size: nan"),
        ("datasets:\n- {path: a.jsonl, sampling_size: 99999999}\n", "", "asks for 99,999,999 rows of a.jsonl"),
        ("datasets:\n- {path: a.jsonl, sampling_size: 0}\n", "", "takes no row of any file"),
        ("datasets: [\n", ":2:1", None),
        ("datasets: []\ndatasets: []\n", ":2:1", None),
        ("datasets: []\nmetadata: {sys_prompt: 3}\n", ":2:24", "`metadata.sys_prompt` is no text"),
        ("task: x\ndataset_path: json\n", "", "is a multiple-choice task, no mixing recipe"),
    ],
)
def test_a_recipe_that_is_none_is_named_with_its_place(mix, text, place, what):
    path = mix(text, a=pairs(2))
    with pytest.raises(InputError) as refused:
        read(path)
    assert refused.value.where == f"{path}{place}"
    assert refused.value.fix
    assert what is None or refused.value.what == what


def test_a_broken_file_of_a_recipe_is_named_with_its_line_and_the_recipe(mix, tmp_path):
    path = mix(recipe(("a.jsonl", 1.0)), a=[*pairs(1), {"user": "Who?"}])
    with pytest.raises(InputError) as refused:
        read(path)
    assert refused.value.where == f"{tmp_path / 'a.jsonl'}:2"
    assert str(path) in refused.value.fix
    missing = mix(recipe(("none.jsonl", 1.0)))
    with pytest.raises(InputError, match="there is no such file"):
        read(missing)
