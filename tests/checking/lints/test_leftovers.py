from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import dumped, knowledge, skill, write_leaf
from one_lint import KNOWLEDGE_PATH, SKILL_PATH, of_code, written_skill

from instructlab_like.checking.lints.leftovers import _hits
from instructlab_like.checking.subject import Text

CODE = "leftover-text"


def head(root: Path, key: str, value: str) -> list[str]:
    """The severities of what is found in a knowledge leaf with this value in its head."""
    values = knowledge()
    values[key] = value
    return [one.severity for one in of_code(CODE, write_leaf(root, KNOWLEDGE_PATH, dumped(values)))]


@pytest.mark.parametrize(
    "text",
    [
        "<your question>",
        "[Your question here]",
        "{{ question }}",
        "{question}",
        "<string>",
        "TODO",
        "TODO: ask something",
        "FIXME",
        "XXX",
        "Lorem ipsum",
        "Lorem ipsum dolor sit amet, consectetur?",
        "replace me",
        "Question 1",
        "question",
        "Example question 2",
        "Your question goes here, please.",
        "Insert your question here",
        "...",
        "n/a",
        "-",
        "What is <insert question>?",
    ],
)
def test_a_question_that_was_not_filled_in_is_an_error(tmp_path: Path, text: str) -> None:
    (told,) = of_code(CODE, written_skill(tmp_path, question=text))
    assert told.severity == "error"
    assert told.field == "seed_examples[1].question"


@pytest.mark.parametrize(
    "text",
    [
        "your answer here",
        "<answer>",
        "[insert answer]",
        "Answer",
        "Answer 1",
        "Example answer",
        "TBD",
        "…",
        "N/A",
        "--",
    ],
)
def test_an_answer_that_was_not_filled_in_is_an_error(tmp_path: Path, text: str) -> None:
    (told,) = of_code(CODE, written_skill(tmp_path, answer=text))
    assert told.severity == "error"
    assert told.field == "seed_examples[1].answer"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which element makes a section of a page?", "<div>"),
        ("Which header has printf?", "<stdio.h>"),
        ("Which element names a page?", "<title>"),
        ("What is the highest rank of life?", "domain"),
        ("Which operator subtracts?", "-"),
        ("Which mark ends a question?", "?"),
        ("What type is 'abc' in Python?", "string"),
        ("How is thirty written in Roman numerals?", "thirty is `XXX`"),
        ("What does `{{ name }}` print in Jinja?", "The name.\n```\nHello {{ name }}\n{% if TODO %}\n```"),
        ("How many moons has Venus?", "None"),
        ("Say no in Portuguese.", "na"),
        ("What is \\frac{{a}}{b} called?", "A fraction."),
        ("Wrap it in tags.", "<question>Why?</question><answer>So.</answer>"),
        ("What is an array index?", "[0]"),
        ("Link to it.", "See [your guide](https://example.org)."),
        ("What do I put on my to-do list?", "Whatever you have to do."),
        ("What is the answer to question 1?", "The answer to question 1 is 7."),
    ],
)
def test_what_is_meant_as_it_stands_is_fine(tmp_path: Path, question: str, answer: str) -> None:
    assert not of_code(CODE, written_skill(tmp_path, question=question, answer=answer))


@pytest.mark.parametrize(
    ("answer", "column"),
    [
        ("Dear [your name], thank you.", 16),
        ("Hello <your name>.", 17),
        ("Hello {{ name }}.", 17),
        ("It runs {% if x %}.", 19),
        ("Add a TODO comment.", 17),
        ("The key is XXX today.", 22),
        ("Set it to CHANGEME first.", 21),
        ("Designers write lorem ipsum for text.", 27),
    ],
)
def test_inside_a_text_it_may_be_meant_and_is_a_warning(tmp_path: Path, answer: str, column: int) -> None:
    (told,) = of_code(CODE, written_skill(tmp_path, answer=answer))
    assert (told.severity, told.line, told.column) == ("warning", 6, column)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("created_by", "<user-name>"),
        ("created_by", "your user name"),
        ("created_by", "GitHub username"),
        ("domain", "<domain>"),
        ("domain", "name of the domain"),
        ("domain", "domain"),
        ("domain", "as on a textbook's cover: astronomy"),
        ("document_outline", "what the document is about, in one sentence"),
        ("document_outline", "[An outline of the document]"),
        ("document_outline", "TODO"),
    ],
)
def test_the_words_of_templates_are_errors_at_the_head(tmp_path: Path, key: str, value: str) -> None:
    assert head(tmp_path, key, value) == ["error"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("created_by", "username42"), ("domain", "domain names"), ("document_outline", "How a [sic] and <b> are used")],
)
def test_other_words_at_the_head_are_fine(tmp_path: Path, key: str, value: str) -> None:
    assert head(tmp_path, key, value) == []


def test_slots_in_the_document_source_are_errors(tmp_path: Path) -> None:
    values = knowledge(repo="https://github.com/<user>/<repo>", patterns=["[a-c]*.md", "<glob>"])
    told = of_code(CODE, write_leaf(tmp_path, KNOWLEDGE_PATH, dumped(values)))
    assert [(one.field, one.column) for one in told] == [("document.repo", 28), ("document.patterns[2]", 5)]


def test_the_place_in_a_block_is_that_of_the_words(tmp_path: Path) -> None:
    held = "questions:\n  - question: What is 7 plus 8?\n    answer: |\n      Fifteen.\n\n      TODO: say why\n"
    (told,) = of_code(CODE, write_leaf(tmp_path, SKILL_PATH, skill(), heldout=held))
    assert (Path(told.path).name, told.line, told.column, told.severity) == ("heldout.yaml", 6, 7, "error")


def test_templates_of_a_simulation_are_what_they_are(tmp_path: Path) -> None:
    simulation = """\
parameters:
  name: {kind: choice, of: ["-", n/a, TODO list]}
questions:
  - Who is {{ name }}?
  - <your question>
answer: "{{ name }}"
"""
    told = of_code(CODE, write_leaf(tmp_path, SKILL_PATH, skill(), simulation=simulation))
    assert [(one.field, one.severity) for one in told] == [
        ("parameters.name.of[3]", "warning"),
        ("questions[2]", "error"),
    ]


def test_an_attribution_with_slots_is_an_error(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL_PATH, skill())
    (folder / "attribution.txt").write_text(
        "Title of work: <title>\nLicense of the work: MIT\nCreator names: [insert answer here]\n", encoding="utf-8"
    )
    told = of_code(CODE, folder)
    assert [(Path(one.path).name, one.line, one.column) for one in told] == [
        ("attribution.txt", 1, 16),
        ("attribution.txt", 3, 16),
    ]


@given(st.text("<>[]{}%`TODO your answer here.\n-", max_size=80))
def test_hits_lie_inside_the_text_and_apart(value: str) -> None:
    hits = _hits(Text("qna.yaml", "seed_examples[1].answer", 1, 1, value), "Why?")
    for hit in hits:
        assert value[hit.start : hit.end].strip()
    spans = sorted((hit.start, hit.end) for hit in hits)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize(
    "piece", ["<", "{{", "{{a", "`", "```", "TODO ", "<question>", "[your ", "X", "<question>`", "."]
)
def test_a_long_text_does_not_take_long(piece: str) -> None:
    value = piece * (900_000 // len(piece))
    assert len(_hits(Text("qna.yaml", "seed_examples[1].answer", 1, 1, value), "Why?")) <= 3


def test_every_comment_that_the_scaffold_gives_to_a_blank_is_known() -> None:
    from instructlab_like.checking.lints.leftovers import _IN_HEAD
    from instructlab_like.records import normalise
    from instructlab_like.taxonomy import scaffold

    source = Path(scaffold.__file__).read_text(encoding="utf-8")
    comments = re.findall(r'^(created_by|task_description|domain|document_outline): ""  # (.+)$', source, re.MULTILINE)
    assert comments
    for key, comment in comments:
        assert normalise(comment) in _IN_HEAD[key], comment
