"""Which questions are asked, and that none of them was met before."""

from __future__ import annotations

from pathlib import Path

import pytest

from instructlab_like.errors import InputError
from instructlab_like.evaluation.items import base_items, from_file, item_id, items, seen, shared
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import (
    DocumentSource,
    HeldOut,
    IntegerParameter,
    Item,
    Knowledge,
    Pair,
    Seed,
    Simulation,
    Skill,
    normalise,
    with_context,
)

SEEDS = (Seed(number=1, line=5, pairs=(Pair(question="Q?", answer="A"),)),)
RECIPE = EvaluateRecipe(simulation_items=12)
PASSAGE = "The ferry leaves the north quay at nine, and again at noon when the tide allows it."


def knowledge(*held_out: HeldOut) -> Knowledge:
    source = DocumentSource(repo=".", commit="HEAD", patterns=("*.md",))
    told = {"path": "knowledge/ferries", "blob": "0" * 40, "version": 3, "created_by": "someone", "seeds": SEEDS}
    return Knowledge(**told, domain="ferries", outline="Ferries.", source=source, held_out=held_out)


def skill(*held_out: HeldOut, simulation: Simulation | None = None) -> Skill:
    told = {
        "path": "compositional_skills/sums",
        "blob": "0" * 40,
        "version": 3,
        "created_by": "someone",
        "seeds": SEEDS,
    }
    return Skill(**told, task="Add.", simulation=simulation, held_out=held_out)


def held(question: str, answer: str = "nine", context: str | None = None) -> HeldOut:
    return HeldOut(line=3, question=question, answer=answer, context=context)


SUMS = Simulation(
    parameters={"a": IntegerParameter(low=2, high=60), "b": IntegerParameter(low=2, high=60)},
    questions=("What is {{ a }} plus {{ b }}?",),
    answer="{{ a + b }}",
)


def test_written_questions_and_fresh_draws_are_asked() -> None:
    found = items([knowledge(held("When?")), skill(held("1 + 1?", "2"), simulation=SUMS)], recipe=RECIPE, avoid=())
    assert [item.source for item in found] == ["heldout", "heldout", *["simulation"] * 12]
    assert len({item.id for item in found}) == 14
    assert all(item.leaf == "compositional_skills/sums" for item in found[1:])


def test_what_was_met_before_is_left_out_and_can_be_told() -> None:
    leaf = knowledge(held("When does it leave?"), held("From which quay?", "the north quay"))
    avoid = {normalise("when does it LEAVE")}
    assert [item.question for item in items([leaf], recipe=RECIPE, avoid=avoid)] == ["From which quay?"]
    assert [item.question for item in seen(from_file(leaf), avoid)] == ["When does it leave?"]


def test_fresh_draws_avoid_what_was_met_before() -> None:
    leaf = skill(simulation=SUMS)
    first = items([leaf], recipe=RECIPE, avoid=())
    met = {normalise(item.question) for item in first}
    second = items([leaf], recipe=RECIPE, avoid=met)
    assert len(second) == 12
    assert seen(second, met) == []


def test_a_question_about_a_passage_is_known_only_with_its_passage() -> None:
    leaf = skill(held("Shorten this.", context=PASSAGE))
    assert items([leaf], recipe=RECIPE, avoid={normalise("Shorten this.")})
    assert not items([leaf], recipe=RECIPE, avoid={normalise(with_context("Shorten this.", PASSAGE))})


def by_model(question: str, *, maker: str = "examiner", leaf: str = "knowledge/ferries") -> Item:
    told = {"id": item_id(leaf, question, None), "leaf": leaf, "question": question, "answer": "ten", "maker": maker}
    return Item(**told, source="closed-book")


def test_items_made_elsewhere_join_their_leaf() -> None:
    made = [by_model("Who steers it?"), by_model("How much?", leaf="compositional_skills/sums"), by_model("What else?")]
    leaves = [skill(held("1 + 1?", "2")), knowledge(held("When?"))]
    found = items(leaves, recipe=RECIPE, avoid=(), made=made, teachers={"teacher"})
    assert [item.question for item in found] == ["1 + 1?", "How much?", "When?", "Who steers it?", "What else?"]


def test_made_items_that_training_met_are_left_out_and_can_be_told() -> None:
    long = "At what hour does the morning ferry leave the north quay on weekdays?"
    made = [by_model("Who steers it?"), by_model(long), by_model("Who owns the ferry?")]
    avoid = {normalise("Who steers it?"), normalise("Say at what hour does the morning ferry leave on a Sunday.")}
    assert [item.question for item in shared(made, avoid)] == ["Who steers it?", long]
    assert [item.question for item in items([knowledge()], recipe=RECIPE, avoid=avoid, made=made)] == [
        "Who owns the ferry?"
    ]


def test_a_written_question_stands_in_the_place_of_a_made_one() -> None:
    """Though their answers differ, which is an error among those that people wrote."""
    found = items([knowledge(held("When?"))], recipe=RECIPE, avoid=(), made=[by_model("WHEN?"), by_model("When?")])
    assert [(item.question, item.answer) for item in found] == [("When?", "nine")]


def test_who_made_the_training_data_cannot_make_its_questions() -> None:
    with pytest.raises(InputError, match="teacher made what is trained"):
        items([knowledge()], recipe=RECIPE, avoid=(), made=[by_model("When?", maker="teacher")], teachers={"teacher"})


def test_an_item_keeps_its_id_when_its_answer_is_corrected() -> None:
    before, after = (from_file(knowledge(held("When?", answer)))[0] for answer in ("nine", "ten"))
    assert before.id == after.id == item_id("knowledge/ferries", "When?", None)
    assert len(before.id) == 32
    assert item_id("another/leaf", "When?", None) != before.id
    assert item_id("knowledge/ferries", "When?", PASSAGE) != before.id


def test_phrasings_of_one_fact_are_one_cluster() -> None:
    when, hour, quay = from_file(knowledge(held("When?"), held("What hour?", "Nine."), held("Where?", "the quay")))
    assert when.cluster == hour.cluster
    assert when.cluster != quay.cluster
    one, other = from_file(skill(held("4 + 5?"), held("3 + 6?")))
    assert (one.cluster, other.cluster) == (None, None)
    first, second = from_file(skill(held("Shorten.", context=PASSAGE), held("Rhyme.", "tide", context=PASSAGE)))
    assert first.cluster == second.cluster is not None


def test_one_question_with_two_answers_is_an_error_that_shows_both() -> None:
    with pytest.raises(
        InputError, match="'When\\?' is asked twice with different answers, metrics or options: 'nine' and 'ten'"
    ):
        from_file(knowledge(held("When?"), held("When?", "ten")))
    assert len(from_file(knowledge(held("When?"), held("When?")))) == 1


def test_base_tasks_are_read_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_text(
        '{"kind": "reading", "context": "Ann is tall.", "question": "Who is tall?", "answer": "Ann"}\n'
        '{"kind": "reading", "context": "Ann is tall.", "question": "How is Ann?", "answer": "tall"}\n'
        '{"kind": "sums", "context": "", "question": "1+1?", "answer": "2"}\n'
    )
    who, how, one = base_items(path)
    assert (who.leaf, who.source, who.context, who.answer) == ("base/reading", "base", "Ann is tall.", "Ann")
    assert who.cluster == how.cluster is not None
    assert (one.leaf, one.context, one.cluster) == ("base/sums", None, None)


def test_base_tasks_that_cannot_be_read_say_where(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    with pytest.raises(InputError, match="no such file of base tasks"):
        base_items(path)
    path.write_text('{"kind": "sums", "question": "1+1?", "answer": "2"}\n{"kind": "sums", "question": "?"}\n')
    with pytest.raises(InputError, match="answer: Field required") as caught:
        base_items(path)
    assert caught.value.where.endswith("anchors.jsonl:2")


def test_a_leaf_trained_without_passages_is_not_asked_a_trained_question_with_one() -> None:
    item = Item(id="1", leaf="knowledge/a", source="heldout", question="When?", answer="ten", context="A passage.")
    assert seen([item], {"when"}) == []
    assert seen([item], {"when"}, closed=("knowledge/a",)) == [item]
    assert seen([item], {"when"}, closed=("knowledge/b",)) == []
