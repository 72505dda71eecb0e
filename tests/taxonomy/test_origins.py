from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import commit_all, dumped, git, open_descriptors, skill, write_leaf

from instructlab_like.records import Leaf, LeafOrigin
from instructlab_like.taxonomy.origins import head, origins
from instructlab_like.taxonomy.read import read_tree

ONE, TWO, THREE = (f"compositional_skills/{name}" for name in ("one", "two", "three"))


def found(root: Path) -> dict[str, LeafOrigin]:
    leaves, _ = read_tree(root)
    return {origin.path: origin for origin in origins(root, leaves)}


@pytest.mark.parametrize("below", ["", "some/where/taxonomy"])
def test_each_leaf_has_its_own_last_commit_and_author(tmp_path: Path, below: str) -> None:
    git(tmp_path, "init", "--quiet")
    root = tmp_path / below
    write_leaf(root, ONE, skill())
    write_leaf(root, TWO, skill())
    first = commit_all(tmp_path, author="Ann")
    write_leaf(root, TWO, dumped(skill()).replace("ann", "zoë"))
    second = commit_all(tmp_path, author="Zoë")
    (root / "unrelated.txt").write_text("x")
    third = commit_all(tmp_path, author="Bob")
    write_leaf(root, ONE, dumped(skill()).replace("ann", "eve"))
    write_leaf(root, THREE, skill())
    facts = {path: (origin.commit, origin.author, origin.dirty) for path, origin in found(root).items()}
    assert facts == {ONE: (first, "Ann", True), TWO: (second, "Zoë", False), THREE: (None, None, True)}
    assert head(root) == third


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    write_leaf(tmp_path, ONE, skill())
    (origin,) = found(tmp_path).values()
    assert (origin.commit, origin.author, origin.dirty) == (None, None, False)
    assert len(origin.blob) == 40
    assert head(tmp_path) is None


def test_before_the_first_commit_every_leaf_is_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_leaf(tmp_path, ONE, skill())
    (origin,) = found(tmp_path).values()
    assert (origin.commit, origin.dirty) == (None, True)
    assert head(tmp_path) is None


def test_a_leaf_of_a_merged_branch_keeps_its_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_leaf(tmp_path, ONE, skill())
    commit_all(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-b", "side")
    write_leaf(tmp_path, TWO, skill())
    side = commit_all(tmp_path, author="Bob")
    git(tmp_path, "checkout", "--quiet", "main")
    write_leaf(tmp_path, ONE, dumped(skill()).replace("ann", "eve"))
    main = commit_all(tmp_path, author="Eve")
    git(tmp_path, "merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert {path: origin.commit for path, origin in found(tmp_path).items()} == {ONE: main, TWO: side}


def test_reading_origins_leaves_no_descriptor_open(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_leaf(tmp_path, ONE, skill())
    commit_all(tmp_path)
    leaves: list[Leaf] = read_tree(tmp_path)[0]
    origins(tmp_path, leaves)
    before = open_descriptors()
    for _ in range(5):
        origins(tmp_path, leaves)
        head(tmp_path)
    assert open_descriptors() == before
