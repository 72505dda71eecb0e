from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import dumped, knowledge, write_leaf
from one_lint import KNOWLEDGE_PATH, of_code, written_knowledge, written_skill


@pytest.mark.parametrize(("words", "found"), [(500, []), (501, [11])])
def test_a_context_of_five_hundred_words_is_the_longest(tmp_path: Path, words: int, found: list[int]) -> None:
    folder = written_knowledge(tmp_path, context="Harbour tide Fact 0. " + "word " * (words - 5) + "end")
    told = of_code("long-context", folder)
    assert [finding.line for finding in told] == found
    if told:
        assert told[0].column == 12
        assert told[0].message == "501 words in the context, of at most 500"
        assert told[0].field == "seed_examples[1].context"


@pytest.mark.parametrize(("words", "found"), [(250, []), (251, [(5, 13)])])
def test_question_and_answer_count_together(tmp_path: Path, words: int, found: list[tuple[int, int]]) -> None:
    folder = written_skill(tmp_path, question="Say more?", answer="\n\n".join(["more"] * (words - 2)))
    told = of_code("long-pair", folder)
    assert [(finding.line, finding.column) for finding in told] == found


def test_a_context_does_not_count_with_its_pair(tmp_path: Path) -> None:
    folder = written_knowledge(tmp_path, context="Fact 0 " + "word " * 300)
    assert not of_code("long-pair", folder)


@pytest.mark.parametrize(("words", "found"), [(2_300, []), (2_301, [10])])
def test_all_texts_of_the_seed_examples_count_in_the_end(tmp_path: Path, words: int, found: list[int]) -> None:
    values = knowledge()
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    rest = words - sum(len(_texts(seed)) for seed in seeds)
    for seed in seeds:
        added = min(rest, 480)
        seed["context"] += " word" * added
        rest -= added
    told = of_code("long-leaf", write_leaf(tmp_path, KNOWLEDGE_PATH, dumped(values)))
    assert [finding.line for finding in told] == found
    assert all("2,301 words" in finding.message for finding in told)


def _texts(seed: dict[str, object]) -> list[str]:
    pairs = seed["questions_and_answers"]
    assert isinstance(pairs, list)
    texts = [str(seed["context"]), *(text for pair in pairs for text in pair.values())]
    return " ".join(texts).split()


def test_lengths_of_a_leaf_that_cannot_be_used_are_told_too(tmp_path: Path) -> None:
    text = "seed_examples:\n  - question: Why?\n    answer: " + "word " * 250 + "\n"
    (told,) = of_code("long-pair", write_leaf(tmp_path, "compositional_skills/add", text))
    assert (told.line, told.column) == (2, 15)
