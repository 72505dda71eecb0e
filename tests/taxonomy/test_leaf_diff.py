from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from leaf_files import commit_all, git, knowledge, skill, write_leaf

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.diff import LeafChange, changed, difference

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
    write_leaf(tree, "compositional_skills/new", skill(version=2))
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


def test_a_leaf_that_is_broken_now_is_compared_as_far_as_it_can_be(tree: Path) -> None:
    write_leaf(tree, SUMS, "seed_examples: [")
    write_leaf(tree, TEXTS, skill(version=2, grounded=True))
    broken, other = changed(tree, "HEAD")
    assert (broken.path, broken.change, broken.files) == (SUMS, "changed", ("qna.yaml",))
    assert (broken.seeds_added, broken.seeds_changed, broken.seeds_removed) == ((), (), ())
    assert [unread.side for unread in broken.unread] == ["now"]
    assert re.match(r"qna\.yaml:\d+:\d+: ", broken.unread[0].why)
    assert (other.path, other.unread) == (TEXTS, ())


def test_a_leaf_that_was_broken_is_compared_as_far_as_it_can_be(tree: Path) -> None:
    write_leaf(tree, SUMS, "seed_examples: [")
    commit_all(tree)
    write_leaf(tree, SUMS, skill())
    (change,) = changed(tree, "HEAD")
    assert (change.seeds_added, [unread.side for unread in change.unread]) == ((), ["before"])


def test_a_qna_file_that_became_a_link_is_unread(tree: Path) -> None:
    (tree / SUMS / "qna.yaml").unlink()
    (tree / SUMS / "qna.yaml").symlink_to("../texts/qna.yaml")
    (change,) = changed(tree, "HEAD")
    assert [(unread.side, unread.why) for unread in change.unread] == [("now", "qna.yaml is a link")]
    commit_all(tree)
    assert changed(tree, "HEAD") == []


def test_a_pipe_in_the_place_of_a_leaf_keeps_nobody_waiting(tree: Path) -> None:
    (tree / SUMS / "qna.yaml").unlink()
    os.mkfifo(tree / SUMS / "qna.yaml")
    (change,) = changed(tree, "HEAD")
    assert [unread.why for unread in change.unread] == ["qna.yaml is not a regular file"]


def test_a_leaf_at_another_path_is_told_as_moved(tree: Path) -> None:
    (tree / "knowledge/sea").mkdir()
    (tree / TIDES).rename(tree / "knowledge/sea/tides")
    (tree / "knowledge/sea/tides/tides.md").write_text("The sea falls.\n")
    assert changed(tree, "HEAD") == [
        LeafChange(path="knowledge/sea/tides", change="moved", moved_from=TIDES, files=("tides.md",))
    ]


def test_of_two_copies_of_a_leaf_that_went_one_is_moved(tree: Path) -> None:
    shutil.copytree(tree / SUMS, tree / "compositional_skills/one")
    (tree / SUMS).rename(tree / "compositional_skills/two")
    found = [(change.path, change.change, change.moved_from) for change in changed(tree, "HEAD")]
    assert found == [("compositional_skills/one", "moved", SUMS), ("compositional_skills/two", "added", None)]


def test_a_copy_of_a_leaf_that_stays_is_added(tree: Path) -> None:
    shutil.copytree(tree / SUMS, tree / "compositional_skills/one")
    (change,) = changed(tree, "HEAD")
    assert (change.change, change.seeds_added) == ("added", (1, 2, 3, 4, 5))


def test_a_seed_that_stood_twice_and_stands_once_was_removed(tree: Path) -> None:
    values = skill()
    seeds_of(values).append(seeds_of(values)[0])
    write_leaf(tree, SUMS, values)
    commit_all(tree)
    write_leaf(tree, SUMS, skill())
    (change,) = changed(tree, "HEAD")
    assert (change.seeds_removed, change.seeds_changed) == ((6,), ())


def test_a_tree_whose_leaves_all_went_has_them_removed(tree: Path) -> None:
    for path in (SUMS, TEXTS, TIDES):
        shutil.rmtree(tree / path)
    assert [change.change for change in changed(tree, "HEAD")] == ["removed"] * 3


def test_names_that_are_no_utf8_are_compared(tree: Path) -> None:
    folder = os.fsencode(tree / "compositional_skills") + b"/ol\xe9"
    try:
        shutil.copytree(os.fsencode(tree / SUMS), folder)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert [change.path for change in changed(tree, "HEAD")] == ["compositional_skills/ol�"]
    commit_all(tree)
    assert changed(tree, "HEAD") == []


def test_a_tree_that_is_one_leaf_is_compared(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_leaf(tmp_path, "compositional_skills", skill())
    commit_all(tmp_path)
    root = tmp_path / "compositional_skills"
    assert changed(root, "HEAD") == []
    (root / "heldout.yaml").write_text("x")
    assert [(change.path, change.files) for change in changed(root, "HEAD")] == [(".", ("heldout.yaml",))]


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


def test_a_branch_that_only_the_remote_has_is_suggested(tree: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(tmp_path), str(tmp_path / "clone"))
    git(tmp_path / "clone", "checkout", "--quiet", "-b", "mine")
    git(tmp_path / "clone", "branch", "--quiet", "-D", "main")
    with pytest.raises(InputError) as caught:
        changed(tmp_path / "clone" / "taxonomy", "main")
    assert caught.value.fix == "did you mean --base origin/main?"


def test_without_a_ref_the_remotes_branch_is_the_base_then_main_then_the_last_commit(
    tree: Path, tmp_path: Path
) -> None:
    base = difference(tree, None).base
    assert (base.ref, base.named) == ("main", False)
    git(tmp_path, "clone", "--quiet", str(tmp_path), str(tmp_path / "clone"))
    root = tmp_path / "clone" / "taxonomy"
    write_leaf(root, SUMS, skill(version=2))
    commit_all(root)
    assert [change.path for change in changed(root, None)] == [SUMS]
    assert difference(root, None).base.ref == "origin/main"
    git(tree, "branch", "--quiet", "-m", "main", "trunk")
    assert difference(tree, None).base.ref == "HEAD"


def test_a_detached_head_is_compared_like_a_branch(tree: Path) -> None:
    git(tree, "checkout", "--quiet", "--detach")
    write_leaf(tree, SUMS, skill(version=2))
    commit_all(tree)
    assert [change.path for change in changed(tree, None)] == [SUMS]


def test_a_shallow_clone_without_the_common_commit_says_how_to_get_it(tree: Path, tmp_path: Path) -> None:
    git(tree, "checkout", "--quiet", "-b", "side")
    commit_all(tree, "of the side")
    git(tree, "checkout", "--quiet", "main")
    commit_all(tree, "of main")
    source = f"file://{tmp_path}"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", "-b", "side", source, str(tmp_path / "clone"))
    with pytest.raises(InputError, match="this clone is shallow") as caught:
        changed(tmp_path / "clone" / "taxonomy", "origin/main")
    assert "git fetch --unshallow" in caught.value.fix


def test_before_the_first_commit_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_leaf(tmp_path, SUMS, skill())
    with pytest.raises(InputError, match="holds no commit yet"):
        changed(tmp_path, None)


def test_histories_without_a_common_commit_are_an_input_error(tree: Path) -> None:
    git(tree, "checkout", "--quiet", "--orphan", "alone")
    commit_all(tree, "another beginning")
    with pytest.raises(InputError, match=r"and HEAD have no commit in common\n"):
        changed(tree, "main")


def test_outside_git_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    write_leaf(tmp_path, SUMS, skill())
    with pytest.raises(InputError, match="is not in a Git repository"):
        changed(tmp_path, "HEAD")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such taxonomy folder"):
        changed(tmp_path / "nowhere", None)


# --- the command ------------------------------------------------------------------------------------------------

GIT = shutil.which("git")
COUNTED = f"""#!/bin/sh
echo "$@" >> "$ILK_TEST_STARTS"
exec {GIT} "$@"
"""


def ilk(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def starts(folder: Path, *, commits: int, leaves: int) -> int:
    """How many git processes `ilk diff` starts on a branch of so many commits that changes so many leaves."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number in range(leaves):
        write_leaf(folder / "taxonomy", f"compositional_skills/leaf_{number}", skill())
    commit_all(folder)
    git(folder, "checkout", "--quiet", "-b", "side")
    for number in range(leaves):
        write_leaf(folder / "taxonomy", f"compositional_skills/leaf_{number}", skill(version=2))
    for _ in range(commits):
        commit_all(folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "git").write_text(COUNTED)
    (folder / "bin" / "git").chmod(0o755)
    log = folder / "starts"
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = ilk("diff", cwd=folder, PATH=path, ILK_TEST_STARTS=str(log))
    assert f"{leaves} leaves differ" in done.stdout, done.stdout + done.stderr
    return len(log.read_text().splitlines())


def test_however_long_the_branch_and_however_many_leaves_as_many_git_processes_are_started(tmp_path: Path) -> None:
    counted = {
        (commits, leaves): starts(tmp_path / f"{commits}-{leaves}", commits=commits, leaves=leaves)
        for commits, leaves in ((1, 3), (60, 3), (1, 60), (60, 60))
    }
    print(f"git processes by (commits, leaves): {counted}")
    assert len(set(counted.values())) == 1
    assert 0 < counted[1, 3] <= 9  # two of them are GitPython asking for the version


def test_the_command_prints_what_changed_and_what_it_was_compared_with(tree: Path) -> None:
    values = skill()
    seeds_of(values)[0]["answer"] = "none"
    write_leaf(tree, SUMS, values)
    write_leaf(tree, TEXTS, "seed_examples: [")
    done = ilk("diff", cwd=tree.parent)
    assert (done.returncode, done.stderr) == (0, "")
    first, *told, last = done.stdout.splitlines()
    assert first == f"compared with main (found by itself, merge base {git(tree, 'rev-parse', 'HEAD')[:12]})"
    assert told[0] == f"changed  {SUMS}  (qna.yaml; seeds changed 1)"
    assert told[1].startswith(f"changed  {TEXTS}  (qna.yaml; seeds unknown, unreadable now: qna.yaml:")
    assert last == "2 leaves differ"


def test_the_command_speaks_json(tree: Path) -> None:
    shutil.rmtree(tree / SUMS)
    done = ilk("diff", "--base", "HEAD", "--format", "json", cwd=tree.parent)
    told = json.loads(done.stdout)
    assert told["base"] == git(tree, "rev-parse", "HEAD")
    (leaf,) = told["leaves"]
    assert (leaf["path"], leaf["change"], leaf["seeds_removed"]) == (SUMS, "removed", [1, 2, 3, 4, 5])
    assert leaf["files"] == ["attribution.txt", "qna.yaml"]


def test_names_that_would_act_in_a_terminal_are_escaped(tree: Path) -> None:
    write_leaf(tree, "compositional_skills/a\x1b[31m\n::error::b", skill())
    done = ilk("diff", cwd=tree.parent)
    assert done.returncode == 0
    assert "compositional_skills/a\\x1b[31m\\n::error::b" in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(line.startswith("::") for line in done.stdout.splitlines())


@pytest.mark.parametrize(("words", "said"), [(("--base", "nowhere"), "'nowhere'"), (("--taxonomy", "gone"), "gone")])
def test_wrong_input_ends_with_2_and_one_message(tree: Path, words: tuple[str, ...], said: str) -> None:
    done = ilk("diff", *words, cwd=tree.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
