from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from leaf_files import commit_all, git, knowledge, skill, write_leaf

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.diff import LeafChange, changed

SUMS, TEXTS, TIDES = "compositional_skills/sums", "compositional_skills/texts", "knowledge/tides"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    root = tmp_path / "taxonomy"
    write_leaf(root, SUMS, skill())
    write_leaf(root, TEXTS, skill(grounded=True))
    write_leaf(root, TIDES, knowledge(repo=".", commit="HEAD"))
    (root / TIDES / "tides.md").write_text("The sea rises.\n")
    commit_all(tmp_path)
    return root


def seeds_of(values: dict[str, Any]) -> list[Any]:
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    return seeds


def test_an_untouched_tree_has_no_changes(tree: Path) -> None:
    (tree / "README.md").write_text("unrelated")
    assert changed(tree, "HEAD") == []


def test_edited_new_and_removed_seeds_are_told_apart(tree: Path) -> None:
    values = skill()
    seeds = seeds_of(values)
    del seeds[1]
    seeds[2]["answer"] = "six"
    seeds.insert(0, {"question": "What is one?", "answer": "one"})
    write_leaf(tree, SUMS, values)
    assert changed(tree, "HEAD") == [
        LeafChange(
            path=SUMS, change="changed", files=("qna.yaml",), seeds_added=(1,), seeds_changed=(4,), seeds_removed=(2,)
        )
    ]


def test_moving_seeds_about_changes_the_file_but_no_seed(tree: Path) -> None:
    values = skill()
    seeds_of(values).reverse()
    write_leaf(tree, SUMS, values)
    assert changed(tree, "HEAD") == [LeafChange(path=SUMS, change="changed", files=("qna.yaml",))]


def test_a_grounded_seed_is_known_by_its_context(tree: Path) -> None:
    values = skill(grounded=True)
    seeds_of(values)[0]["question"] = "How much is nothing twice?"
    seeds_of(values)[1]["context"] = "A number is written down."
    seeds_of(values)[2] |= {"context": "Another text.", "answer": "other"}
    write_leaf(tree, TEXTS, values)
    (change,) = changed(tree, "HEAD")
    assert (change.seeds_changed, change.seeds_added, change.seeds_removed) == ((1, 2), (3,), (3,))


def test_knowledge_seeds_and_documents_are_compared(tree: Path) -> None:
    values = knowledge(repo=".", commit="HEAD")
    seeds_of(values)[3]["questions_and_answers"][0]["answer"] = "another"
    write_leaf(tree, TIDES, values)
    (tree / TIDES / "tides.md").write_text("The sea falls.\n")
    (tree / TIDES / "heldout.yaml").write_text("questions: []\n")
    assert changed(tree, "HEAD") == [
        LeafChange(path=TIDES, change="changed", files=("heldout.yaml", "qna.yaml", "tides.md"), seeds_changed=(4,))
    ]


def test_added_and_removed_leaves_are_listed_with_their_seeds(tree: Path) -> None:
    shutil.rmtree(tree / SUMS)
    write_leaf(tree, "compositional_skills/new", skill())
    found = changed(tree, "HEAD")
    assert [(change.path, change.change) for change in found] == [
        ("compositional_skills/new", "added"),
        (SUMS, "removed"),
    ]
    assert found[0].seeds_added == found[1].seeds_removed == (1, 2, 3, 4, 5)


def test_what_happened_on_the_base_branch_meanwhile_is_no_change(tree: Path) -> None:
    git(tree, "checkout", "--quiet", "-b", "side")
    git(tree, "checkout", "--quiet", "main")
    write_leaf(tree, SUMS, skill(version=2))
    commit_all(tree)
    git(tree, "checkout", "--quiet", "side")
    write_leaf(tree, TEXTS, skill(version=2, grounded=True))
    commit_all(tree)
    assert [change.path for change in changed(tree, "main")] == [TEXTS]
    assert changed(tree, "HEAD") == []


def test_a_broken_leaf_can_be_compared(tree: Path) -> None:
    write_leaf(tree, SUMS, "seed_examples: [")
    (change,) = changed(tree, "HEAD")
    assert (change.change, change.seeds_removed) == ("changed", (1, 2, 3, 4, 5))


def test_nothing_is_checked_out(tree: Path) -> None:
    (tree / SUMS / "qna.yaml").write_text("being edited")
    changed(tree, "HEAD")
    assert (tree / SUMS / "qna.yaml").read_text() == "being edited"
    assert git(tree, "branch", "--show-current") == "main"


@pytest.mark.parametrize("ref", ["nowhere", "--output=x", "", "HEAD~7"])
def test_a_bad_ref_is_an_input_error(tree: Path, ref: str) -> None:
    with pytest.raises(InputError, match="is no commit of this repository"):
        changed(tree, ref)
    assert not (tree / "x").exists()


def test_histories_without_a_common_commit_are_an_input_error(tree: Path) -> None:
    git(tree, "checkout", "--quiet", "--orphan", "alone")
    commit_all(tree, "another beginning")
    with pytest.raises(InputError, match="no commit in common"):
        changed(tree, "main")


def test_outside_git_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    write_leaf(tmp_path, SUMS, skill())
    with pytest.raises(InputError, match="is not in a Git repository"):
        changed(tmp_path, "HEAD")
