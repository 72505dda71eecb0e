from __future__ import annotations

from pathlib import Path

from leaf_files import dumped, knowledge, skill, write_leaf
from one_lint import of_code, written_skill


def test_a_pair_in_other_case_and_spacing_is_the_same(tmp_path: Path) -> None:
    folder = written_skill(tmp_path, question="what is 3  plus 3", answer="6 in all!")
    (told,) = of_code("repeated-pair", folder)
    assert (told.line, told.column, told.field) == (11, 13, "seed_examples[4]")
    assert "line 5" in told.message


def test_another_answer_or_another_context_makes_another_pair(tmp_path: Path) -> None:
    assert not of_code("repeated-pair", written_skill(tmp_path, question="What is 3 plus 3?", answer="half a dozen"))
    values = skill(grounded=True)
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    for seed in seeds:
        seed |= {"question": "Say it.", "answer": "It"}
    assert not of_code("repeated-pair", write_leaf(tmp_path, "compositional_skills/say", dumped(values)))


def test_knowledge_pairs_are_the_same_under_any_context(tmp_path: Path) -> None:
    values = knowledge()
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    seeds[1]["questions_and_answers"][2] = {"question": "what is fact 0 of harbour 0", "answer": "fact 0"}
    (told,) = of_code("repeated-pair", write_leaf(tmp_path, "knowledge/tides", dumped(values)))
    assert told.field == "seed_examples[2].questions_and_answers[3]"


def test_a_copy_to_the_letter_is_told_once(tmp_path: Path) -> None:
    values = knowledge()
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    values["seed_examples"] = [*seeds, seeds[0]]
    folder = write_leaf(tmp_path, "knowledge/tides", dumped(values))
    assert not of_code("repeated-pair", folder)
    assert of_code("repeated", folder)


def test_held_out_pairs_are_compared_with_each_other(tmp_path: Path) -> None:
    held = "questions:\n" + "  - question: What is 7 plus 8?\n    answer: '15'\n" * 2
    folder = write_leaf(tmp_path, "compositional_skills/add", skill(), heldout=held)
    (told,) = of_code("repeated-pair", folder)
    assert (Path(told.path).name, told.line, told.field) == ("heldout.yaml", 4, "questions[2]")
