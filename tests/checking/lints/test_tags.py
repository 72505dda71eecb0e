from __future__ import annotations

from pathlib import Path

from leaf_files import write_leaf
from one_lint import of_code, skill_text

from instructlab_like.checking.lints.tags import SHOWN

PATH = "compositional_skills/add"


def test_every_tag_is_told_where_it_stands(tmp_path: Path) -> None:
    text = skill_text().replace("task_description: Add", "task_description: !!str Add")
    held = "questions:\n  - question: What is 7 plus 8?\n    answer: !!str 15\n"
    told = of_code("tag-used", write_leaf(tmp_path, PATH, text, heldout=held))
    assert [(Path(one.path).name, one.severity) for one in told] == [("heldout.yaml", "error"), ("qna.yaml", "error")]
    assert "!!str" in told[1].message
    line = next(number for number, line in enumerate(text.split("\n"), start=1) if "!!str" in line)
    assert (told[1].line, told[1].column) == (line, len("task_description: ") + 1)


def test_of_many_tags_the_rest_is_counted(tmp_path: Path) -> None:
    held = "questions:\n" + "".join(
        f"  - question: !!str What is {number} plus 8?\n    answer: so much\n" for number in range(SHOWN + 5)
    )
    told = of_code("tag-used", write_leaf(tmp_path, PATH, skill_text(), heldout=held))
    assert len(told) == SHOWN + 1
    assert told[-1].message == "5 more tags follow in this file"
