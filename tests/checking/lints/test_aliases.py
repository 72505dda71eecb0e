from __future__ import annotations

from pathlib import Path

from leaf_files import write_leaf
from one_lint import of_code, skill_text

PATH = "compositional_skills/add"


def test_every_alias_is_told_where_it_is_used(tmp_path: Path) -> None:
    held = "questions:\n  - question: &q What is 7 plus 8?\n    answer: &a '15'\n    accept: [*a]\n"
    text = skill_text().replace("task_description: Add", "task_description: &task Add")
    text = text.replace("question: What is 0 plus 0?", "question: *task")
    folder = write_leaf(tmp_path, PATH, text, heldout=held)
    told = of_code("alias-used", folder)
    assert [(Path(one.path).name, one.line, one.column) for one in told] == [
        ("heldout.yaml", 4, 14),
        ("qna.yaml", 5, 13),
    ]
    assert "*task" in told[1].message


def test_merges_are_told_once_each(tmp_path: Path) -> None:
    seeds = "".join(f"  - question: What is {n} plus 1?\n    answer: {n} and one\n" for n in range(2, 6))
    head = "version: 3\ncreated_by: ann\ntask_description: Add.\nseed_examples:\n"
    merged = "  - <<: {answer: two}\n    question: What is 1 plus 1?\n"
    folder = write_leaf(tmp_path, PATH, head + merged + seeds)
    (told,) = of_code("merge-used", folder)
    assert (told.line, told.column) == (5, 5)
    anchored = "  - &first\n    question: What is 1 plus 1?\n    answer: two\n  - <<: *first\n    question: And 2?\n"
    folder = write_leaf(tmp_path, PATH, head + anchored + seeds)
    (told,) = of_code("alias-used", folder)
    assert (told.line, told.column) == (8, 9)
    assert not of_code("merge-used", folder)


def test_of_many_aliases_the_rest_is_counted(tmp_path: Path) -> None:
    held = (
        "questions:\n  - question: What is 7 plus 8?\n    answer: &a '15'\n    accept: ["
        + ", ".join(["*a"] * 30)
        + "]\n"
    )
    told = of_code("alias-used", write_leaf(tmp_path, PATH, skill_text(), heldout=held))
    assert len(told) == 21
    assert told[-1].message.startswith("10 more aliases")


def test_an_anchor_alone_and_a_star_in_a_text_are_fine(tmp_path: Path) -> None:
    text = skill_text(question="What is 2 * 3 << 1?").replace("task_description: Add", "task_description: &task Add")
    folder = write_leaf(tmp_path, PATH, text)
    assert not of_code("alias-used", folder)
    assert not of_code("merge-used", folder)
