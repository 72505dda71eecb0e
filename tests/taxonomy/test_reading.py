from __future__ import annotations

import os
from pathlib import Path

import pytest
from leaf_files import dumped, knowledge, skill, write_leaf

from instructlab_like.errors import InputError, LeafError
from instructlab_like.records import Knowledge, Skill, blob_id
from instructlab_like.taxonomy.read import read_leaf, read_tree

PATH = "knowledge/oceans/tides"


def test_a_knowledge_leaf_becomes_one_record(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, PATH, knowledge())
    leaf = read_leaf(tmp_path, Path(PATH))
    assert isinstance(leaf, Knowledge)
    assert (leaf.path, leaf.version, leaf.domain) == (PATH, 3, "oceans")
    assert leaf.blob == blob_id((folder / "qna.yaml").read_bytes())
    assert [len(seed.pairs) for seed in leaf.seeds] == [3] * 5
    assert (leaf.seeds[0].number, leaf.seeds[0].line) == (1, 11)
    assert leaf.source.patterns == ("*.md",)


def test_a_skill_is_grounded_when_its_examples_have_contexts(tmp_path: Path) -> None:
    write_leaf(tmp_path, "compositional_skills/sums", skill())
    write_leaf(tmp_path, "compositional_skills/sums_in_text", skill(grounded=True))
    leaves, broken = read_tree(tmp_path)
    assert not broken
    assert [(leaf.path, isinstance(leaf, Skill) and leaf.grounded) for leaf in leaves] == [
        ("compositional_skills/sums", False),
        ("compositional_skills/sums_in_text", True),
    ]


def test_texts_lose_the_blanks_around_them(tmp_path: Path) -> None:
    values = skill()
    values["task_description"] = "Add numbers.\n\n"
    write_leaf(tmp_path, "compositional_skills/sums", values)
    leaf = read_leaf(tmp_path, Path("compositional_skills/sums"))
    assert isinstance(leaf, Skill)
    assert leaf.task == "Add numbers."


def test_byte_order_mark_and_carriage_returns_are_read(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, PATH, knowledge())
    plain = read_leaf(tmp_path, Path(PATH))
    data = (folder / "qna.yaml").read_bytes().replace(b"\n", b"\r\n")
    (folder / "qna.yaml").write_bytes(b"\xef\xbb\xbf" + data)
    assert read_leaf(tmp_path, Path(PATH)).model_copy(update={"blob": plain.blob}) == plain


def test_all_that_is_wrong_with_a_leaf_is_said_at_once(tmp_path: Path) -> None:
    values = knowledge(commit=17)
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    del seeds[4]
    del seeds[1]["context"]
    seeds[2]["questions_and_answers"][1]["answer"] = ""
    values["autor"] = "ann"
    write_leaf(tmp_path, PATH, values, heldout="questions:\n  - question: Why?\n")
    with pytest.raises(LeafError) as caught:
        read_leaf(tmp_path, Path(PATH))
    where = f"{tmp_path}/{PATH}/qna.yaml"
    assert caught.value.findings == [
        f"{where}:7:11: document.commit: this must be text, and is 17 (int) → put it in quotes",
        f"{where}:11:1: seed_examples: 4 of at least 5 entries → add 1 more",
        f"{where}:19:3: seed_examples[2]: the key 'context' is missing → add `context:`",
        f"{where}:31:13: seed_examples[3].questions_and_answers[2].answer: this text is empty → fill it in",
        f"{where}:42:1: the key 'autor' is not known here → remove it; known here: version, created_by, domain, "
        "document_outline, document, seed_examples",
        f"{tmp_path}/{PATH}/heldout.yaml:2:5: questions[1]: the key 'answer' is missing → add `answer:`",
    ]
    assert caught.value.code == 2


def test_a_broken_leaf_does_not_hide_the_others(tmp_path: Path) -> None:
    write_leaf(tmp_path, "compositional_skills/good", skill())
    write_leaf(tmp_path, "compositional_skills/bad", "- 1\n")
    leaves, broken = read_tree(tmp_path)
    assert [leaf.path for leaf in leaves] == ["compositional_skills/good"]
    assert len(broken) == 1
    assert "must hold a mapping" in str(broken[0])


def test_an_unknown_key_suggests_the_one_that_was_meant(tmp_path: Path) -> None:
    values = skill()
    values["task_descripton"] = values.pop("task_description")
    write_leaf(tmp_path, "compositional_skills/sums", values)
    with pytest.raises(LeafError, match="did you mean 'task_description'"):
        read_leaf(tmp_path, Path("compositional_skills/sums"))


def test_a_knowledge_leaf_among_the_skills_is_told_where_to_go(tmp_path: Path) -> None:
    write_leaf(tmp_path, "compositional_skills/tides", knowledge())
    with pytest.raises(LeafError) as caught:
        read_leaf(tmp_path, Path("compositional_skills/tides"))
    assert len(caught.value.findings) == 1
    assert "move the folder below knowledge/" in caught.value.findings[0]


def test_the_root_may_be_the_branch_itself(tmp_path: Path) -> None:
    write_leaf(tmp_path, "knowledge/tides", knowledge())
    leaf = read_leaf(tmp_path / "knowledge", Path("tides"))
    assert (leaf.kind, leaf.path) == ("knowledge", "tides")


def test_leaves_can_be_named_below_the_root_by_folder_or_as_the_shell_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_leaf(tmp_path / "tree", "compositional_skills/a/one", skill())
    write_leaf(tmp_path / "tree", "compositional_skills/ab", skill())
    monkeypatch.chdir(tmp_path)
    for name in (
        "compositional_skills/a",
        "tree/compositional_skills/a/one",
        "tree/compositional_skills/a/one/qna.yaml",
    ):
        leaves, _ = read_tree(Path("tree"), [name])
        assert [leaf.path for leaf in leaves] == ["compositional_skills/a/one"]


def test_a_leaf_that_is_not_there_suggests_the_nearest(tmp_path: Path) -> None:
    write_leaf(tmp_path, "compositional_skills/sums", skill())
    with pytest.raises(InputError, match="did you mean 'compositional_skills/sums'"):
        read_tree(tmp_path, ["compositional_skills/sum"])


def test_no_folder_and_no_leaf_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        read_tree(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds a qna\.yaml"):
        read_tree(tmp_path)


def test_links_out_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_leaf(outside, "compositional_skills/secret", skill())
    tree = tmp_path / "tree"
    folder = tree / "compositional_skills" / "linked"
    folder.mkdir(parents=True)
    (folder / "qna.yaml").symlink_to(outside / "compositional_skills/secret/qna.yaml")
    (tree / "compositional_skills" / "folder").symlink_to(outside / "compositional_skills")
    leaves, broken = read_tree(tree)
    assert leaves == []
    assert ["is a link" in str(error) for error in broken] == [True]


def test_a_pipe_called_qna_yaml_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "compositional_skills" / "pipe"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "qna.yaml")
    _, broken = read_tree(tmp_path)
    assert "not a regular file" in str(broken[0])


def test_version_one_may_repeat_a_key_and_the_last_one_stands(tmp_path: Path) -> None:
    values = skill()
    del values["version"]
    write_leaf(tmp_path, "foundational_skills/sums", dumped(values) + "created_by: bob\n")
    assert read_leaf(tmp_path, Path("foundational_skills/sums")).created_by == "bob"
    write_leaf(tmp_path, "foundational_skills/sums", dumped(skill()) + "created_by: bob\n")
    with pytest.raises(LeafError, match="'created_by' is given twice; the first is in line 2"):
        read_leaf(tmp_path, Path("foundational_skills/sums"))
