"""Which leaves stand beside a leaf, and that neither a broken nor an excluded one is among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import skill, write_leaf

from instructlab_like.taxonomy import branches
from instructlab_like.taxonomy.branches import Branches
from instructlab_like.taxonomy.read import read_tree

PATHS = ["office/filing/labels", "office/filing/letters", "office/post/parcels", "town/bins", "town/deep/down/below"]


def tree(folder: Path) -> Branches:
    for path in PATHS:
        write_leaf(folder, f"compositional_skills/{path}", skill())
    return Branches(folder)


def beside(found: Branches, path: str) -> list[str]:
    (leaf,) = read_tree(found.root, [f"compositional_skills/{path}"])[0]
    return [other.path.removeprefix("compositional_skills/") for other in found.beside(leaf)]


def test_the_smallest_folder_that_holds_others_is_the_branch(tmp_path: Path) -> None:
    found = tree(tmp_path)
    assert beside(found, "office/filing/labels") == ["office/filing/letters"]
    assert beside(found, "office/post/parcels") == ["office/filing/labels", "office/filing/letters"]
    assert beside(found, "town/deep/down/below") == ["town/bins"]


def test_the_first_folders_of_the_tree_are_no_branch(tmp_path: Path) -> None:
    write_leaf(tmp_path, "compositional_skills/alone/here", skill())
    write_leaf(tmp_path, "compositional_skills/other/there", skill())
    assert beside(Branches(tmp_path), "alone/here") == []


def test_a_leaf_that_is_excluded_or_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    tree(tmp_path)
    assert beside(Branches(tmp_path, ["compositional_skills/office/filing/letters"]), "office/filing/labels") == [
        "office/post/parcels"
    ]
    write_leaf(tmp_path, "compositional_skills/office/filing/letters", "version: 3\nseed_examples: [\n")
    assert beside(Branches(tmp_path), "office/filing/labels") == []


def test_of_very_many_the_same_are_taken_when_one_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST", 3)
    for number in range(8):
        write_leaf(tmp_path, f"compositional_skills/many/leaf{number}", skill())
    before = set(Branches(tmp_path).members["compositional_skills/many"])
    write_leaf(tmp_path, "compositional_skills/many/leaf8", skill())
    after = set(Branches(tmp_path).members["compositional_skills/many"])
    assert len(before) == len(after) == 3
    assert len(before & after) >= 2
