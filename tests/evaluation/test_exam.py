"""Items made by rules: about what was trained in unseen words, about what was not with its text, and choices."""

from __future__ import annotations

import pytest

from instructlab_like.evaluation.exam import exam, untouched
from instructlab_like.evaluation.exam.facts import read
from instructlab_like.evaluation.exam.options import OPTIONS, Rivals, distinct
from instructlab_like.evaluation.met import Met
from instructlab_like.generation import rules
from instructlab_like.generation.rules import RULES
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import (
    Chunk,
    DocumentSource,
    HeldOut,
    Item,
    Knowledge,
    Pair,
    RulesTask,
    Seed,
    blob_id,
    normalise,
)

LEAF = "knowledge/towns/oslen"
MILLS = """The Pinnock Mill was built by Mark Dallow in 1811.
The Pinnock Mill runs on steam.
The roof of the Pinnock Mill is made of slate.
The Harrow Mill was built by Ada Quill in 1790.
The roof of the Harrow Mill is made of copper.
"""
HALLS = """The Corn Hall was built by Jon Feldt in 1702.
The roof of the Corn Hall is made of zinc.
The Guild Hall was built by Nora Gell in 1655.
The roof of the Guild Hall is made of straw.
"""
SCHOOLS = """The Harbour School was founded by Clara Nimm in 1893.
The Harbour School has 140 pupils.
"""
ALL = EvaluateRecipe(closed_book=100, choices=100, open_book=100)


def chunk(text: str, *, name: str = "town.md", start: int = 0) -> Chunk:
    return Chunk(
        repo=".",
        commit="HEAD",
        document=name,
        blob=blob_id(f"{name}{text}".encode()),
        start=start,
        end=start + len(text.encode()),
        headings=("Oslen",),
        text=text,
    )


def leaf(
    *held_out: HeldOut, context: str = "Oslen is a town that no chunk of these tests says anything about."
) -> Knowledge:
    seeds = (Seed(number=1, line=5, context=context, pairs=(Pair(question="What is Oslen?", answer="A town."),)),)
    source = DocumentSource(repo=".", commit="HEAD", patterns=("*.md",))
    told = {"path": LEAF, "blob": "0" * 40, "version": 3, "created_by": "ann", "seeds": seeds, "held_out": held_out}
    return Knowledge(**told, domain="towns", outline="Oslen.", source=source)


def trained(*chunks: Chunk) -> set[str]:
    """The normalised questions that the rules ask about the chunks, as a run would have trained them."""
    tasks = (RulesTask(leaf=LEAF, leaf_blob="0" * 40, chunk=one) for one in chunks)
    return {normalise(sample.question) for task in tasks for sample in rules.pairs(task)}


def made(
    *taught: Chunk, fresh: tuple[Chunk, ...] = (), recipe: EvaluateRecipe = ALL, whose: Knowledge | None = None
) -> list[Item]:
    ids, unread, met = {one.id for one in taught}, {one.id for one in fresh}, Met(trained(*taught))
    return exam(whose or leaf(), [*taught, *fresh], taught=ids, fresh=unread, met=met, recipe=recipe)


def test_trained_chunks_are_asked_about_in_words_that_no_training_had() -> None:
    taught = chunk(MILLS), chunk(HALLS)
    found = [item for item in made(*taught) if item.source == "closed-book" and not item.options]
    assert {item.answer for item in found} >= {"Mark Dallow", "1811", "slate", "steam", "Ada Quill", "straw"}
    met = Met(trained(*taught))
    assert len(met.asked) > 50
    assert not any(met.shares(item.question) for item in found)
    assert all(item.context is None and item.maker == RULES for item in found)
    assert {item.chunk for item in found} == {item.cluster for item in found} == {one.id for one in taught}


def test_chunks_without_a_sample_are_asked_about_with_their_text() -> None:
    school = chunk(SCHOOLS, name="school.md")
    found = [item for item in made(chunk(MILLS), fresh=(school,)) if item.source == "open-book"]
    assert {item.answer for item in found} == {"Clara Nimm", "1893", "140"}
    assert all((item.context, item.chunk) == (SCHOOLS, school.id) for item in found)
    assert all(item.answer in SCHOOLS for item in found)


def test_nothing_is_made_of_a_chunk_that_gave_samples_but_was_not_trained() -> None:
    mills, halls = chunk(MILLS), chunk(HALLS)
    fresh = untouched([mills, halls], {mills.id, halls.id}, ())
    found = exam(leaf(), [mills, halls], taught={mills.id}, fresh=fresh, met=Met(trained(mills)), recipe=ALL)
    assert {item.chunk for item in found} == {mills.id}


def test_what_a_seed_example_quotes_or_what_is_there_twice_is_not_untouched() -> None:
    school, copy = chunk(SCHOOLS, name="school.md"), chunk(SCHOOLS, name="copy.md")
    assert untouched([chunk(MILLS), school], {chunk(MILLS).id}, leaf().seeds) == {school.id}
    assert untouched([school], set(), leaf(context=SCHOOLS).seeds) == set()
    assert untouched([school, copy], {copy.id}, leaf().seeds) == set()


def test_a_fact_that_is_said_twice_is_asked_for_once() -> None:
    mills, again = chunk(MILLS), chunk(f"{MILLS}\n{SCHOOLS}", name="again.md")
    found = [item.answer for item in made(mills, again, recipe=EvaluateRecipe(closed_book=100, choices=0))]
    assert "Clara Nimm" in found
    assert len(found) == len(set(found))
    once = made(mills, mills)
    assert once == made(mills)


def test_a_choice_has_four_options_of_one_kind_and_one_right_answer() -> None:
    found = [item for item in made(chunk(MILLS), chunk(HALLS)) if item.metric == "choice"]
    roofs = [item for item in found if item.answer in ("slate", "copper", "zinc", "straw")]
    assert len(roofs) == 4
    assert all(sorted(item.options) == ["copper", "slate", "straw", "zinc"] for item in roofs)
    builders = [item for item in found if "Mark Dallow" in item.options]
    assert len(builders) == 4
    assert all(len(item.options) == OPTIONS and item.answer in item.options for item in found)
    assert len({item.options.index(item.answer) for item in found}) > 1
    assert not any("steam" in item.options for item in found)


def test_what_is_said_of_the_same_thing_is_no_wrong_answer() -> None:
    """The evidence names it, or another sentence about the thing does, or it is asked for twice."""
    text = MILLS.replace("in 1811.", "in 1811.\nJon Feldt once bought the Pinnock Mill from a friend.")
    mills, halls = chunk(text), chunk(HALLS)
    facts = [fact for one in (mills, halls) for fact in read(one)]
    built = next(fact for fact in facts if fact.answer == "Mark Dallow")
    sentences = [*text.splitlines(), *HALLS.splitlines()]
    assert Rivals(facts, sentences).options(built, "Who built it?", 0) is None  # Ada Quill and Nora Gell are left
    offered = Rivals(facts, [*MILLS.splitlines(), *HALLS.splitlines()]).options(built, "Who built it?", 0)
    assert offered is not None
    assert set(offered) == {"Mark Dallow", "Jon Feldt", "Ada Quill", "Nora Gell"}


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("slate", "zinc", True),
        ("seven", "7", False),
        ("insects", "insects and seeds", False),
        ("grey slate", "Welsh slate", False),
        ("12 years", "30 years", True),
        ("the Sarle", "Sarle", False),
    ],
)
def test_options_have_nothing_in_common_that_tells_something(one: str, other: str, told: bool) -> None:
    assert distinct(one, other) is told


def test_a_fact_with_two_answers_in_the_leaf_is_not_asked_for() -> None:
    other = chunk("The roof of the Pinnock Mill is made of tin.\n", name="other.md")
    answers = {item.answer for item in made(chunk(MILLS), other) if item.source == "closed-book"}
    assert "copper" in answers
    assert not {"slate", "tin"} & answers


def test_what_a_person_wrote_is_not_made_again() -> None:
    recipe = EvaluateRecipe(closed_book=100)
    first = made(chunk(MILLS), recipe=recipe)[0]
    written = leaf(HeldOut(line=3, question=first.question.upper(), answer=first.answer))
    assert normalise(first.question) not in {
        normalise(item.question) for item in made(chunk(MILLS), recipe=recipe, whose=written)
    }


def test_there_are_as_many_as_the_recipe_says_from_as_many_chunks_as_there_are() -> None:
    taught = chunk(MILLS), chunk(HALLS), chunk(SCHOOLS)
    found = made(*taught, recipe=EvaluateRecipe(closed_book=3, choices=2))
    assert [item.metric == "choice" for item in found] == [False, False, False, True, True]
    assert len({item.chunk for item in found[:3]}) == 3
    assert made(*taught, recipe=EvaluateRecipe(closed_book=0, choices=0, open_book=0)) == []


def test_the_same_run_gives_the_same_items_and_another_seed_others() -> None:
    taught, few = (chunk(MILLS), chunk(HALLS)), {"closed_book": 5, "choices": 5}
    first = made(*taught, recipe=EvaluateRecipe(**few))
    assert first == made(*reversed(taught), recipe=EvaluateRecipe(**few))
    assert first != made(*taught, recipe=EvaluateRecipe(**few, seed=1))
    assert len({item.id for item in first}) == len(first)


def test_of_very_long_documents_some_chunks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructlab_like.evaluation.exam.MOST_CHUNKS", 2)
    chunks = [chunk(text, name=f"{number}.md") for number, text in enumerate((MILLS, HALLS, SCHOOLS))]
    assert len({item.chunk for item in made(*chunks)}) == 2
    assert len({item.chunk for item in made(chunks[0], fresh=tuple(chunks[1:]))}) == 3


def test_somebody_is_not_asked_for_as_a_thing() -> None:
    text = "Ruth Amsel was born in Larkby.\nRuth Amsel played the harp.\nShe was taught by Jan Pollard.\n"
    found = made(chunk(text), recipe=EvaluateRecipe(closed_book=100))
    assert found
    assert not any(" it" in f" {item.question.lower()}" for item in found)
