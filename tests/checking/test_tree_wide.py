"""What only the whole tree can tell, whichever of its leaves a user names."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import commit_all, found_in, git, skill, write_leaf

from instructlab_like.checking.leaf import Options
from instructlab_like.checking.whole import check
from instructlab_like.errors import InputError

ONE, OTHER = "compositional_skills/sums", "compositional_skills/more_sums"


def other_skill() -> dict[str, object]:
    seeds = [{"question": f"What is {number} times two?", "answer": f"{2 * number} then"} for number in range(4)]
    return {**skill(), "seed_examples": [*seeds, {"question": "what is 3 plus 3", "answer": "It is 6."}]}


def test_a_question_of_another_leaf_is_found_from_either_side(tmp_path: Path) -> None:
    write_leaf(tmp_path, ONE, skill())
    write_leaf(tmp_path, OTHER, other_skill())
    for leaf, other in ((ONE, OTHER), (OTHER, ONE)):
        for _ in range(2):  # the second time out of the memory
            (found,) = found_in(tmp_path / leaf)
            assert (found.path, found.code) == (f"{tmp_path}/{leaf}/qna.yaml", "repeated-question")
            assert f"{other}/qna.yaml" in found.message
    assert len(found_in(tmp_path)) == 2


def test_a_leaf_outside_any_tree_is_not_compared(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_leaf(tmp_path, name, skill())
    assert found_in(tmp_path / "one") == []


def test_upstream_does_not_compare_leaves(tmp_path: Path) -> None:
    write_leaf(tmp_path, ONE, skill())
    write_leaf(tmp_path, OTHER, other_skill())
    assert found_in(tmp_path, options=Options(profile="compatible")) == []


def test_with_a_base_only_changed_leaves_are_looked_at_and_compared_with_all(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    write_leaf(root, ONE, {**skill(), "created_by": ""})
    git(tmp_path, "init", "--quiet")
    commit_all(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-b", "branch")
    assert check([root], base="main").leaves == 0
    write_leaf(root, OTHER, other_skill())
    outcome = check([root], base="main")
    assert outcome.leaves == 1
    assert [finding.code for finding in outcome.findings] == ["repeated-question"]
    commit_all(tmp_path)
    assert check([root], base="main") == outcome
    (root / ONE / "attribution.txt").unlink()
    assert check([root], base="main").leaves == 2
    assert check([root], base="HEAD").leaves == 1


def test_a_base_that_is_none_is_refused(tmp_path: Path) -> None:
    write_leaf(tmp_path, ONE, skill())
    with pytest.raises(InputError, match="Git"):
        check([tmp_path], base="main")
    git(tmp_path, "init", "--quiet")
    commit_all(tmp_path)
    for ref in ("nowhere", "--output=x", ""):
        with pytest.raises(InputError):
            check([tmp_path], base=ref)
