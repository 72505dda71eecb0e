"""Faults planted in samples: each is one, in an answer that was right, and the same ones every time."""

from __future__ import annotations

from collections import Counter

import pytest

from instructlab_like.claims import numbers
from instructlab_like.filters.parts.planting import FAULTS, planted
from instructlab_like.records import Lineage, Sample, digest

PASSAGE = "The Orrin Tower was built in {year} by {name} Vell. It is {tall} metres tall and stands on the harbour wall."
NAMES = ("Mara", "Benno", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hiro")


def made(number: int, answer: str = "", leaf: str = "towers") -> Sample:
    name, year, tall = NAMES[number % len(NAMES)], 1850 + number, 30 + number
    passage = PASSAGE.format(name=name, year=year, tall=tall)
    told = answer or f"The tower {number} was built in {year} by {name} Vell, and it is {tall} metres tall today."
    return Sample(
        id=digest(["planting", number, answer, leaf])[:32],
        kind="knowledge",
        question=f"What is known of tower {number}?",
        answer=told,
        context=passage,
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="http:m"),
    )


def test_the_kinds_of_faults_are_as_many_of_each_as_can_be() -> None:
    pairs = planted([made(number) for number in range(40)])
    kinds = Counter(pair.fault for pair in pairs)
    assert len(pairs) == 40
    assert kinds.keys() <= FAULTS.keys()
    assert kinds["number changed"] == kinds["name swapped"] == kinds["negated"] == kinds["cut off"] >= 8


def test_only_the_answer_differs_and_the_faulty_sample_has_an_id_of_its_own() -> None:
    for pair in planted([made(number) for number in range(10)]):
        assert pair.good.answer != pair.bad.answer
        assert pair.good.id != pair.bad.id
        same = {"id": pair.good.id, "answer": pair.good.answer}
        assert pair.bad.model_copy(update=same) == pair.good


def test_the_same_samples_get_the_same_faults() -> None:
    samples = [made(number) for number in range(20)]
    assert planted(samples) == planted(samples)


def test_a_changed_number_stands_nowhere_in_the_passage() -> None:
    pairs = [pair for pair in planted([made(number) for number in range(40)]) if pair.fault == "number changed"]
    for pair in pairs:
        new = numbers(pair.bad.answer) - numbers(pair.good.answer)
        assert len(new) == 1
        assert not new & numbers(f"{pair.good.context} {pair.good.question}")


def test_another_answer_comes_from_the_same_leaf() -> None:
    far = [made(1, "Granite."), made(2, "By boat in summer."), made(3, "Elsewhere is nothing.", leaf="other")]
    pairs = [pair for pair in planted(far) if pair.fault == "other answer"]
    assert {(pair.good.answer, pair.bad.answer) for pair in pairs} <= {
        ("Granite.", "By boat in summer."),
        ("By boat in summer.", "Granite."),
    }
    assert pairs


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("The lamp is lit at dusk.", "The lamp is not lit at dusk."),
        ("The lamp is not lit.", "The lamp is lit."),
        ("It isn't lit.", "It is lit."),
        ("Die Lampe ist an.", "Die Lampe ist nicht an."),
        ("La torre está abierta.", "La torre no está abierta."),
    ],
)
def test_a_statement_is_made_its_contrary(answer: str, wanted: str) -> None:
    assert FAULTS["negated"](made(1, answer), (), None) == wanted  # type: ignore[arg-type]


def test_a_sample_in_which_no_fault_can_be_planted_makes_no_pair() -> None:
    assert planted([made(1, "Granite.")]) == []
    assert planted([]) == []
