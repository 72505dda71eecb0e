from __future__ import annotations

from pathlib import Path

from leaf_files import dumped, knowledge, skill, write_leaf

from instructlab_like.checking.repeats import SeedMark, marks, repeats
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import Place, read_files

HELD = "questions:\n  - question: {question}\n    answer: '15'\n"


def marked(root: Path, path: str) -> tuple[SeedMark, ...]:
    place = Place(root, path, path)
    files = read_files(place)
    return marks(Subject(place, files, examine(place, files)))


def other(root: Path, path: str, question: str, *, context: str | None = None, held: str | None = None) -> None:
    """A leaf of its own that asks one question more."""
    number = sum(map(ord, path))
    seeds = [{"question": f"Which is row {number} of table {n}?", "answer": f"row {n}"} for n in range(4)]
    seeds.append({"question": question, "answer": "the same"} | ({"context": context} if context else {}))
    values = {**skill(), "seed_examples": seeds}
    siblings = {"heldout": HELD.format(question=held)} if held else {}
    write_leaf(root, path, dumped(values), **siblings)


A, B, C = (f"compositional_skills/{name}" for name in "abc")


def test_a_question_in_two_leaves_is_told_at_both_with_the_other_place(tmp_path: Path) -> None:
    other(tmp_path, A, "What is a tide?")
    other(tmp_path, B, "what is a TIDE")
    every = {path: marked(tmp_path, path) for path in (A, B)}
    found = repeats(every, [A, B])
    assert [(one.path, one.line, one.column, one.code) for one in found] == [
        (f"{A}/qna.yaml", 13, 13, "repeated-question"),
        (f"{B}/qna.yaml", 13, 13, "repeated-question"),
    ]
    assert f"{B}/qna.yaml:13" in found[0].message
    assert found[0].field == "seed_examples[5].question"


def test_only_leaves_that_are_looked_at_are_told(tmp_path: Path) -> None:
    for path in (A, B, C):
        other(tmp_path, path, "What is a tide?")
    every = {path: marked(tmp_path, path) for path in (A, B, C)}
    (found,) = repeats(every, [B])
    assert found.path == f"{B}/qna.yaml"
    assert f"{A}/qna.yaml:13 and 1 more" in found.message
    assert repeats(every, []) == []


def test_the_context_is_part_of_what_a_grounded_skill_asks(tmp_path: Path) -> None:
    other(tmp_path, A, "Summarise this.", context="The tide rises.")
    other(tmp_path, B, "Summarise this.", context="The tide falls.")
    other(tmp_path, C, "Summarise this!", context="The tide\n\nfalls")
    every = {path: marked(tmp_path, path) for path in (A, B, C)}
    assert {one.path for one in repeats(every, [A, B, C])} == {f"{B}/qna.yaml", f"{C}/qna.yaml"}


def test_knowledge_is_asked_without_its_context(tmp_path: Path) -> None:
    for path, context in (("knowledge/a", "Low tide."), ("knowledge/b", "High tide.")):
        values = knowledge()
        seeds = values["seed_examples"]
        assert isinstance(seeds, list)
        for number, seed in enumerate(seeds):
            seed["context"] = f"{context} Fact 0, 1, 2."
            for pair in seed["questions_and_answers"]:
                pair["question"] += f" At {path}?" if number else ""
        write_leaf(tmp_path, path, values)
    every = {path: marked(tmp_path, path) for path in ("knowledge/a", "knowledge/b")}
    assert len(every["knowledge/a"]) == 15
    assert len(repeats(every, ["knowledge/a"])) == 3


def test_a_held_out_question_that_another_leaf_shows_is_told_on_both_sides(tmp_path: Path) -> None:
    other(tmp_path, A, "What is an ebb?", held="What is a tide?")
    other(tmp_path, B, "What is a tide?")
    every = {path: marked(tmp_path, path) for path in (A, B)}
    leaking, leaked = repeats(every, [A, B])
    assert (leaking.path, leaking.line, leaking.column) == (f"{A}/heldout.yaml", 2, 15)
    assert (leaked.path, leaked.line) == (f"{B}/qna.yaml", 13)
    assert {leaking.code, leaked.code} == {"held-out-elsewhere"}
    assert f"{B}/qna.yaml:13" in leaking.message
    assert f"{A}/heldout.yaml:2" in leaked.message


def test_what_two_leaves_hold_out_is_nobodys_leak(tmp_path: Path) -> None:
    other(tmp_path, A, "What is an ebb?", held="What is a tide?")
    other(tmp_path, B, "What is a flood?", held="What is a tide?")
    every = {path: marked(tmp_path, path) for path in (A, B)}
    assert repeats(every, [A, B]) == []


def test_signs_alone_are_told_apart(tmp_path: Path) -> None:
    other(tmp_path, A, "😀")
    other(tmp_path, B, "😢")
    every = {path: marked(tmp_path, path) for path in (A, B)}
    assert repeats(every, [A, B]) == []


def test_a_leaf_that_cannot_be_used_has_its_marks_too(tmp_path: Path) -> None:
    write_leaf(tmp_path, A, "seed_examples:\n  - question: What is a tide?\n  - 7\n  - question: 7\n")
    (mark,) = marked(tmp_path, A)
    assert (mark.file, mark.line, mark.column) == ("qna.yaml", 2, 15)
    write_leaf(tmp_path, B, "- no mapping\n")
    assert marked(tmp_path, B) == ()


def test_the_leaf_in_the_working_folder_is_named_without_a_folder(tmp_path: Path) -> None:
    other(tmp_path, A, "What is a tide?")
    other(tmp_path, B, "What is a tide?")
    (found,) = repeats({".": marked(tmp_path, A), B: marked(tmp_path, B)}, ["."])
    assert found.path == "qna.yaml"
