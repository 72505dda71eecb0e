from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import skill, write_leaf
from one_lint import of_code

from instructlab_like.checking.lints.folders import suggested


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Tides", "tides"),
        ("tide-gauge", "tide_gauge"),
        ("tide gauge", "tide_gauge"),
        ("TideGauge", "tide_gauge"),
        ("HTMLPages", "html_pages"),
        ("_tides", "tides"),
        ("tide__gauge", "tide_gauge"),
        ("öl", "ol"),
        ("潮", "my_leaf"),
    ],
)
def test_a_folder_in_other_spelling_is_told_with_the_name_to_give_it(tmp_path: Path, folder: str, name: str) -> None:
    root = write_leaf(tmp_path, f"compositional_skills/{folder}/add", skill())
    (told,) = of_code("folder-name", root)
    assert (told.path, told.line, told.column) == (f"{root}/qna.yaml", 1, 1)
    assert repr(folder) in told.message
    assert told.fix == f"call it {name!r}"


def test_each_folder_is_told(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, "compositional_skills/Maths/Add Up", skill())
    assert [finding.fix for finding in of_code("folder-name", folder)] == ["call it 'maths'", "call it 'add_up'"]


def test_snake_case_and_the_folders_above_the_tree_are_fine(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path / "My Taxonomy", "compositional_skills/web_2_0/http2", skill())
    assert not of_code("folder-name", folder)


@given(st.text(max_size=20))
def test_a_suggestion_is_always_a_good_name(folder: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", suggested(folder))
    assert suggested(suggested(folder)) == suggested(folder)
