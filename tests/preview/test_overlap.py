from __future__ import annotations

from made_previews import chunk, knowledge, skill

from instructlab_like.preview.overlap import Passages, Shelves
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice

TIDE = "At which hour does the second high tide of the day reach the old harbour?"
LONG = (
    "The lighthouse keeper climbs the hundred and twelve steps of the tower every evening to light the great lamp",
    "He wipes the lenses first and then he turns the brass wheel until the flame stands quite still",
)


def repeated(*leaves: object, leaf: str = "skills/new") -> list[tuple[str, str, str, str]]:
    shelves = Shelves(leaves, DEFAULT_FILTERS, subjects=[leaf])  # type: ignore[arg-type]
    return [(found.what, found.how, found.other, found.other_what) for found in shelves.repeated(leaf)]


def test_a_question_of_another_leaf_is_named_whatever_its_case_and_punctuation() -> None:
    new = skill("skills/new", ("What is  one?", "1"), ("What is two?", "2"))
    old = skill("skills/old", ("what is TWO", "two"))
    assert repeated(new, old) == [("seed 2", "the same as", "skills/old", "seed 1")]


def test_a_leaf_does_not_repeat_itself() -> None:
    new = skill("skills/new", (TIDE, "Noon."), (TIDE, "Noon."), held_out=(TIDE,))
    assert repeated(new) == []


def test_a_held_out_question_that_another_leaf_trains_on_is_named() -> None:
    new = skill("skills/new", ("Unlike?", "Yes."), held_out=(TIDE,))
    assert repeated(new, skill("skills/old", (TIDE, "Noon."))) == [
        ("held-out question, line 1", "the same as", "skills/old", "seed 1")
    ]


def test_eight_words_in_a_row_are_named_and_seven_are_not() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    old = skill("skills/old", (" ".join(["Say", *words, "again"]), "x"))
    told = repeated(skill("skills/new", (" ".join(["Write", *words, "down"]), "y")), old)
    assert told == [("seed 1", "shares 8 words in a row with", "skills/old", "seed 1")]
    assert repeated(skill("skills/new", (" ".join(["Write", *words[:7], "down"]), "y")), old) == []


def test_the_length_of_a_run_is_the_recipes() -> None:
    filters = (FilterChoice(name="held_out", options={"words": 4}),)
    leaves = [skill("skills/new", ("a b c d e", "x")), skill("skills/old", ("z b c d e", "y"))]
    (found,) = Shelves(leaves, filters, subjects=["skills/new"]).repeated("skills/new")
    assert (found.how, found.score) == ("shares 4 words in a row with", 0.5)


def test_a_near_copy_is_named_by_the_filters_measure() -> None:
    question, answer = LONG
    edited = question.replace("evening", "night").replace("climbs", "mounts").replace("tower", "spire")
    leaves = [skill("skills/new", (f"{edited}?", answer)), skill("skills/old", (f"{question}?", answer))]
    (found,) = Shelves(leaves, DEFAULT_FILTERS, subjects=["skills/new"]).repeated("skills/new")
    assert found.how == "a few words away from"
    assert 0.75 <= found.score < 1


def test_two_leaves_that_are_both_new_repeat_each_other() -> None:
    leaves = [skill("skills/new", (TIDE, "Noon.")), skill("skills/too", (TIDE, "Noon."))]
    shelves = Shelves(leaves, DEFAULT_FILTERS, subjects=["skills/new", "skills/too"])
    assert [found.other for leaf in leaves for found in shelves.repeated(leaf.path)] == ["skills/too", "skills/new"]


def test_a_generic_question_about_another_text_is_no_repeat() -> None:
    new = skill("skills/new", ("Summarise this text.", "Short."), context="A cat sat on the mat.")
    old = skill("skills/old", ("Summarise this text.", "Brief."), context="The sea rises twice a day.")
    assert repeated(new, old) == []
    assert repeated(new, skill("skills/old", ("Summarise this text.", "x"), context="A cat sat on the mat.")) != []


def test_a_context_is_a_repeat_when_half_of_it_is() -> None:
    text = " ".join(f"word{number}" for number in range(40))
    half, little = f"{' '.join(text.split()[:30])} and more", f"{' '.join(text.split()[:12])} and so on and on " * 3
    new = knowledge("knowledge/new", text)
    assert [what for what, *_ in repeated(new, knowledge("knowledge/old", half), leaf=new.path)] == ["seed 1, context"]
    assert repeated(new, knowledge("knowledge/old", little), leaf=new.path) == []


def test_chunks_that_stand_in_another_leafs_documents_are_counted() -> None:
    texts = [" ".join(f"w{part}x{number}" for number in range(30)) for part in range(3)]
    chunks = {"new": [chunk(text) for text in texts], "old": [chunk(f"{texts[1]} end", "b.md")], "far": [chunk("else")]}
    passages = Passages(["new"], chunks, words=8)
    (found,) = passages.repeated("new")
    assert (found.what, found.other, found.score) == ("1 of 3 chunks", "old", 0.3333)
    assert list(passages.repeated("old")) == []
