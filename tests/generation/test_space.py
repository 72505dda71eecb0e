"""The space of parameters: what it is tried with before anyone generates, and which parameters are refused."""

from __future__ import annotations

import pytest

from instructlab_like.generation.space import Space, problems
from instructlab_like.records import ChoiceParameter, IntegerParameter, Parameter, SampleParameter

COUNT = IntegerParameter(low=-7, high=10**6, step=7)
THING = ChoiceParameter(of=("lamp", "clock", "bell"))
WORDS = SampleParameter(of=tuple("abcdef"), count=3)


def space(**parameters: Parameter) -> Space:
    return Space(parameters, [list(parameters)])


def test_a_small_space_is_tried_whole() -> None:
    trials = space(n=IntegerParameter(low=1, high=10), thing=THING).trials(30)
    assert len(trials) == 30 == len({(values["n"], values["thing"]) for values in trials})


def test_a_large_space_is_tried_with_its_outermost_values_first_and_always_the_same() -> None:
    large = space(n=COUNT, thing=THING, words=WORDS)
    trials = large.trials(50)
    assert trials == large.trials(50)
    assert len(trials) == 50
    assert [values["n"] for values in trials[:3]] == [-7, 999_999, 0]
    assert [values["thing"] for values in trials[3:6]] == ["lamp", "clock", "bell"]
    assert [values["words"] for values in trials[6:8]] == [("a", "b", "c"), ("f", "e", "d")]
    assert all(isinstance(values["n"], int) and values["n"] % 7 == 0 for values in trials)
    assert len(large.trials(4)) == 4


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"n": COUNT, "thing": THING, "words": WORDS}, []),
        ({"loop": THING}, ["parameters.loop: is no name for a template"]),
        ({"class": THING}, ["parameters.class: is no name for a template"]),
        ({"ä": THING}, ["parameters.ä: is no name for a template"]),
        ({"x" * 99 + "-": THING}, [f"parameters.{'x' * 60}…: is no name for a template"]),
        ({"n": IntegerParameter(low=-(2**63), high=0)}, ["parameters.n: holds a number of more than 63 bits"]),
        ({"n": IntegerParameter(low=0, high=1, step=2**63)}, ["parameters.n: holds a number of more than 63 bits"]),
        ({"n": IntegerParameter(low=0, high=int("9" * 4_000))}, ["parameters.n: holds a number of more than 63 bits"]),
        ({"n": ChoiceParameter(of=(float("inf"),))}, ["parameters.n.of: holds a number of more than 63 bits"]),
        ({"n": ChoiceParameter(of=(1, 1.0, "1"))}, []),
        ({"s": SampleParameter(of=("x" * 900,), count=1)}, []),
        (
            {"s": SampleParameter(of=tuple(f"{n:04}" * 100 for n in range(99)), count=60)},
            ["parameters: one draw can hold 24060 characters and items, more than 20000"],
        ),
    ],
)
def test_what_is_wrong_with_parameters(parameters: dict[str, Parameter], found: list[str]) -> None:
    said = problems(parameters)
    assert len(said) == len(found)
    assert all(text.startswith(start) and " → " in text for text, start in zip(said, found, strict=True))
