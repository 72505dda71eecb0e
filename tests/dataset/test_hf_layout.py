"""A dataset in Parquet as its users meet it: through `datasets.load_dataset`, without a network."""

from __future__ import annotations

import subprocess
import sys

import pytest
from datasets import get_dataset_config_names, load_dataset
from finished_run import REPLAY, TESTS, TRAIN, Given, exported
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset import parquet
from instructlab_like.dataset.card import COLUMNS, KNOWLEDGE, SKILLS, TEST, Contents, card
from instructlab_like.dataset.reading import read, sources
from instructlab_like.errors import InputError
from instructlab_like.records import Message, Row

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(
    st.builds(
        Row,
        messages=st.lists(st.builds(Message, content=TEXT), min_size=2, max_size=4).map(tuple),
        phase=st.sampled_from(["knowledge", "skills"]),
        leaf=TEXT,
        sample=TEXT,
        kind=st.none() | st.just("grounded"),
        chunk=st.none() | TEXT,
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def folder(tmp_path, monkeypatch, facts):
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "cache" / "modules"))
    run = Given(TRAIN, TESTS, replay=REPLAY)
    run.card = card(Contents.of({name: run.rows(name) for name in (KNOWLEDGE, SKILLS, TEST)}), facts)
    folder = tmp_path / "hf"
    for name, data in exported(run, "hf", folder)[0].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def loaded(folder, name):
    return load_dataset(str(folder), name, cache_dir=str(folder.parent / "cache"))


def test_a_folder_loads_by_itself_with_the_runs_rows(folder):
    run = Given(TRAIN, TESTS, replay=REPLAY)
    assert get_dataset_config_names(str(folder)) == ["default", "knowledge", "skills"]
    found = loaded(folder, "default")
    assert [Row.model_validate(row) for row in found["train"]] == [*run.rows(KNOWLEDGE), *run.rows(SKILLS)]
    assert [Row.model_validate(row) for row in found["test"]] == list(run.rows(TEST))
    for name, file in (("knowledge", KNOWLEDGE), ("skills", SKILLS)):
        assert [Row.model_validate(row) for row in loaded(folder, name)["train"]] == list(run.rows(file))


def test_the_card_names_the_files_that_are_there(folder):
    text = (folder / "README.md").read_text()
    assert ".jsonl" not in text
    assert "4-dataset" not in text
    assert "data/knowledge-train.parquet" in text


def test_the_folder_and_its_files_are_read_as_conversations(folder):
    run = Given(TRAIN, TESTS, replay=REPLAY)
    rows = [*run.rows(KNOWLEDGE), *run.rows(SKILLS)]
    assert [one.messages for one in read(folder).conversations] == [row.messages for row in rows]
    assert sources(folder) == [
        folder / name for name in ("README.md", "data/knowledge-train.parquet", "data/skills-train.parquet")
    ]
    found = read(folder / "data/test.parquet").conversations
    assert [one.messages for one in found] == [row.messages for row in run.rows(TEST)]


def test_the_same_rows_give_the_same_bytes_in_any_folder(tmp_path):
    one, other = (exported(Given(TRAIN, TESTS), "hf", tmp_path / name) for name in ("a", "b/c"))
    assert one == other
    assert sorted(one[0]) == ["README.md", "data/knowledge-train.parquet", "data/test.parquet"]


@given(ROWS)
def test_whatever_a_row_says_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    path.write_bytes(parquet.dumped(rows, "rows"))
    assert [Row.model_validate(row) for row in parquet.read(path)] == rows


def test_more_rows_than_are_held_at_once_come_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH", 3)
    rows = list(Given(TRAIN, []).rows(KNOWLEDGE)) * 3
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet.dumped(rows, "rows"))
    assert [Row.model_validate(row) for row in parquet.read(path)] == rows


def test_the_table_has_a_column_for_every_field_of_a_row():
    assert list(COLUMNS) == list(Row.model_fields)


def test_a_row_of_a_table_that_is_no_conversation_is_named_by_its_number(tmp_path):
    path = tmp_path / "rows.parquet"
    silent = REPLAY[1].model_copy(update={"messages": REPLAY[1].messages[:1]})
    path.write_bytes(parquet.dumped([REPLAY[1], silent], "rows"))
    with pytest.raises(InputError) as refused:
        read(path)
    assert (refused.value.where, refused.value.what) == (f"{path}, row 2", "nobody answers")


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1 and then no table PAR1"])
def test_a_broken_table_is_one_message(tmp_path, data):
    path = tmp_path / "rows.parquet"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read(path)
    assert refused.value.what.startswith("cannot be read as Parquet: ")
    assert refused.value.where == str(path)


def test_a_table_without_rows_says_so(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet.dumped([], "rows"))
    with pytest.raises(InputError, match="holds no row"):
        read(path)


def test_without_pyarrow_the_message_names_the_extra_and_nothing_is_written(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(parquet, "import_module", missing)
    with pytest.raises(InputError) as refused:
        exported(Given(TRAIN, []), "hf", tmp_path / "hf")
    assert "pyarrow, which is not installed" in refused.value.what
    assert "instructlab-like[parquet]" in refused.value.fix


def test_only_what_asks_for_tables_imports_pyarrow():
    names = ("dataset.reading", "dataset.formats.hf", "dataset.formats.instructlab", "stages.exporting.export")
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module('instructlab_like.' + name)\n"
    code += "print('pyarrow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
